"""The application that the listening socket serves: REST, health checks, metrics, pages, files and signaling."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from portico.api import health
from portico.api.app import add_api
from portico.app.metrics import registry_of
from portico.app.parts import Parts
from portico.config.settings import Settings
from portico.db.statements import ping
from portico.runtime.supervised import Supervised
from portico.web import files, invitations, pages


def application(settings: Settings, parts: Parts) -> Starlette:
    """The routes of everything, over these parts."""
    app = Starlette()
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

    async def database_answers() -> str | None:
        await parts.db.read(ping)
        return None

    async def janus_answers() -> str | None:
        return None if parts.node.is_up else "The media server is being restarted."

    async def media_has_room() -> str | None:
        return parts.node.shortage()

    async def descriptors_are_left() -> str | None:
        return "the reserve is reached" if parts.connections.descriptors.are_short() else None

    async def is_not_stopping() -> str | None:
        return "The server is stopping." if parts.gateway.is_draining else None

    def child_check(program: Supervised) -> health.ReadinessCheck:
        async def is_up() -> str | None:
            return program.state.reason

        return is_up

    checks: dict[str, health.ReadinessCheck] = {
        "server": is_not_stopping,
        "database": database_answers,
        "janus": janus_answers,
        "media": media_has_room,
        "storage": parts.storage.store.check,
        "descriptors": descriptors_are_left,
    }
    checks |= {program.name: child_check(program) for program in parts.children}
    metrics = registry_of(parts)
    find_key, are_metrics_public = app.state.api.key_ring.find, settings.metrics_public

    def versions() -> dict[str, str | None]:
        return {program.name: program.state.version for program in parts.children}

    app.routes.extend(
        health.routes(checks, metrics, versions, find_key=find_key, are_metrics_public=are_metrics_public)
    )
    app.routes.extend(pages.routes(base_url=settings.base_url))
    app.routes.extend(invitations.routes(parts.db, parts.keys, parts.clock, settings.join_limit, settings.base_url))
    app.routes.extend(files.routes(parts.db, parts.storage.store, parts.storage.link_keys, parts.clock))
    app.routes.append(WebSocketRoute("/check/socket", parts.checks))
    app.routes.append(WebSocketRoute("/{room_id}/janus", parts.gateway))
    return app
