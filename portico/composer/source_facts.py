"""Reads what decoding a recorded video will cost: its size, the number of its pictures, and its keyframes.

Nothing is decoded: ffprobe reads the container's tables and packets. https://ffmpeg.org/ffprobe.html
"""

import subprocess
from array import array
from bisect import bisect_right
from dataclasses import dataclass

from portico.runtime import child_limits

PROBE_CPU_SECS = 120
"""CPU seconds that ffprobe may take."""
_PACKETS_MAX = 5_000_000
"""Pictures that are read of one file, about a day at 60 a second."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of one recorded video without decoding it."""

    width: int
    height: int
    """In pixels, as the container announces them; pictures may have other sizes."""
    pictures: int
    """The number of pictures in the file."""
    last_ms: int
    """The timestamp of the last picture, in milliseconds."""
    keyframes_ms: "array[int]"
    """The timestamps of the keyframes in milliseconds, ascending: decoding can begin at each."""

    @property
    def pixels(self) -> int:
        """The number of pixels of one picture, as the container announces it."""
        return self.width * self.height

    def run_up_ms(self, position_ms: int) -> int:
        """How many milliseconds of video must be decoded before the picture at `position_ms`."""
        before = bisect_right(self.keyframes_ms, position_ms)
        return max(0, min(position_ms, self.last_ms) - (self.keyframes_ms[before - 1] if before else 0))


def look(path: str) -> SourceFacts | None:
    """The facts of a file's first video; None when it has none or cannot be read."""
    entries = "stream=width,height:packet=pts_time,flags"
    command = ["ffprobe", "-v", "quiet", "-nofind_stream_info", "-protocol_whitelist", "file"]
    command += ["-select_streams", "v:0", "-show_entries", entries, "-of", "compact=p=0", f"file:{path}"]
    limited = [*child_limits.prefix(PROBE_CPU_SECS), *command]
    with subprocess.Popen(limited, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as p:
        assert p.stdout is not None
        members: dict[str, str] = {}
        keyframes, pictures, last_ms = array("q"), 0, 0
        for line in p.stdout:
            read = dict(part.partition("=")[::2] for part in line.strip().split("|"))
            if "flags" not in read:
                members |= read
                continue
            pictures += 1
            at_ms = _ms(read.get("pts_time", ""))
            last_ms = max(last_ms, at_ms)
            if read["flags"].startswith("K"):
                keyframes.append(at_ms)
            if pictures >= _PACKETS_MAX:
                break
        p.kill()
    width, height = members.get("width", ""), members.get("height", "")
    if not pictures or not width.isdecimal() or not height.isdecimal():
        return None
    return SourceFacts(int(width), int(height), pictures, last_ms, array("q", sorted(keyframes)))


def _ms(seconds: str) -> int:
    try:
        return max(0, round(1000 * float(seconds)))
    except (ValueError, OverflowError):
        return 0
