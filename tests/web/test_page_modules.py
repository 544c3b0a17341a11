"""Imports of the pages' sources point down, and never in a circle."""

import re
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath

SOURCES = Path(__file__).parents[2] / "frontend" / "src"
LAYERS = ["shared", "meeting/call", "meeting/ui", "meeting", "console", "check"]
"""From the lowest up. `console`, `check` and `meeting` do not know each other."""
IMPORT = re.compile(r"""(?:from|import) ["'](\.[^"']+)["']""")


def imports() -> dict[str, set[str]]:
    """The sources that each source imports, as paths below `frontend/src`."""
    files = [path for path in SOURCES.rglob("*") if path.suffix in (".ts", ".tsx")]
    return {str(file.relative_to(SOURCES)): {_target(file, name) for name in _names(file)} for file in files}


def _names(file: Path) -> list[str]:
    return [name for name in IMPORT.findall(file.read_text()) if not name.endswith(".css")]


def _target(file: Path, name: str) -> str:
    stem = (file.parent / name).resolve()
    (found,) = [stem.with_name(stem.name + suffix) for suffix in (".ts", ".tsx") if Path(f"{stem}{suffix}").is_file()]
    return str(found.relative_to(SOURCES))


def layer_of(source: str) -> str:
    return str(PurePosixPath(source).parent)


def test_every_source_is_in_a_layer_and_imports_from_its_own_or_a_lower_one() -> None:
    graph = imports()
    assert {layer_of(source) for source in graph} == set(LAYERS)
    wrong = [
        f"{source} imports {target}"
        for source, targets in graph.items()
        for target in targets
        if LAYERS.index(layer_of(target)) > LAYERS.index(layer_of(source))
        or (layer_of(source) in ("console", "check") and layer_of(target) not in (layer_of(source), "shared"))
    ]
    assert wrong == []


def test_no_source_imports_itself_by_way_of_others() -> None:
    order = list(TopologicalSorter(imports()).static_order())  # raises CycleError, which names the circle
    assert len(order) > 30
