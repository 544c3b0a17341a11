"""Endpoints of recordings, one by one and in bulk."""

from functools import partial

from starlette.responses import Response

from portico.api import lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.queries import ListQuery
from portico.api.routing import Router
from portico.core.scopes import READ, RECORDINGS
from portico.services import recordings

router = Router("Room Recordings")


@router.get(
    "/room_recordings",
    operation(
        "ListRoomRecordings",
        "List recordings",
        200,
        "RoomRecordings",
        filters=queries.RECORDINGS,
        scopes=[READ, RECORDINGS],
    ),
)
async def list_recordings(call: Call) -> Response:
    """Recordings of all sessions of your account, newest first, also of deleted rooms."""
    query = queries.read_list(call.request, queries.RECORDINGS)
    fetch = partial(
        recordings.list_recordings, account_id=call.account_id, page=query.page, conditions=query.conditions
    )
    show = partial(
        render.recording, link=call.context.link
    )  # in a thread: a store may ask for credentials before it signs
    return await lists.list_answer(call, query.page, fetch, show)


@router.get(
    "/room_recordings/{room_recording_id}",
    operation("ViewRoomRecording", "Retrieve a recording", 200, "RoomRecording", scopes=[READ, RECORDINGS]),
)
async def retrieve(call: Call) -> Response:
    """One recording of your account, with a fresh download link once its file is there."""
    read = partial(recordings.retrieve, account_id=call.account_id, recording_id=call.object_id)
    (shown,) = await render.with_links(render.recording, [await call.read(read)], call.context.link)
    return JSONResponse({"data": shown})


@router.delete(
    "/room_recordings/{room_recording_id}",
    operation("DeleteRoomRecording", "Delete a recording", 204, scopes=[RECORDINGS]),
)
async def delete(call: Call) -> Response:
    """Delete the recording and its file. One that is going on is not kept, and has no webhook of its completion."""
    forget = partial(recordings.delete, account_id=call.account_id, recording_id=call.object_id, now=call.now())
    await call.change(forget)
    return Response(status_code=204)


@router.delete(
    "/room_recordings",
    operation(
        "DeleteRoomRecordings",
        "Delete many recordings",
        201,
        "DeletedRoomRecordings",
        filters=queries.RECORDINGS,
        scopes=[RECORDINGS],
    ),
)
async def delete_many(call: Call) -> Response:
    """Every completed recording that matches all filters; without filters all of your account. With a page, those
    that the list shows on this page. What is not completed stays and is not counted.
    Unknown filters are refused: a misspelt one would delete more than was meant."""
    queries.expect_known(call.request)
    query = queries.read_list(call.request, queries.RECORDINGS)
    delete_them = _delete_page if query.names_page else _delete_all
    deleted = await delete_them(call, query)
    return JSONResponse({"data": {"room_recordings": deleted}}, 201)


async def _delete_page(call: Call, query: ListQuery) -> int:
    delete = partial(recordings.delete_page, account_id=call.account_id, page=query.page, conditions=query.conditions)
    return await call.change(partial(delete, now=call.now()), detail=lambda deleted: f"deleted: {deleted}")


async def _delete_all(call: Call, query: ListQuery) -> int:
    """In steps, each a transaction of its own: others may write in between, and what is deleted stays deleted."""
    deleted, more = 0, True
    step = partial(recordings.delete_some, account_id=call.account_id, conditions=query.conditions, now=call.now())
    while more:
        count, more = await call.change(step, detail=lambda done: f"deleted: {done[0]}")
        deleted += count
    return deleted
