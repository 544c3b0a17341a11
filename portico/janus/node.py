"""Keeps a Janus running: starts it, watches it by requests with deadlines, and starts it again when it is lost."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from portico.janus import capacity
from portico.janus.capacity import Capacity, CapacityMeter
from portico.janus.child import mark, open_link, private_folder, start_child
from portico.janus.config import (
    AUDIOBRIDGE,
    PLUGINS,
    TEXTROOM,
    VIDEOROOM,
    JanusSecrets,
    JanusSettings,
)
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.event_listener import EventListener, OnFrame
from portico.janus.link import JanusLink
from portico.janus.watch import CHECK_DEADLINE, check, watch
from portico.runtime.child_process import ChildProcess, ChildUnavailable, FolderLock, end_orphans
from portico.runtime.periodic import Periodic, cancel
from portico.runtime.side_loop import SideLoop

__all__ = ["AUDIOBRIDGE", "TEXTROOM", "VIDEOROOM", "JanusError", "JanusNode", "JanusSettings", "JanusUnavailable"]

log = structlog.get_logger(__name__)

TEND_PERIOD = 15.0
"""Seconds between requests that keep the control session: Janus ends it after 60 s without one."""

LOST_DEADLINE = 10.0
"""Seconds that `on_lost` may take before Janus is restarted without waiting for it."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before the first attempt to restart and before later ones: each pause is twice the one before."""
HEALTHY_AFTER = 60.0
"""Seconds that Janus must have been up for the next restart to begin with FIRST_PAUSE again."""


class JanusNode:
    """One Janus: a child process, or with `settings.url` a remote one, which is watched in the same way.

    `on_lost` is awaited once per loss, before the restart; `on_up` after each successful restart. `on_event` is called
    with each event that a child reports; a remote Janus reports none.
    """

    url: str
    """The ws:// address for clients' sockets, subprotocol janus-protocol; a restarted child has another port."""
    api_secret: str | None
    admin_key: str
    version: str | None = None
    checks_consent: bool = False
    """Whether this Janus ends a PeerConnection without ICE consent (RFC 7675), as releases since 1.2 do."""
    is_up: bool = False

    def __init__(
        self,
        settings: JanusSettings,
        *,
        on_lost: Callable[[str], Awaitable[None]],
        on_up: Callable[[], Awaitable[None]] | None = None,
        on_event: OnFrame | None = None,
        side: SideLoop | None = None,
    ) -> None:
        self._side = side
        self._settings = settings
        self._on_lost = on_lost
        self._on_up = on_up
        self._on_event = on_event
        self._meter = CapacityMeter(settings.rtp_ports)
        self._listener: EventListener | None = None  # between start() and stop(), for a child with `on_event`
        self._secrets = JanusSecrets()
        self.url = settings.url or ""
        self.api_secret = settings.api_secret if settings.url else self._secrets.api_secret
        self.admin_key = (settings.admin_key or "") if settings.url else self._secrets.admin_key
        self._lock: FolderLock | None = None  # held between start() and stop(), for a child only
        self._process: ChildProcess | None = None  # set while there is a child
        self._link: JanusLink | None = None  # set while Janus is up
        self._admin: JanusLink | None = None  # set while a child is up
        self._admin_url = ""  # of the last child
        self._supervisor: asyncio.Task[None] | None = None  # runs between start() and stop()
        self._callbacks: set[asyncio.Task[None]] = set()  # on_lost and on_up that have not returned yet

    @property
    def reports_events(self) -> bool:
        """Whether Janus' event handler is connected to us now."""
        return self._listener is not None and self._listener.is_connected

    @property
    def shows_handles(self) -> bool:
        """Whether `handle_info` answers: always for a child that is up, never for a remote Janus."""
        return self._admin is not None

    def capacity(self) -> Capacity | None:
        """Ports and descriptors of the child, at most CAPACITY_GOOD_FOR_SECS old; None for a remote Janus."""
        return self._meter.read(self._running_pid)

    def shortage(self, present: int | None = None) -> str | None:
        """What a join lacks of Janus if `present` participants are in the room, as a sentence; None: nothing.

        Without `present`: what a call of two lacks. A shortage is logged at most once in SHORTAGE_LOGGED_SECS.
        """
        return self._meter.shortage(self._running_pid, present)

    @property
    def _running_pid(self) -> int | None:
        return self._process.pid if self._process is not None and not self._process.has_ended else None

    @property
    def pid(self) -> int | None:
        """The process id of the child; None without one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Return when Janus answers. Raises JanusUnavailable, and then no process or socket of it is left."""
        try:
            if self._settings.url is None:
                folder = private_folder(self._settings.data_dir)
                self._lock = _lock(folder)
                await end_orphans("janus", mark(folder))
                if self._on_event is not None:
                    self._listener = await EventListener.open(self._on_event)
            await self._bring_up()
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="janus-supervisor")
        self._supervisor.add_done_callback(_log_crash)

    async def stop(self) -> None:
        """End supervision, callbacks, connection and child, as far as there are any."""
        running = [*self._callbacks, *([self._supervisor] if self._supervisor is not None else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._supervisor = None
        self.is_up = False
        try:
            await self._drop_link()
            if self._process is not None:
                await self._process.stop()
        finally:
            self._process = None
            if self._listener is not None:
                await self._listener.close()
                self._listener = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def request(
        self,
        plugin: str,
        body: dict[str, Any],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - the connection needs it, to forget the request
    ) -> dict[str, Any]:
        """Send a request of the server itself to a plugin; return `plugindata.data` of the answer.

        Raises JanusError with the plugin's code, and JanusUnavailable if there is no answer within `timeout` seconds.
        """
        return await self._live_link().request(plugin, body, deadline=timeout)

    async def core_request(
        self,
        message: dict[str, Any],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - as above
    ) -> dict[str, Any]:
        """Send a request such as {"janus": "info"} to the core; return the whole answer. Raises as `request` does."""
        return await self._live_link().core(message, deadline=timeout)

    async def handle_info(self, session_id: int, handle_id: int, *, deadline: float) -> dict[str, Any]:
        """What the Admin API's `handle_info` says of a handle, with the counters of its PeerConnection in `webrtc`.

        Raises JanusError if there is no such handle, and JanusUnavailable, always so for a remote Janus.
        """
        if self._admin is None:
            raise JanusUnavailable("The Admin API of Janus is not reachable.")
        request = {"janus": "handle_info", "session_id": session_id, "handle_id": handle_id}
        info: dict[str, Any] = (await self._admin.core(request, deadline=deadline))["info"]
        return info

    def _live_link(self) -> JanusLink:
        if self._link is None:
            raise JanusUnavailable("The media server is being restarted: try again in a few seconds.")
        return self._link

    async def _bring_up(self) -> None:
        if self._settings.url is None:
            started = await start_child(self._settings, self._secrets, self._listener.url if self._listener else None)
            self._process, self._link, self._admin = started.process, started.link, started.admin
            self.url, self._admin_url = started.url, started.admin_url
        else:
            self._link = await open_link(self.url, self.api_secret)
        answer = await self._link.core({"janus": "info"}, deadline=CHECK_DEADLINE)
        self.version = answer.get("version_string")
        await check(self._link, CHECK_DEADLINE)
        if self._settings.url is not None:
            await self._check_admin_key(self._link)
        self.checks_consent = answer.get("ice-consent-freshness") is True
        if not self.checks_consent and self._settings.url is not None:
            log.warning("janus.notices_lost_media_late", version=self.version, secs=65, better="script/build-janus")
        self.is_up = True
        log.info("janus.up", version=self.version, pid=self.pid, url=self.url, consent=self.checks_consent)
        if self._settings.url is None:
            low, high = ports = self._settings.rtp_ports
            log.info("janus.ports", ports=f"{low}-{high}", cameras_in_one_room=capacity.cameras_in_one_room(ports))

    async def _check_admin_key(self, link: JanusLink) -> None:
        """Create and destroy a room in each plugin. With a wrong admin_key each join would fail later.

        Raises JanusUnavailable.
        """
        room = {"room": secrets.randbelow(2**53 - 1) + 1, "permanent": False, "admin_key": self.admin_key}
        for plugin in PLUGINS:
            try:
                await link.request(plugin, {**room, "request": "create"}, deadline=CHECK_DEADLINE)
                await link.request(plugin, {**room, "request": "destroy"}, deadline=CHECK_DEADLINE)
            except JanusError as error:
                raise JanusUnavailable(
                    f"{plugin} of Janus on {self.url} makes no room: {error.reason}; is PORTICO_JANUS_ADMIN_KEY right?"
                ) from error

    async def _supervise(self) -> None:
        pause = FIRST_PAUSE
        clock = asyncio.get_running_loop().time
        while True:
            up_since = clock()
            reason = await self._watch()
            if clock() - up_since >= HEALTHY_AFTER:
                pause = FIRST_PAUSE
            self.is_up = False
            log.error("janus.lost", reason=reason, pid=self.pid)
            await self._take_down()
            await self._call("on_lost", self._on_lost(reason), wait_secs=LOST_DEADLINE)
            pause = await self._restart(pause)
            if self._on_up is not None:
                await self._call("on_up", self._on_up(), wait_secs=0)  # the watch begins meanwhile

    async def _watch(self) -> str:
        """Return when Janus is lost, with the reason as a sentence for the log."""
        link = self._live_link()
        watchers = [asyncio.create_task(link.lost()), asyncio.create_task(self._watch_health())]
        tending = Periodic(
            partial(self._tend, link), TEND_PERIOD, partial(contextlib.suppress, JanusUnavailable), pauses_first=True
        )
        tending.start()
        if self._process is not None:
            watchers.append(asyncio.create_task(self._process.wait()))
        try:
            await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            # A process that ends closes its connections first: wait for its exit status, which says more.
            if self._process is not None and not watchers[1].done():
                await asyncio.wait(watchers[2:], timeout=0.2)
            return "Janus " + next(watcher.result() for watcher in reversed(watchers) if watcher.done())
        finally:
            await asyncio.gather(cancel(*watchers), tending.stop())

    async def _watch_health(self) -> str:
        """Return when a plugin does not answer, even if the process runs and the core answers."""
        watching = watch(self.url, self.api_secret)
        # On the side loop, which nothing blocks: there a missing answer means that Janus sent none.
        return await (watching if self._side is None else self._side.run(watching))

    async def _tend(self, link: JanusLink) -> None:
        """Keep the control session alive, and limit the child's log."""
        if self._process is not None:
            self._process.bound_log()
        await check(link, CHECK_DEADLINE)

    async def _restart(self, pause: float) -> float:
        """Try until Janus is up; return the pause that the next restart begins with."""
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await self._bring_up()
                return pause
            except (JanusUnavailable, JanusError, OSError) as error:
                log.error("janus.restart_failed", reason=str(error), next_try_secs=pause)
                await self._take_down()

    async def _take_down(self) -> None:
        """Close the connections to a lost Janus and kill the child, which may hang."""
        await self._drop_link()
        if self._process is not None:
            await self._process.kill()
            self._process = None

    async def _drop_link(self) -> None:
        links, self._link, self._admin = (self._link, self._admin), None, None
        for link in links:
            if link is not None:
                await link.close()

    async def _call(self, name: str, callback: Awaitable[None], *, wait_secs: float) -> None:
        """Await a callback for `wait_secs` at most. A slower one continues in its own task."""
        task = asyncio.create_task(_run(name, callback), name=f"janus-{name}")
        self._callbacks.add(task)
        task.add_done_callback(self._callbacks.discard)
        await asyncio.wait([task], timeout=wait_secs)
        if wait_secs and not task.done():
            log.error("janus.callback_slow", callback=name, secs=wait_secs)


def _lock(folder: Path) -> FolderLock:
    try:
        return FolderLock(folder, "Janus")
    except ChildUnavailable as error:
        raise JanusUnavailable(str(error)) from error


async def _run(name: str, callback: Awaitable[None]) -> None:
    try:
        await callback
    except Exception:  # a fault of the callback must not prevent the restart of Janus
        log.exception("janus.callback_failed", callback=name)


def _log_crash(supervisor: asyncio.Task[None]) -> None:
    if not supervisor.cancelled() and (fault := supervisor.exception()) is not None:
        log.critical("janus.supervisor_crashed", exc_info=fault)
