"""The REST API alone in a process, for `script/bench rest`: on SQLite, with a constant answer of the same stack beside.

    python -m benchmarks.rest_server FOLDER [--core 0]

prints one JSON line with port, key and a room's id when it serves, and runs until its stdin ends.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response

from portico.api import render
from portico.api.answers import JSONResponse
from portico.api.app import add_api
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Operations, Router
from portico.app.serve import leave_out_of_collections
from portico.core.model import RoomSettings
from portico.db.connect import open_database
from portico.db.engine import Transaction
from portico.db.migrate import upgrade
from portico.runtime import logs
from portico.services import api_keys, rooms, tokens, webhook_keys

ACCOUNT = "bench"


def _first_rows(tx: Transaction) -> tuple[tokens.TokenKeys, str, dict[str, Any]]:
    now = datetime.now(UTC)
    account_id = api_keys.account_named(tx, ACCOUNT, now)
    room = rooms.create(tx, account_id, RoomSettings(), now=now)
    return tokens.load_keys(tx, now), api_keys.create(tx, ACCOUNT, now), render.room(room)


async def serve(folder: Path) -> None:
    """As `portico serve` does it, but without gateway, worker and media server."""
    db = open_database(f"sqlite:///{folder}/portico.db")
    upgrade(db.engine)
    keys, key, room = await db.write(_first_rows)
    app = Starlette()
    of_webhooks = await db.write(partial(webhook_keys.load, setting=None, folder=folder, now=datetime.now(UTC)))
    add_api(app, db, keys, of_webhooks, clock=partial(datetime.now, UTC), link=lambda key, _: f"http://x/{key}")

    router = Router("Rooms")

    @router.post("/constant", operation("Constant", "Answer always the same", 201, "Room", body=(), scopes=()))
    async def constant(call: Call) -> Response:
        return JSONResponse({"data": room}, 201)

    app.user_middleware.append(Middleware(Operations, routes=router.routes))  # within the layers of the others
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    leave_out_of_collections()
    print(json.dumps({"port": listening.getsockname()[1], "key": key, "room_id": room["id"]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
    await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    logs.configure("info", "text")  # a line for each request, as by default
    uvloop.run(serve(arguments.folder))


if __name__ == "__main__":
    main()
