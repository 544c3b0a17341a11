"""What a stretch of load showed, and whether the server or the load was at its limit. Pure."""

from dataclasses import dataclass

LOSS_MAX = 0.01
"""Of the packets, lost or, of sound, late: above it the server does not carry the load."""
BUSY = 0.95
"""Of its cores: a process that uses more of them is at its limit."""
OTHERS_MAX = 0.1
"""Of Janus' cores, used by other programs: above it Janus did not have what it was given."""
LATE_TICK_SECS = 0.03
"""If the load's clock is later than this in one of a hundred ticks, what it counts as late may be its own fault."""


@dataclass(frozen=True)
class Figures:
    """Of one stretch. Times are in seconds; parts of the processor in cores."""

    secs: float
    participants: int
    streams: int
    """That were received."""
    sent: int
    """Packets that the load sent."""
    received: int
    received_bytes: int
    lost: int
    sounds: int
    """Packets of sound among the received."""
    late: int
    """Of these, such that a player with a short buffer has a gap."""
    delay_p50: float | None
    """Of video, from sender to receiver; None without video."""
    delay_p99: float | None
    janus_cores: float
    janus_cores_given: int
    gateway_cores: float
    load_cores: float
    others_cores: float
    """What other processes used of the cores that Janus runs on."""
    janus_drops: int
    """Packets for which Janus' sockets had no room."""
    load_drops: int
    """The same of the load's socket."""
    unsent: int
    """Packets that the load did not send at their time."""
    tick_p99: float
    """How late the load's clock was."""
    janus_mb: float
    failed: int
    """Joins, publications and subscriptions that did not come about."""
    ended: int
    """Connections that the server ended."""

    @property
    def loss(self) -> float:
        """The part of the packets that was lost on the way."""
        expected = self.received + self.lost
        return self.lost / expected if expected else 1.0

    @property
    def late_part(self) -> float:
        """The part of the packets of sound that was late."""
        return self.late / self.sounds if self.sounds else 0.0

    @property
    def packets_per_sec(self) -> float:
        """Packets that Janus forwarded."""
        return self.received / self.secs

    @property
    def mbit_per_sec(self) -> float:
        """What Janus forwarded, with the headers of RTP, without those of UDP and IP."""
        return self.received_bytes * 8 / self.secs / 1e6

    @property
    def packets_per_core_sec(self) -> float:
        """Packets that Janus forwarded for each second of CPU that it used: does not depend on what else runs."""
        return self.packets_per_sec / self.janus_cores if self.janus_cores else 0.0

    @property
    def is_good(self) -> bool:
        """Whether everything was carried: nearly no loss, nearly no gap, every participant is there."""
        return self.loss < LOSS_MAX and self.late_part < LOSS_MAX and not self.ended and not self.failed

    @property
    def load_limit(self) -> str | None:
        """Why this says more about the load than about the server; None if it does not."""
        if self.load_drops > self.received * LOSS_MAX / 10:
            return f"the load's socket had no room for {self.load_drops} packets"
        if self.unsent > self.sent * LOSS_MAX / 10:
            return f"the load did not send {self.unsent} packets in time"
        if self.load_cores > BUSY:
            return f"the load used {self.load_cores:.0%} of a core"
        if self.tick_p99 > LATE_TICK_SECS:
            return f"the load's clock was {self.tick_p99 * 1000:.0f} ms late"
        return None

    @property
    def server_limit(self) -> str | None:
        """What the server lacked; None if nothing, or nothing that others did not take from it."""
        if self.ended:
            return f"the server ended {self.ended} connections"
        if self.failed:
            return f"{self.failed} joins or streams did not come about"
        if self.janus_cores > BUSY * self.janus_cores_given:
            return f"Janus used {self.janus_cores:.2f} of {self.janus_cores_given} cores"
        if self.janus_drops > self.sent * LOSS_MAX / 10 and not self.others_limit:
            return f"Janus' sockets had no room for {self.janus_drops} packets"
        return None

    @property
    def others_limit(self) -> str | None:
        """Whether other programs took much of what Janus runs on."""
        if self.others_cores > OTHERS_MAX * self.janus_cores_given:
            return f"other programs used {self.others_cores:.2f} of the {self.janus_cores_given} cores of Janus"
        return None

    @property
    def verdict(self) -> str:
        """Which of them was at its limit, in a few words."""
        if self.is_good:
            return f"good, but {self.load_limit}" if self.load_limit else "good"
        if self.server_limit and self.others_limit and (self.ended or self.failed):
            return f"not the server's limit alone: {self.server_limit}, and {self.others_limit}"
        if self.server_limit:
            return f"the server's limit: {self.server_limit}"
        if self.load_limit:
            return f"the load's limit, not the server's: {self.load_limit}"
        if self.others_limit:
            return f"not the server's limit: {self.others_limit}"
        return f"{self.loss:.1%} lost and {self.late_part:.1%} late, for no reason that is seen here"


def cores_each(points: list[tuple[int, float]]) -> float:
    """The slope of a line through (participants, cores of Janus): what one more costs."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    width = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / width if width else 0.0
