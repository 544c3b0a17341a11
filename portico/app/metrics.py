"""The figures that GET /metrics shows, each read from its part of the program when it is asked for."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from portico.app.parts import Parts
from portico.listener.connections import CAUSES, REFUSALS
from portico.runtime.supervised import Supervised


def registry_of(parts: Parts) -> CollectorRegistry:
    """Make the registry of all metrics. Counters of this process begin at 0 when it starts."""
    registry = CollectorRegistry()

    def capacity(name: str) -> float:
        """Read a member of Janus' capacity; NaN without a Janus, for a remote one and during a restart."""
        return math.nan if parts.node is None else float(getattr(parts.node.capacity(), name, math.nan))

    figures: list[tuple[str, str, Callable[[], float]]] = [
        ("portico_jobs_running", "Jobs that run now: conversions, compositions, deletions", lambda: parts.jobs.running),
        ("portico_sockets", "Connections to the listening socket", lambda: parts.connections.count),
        ("portico_sockets_without_token", "Those without a token or key", lambda: parts.connections.anonymous_count),
        ("portico_open_files", "File descriptors in use", parts.connections.descriptors.count),
        ("portico_open_files_max", "File descriptors at most", lambda: parts.connections.descriptors.limit),
    ]
    if (worker := parts.worker) is not None:
        figures.append(("portico_deliveries_in_flight", "Webhook deliveries being sent now", lambda: worker.in_flight))
    if (gateway := parts.gateway) is not None:
        calls = gateway.registry
        figures += [
            ("portico_connections", "Signaling connections that are in a room", lambda: calls.connection_count),
            ("portico_rooms_occupied", "Rooms with a connection", lambda: len(calls.occupied)),
            ("portico_sockets_joining", "Those with a token that have not joined", lambda: gateway.joining.count),
        ]
    if (node := parts.node) is not None:
        figures += [
            ("portico_recording_paused", "1 while the disk has no room", lambda: float(parts.recording_paused())),
            ("portico_janus_ports_used", "Media ports that are bound", lambda: capacity("ports_used")),
            ("portico_janus_ports_total", "Media ports in all", lambda: capacity("ports_total")),
            ("portico_janus_descriptors", "File descriptors of Janus", lambda: capacity("descriptors_used")),
            ("portico_janus_descriptors_total", "File descriptors at most", lambda: capacity("descriptors_total")),
            ("portico_janus_events", "1 while the media server reports events", lambda: float(node.reports_events)),
            ("portico_janus_up", "1 while the media server answers", lambda: float(node.is_up)),
        ]
    if (relay := parts.relay) is not None:
        figures += [
            ("portico_relay_addresses_used", "Relay addresses that browsers hold", lambda: relay.addresses_used),
            ("portico_relay_addresses_total", "Relay addresses in all", lambda: relay.addresses_total),
        ]
    for name, text, figure in figures:
        Gauge(name, text, registry=registry).set_function(figure)
    _children(registry, parts)
    _counts(
        registry,
        "portico_sockets_refused",
        "Connections refused, by the limit",
        REFUSALS,
        parts.connections.refused,
    )
    _counts(registry, "portico_sockets_aborted", "Connections ended by us, by cause", CAUSES, parts.connections.ended)
    return registry


def _children(registry: CollectorRegistry, parts: Parts) -> None:
    """Add the metrics of the supervised programs beside Janus."""
    is_up = Gauge("portico_child_up", "1 while a supervised program answers", ["child"], registry=registry)
    restarts = Gauge("portico_child_restarts", "Times that it was started again", ["child"], registry=registry)
    for program in parts.children:
        is_up.labels(program.name).set_function(partial(_is_up, program))
        restarts.labels(program.name).set_function(partial(_restarts, program))


def _is_up(program: Supervised) -> float:
    return float(program.state.is_up)


def _restarts(program: Supervised) -> float:
    return program.state.restarts


def _counts(registry: CollectorRegistry, name: str, text: str, causes: Iterable[str], counts: Counter[str]) -> None:
    """Make a collector of counts that another part keeps, one count for each cause since the start."""
    gauge = Gauge(name, text, ["cause"], registry=registry)
    for cause in causes:
        gauge.labels(cause).set_function(partial(counts.__getitem__, cause))
