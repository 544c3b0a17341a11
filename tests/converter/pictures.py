"""Recordings of solid colours and tones, and means to find these in composed videos."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
RATE = 48_000
BUSY_SECS = 500
"""What ffmpeg has on a machine that is busy with others."""

Colour = tuple[int, int, int]


def ffmpeg(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """Run ffmpeg with these arguments; return its standard output."""
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, input=stdin, timeout=BUSY_SECS).stdout


def video(path: Path, colour: Colour, secs: float, size: str = "160x120", rate: float = 30) -> Path:
    """A recorded camera that shows one colour."""
    source = f"color=c={hexadecimal(colour)}:s={size}:r={rate}:d={secs}"
    return encode(path, source)


def encode(path: Path, source: str, *options: str) -> Path:
    """Encode a lavfi source as a browser would: VP8, or H.264 if the name ends in .mp4; few keyframes."""
    codec = ["libx264", "-preset", "ultrafast", "-bf", "0"] if path.suffix == ".mp4" else [*_VP8]
    ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-g", "3000", "-c:v", *codec, *options, path)
    return path


_VP8 = ("libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M")


def tone(path: Path, hertz: float, secs: float, volume: float = 0.25) -> Path:
    """A recorded microphone that records one tone, in both channels as loud."""
    at = np.arange(round(secs * RATE)) / RATE
    return sound(path, volume * np.sin(2 * np.pi * hertz * at))


def sound(path: Path, samples: NDArray[np.float64], *options: str) -> Path:
    """A recorded microphone that records the samples in both channels, as Opus."""
    stereo = np.repeat(samples.astype(np.float32), 2).tobytes()
    raw = ("-f", "f32le", "-ar", str(RATE), "-ac", "2")
    ffmpeg(*raw, "-i", "pipe:0", "-c:a", "libopus", "-b:a", "64k", *options, path, stdin=stereo)
    return path


def together(path: Path, *parts: Path) -> Path:
    """One recording made of several, one after the other, without encoding."""
    listed = path.with_suffix(".ffconcat")
    listed.write_text("ffconcat version 1.0\n" + "".join(f"file '{part.name}'\n" for part in parts))
    ffmpeg("-f", "concat", "-i", listed, "-c", "copy", path)
    return path


def hexadecimal(colour: Colour) -> str:
    return "0x" + "".join(f"{part:02x}" for part in colour)


@dataclass(frozen=True)
class MediaFile:
    """A composed file."""

    path: Path

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Rows of columns of RGB."""
        picture: NDArray[np.uint8] = self.frames(number, 1)[0]
        return picture

    def frames(self, first: int = 0, count: int | None = None) -> NDArray[np.uint8]:
        """Pictures of rows of columns of RGB."""
        width, height = self.size
        chosen = f"select=gte(n\\,{first})"
        limit = () if count is None else ("-frames:v", str(count))
        raw = ffmpeg("-i", self.path, "-vf", chosen, "-vsync", "0", *limit, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)

    def sound(self) -> NDArray[np.float32]:
        """The left channel's samples."""
        raw = ffmpeg("-i", self.path, "-map", "0:a", "-f", "f32le", "-ar", str(RATE), "-")
        return np.frombuffer(raw, np.float32).reshape(-1, 2)[:, 0]

    def times(self) -> list[float]:
        """Seconds from the beginning at which each picture is shown, in order."""
        return sorted(self._packets("pts_time"))

    def decoding_times(self) -> list[float]:
        """Seconds from the first picture's decoding to that of each, in the file's order."""
        times = self._packets("dts_time")
        return [at - times[0] for at in times]

    def _packets(self, member: str) -> list[float]:
        chosen = ("-select_streams", "v", "-show_entries", f"packet={member}")
        command: list[str | Path] = ["ffprobe", "-v", "error", *chosen, "-of", "csv=p=0", self.path]
        words = subprocess.run(command, check=True, capture_output=True, timeout=BUSY_SECS, text=True).stdout.split()
        return [float(word.strip(",")) for word in words]

    @property
    def size(self) -> tuple[int, int]:
        stream = self.streams("video")[0]
        return stream["width"], stream["height"]

    def streams(self, kind: str) -> list[dict[str, Any]]:
        return [stream for stream in self.facts()["streams"] if stream["codec_type"] == kind]

    def facts(self) -> dict[str, Any]:
        """What ffprobe says of the container and of its streams, packets counted."""
        what = ("-show_format", "-show_streams", "-count_packets")
        command: list[str | Path] = ["ffprobe", "-v", "error", *what, "-of", "json", self.path]
        facts: dict[str, Any] = json.loads(
            subprocess.run(command, check=True, capture_output=True, timeout=BUSY_SECS).stdout
        )
        return facts


def seems(picture: NDArray[np.uint8], x: int, y: int, tolerance: int = 60) -> Colour | None:
    """The nearest of the colours of this module, if it is near enough."""
    seen = picture[y, x].astype(int)
    for colour in (RED, GREEN, BLUE, YELLOW, BLACK, WHITE):
        if np.abs(seen - colour).max() <= tolerance:
            return colour
    return None


def loudness(samples: NDArray[np.float32], hertz: float) -> float:
    """The amplitude of one tone within the samples."""
    at = np.arange(len(samples)) / RATE
    window = np.hanning(len(samples))
    return float(2 * abs(np.sum(samples * window * np.exp(-2j * np.pi * hertz * at))) / window.sum())
