"""A strict MP4 player: it uses only the container's parameter sets, and ignores those within the H.264 media."""

from collections.abc import Iterator
from pathlib import Path

_START = b"\0\0\0\1"


def box(content: bytes, *path: bytes) -> bytes:
    """The content of the first box at a path of kinds."""
    for kind in path:
        content = next(inner for name, inner in boxes(content) if name == kind)
    return content


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        size, head = _number(content, at), 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        yield content[at + 4 : at + 8], content[at + head : at + (size or len(content))]
        at += size or len(content)


def size_of_track(path: Path) -> tuple[int, int]:
    """Width and height of the track header, which players make room for."""
    head = box(path.read_bytes(), b"moov", b"trak", b"tkhd")
    return _number(head, 76) >> 16, _number(head, 80) >> 16


def elementary_stream(path: Path, samples: int | None = None) -> bytes:
    """The first samples, or all, each after the parameter sets of the description that the tables name for it."""
    file = path.read_bytes()
    tables = box(file, b"moov", b"trak", b"mdia", b"minf", b"stbl")
    entries = list(boxes(box(tables, b"stsd")[8:]))
    parameters = [_parameter_sets(box(entry[78:], b"avcC")) for kind, entry in entries if kind == b"avc1"]
    assert len(parameters) == len(entries)
    stream, last = [], None
    for described, sample in list(_samples(file, tables))[:samples]:
        if described != last:
            stream.append(parameters[described - 1])
        last = described
        stream += [_START + unit for unit in _units(sample) if unit[0] & 31 not in (7, 8)]
    return b"".join(stream)


def _samples(file: bytes, tables: bytes) -> Iterator[tuple[int, bytes]]:
    sizes = _table(box(tables, b"stsz")[8:], 1)
    offsets = [offset for (offset,) in _table(box(tables, b"stco")[4:], 1)]
    runs = _table(box(tables, b"stsc")[4:], 3)
    following = [run[0] for run in runs[1:]] + [len(offsets) + 1]
    sample = 0
    for (first, count, described), until in zip(runs, following, strict=True):
        for chunk in range(first, until):
            at = offsets[chunk - 1]
            for (size,) in sizes[sample : sample + count]:
                yield described, file[at : at + size]
                at += size
            sample += count
    assert sample == len(sizes)


def _table(content: bytes, columns: int) -> list[tuple[int, ...]]:
    rows = range(4, 4 + 4 * columns * _number(content, 0), 4 * columns)
    return [tuple(_number(content, at + 4 * column) for column in range(columns)) for at in rows]


def _parameter_sets(configuration: bytes) -> bytes:
    assert configuration[5] == 0xE1 and len(configuration) > 8
    length = int.from_bytes(configuration[6:8], "big")
    sps, rest = configuration[8 : 8 + length], configuration[8 + length :]
    assert rest[0] == 1
    return _START + sps + _START + rest[3 : 3 + int.from_bytes(rest[1:3], "big")]


def _units(sample: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(sample):
        size = _number(sample, at)
        yield sample[at + 4 : at + 4 + size]
        at += 4 + size


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")
