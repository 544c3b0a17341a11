"""The graph that draws a composition's picture: tiles fitted into their cells, side by side where they can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portico.core.layout import Placement

FPS = 25

_TILE_COLOUR = "0x28323c"
_SMALLEST = 2
"""Pixels: what a side of a fitted picture has at least, which of a very narrow one would be nothing."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A cell of the picture on even pixels, which 4:2:0 needs, and who is in it."""

    recording_id: str
    x: int
    y: int
    width: int
    height: int
    placeholder: bool = False


def even(pixels: int) -> int:
    """The even number at or below."""
    return pixels - pixels % 2


def tiles(placements: Sequence[Placement], width: int, height: int) -> tuple[Tile, ...]:
    """The placements, lowest first, as what can be seen of them: nothing too small to draw, nothing wholly covered."""
    drawn: list[Tile] = []
    for placement in sorted(placements, key=lambda one: one.z, reverse=True):
        left, top = even(placement.x), even(placement.y)
        right = min(even(placement.x + placement.width), width)
        bottom = min(even(placement.y + placement.height), height)
        tile = Tile(placement.recording_id, left, top, right - left, bottom - top, placement.placeholder)
        if tile.width > 0 and tile.height > 0 and not any(_covers(above, tile) for above in drawn):
            drawn.append(tile)
    return tuple(reversed(drawn))


def graph(width: int, height: int, tiles: Sequence[Tile], inputs: Mapping[str, int], names: Mapping[str, str]) -> str:
    """A filter graph with the output [out].

    `inputs` are the recordings that ffmpeg reads, in order, and for how many frames the last picture of each may have
    to stay; `names` has for each recording how the files of its name begin. Tiles that overlap nothing below them are
    stacked, which only copies; the others are laid over, which mixes every pixel.
    """
    if not tiles:
        return f"color=c=black:s={width}x{height}:r={FPS},format=yuv420p[out]"
    chains = _sources(tiles, inputs)
    for number, tile in enumerate(tiles):
        chains.append(_named(number, tile, names) if tile.placeholder else fitted(number, tile))
    apart = [number for number, tile in enumerate(tiles) if not any(_overlap(tile, lower) for lower in tiles[:number])]
    chains.append(_stacked(width, height, [(number, tiles[number]) for number in apart]))
    below = "stack"
    for number in (number for number in range(len(tiles)) if number not in apart):
        chains.append(f"[{below}][t{number}]overlay=x={tiles[number].x}:y={tiles[number].y}[o{number}]")
        below = f"o{number}"
    return ";".join([*chains, f"[{below}]format=yuv420p[out]"])


def _covers(above: Tile, tile: Tile) -> bool:
    return (
        above.x <= tile.x
        and above.y <= tile.y
        and above.x + above.width >= tile.x + tile.width
        and above.y + above.height >= tile.y + tile.height
    )


def _overlap(one: Tile, other: Tile) -> bool:
    beside = one.x >= other.x + other.width or other.x >= one.x + one.width
    return not beside and one.y < other.y + other.height and other.y < one.y + one.height


def _sources(tiles: Sequence[Tile], inputs: Mapping[str, int]) -> list[str]:
    """Every input made steady and handed to each of its tiles: a recording in two regions is decoded once."""
    chains = []
    for number, (recording_id, stays) in enumerate(inputs.items()):
        users = [
            index for index, tile in enumerate(tiles) if tile.recording_id == recording_id and not tile.placeholder
        ]
        share = f",split={len(users)}" if len(users) > 1 else ""
        chains.append(f"[{number}:v]{_steady(stays)}{share}" + "".join(f"[s{index}]" for index in users))
    return chains


def _steady(stays: int) -> str:
    """The frame for each twenty-fifth of a second from 0 on.

    Frames before 0 count only if none comes at 0, the first is there from 0 on, and the last stays. Not for ever:
    ffmpeg would wait for ever for the first frame of an input that has none.
    """
    return f"fps={FPS},tpad=stop={stays}:stop_mode=clone,fps={FPS}:start_time=0"


def fitted(number: int, tile: Tile) -> str:
    """The chain from a recording's steady pictures, [s0], to its cell, [t0], numbered alike."""
    width, height = _side(tile.width, f"{tile.height}*iw/ih"), _side(tile.height, f"{tile.width}*ih/iw")
    # eval=frame: the size of the frames may change in the middle of a file.
    return (
        f"[s{number}]scale=w='{width}':h='{height}':eval=frame,"
        f"pad={tile.width}:{tile.height}:(ow-iw)/2:(oh-ih)/2:black:eval=frame,"
        f"setsar=1,format=yuv420p[t{number}]"
    )


def _side(pixels: int, fitting: str) -> str:
    """The even length of a side that has so many pixels, or as many as fit beside the other one."""
    return f"max({_SMALLEST},2*trunc(round(min({pixels},{fitting}))/2))"


def _named(number: int, tile: Tile, names: Mapping[str, str]) -> str:
    """One drawn frame, repeated. The name comes from a file, which `script_name` names."""
    text = f"ass=f={script_name(names[tile.recording_id], tile)}," if tile.recording_id in names else ""
    return (
        f"color=c={_TILE_COLOUR}:s={tile.width}x{tile.height}:r={FPS}:d={1 / FPS},{text}"
        f"tpad=stop=-1:stop_mode=clone,setsar=1,format=yuv420p[t{number}]"
    )


def script_name(name: str, tile: Tile) -> str:
    """The file with the lettering of a tile: what is drawn depends on its size."""
    return f"{name}-{tile.width}x{tile.height}.ass"


def _stacked(width: int, height: int, numbered: Sequence[tuple[int, Tile]]) -> str:
    """The chain from tiles that do not overlap to the whole picture [stack]."""
    labels = "".join(f"[t{number}]" for number, _ in numbered)
    if len(numbered) == 1:
        tile = numbered[0][1]
        return f"{labels}{_whole(width, height, tile.x, tile.y)}[stack]"
    layout = "|".join(f"{tile.x}_{tile.y}" for _, tile in numbered)
    return f"{labels}xstack=inputs={len(numbered)}:layout={layout}:fill=black,{_whole(width, height, 0, 0)}[stack]"


def _whole(width: int, height: int, x: int, y: int) -> str:
    return f"pad={width}:{height}:{x}:{y}:black"
