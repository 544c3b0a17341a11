"""Copies an account of the hosted service: rooms, sessions, participants, recordings and compositions, ids kept."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from portico.app.hosted_api import FileRefused, HostedApi
from portico.app.migrate_store import Show
from portico.core import object_keys
from portico.db.engine import Database
from portico.services import importing
from portico.services.importing import FetchedFile
from portico.storage.store import Store

SHOW_EACH = 250
"""Progress is shown after this many rows."""


class Import:
    """One run of the import. It skips what an earlier run has copied."""

    def __init__(self, api: HostedApi, db: Database, store: Store, account_id: str, folder: Path, show: Show) -> None:
        self._api = api
        self._db = db
        self._store = store
        self._account_id = account_id
        self._folder = folder
        self._show = show
        self.left_out: list[str] = []
        """Sentences about what was not copied, because it has no file or its session goes on."""

    async def run(self) -> None:
        """Copy everything, in the order in which rows refer to each other."""
        await self._rows("rooms", importing.room)
        await self._rows("room_sessions", importing.session)
        await self._rows("room_participants", importing.participant)
        await self._files("room_recordings", importing.has_recording, importing.recording_key, importing.recording)
        await self._files("room_compositions", importing.has_composition, _composition_key, importing.composition)

    async def _rows(self, path: str, insert: Callable[..., bool]) -> None:
        seen = new = 0
        async for members in self._api.each(f"/{path}"):
            seen += 1
            new += await self._db.write(partial(insert, account_id=self._account_id, members=members))
            if seen % SHOW_EACH == 0:
                self._show(f"{path}: {seen} read, {new} new")
        self._show(f"{path}: {seen} read, {new} new")

    async def _files(
        self,
        path: str,
        has: Callable[..., bool],
        key_of: Callable[[dict[str, Any]], str],
        insert: Callable[..., bool],
    ) -> None:
        seen = new = 0
        async for listed in self._api.each(f"/{path}"):
            seen += 1
            if await self._db.read(lambda tx, row_id=listed["id"]: has(tx, row_id)):  # type: ignore[misc]
                continue
            members = await self._api.one(f"/{path}/{listed['id']}")  # with a download link that is good now
            if members.get("status") != "completed" or not members.get("download_url"):
                self.left_out.append(f"{path} {listed['id']} has no file yet")
                continue
            try:
                file = await self._fetch(members["download_url"], key_of(members))
            except FileRefused as error:
                self.left_out.append(f"{path} {listed['id']}: {error}")
                continue
            added = await self._db.write(partial(insert, account_id=self._account_id, members=members, file=file))
            new += added
            if added:
                self._show(f"{path}: {listed['id']}, {file.size_bytes} bytes")
            else:
                await self._store.delete(file.object_key)
                self.left_out.append(f"{path} {listed['id']}: its session goes on")
        self._show(f"{path}: {seen} read, {new} new")

    async def _fetch(self, url: str, key: str) -> FetchedFile:
        with tempfile.TemporaryDirectory(prefix="import-", dir=self._folder) as folder:
            path = Path(folder) / "file"
            size, sha256 = await self._api.download(url, path)
            await self._store.put(path, key, object_keys.content_type(key), sha256)
        return FetchedFile(key, size, sha256)


def _composition_key(members: dict[str, Any]) -> str:
    return object_keys.composition_key(members["id"])
