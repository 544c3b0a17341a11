"""A transport for Pipecat pipelines: a bot that takes part in a room (extra `portico-video[pipecat]`; docs/bots.md).

Nothing else of portico.client imports this package, and so nothing else needs Pipecat.
"""

from portico.client.pipecat.transport import (
    PorticoInputTransportMessageFrame,
    PorticoOutputTransportMessageFrame,
    PorticoOutputTransportMessageUrgentFrame,
    PorticoParams,
    PorticoTransport,
)

__all__ = [
    "PorticoInputTransportMessageFrame",
    "PorticoOutputTransportMessageFrame",
    "PorticoOutputTransportMessageUrgentFrame",
    "PorticoParams",
    "PorticoTransport",
]
