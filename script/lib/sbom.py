"""Write what a release is made of as CycloneDX 1.6 JSON (SBOM), from the lock files: sbom.py VERSION > FILE.

The packages of requirements.lock are installed beside Portico; those of frontend/package-lock.json are in the built
pages, or only build them (scope `excluded`). The same commit makes the same bytes: the date is SOURCE_DATE_EPOCH.
"""

import base64
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).parents[2]
_LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)( ;)?", re.MULTILINE)
_LICENSES = LicenseFactory()


def python_packages(lock: str) -> list[Component]:
    """Those of a lock file of pip; optional where a marker says on which systems they are installed."""
    return [
        _component("pypi", name, version, ComponentScope.OPTIONAL if has_marker else ComponentScope.REQUIRED)
        for name, version, has_marker in _LOCKED.findall(lock)
    ]


def page_packages(lock: str) -> list[Component]:
    """Those of npm's package-lock.json, each version once."""
    found: dict[tuple[str, str], Component] = {}
    for path, package in json.loads(lock)["packages"].items():
        if not path:
            continue  # the pages themselves
        name, version = path.rpartition("node_modules/")[2], package["version"]
        scope = ComponentScope.EXCLUDED if package.get("dev") else ComponentScope.REQUIRED
        component = _component("npm", name, version, scope)
        if stated := package.get("license"):
            component.licenses.add(_LICENSES.make_from_string(stated))
        algorithm, _, digest = package.get("integrity", "").partition("-")
        if algorithm == "sha512":
            component.hashes.add(HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(digest).hex()))
        known = found.setdefault((name, version), component)
        if scope is ComponentScope.REQUIRED:
            known.scope = scope
    return list(found.values())


def bill(version: str, python_lock: str, page_lock: str, epoch: int) -> str:
    """The document; the same arguments make the same text."""
    root = _component("pypi", "portico-video", version, None, ComponentType.APPLICATION)
    root.licenses.add(_LICENSES.make_from_string("Apache-2.0"))
    serial = uuid5(NAMESPACE_URL, "\n".join((str(root.purl), python_lock, page_lock, str(epoch))))
    bom = Bom(serial_number=serial)
    bom.metadata.component, bom.metadata.timestamp = root, datetime.fromtimestamp(epoch, UTC)
    components = [*python_packages(python_lock), *page_packages(page_lock)]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(root, components)
    text = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"the SBOM is not valid: {wrong}")
    return text


def _component(
    kind: str, name: str, version: str, scope: ComponentScope | None, of_type: ComponentType = ComponentType.LIBRARY
) -> Component:
    namespace, _, own = name.rpartition("/")  # @telnyx/video
    purl = PackageURL(kind, namespace or None, own, version)
    return Component(name=name, version=version, purl=purl, bom_ref=str(purl), scope=scope, type=of_type)


if __name__ == "__main__":
    locks = (ROOT / "requirements.lock").read_text(), (ROOT / "frontend" / "package-lock.json").read_text()
    sys.stdout.write(bill(sys.argv[1], *locks, int(os.environ["SOURCE_DATE_EPOCH"])))
