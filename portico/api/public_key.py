"""The key that receivers verify webhooks with, an operation of ours: the hosted service shows it in its portal."""

from starlette.responses import Response

from portico.api import render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core.webhook import public_key

router = Router("Webhooks")


@router.get("/public_key", operation("GetPublicKey", "Retrieve the public key", 200, "PublicKey", scopes=()))
async def retrieve(call: Call) -> Response:
    """The key that signs webhooks now and, during a rotation, the next one: receivers should accept both."""
    now, keys = call.now(), call.context.webhook_keys
    coming = keys.next(now)
    announced = coming and {"public": public_key(coming.private), "active_from": render.instant(coming.active_from)}
    members = {
        "public": public_key(keys.current(now)),
        "next": announced,
        "record_type": "public_key",
    }
    return JSONResponse({"data": members})
