"""The services, keys and settings that endpoints of the API use; add_api puts them on the application's state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from portico.api.auth import KeyRing
from portico.api.render import Link
from portico.db.engine import Database
from portico.services.tokens import TokenKeys
from portico.services.webhook_keys import WebhookKeys

CompositionAudio = Literal["all", "none"]
"""The sound of a composition whose request does not name `audio_sources`."""


@dataclass(frozen=True, slots=True)
class Context:
    """`keys` sign client tokens and `webhook_keys` webhooks; `link` makes a download URL of an object key and a file
    name; `base_url` is where browsers reach this server; the last two are settings of compositions."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    clock: Callable[[], datetime]
    key_ring: KeyRing
    link: Link
    base_url: str
    composition_regions_max: int
    composition_audio: CompositionAudio
