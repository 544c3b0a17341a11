"""Check that this checkout is ready for a release, and print the text of its tag: release_notes.py VERSION."""

import re
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

ROOT = Path.cwd()


def notes_of(changelog: str, version: str) -> str:
    """The text below `## VERSION`, with or without a date behind it. ValueError, a sentence, if there is none."""
    sections = re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]
    found = {section.split()[0].strip("[]"): section.partition("\n")[2].strip() for section in sections}
    if found.get("Unreleased"):
        raise ValueError(f'CHANGELOG.md has entries under "Unreleased": put them under "## {version}"')
    if not found.get(version):
        raise ValueError(f'CHANGELOG.md has no section "## {version}", or an empty one')
    return found[version]


def check_schemas(folder: Path, version: str, head: str) -> None:
    """Raise ValueError, a sentence, unless the schema of this version is kept for both databases, as it is now."""
    for database in ("sqlite", "postgresql"):
        file = folder / f"{version}.{database}.sql"
        if not file.is_file():
            raise ValueError(f"{file} is missing: tests/db/schemas/README.md says how to make it")
        revision = re.search(r"INSERT INTO \S*alembic_version\S* (?:\([^)]*\) )?VALUES ?\('(\w+)'\)", file.read_text())
        if revision is None or revision[1] != head:
            raise ValueError(f"{file} is not the schema of revision {head}: make it again")


def main(version: str) -> None:
    """Print the text of the tag. SystemExit with a sentence where something is missing."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"error: {version} is no version of the form 1.2.3 (portico/__init__.py).")
    head = ScriptDirectory(str(ROOT / "portico" / "db" / "migrations")).get_current_head()
    try:
        notes = notes_of((ROOT / "CHANGELOG.md").read_text(), version)
        check_schemas(Path("tests") / "db" / "schemas", version, str(head))
    except ValueError as error:
        raise SystemExit(f"error: {error}.") from None
    sys.stdout.write(f"Portico {version}\n\n{notes}\n")


if __name__ == "__main__":
    main(sys.argv[1])
