"""The bot's stay in the room, which the input and the output of one transport share."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.utils.asyncio.task_manager import BaseTaskManager

from portico.client.errors import ClientError, RoomEnded
from portico.client.events import Event
from portico.client.pipecat.voice import Voice
from portico.client.room import Room


class Call:
    """Joins the room for the first of its users and leaves it after the last. Errors of the join are ClientErrors."""

    def __init__(self, room: Room, voice: Voice | None, on_event: Callable[[Event], Awaitable[None]]) -> None:
        """`voice` is published in the room; `on_event` is awaited with each event, in order."""
        self.room = room
        self._voice = voice
        self._on_event = on_event
        self._users: set[Any] = set()
        self._lock = asyncio.Lock()
        self._failure: ClientError | None = None  # a Room joins once
        self._events: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def enter(self, user: Any, tasks: BaseTaskManager, connected: Callable[[], Awaitable[None]]) -> None:
        """Add a user. The first one joins the room; `connected` is awaited before any event. Raises ClientError."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._users:
                try:
                    await self._join()
                except ClientError as error:
                    self._failure = error
                    raise
                await connected()
                self._events = tasks.create_task(self._follow(), "portico::events")
            self._users.add(user)

    async def exit(self, user: Any) -> None:
        """Remove a user. The last one leaves the room; one that did not enter changes nothing."""
        async with self._lock:
            if user not in self._users:
                return
            self._users.discard(user)
            if not self._users:
                self._failure = RoomEnded("the bot has left the room")
                if self._voice is not None:
                    self._voice.close()
                await self._stack.aclose()

    async def _join(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.room)
            if self._voice is not None:
                await self.room.publish(audio=self._voice)
            self._stack = stack.pop_all()

    async def _follow(self) -> None:
        async for event in self.room.events():
            await self._on_event(event)
