"""Query strings of lists: the filters of each list, and the reading of page, filters and flags."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from portico.core import filters, paging
from portico.core.errors import Fault, Invalid
from portico.core.filters import Attribute, Condition
from portico.core.paging import Page
from portico.services import compositions
from portico.services.webhook_log import ATTEMPT_TEXT
from portico.services.webhooks import DELIVERED, FAILED, PENDING


def _created(noun: str) -> Attribute:
    return Attribute("date_created_at", "created_at", "date", f"When the {noun} was created.")


def _updated(noun: str) -> Attribute:
    return Attribute("date_updated_at", "updated_at", "date", f"When the {noun} was last changed.")


ROOMS = (
    _created("room"),
    _updated("room"),
    Attribute("unique_name", "unique_name", "text", "The room's name, exactly."),
)
SESSIONS_OF_ROOM = (
    _created("session"),
    _updated("session"),
    Attribute("date_ended_at", "ended_at", "date", "When the session ended; active sessions never match."),
    Attribute("active", "active", "boolean", "Whether the session is going on."),
)
SESSIONS = (*SESSIONS_OF_ROOM, Attribute("room_id", "room_id", "uuid", "The session's room."))
PARTICIPANTS_OF_SESSION = (
    Attribute("date_joined_at", "joined_at", "date", "When the participant joined."),
    _updated("participant"),
    Attribute("date_left_at", "left_at", "date", "When the participant left; those present never match."),
    Attribute("context", "context", "text", "The text that the client gave at joining, exactly."),
)
PARTICIPANTS = (
    *PARTICIPANTS_OF_SESSION,
    Attribute("session_id", "session_id", "uuid", "The participant's session."),
)

RECORDINGS = (
    Attribute(
        "date_ended_at", "ended_at", "date", "When the last media arrived; a recording that goes on never matches."
    ),
    Attribute("date_started_at", "started_at", "date", "When the first media arrived."),
    Attribute("room_id", "room_id", "uuid", "The recording's room."),
    Attribute("participant_id", "participant_id", "uuid", "The recorded participant."),
    Attribute("session_id", "session_id", "uuid", "The recording's session."),
    Attribute("status", "status", "text", "`processing` or `completed`."),
    Attribute("type", "type", "text", "`audio` or `video`."),
    Attribute(
        "duration_secs",
        "duration_secs",
        "at_least",
        "At least so many seconds long; a recording that goes on never matches.",
    ),
)
COMPOSITIONS = (
    _created("composition"),
    Attribute("session_id", "session_id", "uuid", "The composition's session."),
    Attribute(
        "status",
        "status",
        "choice",
        "What has become of the composition.",
        (compositions.COMPLETED, compositions.PROCESSING, compositions.ENQUEUED, compositions.FAILED),
    ),
)

AUDIT_EVENTS = (
    _created("entry"),
    Attribute("key_id", "key_id", "uuid", "The API key that was used."),
    Attribute("operation", "operation", "text", "The operation's id in this document, exactly."),
    Attribute("object_id", "object_id", "text", "What was changed."),
)

_STATUSES = (PENDING, DELIVERED, FAILED)
DELIVERIES_TO_REPLAY = (
    Attribute("status", "status", "choice", "What has become of the delivery.", _STATUSES, shows_operator=True),
    Attribute("event_type", "event_type", "texts", "One type of event, or several separated by commas."),
    Attribute("started_at", "started_at", "date", "When the delivery was first tried."),
    Attribute("room_id", "room_id", "uuid", "The room that the event is about."),
)
DELIVERIES = (
    *DELIVERIES_TO_REPLAY,
    Attribute("finished_at", "finished_at", "date", "When it was delivered or given up; pending ones never match."),
    Attribute("webhook", "data", "part", "Text within the event's JSON, in the same case.", shows_operator=True),
    Attribute(
        "attempts", ATTEMPT_TEXT, "part", "Text within any attempt: URL, headers, answer or error.", shows_operator=True
    ),
)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a request for a list."""

    page: Page
    conditions: tuple[Condition, ...]
    flags: frozenset[str]
    names_page: bool
    """Whether the request names a page; `page` is the first one if not."""


def read_list(request: Request, attributes: Sequence[Attribute], flags: Sequence[str] = ()) -> ListQuery:
    """Read page and filters of a request for a list. Raises Invalid with every wrong parameter."""
    parameters = request.query_params.multi_items()
    page, wrong_page = paging.parse(parameters)
    conditions, wrong_filters = filters.parse(parameters, attributes)
    chosen, wrong_flags = filters.parse_flags(parameters, flags)
    if faults := [*wrong_filters, *wrong_flags, *wrong_page]:
        raise Invalid(*faults)
    names_page = any(name in paging.PARAMETERS for name, _ in parameters)
    return ListQuery(page, conditions, chosen, names_page)


def expect_known(request: Request) -> None:
    """Check, before many recordings are deleted, that no parameter is misspelt; read_list checks the filters.

    Raises Invalid with every parameter in brackets that is neither a filter nor a page.
    """
    names = [name for name, _ in request.query_params.multi_items() if "[" in name or "]" in name]
    unknown = [name for name in names if name not in paging.PARAMETERS and "filter" not in name.lower()]
    if unknown:
        detail = "There is no such parameter here."
        raise Invalid(*(Fault("10031", "Invalid request filter", detail, parameter=name) for name in unknown))


def read_flags(request: Request, *names: str) -> frozenset[str]:
    """The include flags that are on; raises Invalid."""
    chosen, faults = filters.parse_flags(request.query_params.multi_items(), names)
    if faults:
        raise Invalid(*faults)
    return chosen
