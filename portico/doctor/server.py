"""Examines whether `portico serve` runs with these settings, and what its /readyz reports."""

from dataclasses import dataclass

import aiohttp

from portico.config.settings import Settings
from portico.doctor.finding import Finding, note, ok, problem
from portico.doctor.probes import reason
from portico.doctor.subject import Subject, running_pid

AREA = "server"
ANSWER_SECS = 6.0
"""The server checks its parts for up to 3 s before it answers."""
_ANSWER_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class ReadyzAnswer:
    """The answer to a request for /readyz; `status` is None without one, and `reason` says why there is none."""

    status: int | None
    body: object = None
    reason: str = ""


async def check(subject: Subject) -> list[Finding]:
    """Request /readyz from the server itself, not through a proxy."""
    address = local_url(subject.settings)
    return judge(await _readiness(f"{address}/readyz"), address, running_pid(subject.settings))


def judge(answer: ReadyzAnswer, address: str, pid: int | None) -> list[Finding]:
    """Findings about the answer. `pid` is the process that holds DATA_DIR; None if none does."""
    process = f" (process {pid})" if pid is not None else ""
    if answer.status is None:
        if pid is not None:
            text = f"A server holds DATA_DIR{process} and does not answer on {address}: {answer.reason}."
            remedy = (
                "Look into its log; if it was started with another PORTICO_HOST or PORTICO_PORT, give them here too."
            )
            return [problem(AREA, text, remedy)]
        return [note(AREA, f"No server runs with these settings: nothing answers on {address}.")]
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == 200 and body.get("status") == "ready":
        return [ok(AREA, f"The server runs{process} and is ready.")]
    reasons = body.get("reasons")
    if answer.status == 503 and isinstance(reasons, dict):
        remedy = "The log of the server has the details."
        return [
            problem(AREA, f"The server runs{process} and is not ready: {reason}", remedy) for reason in reasons.values()
        ]
    return [
        problem(
            AREA,
            f"Another program answers on {address}, not Portico.",
            "Stop that program, or choose another PORTICO_PORT.",
        )
    ]


def local_url(settings: Settings) -> str:
    """http://HOST:PORT of the server, with 127.0.0.1 where it listens on all addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(settings.listen_host, settings.listen_host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def _readiness(url: str) -> ReadyzAnswer:
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url, allow_redirects=False) as answer:
            try:
                body = await answer.json(content_type=None) if (answer.content_length or 0) < _ANSWER_BYTES else None
            except (ValueError, aiohttp.ClientError):
                body = None
            return ReadyzAnswer(answer.status, body)
    except TimeoutError:
        return ReadyzAnswer(None, reason=f"no answer within {ANSWER_SECS:g} s")
    except OSError as error:  # a ClientConnectorError too
        return ReadyzAnswer(None, reason=reason(error))
    except aiohttp.ClientError:
        return ReadyzAnswer(0)  # what answers does not speak HTTP
