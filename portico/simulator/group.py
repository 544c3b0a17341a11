"""The simulated participants of one room: their tokens, and what each of them has to receive from the others."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from portico.simulator.card import Card

if TYPE_CHECKING:
    from portico.simulator.member import Member

MESSAGE_SECS = 5.0
"""A message that arrives later than this counts as missing."""


class Group:
    """The state that the simulated participants of one room share."""

    def __init__(self, base_url: str, room_id: str, run: bytes, token: Callable[[], Awaitable[str]]) -> None:
        """`run` is 8 bytes that name this run; `token` returns a new client token of the room."""
        self.base_url = base_url
        self.room_id = room_id
        self.run = run
        self.token = token
        self.members: list[Member] = []
        self._changed_at: dict[Member, float] = {}
        self._cards: list[Member | None] = []
        self._messages: dict[str, tuple[float, set[Member]]] = {}  # those who have to receive it yet

    def card(self, text: str, of: "Member | None" = None) -> Card:
        """Make the test pictures of a new stream."""
        self._cards.append(of)
        return Card(text, self.run, len(self._cards) - 1)

    def changed(self, member: "Member") -> None:
        """Note that a member joined, left, or switched the microphone on or off."""
        self._changed_at[member] = time.monotonic()

    def speakers(self, listener: "Member", since: float) -> "list[Member]":
        """The members whose tones the listener has to receive: they have sent them since `since`, on a good network."""
        return [
            one
            for one in self.members
            if one is not listener and one.speaks and not one.has_bad_network and self._changed_at.get(one, 0.0) < since
        ]

    def has_bad_network(self, sender: int) -> bool:
        """Whether the member that sends the stream with this number has a bad network."""
        member = self._cards[sender] if sender < len(self._cards) else None
        return member is not None and member.has_bad_network

    def is_ours(self, name: str) -> bool:
        """Whether this is the name of a simulated participant."""
        return any(one.record.name == name for one in self.members)

    def new_message(self, sender: "Member") -> str:
        """The text of a new message. All members that have been in the room for a second have to receive it."""
        now = time.monotonic()
        text = f"message {len(self._messages) + 1} of {sender.record.name}"
        receivers = {
            one
            for one in self.members
            if one is not sender and one.is_present and not one.has_bad_network and now - one.changed_at > 1.0
        }
        self._messages[text] = now, receivers
        return text

    def received(self, member: "Member", text: str) -> bool:
        """Note that a member received a message; whether another member of the group has sent it."""
        if text not in self._messages:
            return False
        self._messages[text][1].discard(member)
        return f" of {member.record.name}" not in text

    def count_missing(self) -> None:
        """Count in each record the messages that did not arrive. A member that left meanwhile misses none."""
        now = time.monotonic()
        for sent, receivers in self._messages.values():
            if now - sent > MESSAGE_SECS:
                for one in receivers:
                    one.record.messages_missing += one.is_present and one.changed_at < sent
