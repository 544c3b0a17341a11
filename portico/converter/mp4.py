"""Adds sample descriptions to an MP4 of one H.264 track, one for each set of parameters (ISO/IEC 14496-12 and -15).

ffmpeg describes only the first picture. A player that applies that to the whole file shows garbage or nothing after the
size changes. The media stays as it is; only the tables in front of it are written anew.
"""

import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

DESCRIPTIONS_MAX = 64
"""Further sets of parameters get no description: only a hostile sender has so many."""
_ENTRY_HEAD = 86
"""Bytes of a VisualSampleEntry before the boxes in it; width and height are at offsets 32 and 34."""
_LARGEST_32 = (1 << 32) - 1


class SampleDescription(NamedTuple):
    """What a decoder must know from one sample on: sizes in pixels, and `configuration`."""

    width: int
    height: int
    configuration: bytes
    """AVCDecoderConfigurationRecord."""


class NotAnMp4(Exception):
    """The file is not an MP4 as ffmpeg writes it with "+faststart"; str() is a sentence that says why."""


def describe(source: BinaryIO, path: Path, runs: Sequence[tuple[int, SampleDescription]]) -> None:
    """Write a copy of `source` to `path` in which the samples of each run have its description. Raises NotAnMp4.

    A run is (number of its first sample, counted from 0; description) and ends where the next one begins.
    """
    before, moov = _head(source)
    shifted = _described(moov, runs, 0)
    # The tables stand before the media: the more they grow, the further back the media moves, and the offsets in the
    # tables with it. A second pass is needed when offsets of 64 bits make the tables grow again.
    for _ in range(2):
        shifted = _described(moov, runs, len(shifted) - len(moov))
    with path.open("wb") as file:
        file.write(before + shifted)
        shutil.copyfileobj(source, file)


def _head(source: BinaryIO) -> tuple[bytes, bytes]:
    """The bytes before the box `moov`, and that box with its tables; the file is then read up to the end of it."""
    before = b""
    while True:
        head = source.read(8)
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or size < 8 or kind == b"mdat":
            raise NotAnMp4(f"No tables stand before the media, but {kind!r}.")
        box = head + source.read(size - 8)
        if kind == b"moov":
            return before, box
        before += box


def _described(moov: bytes, runs: Sequence[tuple[int, SampleDescription]], shift: int) -> bytes:
    """The box `moov` with every description, for media that is `shift` bytes further back than in the source."""

    def rebuilt(kind: bytes, content: bytes, tables: dict[bytes, bytes]) -> bytes:
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            inner = dict(_boxes(content)) if kind == b"stbl" else tables
            return _box(kind, b"".join(rebuilt(*box, inner) for box in _boxes(content)))
        if kind == b"stsd":
            return _box(kind, _descriptions(content, [each for _, each in runs]))
        if kind == b"stsc":
            return _box(kind, _samples_of_chunks(_chunks(tables, runs), runs))
        if kind in (b"stco", b"co64"):
            return _offsets([offset + shift for _, offset, _ in _chunks(tables, runs)])
        return _box(kind, content)

    return rebuilt(b"moov", moov[8:], {})


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(Type, content) of each box in the content of another."""
    at = 0
    while at + 8 <= len(content):
        size = max(8, int.from_bytes(content[at : at + 4], "big"))
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def _distinct(descriptions: Sequence[SampleDescription]) -> list[SampleDescription]:
    return list(dict.fromkeys(descriptions))


def _descriptions(stsd: bytes, descriptions: Sequence[SampleDescription]) -> bytes:
    """The content of the box `stsd`: a copy of ffmpeg's sample entry for each description, with its size."""
    entry = stsd[8 : 8 + int.from_bytes(stsd[8:12], "big")]
    entries = []
    for width, height, configuration in _distinct(descriptions):
        size = width.to_bytes(2, "big") + height.to_bytes(2, "big")
        inner = b"".join(
            _box(kind, configuration if kind == b"avcC" else content) for kind, content in _boxes(entry[_ENTRY_HEAD:])
        )
        entries.append(_box(entry[4:8], entry[8:32] + size + entry[36:_ENTRY_HEAD] + inner))
    return stsd[:4] + len(entries).to_bytes(4, "big") + b"".join(entries)


def _chunks(tables: dict[bytes, bytes], runs: Sequence[tuple[int, SampleDescription]]) -> list[tuple[int, int, int]]:
    """(First sample, offset, number of samples) of each chunk, cut so that none has samples of two runs."""
    sizes = _sample_sizes(tables[b"stsz"])
    ends = list(accumulate(sizes, initial=0))
    chunks, sample = [], 0
    starts = sorted(first for first, _ in runs)
    for offset, count in _ffmpegs_chunks(tables):
        end = sample + count
        cuts = [sample, *(start for start in starts if sample < start < end), end]
        chunks += [(a, offset + ends[a] - ends[sample], b - a) for a, b in pairwise(cuts)]
        sample = end
    if sample != len(sizes):
        raise NotAnMp4(f"Its chunks have {sample} samples, and its table of sizes {len(sizes)}.")
    return chunks


def _sample_sizes(stsz: bytes) -> list[int]:
    same, count = int.from_bytes(stsz[4:8], "big"), int.from_bytes(stsz[8:12], "big")
    return [same] * count if same else _numbers(stsz[12 : 12 + 4 * count], 4)


def _ffmpegs_chunks(tables: dict[bytes, bytes]) -> Iterator[tuple[int, int]]:
    """(Offset, number of samples) of each chunk as ffmpeg wrote them: the boxes `stco` or `co64`, and `stsc`."""
    offsets = _numbers(tables[b"stco"][8:], 4) if b"stco" in tables else _numbers(tables[b"co64"][8:], 8)
    table = _numbers(tables[b"stsc"][8:], 4)
    firsts, counts = table[0::3], table[1::3]
    for number, offset in enumerate(offsets, start=1):
        yield offset, counts[bisect_right(firsts, number) - 1]


def _numbers(content: bytes, width: int) -> list[int]:
    return [int.from_bytes(content[at : at + width], "big") for at in range(0, len(content), width)]


def _samples_of_chunks(chunks: Sequence[tuple[int, int, int]], runs: Sequence[tuple[int, SampleDescription]]) -> bytes:
    numbers = {each: number for number, each in enumerate(_distinct([each for _, each in runs]), start=1)}
    starts = [first for first, _ in runs]
    entries: list[bytes] = []
    last = None
    for number, (sample, _, count) in enumerate(chunks, start=1):
        described = numbers[runs[max(0, bisect_right(starts, sample) - 1)][1]]
        if (count, described) != last:
            entries.append(b"".join(each.to_bytes(4, "big") for each in (number, count, described)))
            last = (count, described)
    return bytes(4) + len(entries).to_bytes(4, "big") + b"".join(entries)


def _offsets(offsets: Sequence[int]) -> bytes:
    width = 4 if max(offsets, default=0) <= _LARGEST_32 else 8
    table = b"".join(offset.to_bytes(width, "big") for offset in offsets)
    return _box(b"stco" if width == 4 else b"co64", bytes(4) + len(offsets).to_bytes(4, "big") + table)
