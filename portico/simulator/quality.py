"""Records what a simulated participant receives, and judges it. Pure: times are arguments, in seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

FRAME_SECS = 0.02
"""The length of an audio frame."""
LATE_SECS = 0.1
"""An audio frame that is this much later than the earliest one counts as missing: a short buffer has run empty."""
FREEZE_SECS = 0.7
"""A picture that is shown for longer than this is a freeze."""
DELAY_STEP_SECS, DELAY_STEPS = 0.005, 1000
LOST_MAX, GAPS_MAX, FROZEN_MAX = 0.05, 0.03, 0.05
"""The largest good parts (0 to 1) of lost pictures, of missing audio frames, and of the time in freezes."""
DELAY_MAX_SECS = 1.0
CHECKS_MIN = 3
"""A speaker whose tone was checked fewer times than this is not judged."""
MISSED_MAX = 0.34
"""The largest good part (0 to 1) of the checks that do not find the tone."""


class Delays:
    """The distribution of any number of delays, in steps of 5 ms up to 5 s, in bounded memory."""

    def __init__(self) -> None:
        self._counts = [0] * (DELAY_STEPS + 1)
        self.count = 0

    def add(self, secs: float) -> None:
        """Count one delay."""
        self._counts[min(DELAY_STEPS, max(0, int(secs / DELAY_STEP_SECS)))] += 1
        self.count += 1

    def quantile(self, part: float) -> float | None:
        """The delay in seconds below which this part (0 to 1) of all delays is; None without delays."""
        if not self.count:
            return None
        left = part * self.count
        reached = 0
        for count in self._counts:
            left -= count
            reached += 1
            if left <= 0:
                break
        return reached * DELAY_STEP_SECS

    def join(self, other: "Delays") -> None:
        """Add all delays of another distribution."""
        self._counts = [ours + theirs for ours, theirs in zip(self._counts, other._counts, strict=True)]
        self.count += other.count


class Seen:
    """Counts the pictures of one stream that one participant receives, and their faults."""

    def __init__(self, name: str, now: float) -> None:
        """`name` names the sender; `now` is the begin of the subscription."""
        self.name = name
        self.frames = 0
        self.lost = 0
        self.freezes = 0
        self.frozen_secs = 0.0
        self.delays = Delays()
        self.watched_secs = 0.0
        self.first_frame_secs: float | None = None
        """Seconds from the subscription to the first picture that can be shown; None before it."""
        self._began = now
        self._next: int | None = None
        self._is_broken = True  # until the first whole picture
        self._shown: float | None = None
        self._is_closed = False

    def take(self, number: int, sent: float, now: float, *, whole: bool) -> None:
        """Count a picture that arrived. `whole`: it is a key frame."""
        if self._next is not None and number < self._next:
            return  # repeated
        missing = 0 if self._next is None else number - self._next
        self._next = number + 1
        self.lost += missing
        self.frames += 1
        self.delays.add(now - sent)
        self._is_broken = not whole and (self._is_broken or missing > 0)
        if self._is_broken:
            return
        if self.first_frame_secs is None:
            self.first_frame_secs = now - self._began
        self._count_freeze(now)
        self._shown = now

    def skip(self, number: int) -> None:
        """Count a picture that arrived over a network that is bad on purpose; missing ones are not counted."""
        self.frames += 1
        self._next = number + 1
        self._is_broken = True
        self._shown = None

    def close(self, now: float) -> None:
        """Note that the stream or the subscription ends now."""
        if not self._is_closed:
            self._is_closed = True
            self.watched_secs = now - self._began
            self._count_freeze(now)

    def _count_freeze(self, now: float) -> None:
        if self._shown is not None and now - self._shown > FREEZE_SECS:
            self.freezes += 1
            self.frozen_secs += now - self._shown


class Sound:
    """Counts the audio frames of the mix that one participant receives, and their faults."""

    def __init__(self) -> None:
        self.frames = 0
        self.missing = 0
        """Frames that did not arrive, or arrived LATE_SECS too late."""
        self.looks: Counter[str] = Counter()
        """The number of checks for the tone of each speaker, by name."""
        self.misses: Counter[str] = Counter()
        """The number of these checks that did not find the tone."""
        self._last: float | None = None
        self._earliest = 0.0

    def begin(self) -> None:
        """Note that the clock of the frames begins anew, as after a lost connection."""
        self._last = None

    def take(self, time: float, now: float) -> None:
        """Count a frame that arrived; `time` is the frame's own."""
        self.frames += 1
        transit = now - time
        if self._last is None or time < self._last:
            self._earliest = transit
        else:
            self.missing += max(0, round((time - self._last) / FRAME_SECS) - 1)
            self._earliest = min(self._earliest, transit)
            self.missing += transit - self._earliest > LATE_SECS
        self._last = time

    def look(self, name: str, *, is_there: bool) -> None:
        """Count a check for the tone of a speaker."""
        self.looks[name] += 1
        self.misses[name] += not is_there

    @property
    def missed(self) -> list[str]:
        """The names of the speakers whose tones were missing in more than MISSED_MAX of the checks."""
        return [
            name for name, looks in self.looks.items() if looks >= CHECKS_MIN and self.misses[name] > MISSED_MAX * looks
        ]

    @property
    def gaps(self) -> float:
        """The part (0 to 1) of the audio frames that is missing."""
        return self.missing / (self.frames + self.missing) if self.frames else 0.0


@dataclass
class Record:
    """Everything that one simulated participant did and received."""

    name: str
    publishes: bool
    joins: int = 0
    join_secs: float | None = None
    """The duration of the longest of its joins."""
    present_secs: float = 0.0
    rejoins: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    messages_missing: int = 0
    seen: list[Seen] = field(default_factory=list)
    sound: Sound = field(default_factory=Sound)
    failures: list[str] = field(default_factory=list)
    """Sentences without a subject about what failed: a join, a publication, an end that was not planned."""

    @property
    def frames(self) -> int:
        """The number of pictures that it received."""
        return sum(one.frames for one in self.seen)

    @property
    def lost(self) -> int:
        """The number of pictures that did not arrive."""
        return sum(one.lost for one in self.seen)

    @property
    def freezes(self) -> int:
        return sum(one.freezes for one in self.seen)

    @property
    def frozen_secs(self) -> float:
        return sum(one.frozen_secs for one in self.seen)

    @property
    def delays(self) -> Delays:
        """The delays of all pictures that it received."""
        joined = Delays()
        for one in self.seen:
            joined.join(one.delays)
        return joined

    def problems(self) -> list[str]:
        """Sentences without a subject about what was bad; [] when everything was good."""
        found = list(self.failures)
        if not self.joins and not self.failures:
            found.append("did not join")
        for one in self.seen:
            found += _problems_of(one)
        found += [f"does not receive the sound of {name}" for name in self.sound.missed]
        if self.sound.gaps > GAPS_MAX:
            found.append(f"misses {self.sound.gaps:.0%} of the sound")
        if self.messages_missing:
            found.append(f"misses {self.messages_missing} messages")
        return found


FIRST_PICTURE_SECS = 5.0
"""A stream that is received for this long has to have shown a picture. Shorter ones are not judged."""


def _problems_of(seen: Seen) -> Sequence[str]:
    if seen.watched_secs < FIRST_PICTURE_SECS:
        return []
    if seen.first_frame_secs is None:
        return [f"sees nothing of {seen.name}"]
    found = []
    if seen.lost > LOST_MAX * (seen.frames + seen.lost):
        found.append(f"misses {seen.lost / (seen.frames + seen.lost):.0%} of the pictures of {seen.name}")
    if seen.frozen_secs > FROZEN_MAX * seen.watched_secs:
        found.append(f"sees {seen.name} frozen for {seen.frozen_secs:.1f} of {seen.watched_secs:.0f} s")
    delay = seen.delays.quantile(0.5)
    if delay is not None and delay > DELAY_MAX_SECS:
        found.append(f"sees {seen.name} {delay:.1f} s late")
    return found


LAG_MAX_SECS = 0.1
"""If the 99th percentile of the simulator's own delays is above this, it may itself cause delays and gaps."""
BUSY_MAX = 0.9
"""The part of one core above which the simulator, one process, may itself be the limit."""
BUSY_WANTED = 0.7


@dataclass(frozen=True)
class Own:
    """What the simulator used of the machine: CPU cores, and how late its event loop was."""

    cores: float
    lag_p99: float
    """The 99th percentile of how late its event loop was, in seconds."""
    participants: int

    @property
    def capacity(self) -> int | None:
        """About how many such participants this machine can simulate; None if it did too little to know."""
        return int(self.participants * BUSY_WANTED / self.cores) if self.cores > 0.02 else None

    @property
    def limit(self) -> str | None:
        """A sentence that says that the simulator was at its limit; None if it was not."""
        if self.cores > BUSY_MAX:
            return (
                f"The simulator used {self.cores:.2f} cores, of one that it can use: what is bad may be its own limit. "
                f"Simulate fewer participants, about {self.capacity}, or run several simulators."
            )
        if self.lag_p99 > LAG_MAX_SECS:
            return (
                f"The simulator was {self.lag_p99 * 1000:.0f} ms late although it used only {self.cores:.2f} cores: "
                "this machine is busy with something else, and what is bad may be due to that."
            )
        return None
