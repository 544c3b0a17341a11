"""The list of the audit log, an operation of ours: the hosted service has none."""

from functools import partial

from starlette.responses import Response

from portico.api import lists, queries, render
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core.scopes import READ
from portico.services import audit

router = Router("Audit log")


@router.get(
    "/audit_events",
    operation("ListAuditEvents", "List changes", 200, "AuditEvents", filters=queries.AUDIT_EVENTS, scopes=[READ]),
)
async def list_events(call: Call) -> Response:
    """Changes in your account and the keys that made them, newest first. Each entry is written together with its
    change. Client tokens are no entries: making one changes nothing."""
    query = queries.read_list(call.request, queries.AUDIT_EVENTS)
    fetch = partial(audit.list_events, account_id=call.account_id, page=query.page, conditions=query.conditions)
    return await lists.list_answer(call, query.page, fetch, render.audit_event)
