"""Whole conversations, recorded with the official SDK in Chromium and real Janus, replayed through the dialect."""

import gzip
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from portico.signaling.control import MediaRoom
from portico.signaling.wire import OWN_PREFIX
from tests.signaling.conversation import Conversation, to_client, to_janus

TRANSCRIPTS = sorted((Path(__file__).parents[1] / "transcripts").glob("*.jsonl.gz"))
Lines = list[dict[str, Any]]


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_browser_receives_what_the_sdk_was_seen_to_accept(path: Path) -> None:
    received, _, lines = replay(path)
    for connection, messages in received.items():
        end = _goodbyes(lines).get(connection, math.inf)
        recorded = [line["m"] for line in lines if line["d"] == "S>C" and line["c"] == connection and line["t"] < end]
        # The recording's operator ended some connections with a status code of its own accord.
        recorded = [message for message in recorded if "status_code" not in message]
        assert len(recorded) > 50
        recorded[0] = {
            **recorded[0],
            "portico": {"ice_servers": []},
        }  # an addition of ours, which the SDK does not read
        for ours, theirs in itertools.zip_longest(messages, recorded):
            assert ours == theirs


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_janus_receives_nothing_but_what_is_allowed(path: Path) -> None:
    _, forwarded, lines = replay(path)
    room = next(line["m"] for line in lines if line["d"] == "ROOM")[0]["room"]
    for connection, messages in forwarded.items():
        requests = [line["m"] for line in lines if line["d"] == "C>S" and line["c"] == connection]
        in_order = [message["transaction"] for message in messages if not _own(message)]
        everything = [message["transaction"] for message in requests]
        assert in_order == [transaction for transaction in everything if transaction in set(in_order)]
        for message in messages:
            assert "client_token" not in message
            body = message.get("body", {})
            assert body.get("room", room) == room
            assert not body.keys() & {"id", "secret", "record", "filename", "rec_dir", "admin_key", "token", "pin"}
            if "display" in body and not _own(message):
                original = next(one for one in requests if one["transaction"] == message["transaction"])
                assert body["display"] == original["body"]["display"]


def test_there_are_transcripts_of_both_versions() -> None:
    names = " ".join(path.name for path in TRANSCRIPTS)
    assert "janus-1.1.2" in names
    assert "janus-1.4.1" in names


def replay(path: Path) -> tuple[dict[int, Lines], dict[int, Lines], Lines]:
    """What each browser and Janus would have been sent, and the lines of the recording."""
    with gzip.open(path, "rt") as file:
        lines = [json.loads(line) for line in file]
    room = _room(lines)
    talks: dict[int, Conversation] = defaultdict(lambda: Conversation(room=room))
    asked: dict[int, set[str]] = defaultdict(set)
    received: dict[int, Lines] = defaultdict(list)
    forwarded: dict[int, Lines] = defaultdict(list)
    goodbyes = _goodbyes(lines)
    for line in lines:
        message, connection = line["m"], line.get("c", 0)
        if line["t"] >= goodbyes.get(connection, math.inf):
            continue
        dialect = talks[connection].dialect
        effects = talks[connection].time_passes()  # between any two messages: the words are compared, not their pauses
        if line["d"] == "C>S":
            asked[connection].add(message["transaction"])
            effects += talks[connection].settle(dialect.from_client(message))
        elif line["d"] == "J>P" and message.get("transaction", "") in asked[connection] | {""}:
            effects += talks[connection].settle(dialect.from_janus(message))
        else:
            continue  # including answers to requests that the recording relay made for itself
        received[connection] += to_client(effects)
        forwarded[connection] += to_janus(effects)
    return received, forwarded, lines


def _goodbyes(lines: Lines) -> dict[int, float]:
    """When each browser left: the relay of the recording let Janus answer, we do so ourselves and close."""
    return {line["c"]: line["t"] for line in lines if line["d"] == "C>S" and line["m"]["janus"] == "destroy"}


def _room(lines: Lines) -> MediaRoom:
    video, _, text = next(line["m"] for line in lines if line["d"] == "ROOM")
    uuid = next(
        line["m"]["body"]["room"]
        for line in lines
        if line["d"] == "C>S" and line["m"].get("body", {}).get("request") == "setup"
    )
    return MediaRoom(uuid, video["room"], text["room"], "secret")


def _own(message: dict[str, Any]) -> bool:
    return str(message["transaction"]).startswith(OWN_PREFIX)
