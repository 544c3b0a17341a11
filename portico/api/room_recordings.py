"""Endpoints of recordings, one by one and in bulk."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import queries, render
from portico.api.context import AccountId, Api, Context
from portico.api.openapi import operation
from portico.api.paths import RoomRecordingId
from portico.api.queries import ListQuery
from portico.services import recordings

router = APIRouter(prefix="/v2", tags=["Room Recordings"])


@router.get(
    "/room_recordings",
    **operation("ListRoomRecordings", "List recordings", 200, "RoomRecordings", filters=queries.RECORDINGS),
)
async def list_recordings(request: Request, api: Api, account_id: AccountId) -> Response:
    """Recordings of all sessions of your account, newest first, also of deleted rooms."""
    query = queries.read_list(request, queries.RECORDINGS)
    listed = await api.db.read(
        partial(recordings.list_recordings, account_id=account_id, page=query.page, conditions=query.conditions)
    )
    shown = await render.with_links(render.recording, listed.items, api.link)
    return queries.list_answer(shown, query.page, listed.total_results)


@router.get(
    "/room_recordings/{room_recording_id}",
    **operation("ViewRoomRecording", "Retrieve a recording", 200, "RoomRecording"),
)
async def retrieve(api: Api, account_id: AccountId, room_recording_id: RoomRecordingId) -> Response:
    """One recording of your account, with a fresh download link once its file is there."""
    read = partial(recordings.retrieve, account_id=account_id, recording_id=room_recording_id)
    (shown,) = await render.with_links(render.recording, [await api.db.read(read)], api.link)
    return JSONResponse({"data": shown})


@router.delete("/room_recordings/{room_recording_id}", **operation("DeleteRoomRecording", "Delete a recording", 204))
async def delete(api: Api, account_id: AccountId, room_recording_id: RoomRecordingId) -> Response:
    """The recording and its file go for good. One that is going on is not kept, and its completion is not told."""
    await api.db.write(
        partial(recordings.delete, account_id=account_id, recording_id=room_recording_id, now=api.clock())
    )
    return Response(status_code=204)


@router.delete(
    "/room_recordings",
    **operation(
        "DeleteRoomRecordings", "Delete many recordings", 201, "DeletedRoomRecordings", filters=queries.RECORDINGS
    ),
)
async def delete_many(request: Request, api: Api, account_id: AccountId) -> Response:
    """Every completed recording that matches all filters; without filters all of your account. With a page, those
    that the list shows on this page. What is not completed stays and is not counted.
    Filters that nobody knows are refused: a misspelt one would delete more than was meant."""
    queries.expect_known(request)
    query = queries.read_list(request, queries.RECORDINGS)
    delete_them = _delete_page if query.names_page else _delete_all
    deleted = await delete_them(api, account_id, query)
    return JSONResponse({"data": {"room_recordings": deleted}}, 201)


async def _delete_page(api: Context, account_id: str, query: ListQuery) -> int:
    return await api.db.write(
        partial(
            recordings.delete_page,
            account_id=account_id,
            page=query.page,
            conditions=query.conditions,
            now=api.clock(),
        )
    )


async def _delete_all(api: Context, account_id: str, query: ListQuery) -> int:
    """In steps, each a transaction of its own: others may write in between, and what is deleted stays deleted."""
    deleted, more = 0, True
    step = partial(recordings.delete_some, account_id=account_id, conditions=query.conditions, now=api.clock())
    while more:
        count, more = await api.db.write(step)
        deleted += count
    return deleted
