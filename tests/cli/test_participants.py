"""`portico participants erase`, on the database of a server that is not even running."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Transaction
from tests.cli.test_main import _is_one_sentence, _run
from tests.factories import NOW, a_participant, a_room, row
from tests.recorded import gone

UNKNOWN = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"


def two_people(tx: Transaction) -> tuple[str, str]:
    """One who has left, and one who has not."""
    room_id = a_room(tx)
    left, there = (a_participant(tx, room_id, context="Alice").participant_id for _ in range(2))
    gone(tx, left, now=NOW)
    return left, there


async def test_one_who_left_is_erased_and_others_are_not(sqlite_url: str, tmp_path: Path) -> None:
    database = open_database(sqlite_url)
    try:
        left, there = await database.write(two_people)
        done = _run("participants", "erase", left.upper(), DATA_DIR=str(tmp_path))
        assert (done.returncode, done.stdout) == (0, f"The data of the participant {left} are erased.\n")
        for participant_id, named in ((there, "once they have left"), (UNKNOWN, UNKNOWN), ("x", "no participant x")):
            _is_one_sentence(_run("participants", "erase", participant_id, DATA_DIR=str(tmp_path)), named)
        read = partial(row, table=schema.room_participants)
        contexts = [(await database.read(partial(read, row_id=each))).context for each in (left, there)]
        assert contexts == [None, "Alice"]
        audit = _run("keys", "audit", DATA_DIR=str(tmp_path)).stdout.split("\t")
        assert audit[1:4] == ["-", "participants erase", left]
        assert audit[0].startswith(datetime.now(UTC).strftime("%Y-"))
    finally:
        await database.close()
