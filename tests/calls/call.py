"""A room on a server, used by the official Python SDK: the base of calls in browsers and of portico.client."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.servers import PorticoServer
from tests.waiting import until

if TYPE_CHECKING:
    from telnyx import AsyncTelnyx
    from telnyx.types import RoomParticipant
    from telnyx.types.room_session import RoomSession

NAMES = ("Anna", "Ben", "Cleo", "Dora", "Emil")


@asynccontextmanager
async def official_sdk(server: PorticoServer) -> "AsyncIterator[AsyncTelnyx]":
    """Make the SDK's client for this server. It repeats no request, so that every answer counts."""
    from telnyx import AsyncTelnyx, DefaultAsyncHttpxClient  # takes more than a second, which other tests do without

    # A connection must not be used again that the server closes at this very moment, as idle.
    http = DefaultAsyncHttpxClient(limits=httpx.Limits(keepalive_expiry=1.0))
    base_url = f"{server.base_url}/v2"
    async with AsyncTelnyx(
        api_key=server.api_key, base_url=base_url, max_retries=0, timeout=10, http_client=http
    ) as rest:
        yield rest


@dataclass
class RestCall:
    """A room on a server, made with the official Python SDK. Derived classes add the participants."""

    server: PorticoServer
    rest: "AsyncTelnyx"
    room_id = ""  # no field here, so that derived classes may have fields without a default

    async def create_room(self, **settings: Any) -> str:
        """Make a room, which is the call's room from now on."""
        answer = await self.rest.rooms.create(**settings)
        assert answer.data is not None and answer.data.id is not None
        self.room_id = answer.data.id
        return self.room_id

    async def token(self, room_id: str | None = None, **settings: Any) -> str:
        answer = await self.rest.rooms.actions.generate_join_client_token(room_id or self.room_id, **settings)
        assert answer.data is not None and answer.data.token is not None
        return answer.data.token

    async def sessions(self) -> "list[RoomSession]":
        """The sessions that the room has had, newest first."""
        return [session async for session in self.rest.rooms.sessions.list_1(self.room_id)]

    async def participants(self) -> "dict[str | None, RoomParticipant]":
        """All participants who were ever in the room, by participant id, as the API returns them."""
        pages = [self.rest.rooms.sessions.retrieve_participants(session.id or "") for session in await self.sessions()]
        return {one.id: one for page in pages async for one in page}

    async def eventually(self, what: str, true: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
        """Repeat a request until its answer satisfies the condition, with a deadline."""
        await until(true, within, what)
