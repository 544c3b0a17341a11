"""Errors of requests to Janus."""


class JanusError(Exception):
    """Janus, or one of its plugins, answered a request with an error.

    The core and each plugin have their own codes, and the same number can mean different things: see
    https://janus.conf.meetecho.com/docs/rest.html for the core's, and the page of the plugin for its own.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus error {code}: {reason}")
        self.code = code
        self.reason = reason


class JanusUnavailable(Exception):
    """Janus cannot be started or does not answer; str() is a sentence for the operator."""
