"""Writes the name on a tile as a subtitle script in the format ASS, http://www.tcax.org/docs/ass-specs.htm.

libass picks another font for characters that the first one lacks; ffmpeg's drawtext has one font, and draws boxes for
Chinese, Japanese and Korean.
"""

import unicodedata

NAME_LETTERS_MAX = 40
_FONT = "sans"
_LARGEST, _WIDEST = 0.125, 0.9
"""The size of the font as a share of the tile's height, and the width of the text as a share of the tile's width."""
_LETTER = 0.62
"""The average width of a letter as a share of the size of its font."""
_LINE = 1.16
"""libass takes the height of a line as the size of a font: so much more than the size of its letters."""
_SMALLEST = 8  # size of the font in pixels
_JOINER = "\u2060"
"""WORD JOINER, which is invisible: after a backslash it prevents that libass reads an escape."""


def letters(name: str) -> str:
    """The name as one line of visible characters, shortened to NAME_LETTERS_MAX."""
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in name)
    line = " ".join(visible.split())
    return line if len(line) <= NAME_LETTERS_MAX else line[: NAME_LETTERS_MAX - 1] + "…"


def text_width(text: str) -> int:
    """The width of a text in letters; wide letters of East Asia count as two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def script(text: str, width: int, height: int) -> str:
    """An ASS script with the text in white in the middle of a tile of `width` x `height` pixels. Any text is safe."""
    widest = width * _WIDEST / (_LETTER * max(text_width(text), 1))
    size = round(_LINE * max(_SMALLEST, min(height * _LARGEST, widest)))
    plain = text.replace("\\", "\\" + _JOINER).replace("{", "\\{").replace("}", "\\}")
    colour, still = "&H00FFFFFF", "0,0,0,0,100,100,0,0,1,0,0,5,0,0,0,1"
    return "\n".join(
        (
            "[Script Info]",
            "ScriptType: v4.00+",
            f"PlayResX: {width}",
            f"PlayResY: {height}",
            "WrapStyle: 2",
            "[V4+ Styles]",
            "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, "
            "Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, "
            "MarginL, MarginR, MarginV, Encoding",
            f"Style: Name,{_FONT},{size},{colour},{colour},{colour},{colour},{still}",
            "[Events]",
            "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
            f"Dialogue: 0,0:00:00.00,9:59:59.00,Name,,0,0,0,,{plain}",
            "",
        )
    )
