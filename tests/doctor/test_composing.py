"""ffmpeg with what it was built with, and the fonts of names."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from portico.composer import commands, requirements
from portico.composer.plan import picture_segments, sound_segments
from portico.composer.reduction import command as reduced
from portico.doctor import composing
from portico.doctor.composing import judge_ffmpeg, judge_fonts
from tests.composer.test_commands import a_composition, placed
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>{folder}<cachedir>{cache}</cachedir></fontconfig>"""


async def test_the_ffmpeg_of_this_machine_has_all(subject: MakeSubject) -> None:
    assert levels(await composing.check_ffmpeg(subject())) == ["ok"]


async def test_a_machine_without_ffmpeg(subject: MakeSubject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert levels(await composing.check_ffmpeg(subject())) == ["problem"]
    assert await composing.check_fonts(subject()) == [], "stated once"


def test_what_an_ffmpeg_lacks_is_named() -> None:
    assert levels(judge_ffmpeg("7.1", ["encoder libx264", "bsf setts"])) == ["problem"]
    assert "encoder libx264, bsf setts" in judge_ffmpeg("7.1", ["encoder libx264", "bsf setts"])[0].text
    assert levels(judge_ffmpeg("7.1", ["filter ass"])) == ["warning"]
    assert levels(judge_ffmpeg("4.4.1", [])) == ["warning"]
    assert levels(judge_ffmpeg("n7.1-3-gabc", [])) == ["ok"]
    assert levels(judge_ffmpeg(None, [])) == ["problem"]


def test_an_ffmpeg_that_lists_nothing_lacks_everything() -> None:
    kinds = requirements.NEEDED
    assert len(requirements.missing(dict.fromkeys(kinds, ""))) == sum(map(len, kinds.values()))


def test_every_filter_and_encoder_of_the_composer_is_required() -> None:
    """The list is complete: nothing in its commands is missing from it."""
    plan = a_composition(
        placed("a", 0, 10_000),
        placed("a", 0, 10_000, 320),
        placed("b", 0, 10_000, 100, 1),
        placed("c", 0, 10_000, placeholder=True),
        audios=2,
    )
    empty, silent = a_composition(), a_composition(audios=0)
    made = [
        *(commands.picture_command(plan, each, threads=1, lettering=True) for each in picture_segments(plan)),
        *(commands.picture_command(empty, each, threads=1, lettering=True) for each in picture_segments(empty)),
        *(commands.sound_command(plan, each) for each in sound_segments(plan)),
        *(commands.sound_command(silent, each) for each in sound_segments(silent)),
        *(commands.sum_groups_command(each, ["1.flac", "2.flac"]) for each in sound_segments(plan)),
        commands.join_command("pictures", "sounds", "default"),
        reduced("a.webm", (320, 180)),
    ]
    filters: set[str] = set()
    for words in made:
        for option, value in pairwise(words):
            if option in ("-filter_complex", "-af"):
                plain = re.sub(r"'[^']*'|\[[^]]*\]", "", value)
                filters |= {part.partition("=")[0] for part in re.split(r"[,;]", plain) if part}
    assert {"scale", "amix", "alimiter", "ass", "select"} <= filters
    assert filters <= set(requirements.NEEDED["filters"])
    encoders = {value for words in made for option, value in pairwise(words) if option[:3] == "-c:"}
    assert encoders - {"copy"} <= set(requirements.NEEDED["encoders"])


async def test_the_fonts_of_this_machine_are_asked(subject: MakeSubject) -> None:
    (found,) = await composing.check_fonts(subject())
    assert levels([found]) in (["ok"], ["warning"])


@pytest.mark.parametrize("folder", ["", "<dir>/usr/share/fonts/truetype/dejavu</dir>"], ids=["none", "latin"])
async def test_missing_fonts_are_found_by_drawing(
    subject: MakeSubject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    if folder and not Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists():
        pytest.skip("needs Debian's fonts-dejavu-core")
    config = tmp_path / "fonts.conf"
    config.write_text(FONTS.format(folder=folder, cache=tmp_path / "cache"))
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    (found,) = await composing.check_fonts(subject())
    assert levels([found]) == ["warning"]
    assert ("Chinese and Japanese, Korean" in found.text) is bool(folder)
    assert ("There are no fonts" in found.text) is not bool(folder)


def test_what_libass_prints_is_understood() -> None:
    line = "[Parsed_ass_1 @ 0x55] fontselect: failed to find any fallback with glyph 0x{:X} for font: (sans, 400, 0)"
    assert levels(judge_fonts("")) == ["ok"]
    assert "for emoji:" in judge_fonts(line.format(ord("😀")))[0].text
    assert judge_fonts("No such filter: 'ass'") == [], "a finding of ffmpeg's"
