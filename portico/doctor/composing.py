"""Examines ffmpeg with its codecs, which recordings and compositions need, and the fonts of the names on tiles."""

import asyncio
import re
import shutil
import tempfile
from pathlib import Path

from portico.composer import commands, lettering, requirements
from portico.doctor.finding import Finding, ok, problem, warning
from portico.doctor.probes import output_of
from portico.doctor.subject import Subject

FFMPEG, FONTS = "ffmpeg", "fonts"
SCRIPTS = {
    "Latin": "Ann",
    "Greek": "Αλ",
    "Cyrillic": "Ан",
    "Arabic": "ات",
    "Chinese and Japanese": "中の",
    "Korean": "한",
    "emoji": "😀",
}
"""A few letters of each script in which names may be written."""
_VERSION = re.compile(r"^ffmpeg version (\S+)", re.MULTILINE)
_NO_GLYPH = re.compile(r"failed to find any fallback with glyph 0x([0-9A-Fa-f]+)")
"""The warning of libass about a letter without a font; it names glyph 0 where there is no font at all."""


async def check_ffmpeg(subject: Subject) -> list[Finding]:
    """Examine the version of ffmpeg and the parts that it was built with."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        return [
            problem(
                FFMPEG,
                "ffmpeg or ffprobe is not on PATH: recordings are not converted, and there are no compositions.",
                "Install Debian's package ffmpeg, or run script/setup.",
            )
        ]
    kinds = list(requirements.NEEDED)
    printed, *lists = await asyncio.gather(
        output_of(["ffmpeg", "-version"]), *(output_of(["ffmpeg", "-hide_banner", f"-{kind}"]) for kind in kinds)
    )
    version = _VERSION.search(printed)
    return judge_ffmpeg(version[1] if version else None, requirements.missing(dict(zip(kinds, lists, strict=True))))


def judge_ffmpeg(version: str | None, missing: list[str]) -> list[Finding]:
    """Findings about ffmpeg. `version` is as it prints it, such as 5.1.9-0+deb12u1; `missing` are parts it lacks."""
    remedy = "Install Debian's package ffmpeg, or one that was built with libx264 and libass."
    if version is None:
        return [problem(FFMPEG, "The program ffmpeg on PATH does not state its version.", remedy)]
    findings = []
    if missing:
        text = f"ffmpeg {version} lacks {', '.join(missing)}: recordings or compositions fail."
        if missing == ["filter ass"]:
            text = f"ffmpeg {version} lacks the filter ass: tiles without video show no names."
            return [warning(FFMPEG, text, remedy)]
        findings.append(problem(FFMPEG, text, remedy))
    numbers = re.match(r"n?(\d+)\.(\d+)", version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < requirements.OLDEST:
        oldest = ".".join(map(str, requirements.OLDEST))
        findings.append(
            warning(FFMPEG, f"ffmpeg {version} is older than {oldest}, the oldest that was tested.", remedy)
        )
    return findings or [ok(FFMPEG, f"ffmpeg {version} has all that recordings and compositions need.")]


async def check_fonts(subject: Subject) -> list[Finding]:
    """Draw letters of each script as the composer draws names, to find scripts without a font."""
    if shutil.which("ffmpeg") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "name.ass"
        script.write_text(lettering.script(lettering.letters("".join(SCRIPTS.values())), 640, 360))
        trial = commands.lettering_trial(script.name)
        printed = await output_of(["ffmpeg", "-nostdin", "-hide_banner", "-v", "warning", *trial], cwd=folder)
    return judge_fonts(printed)


def judge_fonts(printed: str) -> list[Finding]:
    """Findings about fonts. `printed` is what ffmpeg writes on standard error while it draws letters of all SCRIPTS."""
    if "No such filter: 'ass'" in printed:
        return []  # a finding of ffmpeg's
    glyphs = {int(found, 16) for found in _NO_GLYPH.findall(printed)}
    remedy = "Install Debian's packages fonts-noto-core, fonts-noto-cjk and fonts-symbola, or run script/setup."
    if 0 in glyphs:
        return [warning(FONTS, "There are no fonts: tiles without video show no names.", remedy)]
    missing = [name for name, letters in SCRIPTS.items() if any(ord(letter) in glyphs for letter in letters)]
    if missing:
        return [warning(FONTS, f"There is no font for {', '.join(missing)}: names on tiles lack such letters.", remedy)]
    return [ok(FONTS, "Fonts for Latin, Greek, Cyrillic, Arabic, Chinese, Japanese, Korean and emoji are there.")]
