"""Starts and ends the programs in front of the server: Caddy, HAProxy, and the copying of their certificates."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from portico.edge.caddy import make_caddy
from portico.edge.certificates import Certificates
from portico.edge.config import EdgeSettings
from portico.edge.haproxy import make_haproxy, use_certificate
from portico.runtime.child_process import ChildUnavailable
from portico.runtime.supervised import Supervised


class Front:
    """Caddy or HAProxy or both, and the certificates that they, and coturn, use."""

    def __init__(self, settings: EdgeSettings) -> None:
        self.certificates = Certificates(settings)
        self.programs: Sequence[Supervised] = (
            *([make_caddy(settings)] if settings.uses_caddy else []),
            *([make_haproxy(settings)] if settings.uses_haproxy else []),
        )
        """In the order of their start."""
        if settings.uses_haproxy:
            self.certificates.on_change(partial(use_certificate, settings))

    async def start(self) -> None:
        """Start all programs; return when all answer. Raises ChildUnavailable, after which none runs."""
        try:
            # First, because HAProxy and coturn do not start without a certificate.
            await self.certificates.start()
            for program in self.programs:
                await program.start()
        except OSError as error:
            await self.stop()
            raise ChildUnavailable(f"{error.filename} cannot be written: {error.strerror}.") from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the programs in the reverse order."""
        for program in reversed(self.programs):
            await program.stop()
        await self.certificates.stop()


@asynccontextmanager
async def running_front(settings: EdgeSettings | None) -> AsyncIterator[Front | None]:
    """Run the programs in front of the server while the block runs; None without settings."""
    if settings is None:
        yield None
        return
    front = Front(settings)
    await front.start()
    try:
        yield front
    finally:
        await front.stop()
