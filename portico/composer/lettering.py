"""The name on a tile as a script of subtitles: libass draws it, with another font for each script that one lacks.

drawtext knows one font, and draws boxes for Chinese, Japanese or Korean. http://www.tcax.org/docs/ass-specs.htm
"""

import unicodedata

NAME_LETTERS_MAX = 40
_FONT = "sans"
_LARGEST, _WIDEST = 0.125, 0.9
"""Of the tile's height and width."""
_LETTER = 0.62
"""How wide a letter is on average, of the size of its font."""
_LINE = 1.16
"""libass counts a line's height as the size."""
_SMALLEST = 8
_JOINER = "\u2060"
"""Takes no room, and keeps a backslash from meaning something."""


def letters(name: str) -> str:
    """A name as it can stand on a tile: one line of visible characters, shortened."""
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in name)
    line = " ".join(visible.split())
    return line if len(line) <= NAME_LETTERS_MAX else line[: NAME_LETTERS_MAX - 1] + "…"


def text_width(text: str) -> int:
    """How wide a text is, in letters; the wide ones of East Asia count twice."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def script(text: str, width: int, height: int) -> str:
    """An ASS script that has the text, whatever it holds, in white in the middle of a tile of so many pixels."""
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
