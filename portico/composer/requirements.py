"""What the composer and the converter need of ffmpeg, by the names that ffmpeg lists. Pure."""

from collections.abc import Mapping

OLDEST = (5, 1)
"""The oldest release of ffmpeg that tests have seen."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "encoders": ("aac", "flac", "libx264"),
    "decoders": ("flac", "h264", "opus", "vp8", "vp9"),
    "filters": (
        "adelay",
        "aformat",
        "alimiter",
        "amix",
        "anull",
        "anullsrc",
        "apad",
        "aresample",
        "asetpts",
        "ass",
        "atrim",
        "color",
        "format",
        "fps",
        "null",
        "overlay",
        "pad",
        "scale",
        "select",
        "setsar",
        "split",
        "tpad",
        "volume",
        "xstack",
    ),
    "bsfs": ("setts",),
    "muxers": ("flac", "matroska", "mp4", "null", "ogg", "webm"),
    "demuxers": ("concat", "flac", "matroska", "mp4", "ogg", "webm"),
}
"""By the option of ffmpeg that lists them, such as -encoders."""


def listed(output: str) -> set[str]:
    """The names in what ffmpeg prints for one of the options: flags, then names with commas between, then words."""
    found: set[str] = set()
    for line in output.splitlines():
        words = line.split()
        if words:
            found |= set(words[min(1, len(words) - 1)].split(","))
    return found


def missing(outputs: Mapping[str, str]) -> list[str]:
    """What is needed and not in the outputs, as "encoder libx264"."""
    return [
        f"{kind.removesuffix('s')} {name}"
        for kind, names in NEEDED.items()
        for name in names
        if name not in listed(outputs[kind])
    ]
