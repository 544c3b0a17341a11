"""How loud each talker goes into the AudioBridge's mix, so that several loud ones together stay in range.

The AudioBridge (1.1.2 and 1.4.1) adds 16-bit samples without clipping: a sum that is out of range wraps around into
noise. So the level of everybody falls with the number of people, and each browser's connection adjusts its own.
"""

from typing import Any

from portico.signaling import display
from portico.signaling.display import StreamDisplay

VOLUME_MAX = 60
VOLUME_MIN = 10
_HEADROOM = 75
"""Per cent that all others together may reach. Opus overshoots: tones at full scale were clean at 75 and not at 90."""


class Mix:
    """Counts the others whose sound goes into the mix."""

    def __init__(self) -> None:
        self._others: set[int] = set()

    def hear(self, content: dict[str, Any], own_id: int | None) -> bool:
        """Take in what the AudioBridge says; whether the volume changed."""
        before = self.volume
        for participant in content.get("participants", ()):
            number = participant.get("id")
            if number != own_id and _is_mixer(participant.get("display")):
                self._others.add(number)
        self._others.discard(content.get("leaving", 0))
        self._others.discard(content.get("kicked", 0))
        return self.volume != before

    @property
    def volume(self) -> int:
        """Per cent at which our talker goes into the mix: as many others as hear it together with it."""
        return max(VOLUME_MIN, min(VOLUME_MAX, _HEADROOM // max(1, len(self._others))))


def _is_mixer(text: object) -> bool:
    try:
        return isinstance(display.parse(text), StreamDisplay)
    except display.MalformedDisplay:
        return False
