"""Builds the image as buildah does, and runs it as a container engine does: by runc, as compose.yaml says.

No daemon and no registry: the base is made by debootstrap, once per machine. Layers are kept in CACHE between runs.
"""

import contextlib
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import yaml  # type: ignore[import-untyped]

from tests.servers import STOPS_WITHIN_SECS, PorticoServer

ROOT = Path(__file__).parents[2]
CACHE = Path("/var/tmp/portico-images")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SECCOMP = Path("/usr/share/containers/seccomp.json")
"""The system calls that Docker and Podman allow a container, from a package that buildah needs."""
MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
BASE, SYSTEM, RELAY, PARTS, IMAGE = (
    f"localhost/portico-{name}" for name in ("base", "system", "relay", "parts", "test")
)
_VARIABLE = re.compile(r"\$\{(\w+):([-?])([^}]*)\}")
"""A variable in a compose file, with its default (-) or with what is wrong where it is not set (?)."""
NEEDS = ("buildah", "debootstrap", "runc")


BUILDS_WITHIN_SECS = 900
"""The deadline of a first build. On two idle cores it takes three minutes, most of them for apt and dpkg."""


def is_possible() -> bool:
    """Whether images can be built and run on this machine."""
    return os.geteuid() == 0 and all(map(shutil.which, NEEDS))


@dataclass(frozen=True)
class Image:
    """A built image, with its files at `files`."""

    files: Path
    settings: Mapping[str, Any]
    """The image's Config, as Docker names it: User, Env, Entrypoint, Cmd, Healthcheck."""

    def run(self, *command: str) -> str:
        """Run a program of the image in its folder, without a container; returns its output."""
        ended = subprocess.run(["chroot", self.files, *command], check=True, capture_output=True, text=True, timeout=60)
        return ended.stdout


@contextlib.contextmanager
def built_image(janus: Path) -> Iterator[Image]:
    """The image of this checkout, with the Janus of that folder instead of one that is compiled anew."""
    CACHE.mkdir(exist_ok=True)
    container = f"portico-{os.getpid()}"
    with _locked():
        _remove_leftovers()
        _make_base()
        common = ["--secret", f"id=ca,src={AUTHORITIES}"] if AUTHORITIES.exists() else []
        common += ["--build-arg", f"BASE={BASE}", "--build-context", f"janus={janus}"]
        # The parts have names of their own, or they would be made anew each time.
        for target, name in (("system", SYSTEM), ("relay-ports", RELAY), ("portico", PARTS), ("", IMAGE)):
            chosen = ["--target", target] if target else []
            _buildah("build", "--layers", "--format=docker", *common, *chosen, "--tag", name, str(ROOT))
        _buildah("from", "--name", container, IMAGE)
        _buildah("rmi", "--prune", check=False)
        files = Path(_buildah("mount", container).strip())
        settings = json.loads(_buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    try:
        yield Image(files, settings)
    finally:
        with _locked():
            _buildah("rm", container)


class Container(PorticoServer):
    """The image under runc, as the service `portico` of compose.yaml: its user, root, capabilities and limits."""

    def __init__(
        self,
        image: Image,
        bundle: Path,
        volume: Path,
        *,
        media_interface: str | None = None,
        compose: str = "compose.yaml",
        variables: Mapping[str, str] = MappingProxyType({}),
        **settings: str,
    ) -> None:
        """`variables` are those of the compose file, `settings` are added to what it sets."""
        super().__init__(bundle / "data", media_interface=media_interface, **settings)
        self._service = service(compose)
        self._variables = variables
        self.volume = volume
        self._image = image
        self._bundle = bundle
        self._name = f"portico-{os.getpid()}-{self.port}"
        self._runc = ["runc", "--root", str(bundle / "state")]
        self.command = (*self._runc, "run", "--bundle", str(bundle), self._name)

    def start(self) -> Self:
        given = {f"PORTICO_{name.upper()}": value for name, value in self.settings.items() if name != "DATA_DIR"}
        chosen = self._service | {"environment": filled(self._service["environment"], self._variables) | given}
        specification = _specification(self._image, self.volume, chosen)
        self._bundle.mkdir(exist_ok=True)
        (self._bundle / "config.json").write_text(json.dumps(specification))
        return super().start()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the container, as `docker exec` does."""
        words = [*self._runc, "exec", self._name, *command]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    @property
    def health_check(self) -> list[str]:
        """The command of the image's HEALTHCHECK."""
        kind, *words = self._image.settings["Healthcheck"]["Test"]
        assert kind == "CMD"
        return list(words)

    def terminate(self) -> int:
        """The exit status after SIGTERM, as `docker stop` sends it."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=STOPS_WITHIN_SECS)


def service(compose: str = "compose.yaml", name: str = "portico") -> dict[str, Any]:
    """A service of a compose file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / compose).read_text())["services"][name]
    return found


def filled(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service, with these variables. KeyError names a required one that is missing."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return variables[name] if kind == "?" else variables.get(name, default)

    return {name: _VARIABLE.sub(value, text) for name, text in environment.items()}


def _specification(image: Image, volume: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """A container in the words of the OCI runtime specification, in the machine's own network."""
    assert (chosen["network_mode"], chosen["cap_drop"]) == ("host", ["ALL"])
    user, group = map(int, image.settings["User"].split(":"))
    (target,) = image.settings["Volumes"]
    # Not every root may raise its limits.
    files = min(chosen["ulimits"]["nofile"], resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    environment = [*image.settings["Env"], *(f"{name}={value}" for name, value in chosen["environment"].items())]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": group},
            "args": [*image.settings["Entrypoint"], *image.settings["Cmd"]],
            "env": environment,
            "cwd": image.settings["WorkingDir"],
            "capabilities": {"bounding": [f"CAP_{name}" for name in chosen["cap_add"]]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": files, "soft": files}],
            "noNewPrivileges": "no-new-privileges:true" in chosen.get("security_opt", []),
        },
        "root": {"path": str(image.files), "readonly": chosen["read_only"]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},
            *(
                {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
                for path in chosen["tmpfs"]
            ),
            *(
                {"destination": path, "type": "bind", "source": path, "options": ["bind", "ro"]}
                for path in ("/etc/resolv.conf", "/etc/hosts")
            ),
            {"destination": target, "type": "bind", "source": str(volume), "options": ["bind", "rw"]},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "mount")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "seccomp": _seccomp({f"CAP_{name}" for name in chosen["cap_add"]}),
        },
    }


def _seccomp(capabilities: set[str]) -> dict[str, Any]:
    """The default filter of Docker and Podman for a container with these capabilities, as a runtime wants it."""
    profile = json.loads(SECCOMP.read_text())
    rules = []
    for rule in profile["syscalls"]:
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        fits = not wanted.get("arches") or "amd64" in wanted["arches"]
        if fits and capabilities >= {*wanted.get("caps", ())} and not capabilities & {*unwanted.get("caps", ())}:
            kept = {name: rule[name] for name in ("names", "action", "args", "errnoRet") if rule.get(name)}
            rules.append(kept)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"], "syscalls": rules}


def _make_base() -> None:
    """Make a Debian like debian:12-slim, unless it was made before."""
    if _buildah("images", "--quiet", BASE, check=False):
        return
    folder = CACHE / "base"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", SUITE, str(folder), _mirror()]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    (folder / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")  # as in Debian's images
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, str(folder), "/")
    _buildah("commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(folder)


def _mirror() -> str:
    """The URL of the mirror from which this machine installs Debian packages."""
    what = ["--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian", "Component: main"]
    found = subprocess.run(["apt-get", "indextargets", *what], check=False, capture_output=True, text=True, timeout=60)
    return (found.stdout.split() or [MIRROR])[0]


def _remove_leftovers() -> None:
    """Remove the containers of test runs that were killed."""
    for name in _buildah("containers", "--format", "{{.ContainerName}}").split():
        pid = name.removeprefix("portico-")
        if not pid.isdigit() or not Path(f"/proc/{pid}").exists():
            _buildah("rm", name, check=False)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _buildah(*words: str, check: bool = True) -> str:
    store = ["--root", str(CACHE / "store"), "--runroot", str(CACHE / "run")]
    environment = os.environ | {"BUILDAH_ISOLATION": "chroot"}
    ended = subprocess.run(
        ["buildah", *store, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILDS_WITHIN_SECS,
        env=environment,
    )
    assert ended.returncode == 0 or not check, (
        f"buildah {' '.join(words)}:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    )
    return ended.stdout
