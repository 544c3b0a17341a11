"""Performs one run of the simulator: makes rooms, lets participants follow their plans, returns the result."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from portico.simulator.group import Group
from portico.simulator.member import Member
from portico.simulator.plan import Step, make_plan
from portico.simulator.quality import Delays, Own, Record
from portico.simulator.server import CannotSimulate, Server

PROGRESS_SECS = 1.0
LAG_STEP_SECS = 0.05
OVERTIME_SECS = 20.0
"""A plan that is not finished this long after the end of the run has failed."""
_NAMES = (
    "Ada Ben Cleo Dan Eve Finn Gia Hugo Ida Jan Kim Leo Mia Noa Oto Pia Quin Ria Sam Tea Udo Vera Wim Xena Yara Zoe "
    "Alma Bo Carl Dora Emil Fay Gus Hana Ivo Jule Kai Lia Max Nell Olaf Pam Rolf Sue Tim Uma Vito Wanda Yul Zora"
)
NAMES = _NAMES.split()


@dataclass(frozen=True)
class Options:
    """What `simulate` is to do."""

    base_url: str
    api_key: str
    room_id: str | None
    """The room to use. None: rooms are made, and deleted at the end."""
    participants: int
    """The number of participants in each room."""
    publish: int
    secs: float
    pattern: str
    rooms: int
    seed: int


@dataclass(frozen=True)
class Progress:
    """The state of a run that goes on."""

    secs: float
    of_secs: float
    room_ids: list[str]
    records: list[Record]
    present: int
    own: Own


@dataclass(frozen=True)
class Result:
    """The result of a run."""

    options: Options
    room_ids: list[str]
    records: list[Record]
    own: Own

    @property
    def is_ok(self) -> bool:
        """Whether the media of all participants were good."""
        return not any(record.problems() for record in self.records)

    def as_object(self) -> dict[str, Any]:
        """The JSON object of `portico simulate --json`. Times are in seconds."""
        return {
            "ok": self.is_ok,
            "pattern": self.options.pattern,
            "seed": self.options.seed,
            "secs": self.options.secs,
            "rooms": self.room_ids,
            "participants": [_record(record) for record in self.records],
            "simulator": {
                "cores": round(self.own.cores, 3),
                "lag_p99": round(self.own.lag_p99, 3),
                "capacity": self.own.capacity,
                "limit": self.own.limit,
            },
        }


def _record(record: Record) -> dict[str, Any]:
    delays = record.delays
    return {
        "name": record.name,
        "publishes": record.publishes,
        "joins": record.joins,
        "rejoins": record.rejoins,
        "join_secs": record.join_secs and round(record.join_secs, 3),
        "present_secs": round(record.present_secs, 1),
        "streams": len(record.seen),
        "frames": record.frames,
        "lost_frames": record.lost,
        "freezes": record.freezes,
        "frozen_secs": round(record.frozen_secs, 2),
        "delay_p50": delays.quantile(0.5),
        "delay_p99": delays.quantile(0.99),
        "audio_frames": record.sound.frames,
        "audio_gaps": round(record.sound.gaps, 4),
        "speakers_received": sorted(set(record.sound.looks) - set(record.sound.missed)),
        "speakers_missed": sorted(record.sound.missed),
        "messages_sent": record.messages_sent,
        "messages_received": record.messages_received,
        "messages_missing": record.messages_missing,
        "problems": record.problems(),
    }


async def simulate(options: Options, on_progress: Callable[[Progress], None]) -> Result:
    """Run a simulation to its end. Raises CannotSimulate when no room or token can be had."""
    run = secrets.token_bytes(8)
    async with Server(options.base_url, options.api_key) as server, _rooms(server, options) as room_ids:
        groups = [
            Group(server.base_url, room_id, run, partial(server.token, room_id, options.secs)) for room_id in room_ids
        ]
        await groups[0].token()  # what no participant could get is no fault of the media
        plans: list[tuple[Member, list[Step]]] = []
        for index, group in enumerate(groups):
            suffix = f" {index + 1}" if len(groups) > 1 else ""
            steps = make_plan(
                options.pattern,
                participants=options.participants,
                publish=options.publish,
                secs=options.secs,
                seed=options.seed + index,
            )
            for number in range(options.participants):
                record = Record(NAMES[number] + suffix, publishes=number < options.publish)
                group.members.append(member := Member(group, number, record))
                plans.append((member, [step for step in steps if step.who == number]))
        return await _Run(options, room_ids, groups, plans, on_progress).perform()


@contextlib.asynccontextmanager
async def _rooms(server: Server, options: Options) -> AsyncIterator[list[str]]:
    """Yield the ids of the rooms: the named one, or new ones that are deleted at the end."""
    if options.room_id is not None:
        await server.check_room(options.room_id)
        yield [options.room_id]
        return
    made: list[str] = []
    try:
        for _ in range(options.rooms):
            name = f"simulation {secrets.token_hex(4)}"
            made.append(await server.create_room(name, max(2, options.participants)))
        yield made
    finally:
        for room_id in made:
            with contextlib.suppress(CannotSimulate):
                await server.delete_room(room_id)


class _Run:
    """Runs the plans of all participants at the same time, and measures the simulator's own load."""

    def __init__(
        self,
        options: Options,
        room_ids: list[str],
        groups: list[Group],
        plans: list[tuple[Member, list[Step]]],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._options = options
        self._room_ids = room_ids
        self._groups = groups
        self._plans = plans
        self._on_progress = on_progress
        self._lags = Delays()
        self._members = [member for member, _ in plans]

    async def perform(self) -> Result:
        """Run all plans to their end; all participants have left when it returns."""
        self._began, self._cpu = time.monotonic(), time.process_time()
        meters = [asyncio.create_task(self._measure_lag()), asyncio.create_task(self._report())]
        acting = [asyncio.create_task(self._act(member, steps)) for member, steps in self._plans]
        try:
            await asyncio.sleep(self._options.secs)
            _, late = await asyncio.wait(acting, timeout=OVERTIME_SECS)
            for member, task in zip(self._members, acting, strict=True):
                if task in late:
                    member.record.failures.append(f"did not finish its plan within {OVERTIME_SECS:.0f} s")
            own = self._own()
            for group in self._groups:
                group.count_missing()
            return Result(self._options, self._room_ids, [member.record for member in self._members], own)
        finally:
            for task in [*meters, *acting]:
                task.cancel()
            await asyncio.gather(*meters, *acting, return_exceptions=True)
            await asyncio.gather(*(member.stop_receiving() for member in self._members), return_exceptions=True)
            await asyncio.gather(*(member.leave() for member in self._members), return_exceptions=True)

    async def _act(self, member: Member, steps: list[Step]) -> None:
        for step in steps:
            await asyncio.sleep(self._began + step.at - time.monotonic())
            await member.do(step)

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + LAG_STEP_SECS
            await asyncio.sleep(LAG_STEP_SECS)
            self._lags.add(time.monotonic() - due)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECS)
            present = sum(1 for member in self._members if member.is_present)
            records = [member.record for member in self._members]
            secs = time.monotonic() - self._began
            self._on_progress(Progress(secs, self._options.secs, self._room_ids, records, present, self._own()))

    def _own(self) -> Own:
        secs = max(0.001, time.monotonic() - self._began)
        cores = (time.process_time() - self._cpu) / secs
        return Own(cores, self._lags.quantile(0.99) or 0.0, len(self._members))
