"""Retired words stay retired: docs/glossary.md names each with its replacement."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RETIRED: dict[str, str] = {
    "film": "film films filmed",
    "wish": "wish wishes wished",
    "dump": "dump dumps dumped dumper",
    "deaf": "deaf",
    "hurry": "hurry hurried",
    "obey": "obey obeys obeyed",
    "surroundings": "surroundings",
    "whoever": "whoever",
    "somebody": "somebody someone",
    "nobody": "nobody",
    "everybody": "everybody everyone",
    "anybody": "anybody",
    "hear": "hear hears heard hearing",
    "tell": "tell tells told telling",
    "said": "said",
    "came": "came",
    "whom": "whom",
    "trouble": "trouble troubles troubled",
    "stranger": "stranger strangers",
}
"""The forms of each retired word. Identifiers count word by word: `film_row`, `FilmRow` and `FILM` are all found."""

READ = [
    ".ci",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "compose.yaml",
    "deploy",
    "docs",
    "examples",
    "frontend/public",
    "frontend/src",
    "frontend/test",
    "portico",
    "pyproject.toml",
    "script",
    *sorted(f"tests/{each.name}" for each in (ROOT / "tests").iterdir() if each.name != "test_words.py"),
]
"""Files and folders without retired words: all that people write."""

ALLOWED = [
    (r"\bjson\.dumps\b|\bmodel_dump\b|\bpg_dump\b|\bfile\.tell\(\)", "names of libraries and programs"),
    (r"DATA_DIR/dumps(?:/failed)?|\"/?dumps(?:/\w+)?\"", "folders of installations that exist"),
    (r"The cause `strangers` of", "the former value of a label, in the changelog"),
    (r"known\[\"nobody\"\]", "the user without rights of an operating system"),
    (r"\"dump\" in columns", "a column of the schema before migration 0013"),
    (r"\b[Yy]ou can be heard again|seen or heard", "sound that a person hears"),
    (r">Everyone<|Message to everyone", "what users call all others in the chat of the meeting page"),
]
"""What is no use of a retired word, and why."""

GENERATED = {"__pycache__", "assets", "versions"}
"""Folders that are not read: what is built, and migrations, which name columns as they were."""
SUFFIXES = {
    *(
        ".conf",
        ".css",
        ".env",
        ".html",
        ".js",
        ".md",
        ".mjs",
        ".py",
        ".service",
        ".sh",
        ".toml",
        ".ts",
        ".tsx",
        ".yaml",
    ),
    "",
}


def pattern(forms: str) -> re.Pattern[str]:
    """Find the forms as whole words, also inside snake_case, camelCase and CONSTANTS."""
    lower = forms.replace(" ", "|")
    capital, upper = lower.title(), lower.upper()
    return re.compile(
        rf"(?<![A-Za-z])(?:{lower})(?![a-z])|(?<![A-Z])(?:{capital})(?![a-z])|(?<![A-Za-z])(?:{upper})(?![A-Z])"
    )


def found(text: str) -> list[str]:
    """The retired words of a text, each as often as it occurs."""
    lower = text.lower()  # most texts have two or three of the words inside others: only these patterns are tried
    words = [word for word, forms in RETIRED.items() if any(form in lower for form in forms.split())]
    if not words:
        return []
    for allowed, _ in ALLOWED:
        text = re.sub(allowed, "", text)
    return [word for word in words for _ in PATTERNS[word].finditer(text)]


PATTERNS = {word: pattern(forms) for word, forms in RETIRED.items()}


def _sources(name: str) -> Iterator[Path]:
    path = ROOT / name
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    for file in files:
        if file.suffix in SUFFIXES and not GENERATED & set(file.parts) and file != ROOT / "docs/glossary.md":
            yield file


@pytest.mark.parametrize("name", READ)
def test_no_retired_word_has_come_back(name: str) -> None:
    lines = [
        f"{file.relative_to(ROOT)}:{number}: {', '.join(words)}: {line.strip()}"
        for file in _sources(name)
        if found(f"{file.name} {file.read_text()}")
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if (words := found(f"{file.name} {line}" if number == 1 else line))
    ]
    assert lines == []


def test_the_glossary_names_each_retired_word_and_what_to_use() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    table = text.partition("## Retired words")[2].partition("## Words that are kept")[0]
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", table, re.MULTILINE))
    rows.pop("retired")
    assert list(rows) == list(RETIRED)


def test_each_term_of_the_glossary_is_used() -> None:
    terms, _, _ = (ROOT / "docs/glossary.md").read_text().partition("## Retired words")
    names = [
        name for cell in re.findall(r"^\| ([a-z ,-]+|API key) \|", terms, re.MULTILINE) for name in cell.split(", ")
    ]
    assert len(names) > 30
    files = [file for folder in ("portico", "docs") for file in _sources(folder) if file.suffix in (".py", ".md")]
    text = " ".join(file.read_text() for file in files).lower().replace("_", " ")
    assert [name for name in names if name != "term" and name.lower() not in text] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("film_row FilmRow FILMS aFilm films", ["film"] * 5),
        ("microfilm filmography Hearing heart said, unsaid", ["hear", "said"]),
        ("the composition that nobody's browser wishes for", ["wish", "nobody"]),
        ("json.dumps(body), `signaling/deaf.py`", ["deaf"]),
        ("DATA_DIR/dumps and dumps", ["dump"]),
        ("Hurried, HURRIED and hurried", ["hurry"] * 3),
    ],
)
def test_words_are_found_in_every_form(text: str, words: list[str]) -> None:
    assert found(text) == words
