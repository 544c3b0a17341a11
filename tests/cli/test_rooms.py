"""`portico rooms link`, on the database of a server that is not even running."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from portico.core.errors import NotFound
from portico.db.connect import open_database
from portico.db.engine import Transaction
from portico.services import meetings, rooms, tokens
from tests.cli.test_main import Done, _is_one_sentence, _run
from tests.factories import NOW, a_room, an_account

UNKNOWN = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
BASE_URL = "https://video.example.com"


async def test_the_link_is_printed_and_a_new_one_makes_it_void(sqlite_url: str, tmp_path: Path) -> None:
    def command(*arguments: str) -> Done:
        return _run("rooms", "link", *arguments, DATA_DIR=str(tmp_path), PUBLIC_URL=BASE_URL)

    database = open_database(sqlite_url)
    try:
        room_id, other = [await database.write(a_room) for _ in range(2)]
        keys = await database.write(partial(tokens.load_keys, now=NOW))
        first, again = command(room_id.upper()), command(room_id)
        assert (first.returncode, first.stdout) == (0, f"{BASE_URL}/meet/{room_id}#{tokens.invite(keys, room_id)}\n")
        assert again.stdout == first.stdout
        new = command(room_id, "--new")
        assert new.stdout == command(room_id).stdout != first.stdout

        def check(tx: Transaction) -> None:
            void, valid = (done.stdout.strip().partition("#")[2] for done in (first, new))
            assert tokens.redeem(tx, keys, room_id, valid, now=NOW).token
            with pytest.raises(NotFound):
                tokens.redeem(tx, keys, room_id, void, now=NOW)
            assert meetings.link_of(tx, keys, other, BASE_URL).generation == 0
            rooms.delete(tx, an_account(tx), other, now=NOW)

        await database.write(check)
        for gone in (other, UNKNOWN, "x"):
            for arguments in ([gone], [gone, "--new"]):
                _is_one_sentence(command(*arguments), gone)
        audit = _run("keys", "audit", DATA_DIR=str(tmp_path)).stdout
        assert audit.count("\n") == 1, "printing a link changes nothing"
        assert audit.split("\t")[1:5] == ["-", "rooms link", room_id, "generation: 1"]
        assert audit.startswith(datetime.now(UTC).strftime("%Y-"))
    finally:
        await database.close()
