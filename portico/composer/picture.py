"""The filter graph that draws a segment's picture: each recording scaled into its tile, the tiles put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portico.core.layout import Placement

FPS = 25

_TILE_COLOUR = "0x28323c"
_SMALLEST = 2
"""Pixels that each side of a scaled picture has at least: a very narrow one would be scaled to none."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A cell of the layout on even pixels, as 4:2:0 needs them, and the recording in it."""

    recording_id: str
    x: int
    y: int
    width: int
    height: int
    placeholder: bool = False
    """Whether the tile shows the participant's name instead of the recording."""


def even(pixels: int) -> int:
    """The largest even number that is not larger."""
    return pixels - pixels % 2


def tiles(placements: Sequence[Placement], width: int, height: int) -> tuple[Tile, ...]:
    """The placements as tiles, the lowest first, without those that are empty or covered by one other tile."""
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

    `inputs` has the recordings that ffmpeg reads, in their order, each with the number of frames for which its last
    picture may have to stay. `names` has for each recording how the names of its script files begin. Tiles that overlap
    no lower tile are put together by xstack, which only copies; the others by overlay, which computes each pixel.
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
    """The chains from each input to its tiles, [s0], [s1], ...: a recording in two regions is decoded once."""
    chains = []
    for number, (recording_id, stays) in enumerate(inputs.items()):
        users = [
            index for index, tile in enumerate(tiles) if tile.recording_id == recording_id and not tile.placeholder
        ]
        share = f",split={len(users)}" if len(users) > 1 else ""
        chains.append(f"[{number}:v]{_steady(stays)}{share}" + "".join(f"[s{index}]" for index in users))
    return chains


def _steady(stays: int) -> str:
    """Filters that give FPS frames a second from timestamp 0 on; the last frame stays for `stays` frames more.

    The frame for 0 is the last one at or before 0, or else the first one after it. The last one does not stay without
    end, because ffmpeg would wait without end for the first frame of an input that has none.
    """
    return f"fps={FPS},tpad=stop={stays}:stop_mode=clone,fps={FPS}:start_time=0"


def fitted(number: int, tile: Tile) -> str:
    """The chain from a recording's frames, [sN], to its tile, [tN]: scaled to fit, with black bars."""
    width, height = _side(tile.width, f"{tile.height}*iw/ih"), _side(tile.height, f"{tile.width}*ih/iw")
    # eval=frame: the size of the frames may change within a file.
    return (
        f"[s{number}]scale=w='{width}':h='{height}':eval=frame,"
        f"pad={tile.width}:{tile.height}:(ow-iw)/2:(oh-ih)/2:black:eval=frame,"
        f"setsar=1,format=yuv420p[t{number}]"
    )


def _side(pixels: int, fitting: str) -> str:
    """ffmpeg's expression for a side of the scaled picture: `pixels`, or what the other side leaves; an even number."""
    return f"max({_SMALLEST},2*trunc(round(min({pixels},{fitting}))/2))"


def _named(number: int, tile: Tile, names: Mapping[str, str]) -> str:
    """The chain of a placeholder: one drawn frame, repeated, with the name from the file `script_name(...)`."""
    text = f"ass=f={script_name(names[tile.recording_id], tile)}," if tile.recording_id in names else ""
    return (
        f"color=c={_TILE_COLOUR}:s={tile.width}x{tile.height}:r={FPS}:d={1 / FPS},{text}"
        f"tpad=stop=-1:stop_mode=clone,setsar=1,format=yuv420p[t{number}]"
    )


def script_name(name: str, tile: Tile) -> str:
    """The name of a tile's script file, one for each size of tile."""
    return f"{name}-{tile.width}x{tile.height}.ass"


def _stacked(width: int, height: int, numbered: Sequence[tuple[int, Tile]]) -> str:
    """The chain from tiles that do not overlap each other to a picture of the whole size, [stack]."""
    labels = "".join(f"[t{number}]" for number, _ in numbered)
    if len(numbered) == 1:
        tile = numbered[0][1]
        return f"{labels}{_whole(width, height, tile.x, tile.y)}[stack]"
    layout = "|".join(f"{tile.x}_{tile.y}" for _, tile in numbered)
    return f"{labels}xstack=inputs={len(numbered)}:layout={layout}:fill=black,{_whole(width, height, 0, 0)}[stack]"


def _whole(width: int, height: int, x: int, y: int) -> str:
    return f"pad={width}:{height}:{x}:{y}:black"
