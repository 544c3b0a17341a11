"""What can go wrong between us and Janus."""


class JanusError(Exception):
    """Janus, or one of its plugins, answered a request with an error.

    Codes below 500 with a leading 4 come from the core as well as from the plugins: the numbers are each plugin's own
    (https://janus.conf.meetecho.com/docs/rest.html for the core's, each plugin's page for the rest).
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus error {code}: {reason}")
        self.code = code
        self.reason = reason


class JanusUnavailable(Exception):
    """Janus cannot be started or does not answer; the message is one sentence for the person who runs Portico."""
