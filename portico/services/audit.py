"""The audit log: what was changed with which API key, written in the transaction of the change itself."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import true

from portico.core.filters import Condition
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import Prepared
from portico.runtime.ids import new_id
from portico.services.listing import Listed, matching, page_of
from portico.services.rows import AUDIT_ROWS, AuditEvent

AUDIT = schema.audit_events
DETAIL_MAX = 500
_INSERT = Prepared(AUDIT.insert())


def record(
    tx: Transaction,
    *,
    account_id: str | None,
    key_id: str | None,
    operation: str,
    object_id: str | None,
    request_id: str | None = None,
    detail: str | None = None,
    now: datetime,
) -> None:
    """Write an entry about a change. `key_id` is None for the command line; `detail` is cut to DETAIL_MAX."""
    row = {
        "id": new_id(),
        "account_id": account_id,
        "key_id": key_id,
        "operation": operation,
        "object_id": object_id,
        "request_id": request_id,
        "detail": None if detail is None else detail[:DETAIL_MAX],
        "created_at": now,
    }
    _INSERT.run(tx, row)


def list_events(
    tx: Transaction, account_id: str | None, page: Page, conditions: Sequence[Condition] = ()
) -> Listed[AuditEvent]:
    """Entries of the account, or of all accounts with None; newest first."""
    owned = true() if account_id is None else AUDIT.c.account_id == account_id
    where = [owned, *matching(AUDIT, conditions)]
    return page_of(tx, AUDIT, where, page, AUDIT_ROWS.select(), AUDIT.c.created_at, AuditEvent)
