"""Endpoints of the log of webhook deliveries, and of delivering once more."""

from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import lists, queries, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api, Caller
from portico.api.openapi import operation
from portico.api.paths import WebhookDeliveryId
from portico.core import filters
from portico.core.errors import Fault, Invalid
from portico.core.filters import Condition
from portico.core.scopes import READ, ROOMS
from portico.services import webhook_log, webhooks

router = APIRouter(prefix="/v2", tags=["Webhooks"])


@router.get(
    "/webhook_deliveries",
    **operation(
        "GetWebhookDeliveries",
        "List webhook deliveries",
        200,
        "WebhookDeliveries",
        filters=queries.DELIVERIES,
        scopes=[READ],
    ),
)
async def list_deliveries(request: Request, api: Api, account_id: AccountId) -> Response:
    """Deliveries of the events of all rooms of your account, newest first, each with its newest ten attempts."""
    query = queries.read_list(request, queries.DELIVERIES)
    fetch = partial(webhook_log.list_deliveries, account_id=account_id, page=query.page, conditions=query.conditions)
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.webhook_delivery)


@router.get(
    "/webhook_deliveries/{webhook_delivery_id}",
    **operation("GetWebhookDelivery", "Retrieve a webhook delivery", 200, "WebhookDelivery", scopes=[READ]),
)
async def retrieve(
    request: Request, api: Api, account_id: AccountId, webhook_delivery_id: WebhookDeliveryId
) -> Response:
    """One delivery of your account with its attempts."""
    read = partial(webhook_log.retrieve_delivery, account_id=account_id, delivery_id=webhook_delivery_id)
    return await lists.item_answer(request, api, account_id, read, render.webhook_delivery)


@router.post(
    "/webhook_deliveries/{webhook_delivery_id}/actions/replay",
    **operation("ReplayWebhookDelivery", "Deliver a webhook once more", 202, "WebhookDelivery", scopes=[ROOMS]),
)
async def replay(api: Api, caller: Caller, webhook_delivery_id: WebhookDeliveryId) -> Response:
    """Whatever became of it, the event is sent again, from the first round on, to the URLs that its room has now.
    It is the same event with the same id; a receiver that knows it already may ignore it."""
    account_id = caller.account_id
    again = partial(webhooks.replay, account_id=account_id, delivery_id=webhook_delivery_id, now=api.clock())
    await api.change(caller, again, webhook_delivery_id)
    read = partial(webhook_log.retrieve_delivery, account_id=account_id, delivery_id=webhook_delivery_id)
    return JSONResponse({"data": render.webhook_delivery(await api.db.read(read))}, 202)


@router.post(
    "/webhook_deliveries/actions/replay",
    **operation(
        "ReplayWebhookDeliveries",
        "Deliver many webhooks once more",
        202,
        "ReplayedWebhookDeliveries",
        body_filters=queries.DELIVERIES_TO_REPLAY,
        scopes=[ROOMS],
    ),
)
async def replay_many(api: Api, caller: Caller, body: Body) -> Response:
    """Every delivery that matches all members of the body, oldest first. Without `status` those that failed.
    Members that nobody knows are refused: a misspelt one would replay more than was meant."""
    conditions, now = _conditions(body), api.clock()
    replayed, after = 0, 0
    while True:
        find = partial(webhook_log.next_matching, account_id=caller.account_id, conditions=conditions)
        ids, last = await api.db.read_list(caller.account_id, partial(find, now=now, after=after), lambda found: found)
        if ids or not after:  # the request is an entry of the audit log also when nothing matches
            again = partial(webhook_log.replay_each, account_id=caller.account_id, ids=ids, conditions=conditions)
            step = partial(again, now=now)
            replayed += await api.change(caller, step, detail=lambda done: f"replayed: {done}")
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
