"""How loud each talker goes into the AudioBridge's mix, so that several loud ones together stay in range.

The AudioBridge (1.1.2 and 1.4.1) adds 16-bit samples without clipping: a sum that is out of range wraps around into
noise. What is heard together has to fit: those who talk now, as Janus reports it, and one who begins, because Janus
needs up to a second to report that. People who are silent, muted or not, make nobody quieter. Each browser's connection
adjusts the level of its own talker.
"""

from typing import Any

from portico.signaling import display
from portico.signaling.display import StreamDisplay

VOLUME_MAX = 50
"""In a call of two; 2.6 dB above one talker among many, so that nobody seems to move away when others come."""
VOLUME_MIN = 5
_HEADROOM = 75
"""Per cent that all others together may reach. Opus overshoots: tones at full scale were clean at 75 and not at 90."""


class Mix:
    """Counts the others who have a mixer, and everybody who talks."""

    def __init__(self) -> None:
        self._others: set[int] = set()
        self._talking: set[int] = set()

    def hear(self, content: dict[str, Any], own_id: int | None) -> bool:
        """Take in what the AudioBridge says; whether the volume changed."""
        before = self.volume
        for participant in content.get("participants", ()):
            number = participant.get("id")
            if number != own_id and _is_mixer(participant.get("display")):
                self._others.add(number)
                if participant.get("talking"):
                    self._talking.add(number)
        match content.get("audiobridge"):
            case "talking":
                self._talking.add(content.get("id", 0))
            case "stopped-talking":
                self._talking.discard(content.get("id", 0))
        for word in ("leaving", "kicked"):
            self._others.discard(content.get(word, 0))
            self._talking.discard(content.get(word, 0))
        return self.volume != before

    @property
    def volume(self) -> int:
        """Per cent at which our talker goes into the mix."""
        together = min(max(1, len(self._talking)) + 1, max(1, len(self._others)))
        return max(VOLUME_MIN, min(VOLUME_MAX, _HEADROOM // together))


def _is_mixer(text: object) -> bool:
    try:
        return isinstance(display.parse(text), StreamDisplay)
    except display.MalformedDisplay:
        return False
