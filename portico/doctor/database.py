"""The database: whether it answers, how fast, whether its schema is this version's, and its clock."""

import asyncio
import re
from datetime import timedelta

from portico.db.connect import open_database
from portico.db.examine import DatabaseFacts, examine
from portico.db.outage import explain
from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import in_thread
from portico.doctor.subject import Subject, running_pid

AREA = "database"
ANSWER_SECS = 6.0
SLOW_ROUND_TRIP, VERY_SLOW_ROUND_TRIP = timedelta(milliseconds=20), timedelta(milliseconds=200)
SLOW_COMMIT, VERY_SLOW_COMMIT = timedelta(milliseconds=50), timedelta(milliseconds=500)
CLOCKS_APART = timedelta(seconds=2)


async def check(subject: Subject, *, within_secs: float = ANSWER_SECS) -> list[Finding]:
    """Examine the database. A server may run meanwhile."""
    file = subject.settings.sqlite_file
    if file is not None and not file.exists():
        return [note(AREA, f"There is no {file} yet: the first start makes it.")]
    try:
        async with asyncio.timeout(within_secs):
            facts = await in_thread(lambda: _facts(subject.settings.database))
    except TimeoutError:
        return [unavailable(f"no answer within {within_secs:g} s", is_file=file is not None)]
    except Exception as error:
        if (reason := explain(error)) is None:
            raise
        return [unavailable(reason, is_file=file is not None)]
    return judge(facts, is_running=running_pid(subject.settings) is not None)


def unavailable(reason: str, *, is_file: bool) -> Finding:
    """The finding for a database that does not answer."""
    remedy = "Check PORTICO_DATABASE_URL, and that PostgreSQL runs and admits this machine and user."
    if is_file:
        remedy = "Check that the file is a database of Portico's and that this user may write it and its folder."
    reason = re.sub(r"^\([\w.]+\) ", "", reason)  # the name of the driver's exception
    return problem(AREA, f"The database does not answer: {reason.rstrip('.')}.", remedy)


def judge(facts: DatabaseFacts, *, is_running: bool) -> list[Finding]:
    """Findings about schema, speed and clock."""
    return [_judge_schema(facts, is_running=is_running), _judge_speed(facts), *_judge_clock(facts)]


def _judge_schema(facts: DatabaseFacts, *, is_running: bool) -> Finding:
    if facts.revision is None:
        return note(AREA, f"{facts.product} answers and has no tables yet: the first start makes them.")
    if facts.revision > facts.newest:
        return problem(
            AREA,
            f"The database belongs to a newer Portico (schema {facts.revision}; this one has {facts.newest}).",
            "Install that version or a later one.",
        )
    if facts.revision < facts.newest:
        text = f"The schema of the database is {facts.revision}, and this Portico's is {facts.newest}."
        if is_running:
            return warning(AREA, text, "Restart the server: it is older than what is installed.")
        return note(AREA, f"{text[:-1]}: the next start brings it up to date.")
    return ok(AREA, f"{facts.product} answers, and its schema ({facts.revision}) is up to date.")


def _judge_speed(facts: DatabaseFacts) -> Finding:
    commit = "" if facts.commit is None else f", a commit {_ms(facts.commit)}"
    text = f"A round trip takes {_ms(facts.round_trip)}{commit}."
    took = facts.commit or timedelta(0)
    remedy = "Move database and server closer together, or give the database a faster disk: each join waits for both."
    if facts.round_trip >= VERY_SLOW_ROUND_TRIP or took >= VERY_SLOW_COMMIT:
        return problem(AREA, text, remedy)
    slow = facts.round_trip >= SLOW_ROUND_TRIP or took >= SLOW_COMMIT
    return warning(AREA, text, remedy) if slow else ok(AREA, text)


def _judge_clock(facts: DatabaseFacts) -> list[Finding]:
    if facts.ahead is None:
        return []
    ahead = facts.ahead
    if abs(ahead) < CLOCKS_APART:
        return [ok(AREA, f"Its clock and this machine's differ by {_ms(abs(ahead))}.")]
    way = "ahead of" if ahead > timedelta(0) else "behind"
    text = f"Its clock is {abs(ahead).total_seconds():.1f} s {way} this machine's; the database's counts."
    return [warning(AREA, text, "Synchronise the clocks of both machines (chrony, systemd-timesyncd).")]


def _ms(time: timedelta) -> str:
    return "less than 0.1 ms" if time < timedelta(milliseconds=0.1) else f"{time.total_seconds() * 1000:.1f} ms"


def _facts(url: str) -> DatabaseFacts:
    engine = open_database(url).engine
    try:
        return examine(engine)
    finally:
        engine.dispose()
