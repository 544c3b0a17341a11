"""The configuration of HAProxy. Pure."""

from portico.edge.config import HEAD_SECS, IDLE_SECS, UPSTREAM, EdgeSettings, bracketed, bundle

SOCKET = "admin.sock"
"""The unix socket over which HAProxy receives another certificate."""
_HTTPS_SOCKET = "https.sock"
ADDRESS_CONNECTIONS_MAX = 2_000
"""Connections of one address (a /64 of IPv6) at the same time. HAProxy takes about 32,000 of all.

An office of a hundred people whose network lets out TCP 443 only has about 1,300: each has one for signaling, and TURN
over TLS takes one for each PeerConnection.
"""


def haproxy_config(settings: EdgeSettings, *, dual_stack: bool = True) -> str:
    """HAProxy serves HTTPS and WebSockets in front of our server, and passes TLS connections to TURN_DOMAIN to coturn.

    `dual_stack` says whether the machine has IPv6. HAProxy makes its unix sockets in the folder that it starts in: the
    path of a socket has at most 107 bytes, that of DATA_DIR may have more.
    """
    parts = [_global(), _defaults()]
    if settings.turn_domain is not None:
        parts.append(_shared_port(settings, dual_stack=dual_stack))
    parts.append(_https(settings, dual_stack=dual_stack))
    if not settings.uses_caddy:
        parts.append(_redirects(settings, dual_stack=dual_stack))
    return "\n".join(parts)


def _global() -> str:
    return f"""\
global
    log stderr format raw local0 notice
    stats socket unix@{SOCKET} mode 600 level admin
    hard-stop-after 2s
    ssl-default-bind-options ssl-min-ver TLSv1.2
    tune.ssl.default-dh-param 2048
    h2-workaround-bogus-websocket-clients
"""


def _defaults() -> str:
    return f"""\
defaults
    mode http
    log global
    option dontlognull
    timeout connect 5s
    timeout client {IDLE_SECS}s
    timeout server {IDLE_SECS}s
    timeout http-request {HEAD_SECS}s
    timeout http-keep-alive {IDLE_SECS}s
    timeout tunnel 1h
"""


def _shared_port(settings: EdgeSettings, *, dual_stack: bool) -> str:
    return f"""\
frontend shared_port
    mode tcp
    bind {_bind(settings, settings.https_port, dual_stack=dual_stack)}
{_per_address(settings)}    tcp-request inspect-delay {HEAD_SECS}s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    tcp-request content reject
    use_backend turn if {{ req.ssl_sni -i {settings.turn_domain} }}
    default_backend https

backend turn
    mode tcp
    server coturn {settings.turn_backend}

backend https
    mode tcp
    server https unix@{_HTTPS_SOCKET} send-proxy-v2
"""


def _https(settings: EdgeSettings, *, dual_stack: bool) -> str:
    if settings.turn_domain is None:
        bind, limit = _bind(settings, settings.https_port, dual_stack=dual_stack), _per_address(settings)
    else:
        bind, limit = f"unix@{_HTTPS_SOCKET} mode 600 accept-proxy", ""
    trusted = f" unless {{ src {' '.join(settings.trusted_proxies)} }}" if settings.trusted_proxies else ""
    return f"""\
frontend https
    bind {bind} ssl crt {bundle(settings.data_dir, settings.domain)} alpn h2,http/1.1
{limit}    http-request deny deny_status 421 unless {{ req.hdr(host),field(1,:) -i {settings.domain} }}
    http-request del-header Forwarded
    http-request del-header X-Forwarded-For{trusted}
    http-request set-header X-Forwarded-Proto https
    option forwardfor
    default_backend portico

backend portico
    server portico {UPSTREAM}:{settings.upstream_port}
"""


def _per_address(settings: EdgeSettings) -> str:
    """Refuse the connections of an address that has too many, but not those of proxies, which have them for others."""
    others = f" !{{ src {' '.join(settings.trusted_proxies)} }}" if settings.trusted_proxies else ""
    return f"""\
    stick-table type ipv6 size 100k expire 60s store conn_cur
    tcp-request connection track-sc0 src,ipmask(32,64)
    tcp-request connection reject if {{ sc0_conn_cur gt {ADDRESS_CONNECTIONS_MAX} }}{others}
"""


def _redirects(settings: EdgeSettings, *, dual_stack: bool) -> str:
    return f"""\
frontend http
    bind {_bind(settings, settings.http_port, dual_stack=dual_stack)}
    http-request redirect prefix {settings.https_url} code 308
"""


def _bind(settings: EdgeSettings, port: int, *, dual_stack: bool) -> str:
    if settings.host is None or settings.host == "::":
        return f":::{port} v4v6" if dual_stack else f"*:{port}"
    return f"{bracketed(settings.host)}:{port}"
