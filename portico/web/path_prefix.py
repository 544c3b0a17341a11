"""Serves below the path of PORTICO_PUBLIC_URL, behind a proxy that strips that path and behind one that does not."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Removes the prefix, such as `/video`, from the paths of requests and sockets that have it.

    Paths without it are left as they are: a proxy has removed it, or the request did not pass a proxy. The prefix
    alone leads to the front page, whose links are relative to the slash at its end.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix
        self._raw_prefix = prefix.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self._prefix:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{self._prefix}/{query and '?'}{query}", 308)(scope, receive, send)
            return
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(f"{self._prefix}/"):
            raw = scope.get("raw_path") or b""
            path = scope["path"].removeprefix(self._prefix)
            scope = {**scope, "path": path, "raw_path": raw.removeprefix(self._raw_prefix)}
        await self._app(scope, receive, send)
