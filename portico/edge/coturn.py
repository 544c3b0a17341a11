"""Runs coturn as a supervised child process: a TURN server whose relay reaches our Janus only."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from portico.edge.certificates import Certificates
from portico.edge.coturn_config import RelaySettings, coturn_config
from portico.edge.programs import find
from portico.edge.relay_limit import RelayLimit
from portico.runtime import child, durable
from portico.runtime.child import Confinement
from portico.runtime.supervised import Program, Supervised
from portico.runtime.udp_ports import bound

_STUN_COOKIE = bytes.fromhex("2112a442")


class Relay:
    """The coturn process, and the limit that keeps its relay to ports of media."""

    def __init__(self, settings: RelaySettings) -> None:
        """Raises ChildUnavailable where coturn is not installed."""
        self._settings = settings
        self._limit = RelayLimit(settings)
        self._certificate_is_new = False
        self.program = _supervised(settings, self._limit, self._answered)

    @property
    def why_all_ports(self) -> str | None:
        """Why the relay reaches all UDP ports of Janus' addresses; None where it reaches those of media only."""
        return self._limit.why_all_ports

    @property
    def addresses_used(self) -> int:
        """The number of relay addresses that browsers use now."""
        tables = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
        return sum(len(bound(table, self._settings.ports)) for table in tables)

    @property
    def addresses_total(self) -> int:
        """The number of relay addresses that browsers can use together."""
        return self._settings.total_quota

    async def use_certificate(self, name: str, path: Path) -> None:
        """Have coturn read its certificate again after the next health check, if `path` is that certificate."""
        if path == self._settings.certificate:
            self._certificate_is_new = True

    async def start(self) -> None:
        """Return when coturn answers and its relay reaches what it should. Raises ChildUnavailable."""
        try:
            await self._limit.start()
            await self.program.start()
            await self._limit.examine()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End coturn, then its limit."""
        await self.program.stop()
        await self._limit.stop()

    async def _answered(self) -> str | None:
        """Renew limit and certificate after a good health check. A clause says why coturn has to start anew."""
        why_not = await self._limit.keep()
        # The signal would end a coturn that does not handle it yet.
        if self._certificate_is_new and self.program.state.is_up:
            self._certificate_is_new = False
            self.program.signal(signal.SIGUSR2)
        return why_not


@asynccontextmanager
async def running_relay(
    settings: RelaySettings | None, certificates: Certificates | None
) -> AsyncIterator[Relay | None]:
    """Run the relay while the block runs; None without settings. It uses each new certificate."""
    if settings is None:
        yield None
        return
    relay = Relay(settings)
    if certificates is not None:
        certificates.on_change(relay.use_certificate)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


def load_secret(data_dir: Path) -> str:
    """The secret that coturn shares with us, in DATA_DIR/edge/turn-secret; made at the first start. Raises OSError."""
    path = data_dir.absolute() / "edge" / "turn-secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        durable.write(path, secrets.token_hex(32).encode(), mode=0o600)
    return path.read_text().strip()


def _supervised(
    settings: RelaySettings, limit: RelayLimit, answered: Callable[[], Awaitable[str | None]]
) -> Supervised:
    folder, binary = settings.folder, find("turnserver", package="coturn", needed_by="PORTICO_TURN")

    def prepare() -> Program:
        file, run = folder / "turnserver.conf", folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        durable.write(file, coturn_config(settings, run).encode(), mode=0o600)
        for path in (folder, file):
            child.let_read(path)
        child.give(run)
        certificates = [] if settings.certificate is None else [settings.certificate.parent]
        rules = Confinement(
            write=[run],
            read=[folder, binary, *certificates],
            hide=[settings.data_dir.absolute()],
            low_ports=min(settings.port, settings.tls_port) < 1024,
        )
        return Program([str(binary), "-c", str(file)], str(file), rules, limit.environment())

    async def check() -> str | None:
        return await _answers(settings.listen[0], settings.port) or await answered()

    command = [str(binary), "--version"]
    return Supervised("coturn", folder, lambda: asyncio.to_thread(prepare), check, version_command=command)


async def _answers(host: str, port: int) -> str | None:
    """Why no STUN server answers on this address by UDP within a second, as a clause; None if one does."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bool] = loop.create_future()
    transaction = secrets.token_bytes(12)

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            if data[:2] == b"\x01\x01" and data[8:20] == transaction and not answered.done():
                answered.set_result(True)

    try:
        transport, _ = await loop.create_datagram_endpoint(Asking, remote_addr=(host, port))
    except OSError as error:
        return f"cannot be asked on {host}: {error.strerror}"
    try:
        transport.sendto(b"\x00\x01\x00\x00" + _STUN_COOKIE + transaction)
        async with asyncio.timeout(1):
            await answered
            return None
    except TimeoutError:
        return f"does not answer on UDP {host}:{port}"
    finally:
        transport.close()
