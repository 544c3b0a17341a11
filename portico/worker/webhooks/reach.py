"""Tries whether the receiver of a webhook can be reached: name, address, connection and TLS. No event is sent."""

import asyncio
import contextlib
import socket
import ssl
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from portico.worker.webhooks import target
from portico.worker.webhooks.failures import sentence
from portico.worker.webhooks.resolver import ThreadPerName
from portico.worker.webhooks.sender import check_address

_ANSWERED_CLOSE_SECS = 0.2


async def why_unreachable(
    url: str,
    *,
    allow_internal: bool,
    within_secs: float,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> str | None:
    """Why no connection to the receiver can be opened, in lower case, without a full stop; None if one can.

    The same addresses are refused as for deliveries (sender.py). Connections go straight there, through no proxy.
    """
    try:
        async with asyncio.timeout(within_secs):
            to = target.parse(url).url
            addresses = await _addresses(resolver or ThreadPerName(), to.host or "", to.port or 0)
            for address in addresses:
                check_address(address, allow_internal=allow_internal)
            await _connect(addresses, to.port or 0, to.raw_host or "" if to.scheme == "https" else None, tls)
    except TimeoutError:
        return f"no connection within {within_secs:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"certificate not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS failed: {error.reason or error}"
    except socket.gaierror as error:
        return f"the name is not known: {error.strerror or error}"
    except (OSError, ValueError) as error:
        return sentence(error)
    return None


async def _addresses(resolver: AbstractResolver, host: str, port: int) -> list[str]:
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    found: list[ResolveResult] = await resolver.resolve(host, port, socket.AF_UNSPEC)
    return [each["host"] for each in found]


async def _connect(addresses: list[str], port: int, tls_name: str | None, tls: ssl.SSLContext | None) -> None:
    """Open and close a connection to the first address that answers. Raises the error of the last one."""
    failure: OSError = OSError("the name has no address")
    context = None if tls_name is None else tls or ssl.create_default_context()
    for address in addresses:
        try:
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=tls_name)
        except OSError as error:
            failure = error
            continue
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):  # the answer to the close is of no interest
            async with asyncio.timeout(_ANSWERED_CLOSE_SECS):
                await writer.wait_closed()
        return
    raise failure
