"""The colours of cameras in tests, far from each other after encoding."""

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
RED, GREEN, BLUE, YELLOW, BLACK = (220, 0, 0), (0, 180, 0), (0, 0, 220), (220, 220, 0), (0, 0, 0)
NEAR = 80
"""The most by which each component may differ after encoding."""


def near(seen: Colour, colour: Colour) -> bool:
    return all(abs(a - b) <= NEAR for a, b in zip(seen, colour, strict=True))
