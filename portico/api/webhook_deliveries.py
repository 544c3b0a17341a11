"""Endpoints of the log of webhook deliveries, and of delivering once more."""

from collections.abc import Mapping
from functools import partial

from starlette.responses import Response

from portico.api import lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import filters
from portico.core.errors import Fault, Invalid
from portico.core.filters import Condition
from portico.core.scopes import READ, ROOMS
from portico.services import webhook_log, webhooks

router = Router("Webhooks")


@router.get(
    "/webhook_deliveries",
    operation(
        "GetWebhookDeliveries",
        "List webhook deliveries",
        200,
        "WebhookDeliveries",
        filters=queries.DELIVERIES,
        scopes=[READ],
    ),
)
async def list_deliveries(call: Call) -> Response:
    """Deliveries of the events of all rooms of your account, newest first, each with its newest ten attempts."""
    query = queries.read_list(call.request, queries.DELIVERIES)
    fetch = partial(
        webhook_log.list_deliveries, account_id=call.account_id, page=query.page, conditions=query.conditions
    )
    return await lists.list_answer(call, query.page, fetch, render.webhook_delivery)


@router.get(
    "/webhook_deliveries/{webhook_delivery_id}",
    operation("GetWebhookDelivery", "Retrieve a webhook delivery", 200, "WebhookDelivery", scopes=[READ]),
)
async def retrieve(call: Call) -> Response:
    """One delivery of your account with its attempts."""
    read = partial(webhook_log.retrieve_delivery, account_id=call.account_id, delivery_id=call.object_id)
    return await lists.item_answer(call, read, render.webhook_delivery)


@router.post(
    "/webhook_deliveries/{webhook_delivery_id}/actions/replay",
    operation("ReplayWebhookDelivery", "Deliver a webhook once more", 202, "WebhookDelivery", scopes=[ROOMS]),
)
async def replay(call: Call) -> Response:
    """The event is sent again, whether it was delivered or not, from the first round on, to the URLs that its room has
    now. It has the same id; a receiver that has seen it may ignore it."""
    again = partial(webhooks.replay, account_id=call.account_id, delivery_id=call.object_id, now=call.now())
    await call.change(again)
    read = partial(webhook_log.retrieve_delivery, account_id=call.account_id, delivery_id=call.object_id)
    return JSONResponse({"data": render.webhook_delivery(await call.read(read))}, 202)


@router.post(
    "/webhook_deliveries/actions/replay",
    operation(
        "ReplayWebhookDeliveries",
        "Deliver many webhooks once more",
        202,
        "ReplayedWebhookDeliveries",
        body_filters=queries.DELIVERIES_TO_REPLAY,
        scopes=[ROOMS],
    ),
)
async def replay_many(call: Call) -> Response:
    """Every delivery that matches all members of the body, oldest first. Without `status` those that failed.
    Unknown members are refused: a misspelt one would replay more than was meant."""
    conditions, now = _conditions(call.body), call.now()
    replayed, after = 0, 0
    while True:
        find = partial(webhook_log.next_matching, account_id=call.account_id, conditions=conditions)
        find_next = partial(find, now=now, after=after)
        ids, last = await call.context.db.read_list(call.account_id, find_next, lambda found: found)
        if ids or not after:  # the request is an entry of the audit log also when nothing matches
            again = partial(webhook_log.replay_each, account_id=call.account_id, ids=ids, conditions=conditions)
            step = partial(again, now=now)
            replayed += await call.change(step, detail=lambda done: f"replayed: {done}")
        if last is None:
            return JSONResponse({"data": {"webhook_deliveries": replayed}}, 202)
        after = last


def _conditions(body: object) -> tuple[Condition, ...]:
    if not isinstance(body, Mapping):
        raise Invalid(Fault("10027", "Unprocessable Entity", "The request body should be a JSON object."))
    conditions, faults = filters.parse_members(body, queries.DELIVERIES_TO_REPLAY)
    if faults:
        raise Invalid(*faults)
    if any(condition.column == "status" for condition in conditions):
        return conditions
    return (Condition("status", "eq", webhooks.FAILED), *conditions)
