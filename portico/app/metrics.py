"""The figures that GET /metrics shows, each read from its part of the program when it is asked for."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from portico.app.parts import Parts
from portico.janus.node import JanusNode
from portico.listener.connections import CAUSES, REFUSALS
from portico.runtime.supervised import Supervised

Figure = tuple[str, str, Callable[[], float]]
"""Name and description of a metric, and the function that reads its value."""


def registry_of(parts: Parts) -> CollectorRegistry:
    """Make the registry of all metrics. Counters of this process begin at 0 when it starts."""
    registry = CollectorRegistry()
    for name, text, figure in [*_of_process(parts), *_of_calls(parts), *_of_media(parts)]:
        Gauge(name, text, registry=registry).set_function(figure)
    _children(registry, parts)
    refused, ended = parts.connections.refused, parts.connections.ended
    _counts(registry, "portico_sockets_refused", "Connections refused, by the limit", REFUSALS, refused)
    _counts(registry, "portico_sockets_aborted", "Connections ended by us, by cause", CAUSES, ended)
    return registry


def _of_process(parts: Parts) -> Iterator[Figure]:
    """Figures that every process has: jobs, deliveries, connections and files."""
    connections = parts.connections
    yield "portico_jobs_running", "Jobs that run now: conversions, compositions, deletions", lambda: parts.jobs.running
    if (worker := parts.worker) is not None:
        yield "portico_deliveries_in_flight", "Webhook deliveries being sent now", lambda: worker.in_flight
    yield "portico_sockets", "Connections to the listening socket", lambda: connections.count
    yield "portico_sockets_without_token", "Those without a token or key", lambda: connections.anonymous_count
    yield "portico_open_files", "File descriptors in use", connections.descriptors.count
    yield "portico_open_files_max", "File descriptors at most", lambda: connections.descriptors.limit


def _of_calls(parts: Parts) -> Iterator[Figure]:
    """Figures of the gateway; none in a process without one."""
    if (gateway := parts.gateway) is None:
        return
    calls = gateway.registry
    yield "portico_connections", "Signaling connections that are in a room", lambda: calls.connection_count
    yield "portico_rooms_occupied", "Rooms with a connection", lambda: len(calls.occupied)
    yield "portico_sockets_joining", "Those with a token that have not joined", lambda: gateway.joining.count


def _of_media(parts: Parts) -> Iterator[Figure]:
    """Figures of this process's Janus and TURN server, where it has them."""
    if (node := parts.node) is not None:
        capacity = partial(_capacity, node)
        yield "portico_recording_paused", "1 while the disk has no room", lambda: float(parts.recording_paused())
        yield "portico_janus_ports_used", "Media ports that are bound", lambda: capacity("ports_used")
        yield "portico_janus_ports_total", "Media ports in all", lambda: capacity("ports_total")
        yield "portico_janus_descriptors", "File descriptors of Janus", lambda: capacity("descriptors_used")
        yield "portico_janus_descriptors_total", "File descriptors at most", lambda: capacity("descriptors_total")
        yield "portico_janus_events", "1 while the media server reports events", lambda: float(node.reports_events)
        yield "portico_janus_up", "1 while the media server answers", lambda: float(node.is_up)
    if (relay := parts.relay) is not None:
        yield "portico_relay_addresses_used", "Relay addresses that browsers hold", lambda: relay.addresses_used
        yield "portico_relay_addresses_total", "Relay addresses in all", lambda: relay.addresses_total


def _capacity(node: JanusNode, name: str) -> float:
    """Read a member of Janus' capacity; NaN for a remote Janus and during a restart."""
    return float(getattr(node.capacity(), name, math.nan))


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
