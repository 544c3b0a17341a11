"""The application that the listening socket serves: REST, health checks, metrics, pages, files and signaling."""

from functools import partial

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from portico.api import health
from portico.api.app import add_api
from portico.app.metrics import registry_of
from portico.app.parts import Parts
from portico.config.settings import Settings
from portico.db.statements import ping
from portico.runtime.host import host_id
from portico.runtime.supervised import Supervised
from portico.services import nodes
from portico.web import files, invitations, pages


async def _no_key(header: str | None, address: str) -> object | None:
    """Find no key: a process without the API serves its metrics to this machine, or to all."""
    return None


def application(settings: Settings, parts: Parts) -> Starlette:
    """Make the ASGI application: the routes of all parts that this process has."""
    app = Starlette()
    find_key: health.FindKey = _no_key
    if parts.gateway is not None:
        add_api(
            app,
            parts.db,
            parts.keys,
            parts.webhook_keys,
            clock=parts.clock,
            link=parts.storage.link,
            base_url=settings.base_url,
            composition_regions_max=settings.composition_regions,
            composition_audio=settings.composition_audio,
            rate_limit=settings.rate_limit,
        )
        find_key = app.state.api.key_ring.find

    def versions() -> dict[str, str | None]:
        return {program.name: program.state.version for program in parts.children}

    app.routes.extend(
        health.routes(
            _checks(parts),
            registry_of(parts),
            versions,
            find_key=find_key,
            are_metrics_public=settings.metrics_public,
        )
    )
    if parts.gateway is None or parts.checks is None:
        return app
    app.routes.extend(pages.routes(base_url=settings.base_url))
    app.routes.extend(invitations.routes(parts.db, parts.keys, parts.clock, settings.join_limit, settings.base_url))
    app.routes.extend(files.routes(parts.db, parts.storage.store, parts.storage.link_keys, parts.clock))
    app.routes.append(WebSocketRoute("/check/socket", parts.checks))
    app.routes.append(WebSocketRoute("/{room_id}/janus", parts.gateway))
    return app


def _checks(parts: Parts) -> dict[str, health.ReadinessCheck]:
    """The checks of /readyz, by name. Each returns None, or why the process is not ready."""

    async def database_answers() -> str | None:
        await parts.db.read(ping)
        return None

    async def descriptors_are_left() -> str | None:
        return "the reserve is reached" if parts.connections.descriptors.are_short() else None

    checks: dict[str, health.ReadinessCheck] = {"database": database_answers, "storage": parts.storage.store.check}
    checks["descriptors"] = descriptors_are_left
    of_roles = {"server": _is_not_stopping(parts), "janus": _janus_answers(parts), "media": _has_room(parts)}
    for name, check in of_roles.items():
        if check is not None:
            checks[name] = check

    def child_check(program: Supervised) -> health.ReadinessCheck:
        async def is_up() -> str | None:
            return program.state.reason

        return is_up

    return checks | {program.name: child_check(program) for program in parts.children}


def _is_not_stopping(parts: Parts) -> health.ReadinessCheck | None:
    if (gateway := parts.gateway) is None:
        return None

    async def check() -> str | None:
        return "The server is stopping." if gateway.is_draining else None

    return check


def _janus_answers(parts: Parts) -> health.ReadinessCheck | None:
    """Check that the Janus of this process answers or, in a gateway without one, that a media node is available."""
    if (janus := parts.node) is not None:

        async def is_up() -> str | None:
            return None if janus.is_up else "The media server is being restarted."

        return is_up
    if parts.gateway is None:
        return None

    async def any_node() -> str | None:
        pick = partial(nodes.pick, host=host_id(), prefer=None, now=parts.clock())
        return None if await parts.db.read(pick) is not None else "No media node is available."

    return any_node


def _has_room(parts: Parts) -> health.ReadinessCheck | None:
    if (janus := parts.node) is None:
        return None

    async def check() -> str | None:
        return janus.shortage()

    return check
