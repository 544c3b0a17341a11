"""A person in a browser tab of their own, with the official SDK, whose events are sent to the test."""

import asyncio
import contextlib
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from tests.calls.colours import BLACK, BLUE, GREEN, RED, YELLOW, Colour

__all__ = ["BLACK", "BLUE", "GREEN", "RED", "YELLOW", "Colour", "Event", "Packets", "Person"]

HAPPENS_WITHIN_SECS = 10.0
PERCEIVES_WITHIN_SECS = 15.0


@dataclass(frozen=True)
class Event:
    """One event of the SDK (or `page_error`), without the state that the SDK puts last; `at` is time.monotonic()."""

    name: str
    args: tuple[Any, ...]
    at: float = field(compare=False)


@dataclass(frozen=True)
class Packets:
    """What a subscription has received so far."""

    audio: int
    video: int


class Person:
    """Opens a page; joins rooms. Every wait has a deadline, and fails with what was there instead."""

    def __init__(self, name: str, context: BrowserContext, page: Page) -> None:
        self.name = name
        self.id = ""
        self.events: list[Event] = []
        self.page = page
        self._context = context
        self._happened = asyncio.Condition()
        self._started: list[asyncio.Future[Any]] = []

    @classmethod
    async def open(
        cls, browser: Browser, site: str, connect_js: str, name: str, *, first_script: Path | None = None
    ) -> Self:
        """A fresh tab on `site`, whose page loads `connect_js` before the SDK, and `first_script` before all."""
        context = await browser.new_context()
        if first_script is not None:
            await context.add_init_script(path=first_script)
        page = await context.new_page()
        person = cls(name, context, page)
        page.on("console", person._note_console)
        await page.expose_function("reportToTest", person._note)
        await page.goto(f"{site}/?connect={urllib.parse.quote(connect_js, safe='')}")
        await page.wait_for_function("globalThis.person !== undefined", timeout=10_000)
        return person

    async def _note(self, name: str, args: list[Any]) -> None:
        self.events.append(Event(name, tuple(args), time.monotonic()))
        async with self._happened:
            self._happened.notify_all()

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.events.append(Event("console_error", (message.text,), time.monotonic()))

    async def _do(self, action: str, *args: Any) -> Any:
        return await self.page.evaluate("([action, args]) => person[action](...args)", [action, list(args)])

    def start(self, action: str, *args: Any) -> None:
        """Start an action of the page without waiting for its end, because the SDK's promise may never settle."""
        order = """([action, args]) =>
            void person[action](...args).catch((error) => reportToTest(`${action} failed`, [String(error)]))"""
        self._started.append(asyncio.ensure_future(self.page.evaluate(order, [action, list(args)])))

    # Joining and leaving.

    async def knock(self, room_id: str, token: str, context: str | None = None, *, messages: bool = True) -> None:
        """Initializes the SDK and lets it connect on its own: for joins whose end the test waits for as an event."""
        config = {"roomId": room_id, "clientToken": token, "enableMessages": messages}
        self.id = await self._do("initialize", config | ({} if context is None else {"context": context}))
        await self._do("startConnecting")

    async def join(self, room_id: str, token: str, context: str | None = None, *, messages: bool = True) -> Self:
        """Returns when the SDK says that it is connected."""
        await self.knock(room_id, token, context, messages=messages)
        await self.wait_for("connected", within=PERCEIVES_WITHIN_SECS)
        return self

    async def leave(self) -> None:
        await self._do("leave")

    async def kill_tab(self) -> None:
        """The renderer process dies in the middle of what it was doing: no unload event, no goodbye."""
        crashed = asyncio.Event()
        self.page.on("crash", lambda _: crashed.set())
        devtools = await self._context.new_cdp_session(self.page)
        order = asyncio.ensure_future(
            devtools.send("Page.crash")
        )  # never answered: the page that would answer has crashed
        try:
            await asyncio.wait_for(crashed.wait(), HAPPENS_WITHIN_SECS)
        finally:
            order.cancel()
            with contextlib.suppress(asyncio.CancelledError, PlaywrightError):
                await order

    async def close(self) -> None:
        """Closes the tab without asking the page."""
        await self._context.close()

    async def update_token(self, token: str) -> None:
        await self._do("updateToken", token)

    # Publishing.

    async def publish(
        self,
        key: str = "self",
        *,
        tone: int | None = None,
        gain: float = 0.5,
        colour: Colour | None = None,
        rate: int = 10,
        simulcast: bool = False,
    ) -> None:
        """Starts a stream with a pure tone in hertz (gain 1 is full scale) and a camera of one colour, or less."""
        css = None if colour is None else f"rgb{colour}"
        source = {"tone": tone, "gain": gain, "colour": css, "rate": rate, "simulcast": simulcast}
        await self._do("publish", key, source)

    async def clap(self, tone: int, colours: tuple[Colour, Colour], *, every_ms: int, times: int) -> None:
        """Starts a stream whose tone begins and ends at the very instants at which its camera changes its colour."""
        css = [f"rgb{colour}" for colour in colours]
        await self._do("clap", "self", {"hertz": tone, "colours": css, "every": every_ms, "times": times})

    async def update(self, key: str = "self", *, tone: int | None = None, colour: Colour | None = None) -> None:
        """Replaces the tracks of a stream; what is not named is dropped."""
        await self._do("update", key, {"tone": tone, "colour": None if colour is None else f"rgb{colour}"})

    async def remove_stream(self, key: str = "self") -> None:
        await self._do("removeStream", key)

    async def smuggle(self, tone: int) -> None:
        """Sends a tone past the SDK, on whatever carries audio to the server: into the mix and into every stream.

        Returns when it is on its way.
        """
        assert await self._do("smuggle", tone) > 0, f"nothing of {self.name} carries audio"

    # Subscribing.

    async def subscribe(self, to: "Person", key: str = "self", *, audio: bool = True, video: bool = True) -> None:
        await self._do("subscribe", to.id, key, {"audio": audio, "video": video})

    async def update_subscription(self, to: "Person", key: str = "self", *, audio: bool, video: bool) -> None:
        await self._do("updateSubscription", to.id, key, {"audio": audio, "video": video})

    async def unsubscribe(self, to: "Person", key: str = "self") -> None:
        await self._do("unsubscribe", to.id, key)

    async def perceive(
        self, of: "Person", *, colour: Colour | None = None, tone: int | None = None, key: str = "self"
    ) -> None:
        """Subscribe; returns when that colour and those tones are received, which were published before."""
        # The SDK fires no event for a stream that was there before, nor for one's media.
        if key not in (await self.roster())[of.id]["streams"]:
            await self.wait_for("stream_published", of.id, key)
        await self.subscribe(of, key)
        if colour is not None:
            await self.expect_sight(of, colour, key)
        if tone is not None:
            await self.expect_tones(of, tone, key=key)

    # Perceiving.

    async def expect_sight(self, of: "Person", colour: Colour, key: str = "self") -> dict[str, Any]:
        """Waits for new decoded frames of that colour; answers their width and height too."""
        seen: dict[str, Any] = await self._do("sees", of.id, key, list(colour), PERCEIVES_WITHIN_SECS * 1000)
        assert seen["ok"], f"{self.name} should see {of.name}'s {key} in {colour}, but saw {seen}"
        return seen

    async def numbers(self, of: "Person", key: str = "self") -> list[int]:
        """The numbers, modulo 256, that several successive pictures of a stream show along their upper edge."""
        seen: list[int] = await self._do("numbers", of.id, key, PERCEIVES_WITHIN_SECS * 1000)
        return seen

    async def expect_tones(self, of: "Person", *tones: int, key: str = "self") -> None:
        """Waits until a subscribed stream sounds exactly these tones; none means silence."""
        received = await self._do("tones", of.id, key, list(tones), PERCEIVES_WITHIN_SECS * 1000)
        assert received["ok"], f"{self.name} should receive {tones} Hz of {of.name}'s {key}, not {received['received']}"

    async def expect_mix(self, *tones: int) -> None:
        """Waits until the room's mixed audio sounds exactly these tones."""
        received = await self._do("mix", list(tones), PERCEIVES_WITHIN_SECS * 1000)
        assert received["ok"], f"{self.name} should receive {tones} Hz in the mix, not {received['received']}"

    async def packets(self, of: "Person", key: str = "self") -> Packets:
        return Packets(**await self._do("packets", of.id, key))

    async def traffic(self) -> tuple[int, int]:
        """Packets of audio that the browser has sent and received, the mix included."""
        count = await self._do("traffic")
        return count["sent"], count["received"]

    async def descriptions(self) -> list[tuple[str, str]]:
        """The SDP of each peer connection: the browser's description and the server's."""
        return [(ours, theirs) for ours, theirs in await self._do("descriptions")]

    async def expect_only(self, kind: str, of: "Person", key: str = "self") -> None:
        """Waits until a good many packets of `kind` have come on end without a single one of the other kind."""
        other = "audio" if kind == "video" else "video"
        enough = {"audio": 40, "video": 10}[kind]
        mark = await self.packets(of, key)
        async with _deadline(f"only {kind} of {of.name}'s {key} to reach {self.name}", PERCEIVES_WITHIN_SECS):
            while getattr(now := await self.packets(of, key), kind) < getattr(mark, kind) + enough:
                if getattr(now, other) != getattr(mark, other):
                    mark = now
                await asyncio.sleep(0.05)

    async def roster(self) -> dict[str, dict[str, Any]]:
        """Who is in the room by participant id, this person included, as the SDK's state has it."""
        return {one["id"]: one for one in await self._do("roster")}

    async def stream(self, of: "Person", key: str = "self") -> dict[str, Any]:
        """The SDK's own record of a stream, without its tracks."""
        record: dict[str, Any] = await self._do("stream", of.id, key)
        return record

    # Messages and events.

    async def send(self, message: str, to: "Person | None" = None) -> None:
        await self._do("send", {"type": "text", "payload": message}, None if to is None else [to.id])

    async def wait_for(
        self,
        name: str,
        *args: Any,
        since: int = 0,
        within: float = HAPPENS_WITHIN_SECS,
        where: Callable[[Event], bool] = lambda _: True,
    ) -> Event:
        """The first event of that name whose arguments begin with `args`, past (from number `since` on) or to come."""

        def found() -> Event | None:
            fitting = (e for e in self.events[since:] if e.name == name and e.args[: len(args)] == args and where(e))
            return next(fitting, None)

        async with _deadline(f"{name}{args} at {self.name}", within, self.diary), self._happened:
            await self._happened.wait_for(found)
        event = found()
        assert event is not None
        return event

    async def wait_for_any(self, *names: str, within: float = HAPPENS_WITHIN_SECS) -> None:
        """Returns once any of these events has come."""
        async with _deadline(f"any of {names} at {self.name}", within, self.diary), self._happened:
            await self._happened.wait_for(lambda: any(self.happened(name) for name in names))

    def happened(self, name: str, *args: Any, since: int = 0) -> list[Event]:
        """The events of that name so far whose arguments begin with `args`."""
        return [event for event in self.events[since:] if event.name == name and event.args[: len(args)] == args]

    def diary(self) -> str:
        """All events so far, one a line, for a failure's report."""
        start = self.events[0].at if self.events else 0.0
        lines = [f"{event.at - start:8.3f} {event.name} {event.args}" for event in self.events]
        return f"{self.name} ({self.id}):\n" + "\n".join(lines)


@contextlib.asynccontextmanager
async def _deadline(what: str, secs: float, story: Callable[[], str] = str) -> Any:
    """Turns a wait that took too long into a failed expectation that says what was waited for."""
    try:
        async with asyncio.timeout(secs):
            yield
    except TimeoutError as late:
        raise AssertionError(f"waited {secs} s in vain for {what}\n{story()}") from late
