"""The audit log over HTTP, an operation of ours: the hosted service shows nothing of the kind."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico.api import lists, queries, render
from portico.api.context import AccountId, Api
from portico.api.openapi import operation
from portico.core.scopes import READ
from portico.services import audit

router = APIRouter(prefix="/v2", tags=["Audit log"])


@router.get(
    "/audit_events",
    **operation("ListAuditEvents", "List changes", 200, "AuditEvents", filters=queries.AUDIT_EVENTS, scopes=[READ]),
)
async def list_events(request: Request, api: Api, account_id: AccountId) -> Response:
    """What was changed in your account and with which key, newest first. Each entry is written together with its
    change. Client tokens are no entries: making one changes nothing."""
    query = queries.read_list(request, queries.AUDIT_EVENTS)
    fetch = partial(audit.list_events, account_id=account_id, page=query.page, conditions=query.conditions)
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.audit_event)
