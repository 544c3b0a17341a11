"""Checks of a browser's message before it is acted on (its form and its token), and the start of its session."""

from portico.signaling.effects import CheckToken, CloseCode, Effect, Message, ToClient, ToJanus
from portico.signaling.state import Stage, State
from portico.signaling.wire import OWN_PREFIX, Pending

TRANSACTION_LENGTH_MAX = 128
PENDING_MAX = 256
"""Requests of one browser that Janus has not answered yet."""


class Handshake:
    """Checks the messages of one browser, and creates its Janus session."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._token: str | None = None  # the newest that was accepted
        self._held: Message | None = None  # waits for the check of its token
        self._refusal: tuple[int, str, CloseCode] = (0, "", CloseCode.REFUSED)  # in stage REFUSED

    def receive(self, message: object) -> Message | list[Effect]:
        """The message, if its form is right and its token is accepted; otherwise the effects that refuse or check it.

        `message` is a decoded message of the browser, None for one that could not be decoded.
        """
        if not isinstance(message, dict):
            return self._state.refuse({}, 400, "A message must be a JSON object.")
        transaction = message.get("transaction")
        if not isinstance(transaction, str) or not 0 < len(transaction) <= TRANSACTION_LENGTH_MAX:
            return self._state.refuse({}, 400, "transaction must be a text.")
        if transaction.startswith(OWN_PREFIX):
            return self._state.refuse(message, 400, f"transaction must not begin with {OWN_PREFIX}")
        if self._state.stage is Stage.REFUSED:
            return self._state.refuse(message, *self._refusal)
        token = message.get("client_token")
        if token is not None and not isinstance(token, str):
            return self._state.refuse(message, 401, "client_token must be a text.")
        if token is not None and token != self._token:
            self._held = message
            return [CheckToken(token)]
        return message

    def token_accepted(self, token: str) -> Message | None:
        """Go on with the message whose token was checked; returns it."""
        self._token = token
        message, self._held = self._held, None
        return message

    def token_refused(self, status: int, reason: str) -> list[Effect]:
        """Refuse the message whose token was checked.

        The SDK waits 30 s for the answer to `create`, whatever else it receives. So `create` is answered with success,
        and the next request is refused.
        """
        message, self._held = self._held or {}, None
        code = CloseCode.UNAVAILABLE if status == 503 else CloseCode.TOKEN_REFUSED
        if self._state.stage is Stage.NEW and message.get("janus") == "create":
            self._state.stage, self._refusal = Stage.REFUSED, (status, reason, code)
            return [ToClient({"janus": "success", "transaction": message["transaction"], "data": {"id": 1}})]
        return self._state.refuse(message, status, reason, code)

    def create(self, message: Message) -> list[Effect]:
        """Create the browser's Janus session."""
        if self._state.stage is not Stage.NEW or self._token is None:
            return self._state.refuse(message, 401, "create comes once, first, and with a client_token.")
        self._state.stage = Stage.CREATING
        self._state.wire.pending[message["transaction"]] = Pending("create")
        return [ToJanus({"janus": "create", "transaction": message["transaction"]})]

    def refusal(self, message: Message) -> list[Effect] | None:
        """Refuse a request that comes too early, repeats a pending transaction, or is one too many; None otherwise."""
        if self._state.stage is not Stage.READY:
            return self._state.refuse(message, 401, "The first request must be create, with a client_token.")
        if message["transaction"] in self._state.wire.pending:
            # The answers to the two requests could not be distinguished.
            return self._state.refuse(message, 400, "transaction is that of a request that still waits.")
        if len(self._state.wire.pending) >= PENDING_MAX:
            return self._state.refuse(message, 429, "Too many requests are waiting for an answer.")
        return None
