"""Checks whether a program in front of the server answers on the ports that it listens on."""

import asyncio
import ssl

from portico.edge.config import EdgeSettings, dial

_LINE_BYTES_MAX = 1024


async def answers(settings: EdgeSettings, *, http: bool, https: bool) -> str | None:
    """Why a program does not redirect HTTP (with `http`) or complete a TLS handshake (with `https`), as a clause.

    The clause follows the program's name. None when the program does all of that.
    """
    try:
        if http and not await _redirects(*dial(settings.host, settings.http_port)):
            return f"does not redirect on port {settings.http_port}"
        if https:
            await _complete_handshake(*dial(settings.host, settings.https_port), settings.domain)
    except OSError as error:
        return f"does not answer: {error.strerror or error}"
    return None


async def _redirects(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port, limit=_LINE_BYTES_MAX)
    try:
        writer.write(b"HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        line = await reader.readline()
        return b" 308 " in line
    except ValueError:
        return False
    finally:
        writer.close()


async def _complete_handshake(host: str, port: int, name: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # whether it answers; browsers check the rest
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    except ssl.SSLError:
        return  # an alert is an answer: there is no certificate yet
    writer.close()
