"""The configuration of Caddy, as its JSON. Pure."""

from typing import Any

from portico.edge.config import HEAD_SECS, IDLE_SECS, UPSTREAM, EdgeSettings, bracketed, storage

_HEAD_BYTES_MAX = 65_536


def caddy_config(settings: EdgeSettings) -> dict[str, Any]:
    """Caddy serves HTTPS and WebSockets in front of our server, redirects HTTP and obtains certificates.

    Where HAProxy ends the TLS of HTTPS, Caddy only redirects and obtains certificates. Its admin API is off.
    """
    servers = {"http": _redirects(settings)}
    if not settings.uses_haproxy:
        servers["https"] = _https(settings)
    apps: dict[str, Any] = {
        "http": {
            # By these Caddy knows which server answers the challenges of ACME.
            "http_port": settings.http_port,
            "https_port": settings.https_port,
            "grace_period": "2s",
            "servers": servers,
        },
        "tls": {
            "certificates": {"automate": list(settings.names)},
            "automation": {"policies": [{"subjects": list(settings.names), "issuers": [_issuer(settings)]}]},
        },
    }
    if settings.tls == "internal":
        apps["pki"] = {"certificate_authorities": {"local": {"name": "Portico", "install_trust": False}}}
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "INFO", "encoder": {"format": "console"}}}},
        "storage": {"module": "file_system", "root": str(storage(settings))},
        "apps": apps,
    }


def _issuer(settings: EdgeSettings) -> dict[str, Any]:
    if settings.tls == "internal":
        return {"module": "internal"}
    issuer: dict[str, Any] = {"module": "acme"} | ({"ca": settings.acme_url} if settings.acme_url else {})
    if settings.uses_haproxy:
        issuer["challenges"] = {"tls-alpn": {"disabled": True}}  # the port of HTTPS is not Caddy's
    return issuer


def _server(settings: EdgeSettings, port: int) -> dict[str, Any]:
    host = settings.host or ""
    return {
        "listen": [f"{bracketed(host)}:{port}"],
        "protocols": ["h1", "h2"],  # without HTTP/3, which would take a UDP port and carries no WebSockets here
        "read_header_timeout": f"{HEAD_SECS}s",
        "idle_timeout": f"{IDLE_SECS}s",
        "max_header_bytes": _HEAD_BYTES_MAX,
    }


def _redirects(settings: EdgeSettings) -> dict[str, Any]:
    # To our own name and not to the one that the client sent: no link of ours leads elsewhere.
    location = settings.https_url + "{http.request.uri}"
    redirect = {"handler": "static_response", "status_code": 308, "headers": {"Location": [location]}}
    return {
        **_server(settings, settings.http_port),
        "automatic_https": {"disable": True},
        "routes": [{"handle": [redirect]}],
    }


def _https(settings: EdgeSettings) -> dict[str, Any]:
    proxy: dict[str, Any] = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{UPSTREAM}:{settings.upstream_port}"}],
        # Shorter than our own server waits: a request on a connection that it just closes would fail.
        "transport": {
            "protocol": "http",
            "keep_alive": {"idle_timeout": f"{max(1, settings.upstream_idle_secs // 2)}s"},
        },
        # Caddy sets X-Forwarded-For. Where both headers name a client and disagree, our server believes neither.
        "headers": {"request": {"delete": ["Forwarded"]}},
    }
    if settings.trusted_proxies:
        proxy["trusted_proxies"] = list(settings.trusted_proxies)
    return {
        **_server(settings, settings.https_port),
        "automatic_https": {"disable": True},  # certificates are named under `tls`, redirects have a server
        "tls_connection_policies": [{}],
        "routes": [
            {"match": [{"host": [settings.domain]}], "handle": [proxy], "terminal": True},
            {"handle": [{"handler": "static_response", "status_code": 421}]},
        ],
    }
