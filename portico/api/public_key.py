"""The key with which receivers check webhooks, an operation of ours: the hosted service shows it in its portal."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from portico.api import render
from portico.api.context import AccountId, Api
from portico.api.openapi import operation
from portico.core.webhook import public_key

router = APIRouter(prefix="/v2", tags=["Webhooks"])


@router.get("/public_key", **operation("GetPublicKey", "Retrieve the public key", 200, "PublicKey", scopes=()))
async def retrieve(api: Api, account_id: AccountId) -> Response:
    """What signs webhooks now, and what will from when on: let receivers accept both as soon as `next` is there."""
    now = api.clock()
    coming = api.webhook_keys.next(now)
    announced = coming and {"public": public_key(coming.private), "active_from": render.instant(coming.active_from)}
    members = {
        "public": public_key(api.webhook_keys.current(now)),
        "next": announced,
        "record_type": "public_key",
    }
    return JSONResponse({"data": members})
