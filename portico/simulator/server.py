"""The REST requests of the simulator: rooms and client tokens."""

from types import TracebackType
from typing import Any, Self

import aiohttp

ANSWER_SECS = 30.0
TOKEN_SPARE_SECS = 900
"""A token is valid for this much longer than the run."""
TOKEN_SECS_MAX = 3600


class CannotSimulate(Exception):
    """The simulation cannot take place; str() is a sentence that says why."""


class Server:
    """The REST API of a server, used with one API key."""

    def __init__(self, base_url: str, api_key: str) -> None:
        """`base_url` has no `/v2`."""
        self.base_url = base_url.rstrip("/").removesuffix("/v2")
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECS), headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def create_room(self, name: str, seats: int) -> str:
        """Make a room; returns its id."""
        room_id: str = (await self._ask("POST", "rooms", {"unique_name": name, "max_participants": seats}))["id"]
        return room_id

    async def check_room(self, room_id: str) -> None:
        """Raise CannotSimulate unless the room exists."""
        await self._ask("GET", f"rooms/{room_id}")

    async def delete_room(self, room_id: str) -> None:
        """Delete a room that the simulator has made."""
        await self._ask("DELETE", f"rooms/{room_id}")

    async def token(self, room_id: str, secs: float) -> str:
        """Make a client token of a room that is valid during a run of so many seconds."""
        lasts = min(TOKEN_SECS_MAX, int(secs) + TOKEN_SPARE_SECS)
        path = f"rooms/{room_id}/actions/generate_join_client_token"
        token: str = (await self._ask("POST", path, {"token_ttl_secs": lasts}))["token"]
        return token

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._http.request(method, f"{self.base_url}/v2/{path}", json=body) as answer:
                if answer.status >= 400:
                    raise CannotSimulate(await self._sentence(answer, path))
                if answer.status == 204:
                    return {}
                data: dict[str, Any] = (await answer.json())["data"]
                return data
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise CannotSimulate(f"{self.base_url} is not a URL such as http://HOST:PORT.") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CannotSimulate(f"No server answers at {self.base_url}: {error or 'no answer in time'}.") from None
        except (ValueError, KeyError, TypeError):
            raise CannotSimulate(f"What answers at {self.base_url} does not speak the API of Portico.") from None

    async def _sentence(self, answer: aiohttp.ClientResponse, path: str) -> str:
        if answer.status == 401:
            return f"The API key is refused by {self.base_url}."
        if answer.status == 404:
            return f"There is no room {path.split('/')[1] if '/' in path else ''} at {self.base_url}."
        try:
            (first, *_) = (await answer.json())["errors"]
            detail = str(first.get("detail") or first.get("title"))
        except (aiohttp.ClientError, ValueError, KeyError, TypeError, AttributeError):
            return f"What answers at {self.base_url} does not speak the API of Portico (status {answer.status})."
        return f"{self.base_url} refuses with status {answer.status}: {detail}"
