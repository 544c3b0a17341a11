"""Explains why an attempt failed, for the operator of the receiver."""

import os
import ssl

import aiohttp
from aiohttp.http_exceptions import LineTooLong


def sentence(error: Exception) -> str:
    """A clause for an error raised before the status was known: one line, in lower case, without a full stop."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            return f"certificate not trusted: {refused.verify_message}"
        case aiohttp.ClientSSLError():
            return f"TLS failed: {getattr(error.os_error, 'reason', None) or error.os_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} is not known: {error.os_error.strerror or error.os_error}"
        case aiohttp.ClientConnectorError():
            return _of_the_system(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientResponseError():
            return _of_the_answer(error)
        case OSError():
            return _of_the_system(error)
        case ValueError():
            return f"the URL cannot be used: {_one_line(str(error))}"
    return _one_line(str(error)) or type(error).__name__


def _of_the_answer(error: aiohttp.ClientResponseError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LineTooLong) or "Too many headers" in str(cause):
            return "the answer's headers are too long"
        cause = cause.__cause__
    # The parser points at the position with a caret on a line of its own.
    return f"the answer is not HTTP: {_one_line(error.message).removesuffix(' ^')}"


def _of_the_system(error: OSError) -> str:
    if error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, ConnectionError):
        return "connection reset by peer"
    # Several addresses were tried, and each failed in a way of its own.
    return _one_line((error.strerror or str(error)).removeprefix("Multiple exceptions: "))


def _one_line(text: str) -> str:
    return " ".join(text.split())
