"""systemd, Compose and Kubernetes accept our files; the service is guarded, and every setting in them exists."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from portico.config.secrets import SUFFIX, reads_file
from portico.config.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "portico.service"
DOMAIN = DEPLOY / "portico.service.d" / "domain.conf"
COMPOSE = [ROOT / "compose.yaml", DEPLOY / "compose.postgresql.yaml", DEPLOY / "compose.cluster.yaml"]
KUBERNETES = DEPLOY / "kubernetes.yaml"
ROLES = DEPLOY / "kubernetes-roles.yaml"
SCALED = ["deployment", "poddisruptionbudget", "horizontalpodautoscaler"]
KINDS = {
    KUBERNETES: ["namespace", "secret", "persistentvolumeclaim", "statefulset"],
    ROLES: [
        *("namespace", "secret", "deployment", "service", "ingress", *SCALED[1:]),
        *(*SCALED, "statefulset", "service", *SCALED[1:]),
    ],
}
"""The resources of each file, in their order."""
OLDEST_KUBERNETES = "1.30"
EXPOSURE_MAX, EXPOSURE_MAX_WITH_DOMAIN = 15, 20
"""Tenths, as systemd-analyze counts them: a unit that says nothing has 96."""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/portico/bin/portico", "/bin/true"))
    return copy


@needs_systemd
@pytest.mark.parametrize(("drop_in", "exposure"), [(False, EXPOSURE_MAX), (True, EXPOSURE_MAX_WITH_DOMAIN)])
def test_systemd_accepts_the_unit_and_finds_it_guarded(unit: Path, drop_in: bool, exposure: int) -> None:
    if drop_in:
        shutil.copytree(DOMAIN.parent, unit.with_name(DOMAIN.parent.name))
    verified = run("systemd-analyze", "verify", "--man=no", unit)
    assert (verified.returncode, verified.stderr) == (0, "")
    found = run("systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", unit)
    assert found.returncode == 0, found.stdout


def test_low_ports_are_a_matter_of_the_drop_in_alone() -> None:
    assert "Ambient" not in UNIT.read_text() and "\nCapabilityBoundingSet=\n" in UNIT.read_text()
    assert re.findall(r"CAP_\w+", DOMAIN.read_text()) == ["CAP_NET_BIND_SERVICE"] * 2


def test_the_filter_of_system_calls_permits_what_converters_call() -> None:
    """Without capset, setpriv fails and no recording gets a file, as a run under a real systemd showed."""
    filters = re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE)
    assert filters.index("capset") > filters.index("~@privileged")


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_accepts_the_file(file: Path) -> None:
    found = run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("version", [(), ("--kubernetes-version", OLDEST_KUBERNETES)], ids=["newest", "oldest"])
@pytest.mark.parametrize("file", KINDS, ids=lambda file: file.name)
def test_kubernetes_accepts_the_manifests(file: Path, version: tuple[str, ...]) -> None:
    command = (str(Path(sys.executable).with_name("kubernetes-validate")), "--strict", *version)
    found = run(*command, file)
    assert found.returncode == 0, found.stdout + found.stderr
    kinds = re.findall(r"passed for resource (\w+)/portico", found.stdout + found.stderr)
    assert kinds == KINDS[file]


@pytest.mark.parametrize(
    "file", [UNIT, DEPLOY / "portico.env", *COMPOSE, *KINDS, ROOT / "Dockerfile"], ids=lambda file: file.name
)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    fields = Settings.model_fields.items()
    known = {f"{PREFIX}{name}".upper() for name, _ in fields}
    known |= {f"{PREFIX}{name}{SUFFIX}".upper() for name, field in fields if reads_file(field)}
    named = {*re.findall(rf"\b{PREFIX}[A-Z0-9_]+", file.read_text())}
    assert named and named <= known
