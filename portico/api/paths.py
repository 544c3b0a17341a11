"""Identifiers in paths: UUIDs in either case; anything else names nothing."""

from typing import Annotated

from fastapi import Depends, Path

from portico.core.casting import parse_uuid
from portico.core.errors import NotFound


def _known(text: str) -> str:
    found = parse_uuid(text)
    if found is None:
        raise NotFound
    return found


async def _room_id(room_id: Annotated[str, Path(description="The room's id.")]) -> str:
    return _known(room_id)


async def _room_session_id(room_session_id: Annotated[str, Path(description="The session's id.")]) -> str:
    return _known(room_session_id)


async def _room_participant_id(room_participant_id: Annotated[str, Path(description="The participant's id.")]) -> str:
    return _known(room_participant_id)


async def _room_recording_id(room_recording_id: Annotated[str, Path(description="The recording's id.")]) -> str:
    return _known(room_recording_id)


async def _room_composition_id(room_composition_id: Annotated[str, Path(description="The composition's id.")]) -> str:
    return _known(room_composition_id)


async def _webhook_delivery_id(webhook_delivery_id: Annotated[str, Path(description="The delivery's id.")]) -> str:
    return _known(webhook_delivery_id)


RoomId = Annotated[str, Depends(_room_id)]
RoomSessionId = Annotated[str, Depends(_room_session_id)]
RoomParticipantId = Annotated[str, Depends(_room_participant_id)]
RoomRecordingId = Annotated[str, Depends(_room_recording_id)]
RoomCompositionId = Annotated[str, Depends(_room_composition_id)]
WebhookDeliveryId = Annotated[str, Depends(_webhook_delivery_id)]
