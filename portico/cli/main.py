"""The command line: `portico serve`, its roles, and the commands of the other modules."""

import errno
import gc
import os
import socket
import sys
from typing import NoReturn

import structlog
import typer

from portico import __version__
from portico.app.public_server import edge_settings
from portico.app.roles import ALL_ROLES, Roles, check_roles
from portico.app.startup_checks import checked, warnings
from portico.cli import check_code, doctor, listen, simulate
from portico.cli.compositions import compositions
from portico.cli.import_telnyx import import_telnyx
from portico.cli.installation import lock_data_dir
from portico.cli.keys import keys
from portico.cli.migrate_store import migrate_store
from portico.cli.nodes import nodes
from portico.cli.options import add_setting_options
from portico.cli.participants import participants
from portico.cli.recordings import recordings
from portico.cli.rooms import rooms
from portico.cli.terminal import CommandRefused
from portico.cli.webhooks import webhooks
from portico.config.settings import Settings, SettingsError, load, unknown_variables
from portico.edge.config import authority
from portico.janus.capacity import cameras_in_one_room
from portico.janus.errors import JanusUnavailable
from portico.listener.descriptors import raise_limit
from portico.listener.limits import BACKLOG, RECEIVE_BUFFER_BYTES
from portico.runtime import logs
from portico.runtime.child_process import ChildUnavailable

log = structlog.get_logger(__name__)

app = typer.Typer(
    name="portico",
    help="The Telnyx Video API on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut the names of long options off
)
app.add_typer(keys, name="keys")
app.add_typer(webhooks, name="webhooks")
app.add_typer(recordings, name="recordings")
app.add_typer(compositions, name="compositions")
app.add_typer(participants, name="participants")
app.add_typer(rooms, name="rooms")
app.add_typer(nodes, name="nodes")


def main() -> None:
    """Entry point; every foreseeable failure is one sentence and exit status 2."""
    os.umask(0o077)  # our files hold keys, which no other user of this machine may read
    try:
        status = app(standalone_mode=False)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _fail(sentence)
    raise SystemExit(status if isinstance(status, int) else 0)


def _sentence(error: Exception) -> str | None:
    """The sentence to print for a foreseen failure; None for a defect of ours."""
    # Here, because they are slow to import and seldom needed.
    from portico.core.errors import Busy
    from portico.db.keyfile import KeyFileError
    from portico.db.migrate import NewerSchema
    from portico.db.outage import explain

    ours = SettingsError | JanusUnavailable | ChildUnavailable | CommandRefused | NewerSchema | KeyFileError | Busy
    if isinstance(error, ours):
        return str(error)
    if first := explain(error):
        return f"The database does not answer as it should: {first}. Check PORTICO_DATABASE_URL."
    if isinstance(error, typer.Abort):
        return "Stopped."
    message = getattr(error, "format_message", None)  # of a command line that typer does not understand
    return f"{message().rstrip('.') or 'A command is missing'}. See portico --help." if message is not None else None


@app.callback()
def warn_of_variables(context: typer.Context) -> None:
    """The Telnyx Video API on your own machine."""
    reporting = ("serve", "api", "worker", "media", "doctor")  # they report them with all other warnings
    if context.invoked_subcommand not in reporting:
        for sentence in unknown_variables():
            print(f"portico: {sentence}", file=sys.stderr)


def serve(**options: object) -> None:
    """Run everything: API, signaling, media server, pages. Ctrl-C stops it all."""
    _run(ALL_ROLES, options)


def api(**options: object) -> None:
    """Run API, signaling and pages alone; media servers and workers are other processes on the same database."""
    _run(frozenset({"api"}), options)


def worker(**options: object) -> None:
    """Run webhooks and compositions alone, for other processes on the same database."""
    _run(frozenset({"worker"}), options)


def media(**options: object) -> None:
    """Run a media server with its recordings alone, for other processes on the same database."""
    _run(frozenset({"media"}), options)


def _run(roles: Roles, options: dict[str, object]) -> None:
    settings = load(**options)
    check_roles(settings, roles)
    logs.configure(settings.log_level, settings.log_format)
    settings = checked(settings, has_media="media" in roles)
    raise_limit()
    with lock_data_dir(settings), _listen(settings.listen_host, settings.port) as listening:
        for sentence in warnings(settings):
            log.warning("settings.warning", reason=sentence)
        gc.disable()  # nothing of what a start imports is garbage; looking for some costs a tenth of it
        from portico.app.build import StartupInfo  # here, so that --help and mistakes answer fast
        from portico.app.serve import serve as serve_until_stopped

        def on_ready(startup: StartupInfo) -> None:
            if "api" in roles:
                _print_startup(settings, startup.new_api_key, startup.meeting_link)
            else:
                print(f"Portico {__version__} is ready: {', '.join(sorted(roles))}.", flush=True)
            gc.freeze()
            gc.enable()

        import uvloop

        uvloop.run(serve_until_stopped(settings, listening, on_ready, roles))


for command in (serve, api, worker, media):
    add_setting_options(command)
    app.command()(command)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


app.command("migrate-store")(migrate_store)
app.command("import-telnyx")(import_telnyx)
listen.add_to(app)
check_code.add_to(app)
doctor.add_to(app)
simulate.add_to(app)


def _print_startup(settings: Settings, new_api_key: str | None, meeting_link: str) -> None:
    key = new_api_key or "as before (another one: portico keys create)"
    if settings.api_key is not None:
        key = "the one in PORTICO_API_KEY"
    shown_once = "   (shown only this once)" if new_api_key else ""
    print(
        f"\nPortico {__version__} is ready.\n\n"
        f"  API key       {key}{shown_once}\n"
        f"  Base URL      {settings.base_url}/v2\n"
        f"  Meeting       {meeting_link}\n"
        f"{_media_line(settings)}{_authority_line(settings)}"
        f'  Browser SDK   <script src="{settings.base_url}/connect.js"></script>\n\n'
        "  Open the meeting link in two tabs: that is a call. Ctrl-C stops everything.\n",
        flush=True,
    )


def _media_line(settings: Settings) -> str:
    """The line with the number of cameras that the ports carry; empty for a remote Janus."""
    if settings.janus_url is not None:
        return ""
    low, high = settings.rtp_ports
    cameras = cameras_in_one_room(settings.rtp_ports)
    return f"  Media         UDP {low}-{high}: up to {cameras} people with cameras in one room\n"


def _authority_line(settings: Settings) -> str:
    """The line with the root certificate that browsers have to trust; empty without an authority of our own."""
    edge = edge_settings(settings)
    if edge is None or edge.tls != "internal":
        return ""
    return f"  Authority     {authority(edge)}: browsers have to trust this certificate\n"


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, before anything else is started. Raises CommandRefused."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6 and host == "::":
            listening.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0
            )  # all addresses, IPv4 too, whatever sysctl says
        listening.bind(address)
        # Inherited by every connection: the system keeps no more of what its client sends before we read it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listening.listen(BACKLOG)
    except socket.gaierror:
        raise CommandRefused(f"PORTICO_HOST {host} is not an address of this machine.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandRefused(
                f"Port {port} of {host} is in use: stop what uses it, or choose another PORTICO_PORT."
            ) from None
        raise CommandRefused(
            f"Cannot listen on {host}:{port}: {error.strerror}. Check PORTICO_HOST and PORTICO_PORT."
        ) from None
    listening.setblocking(False)
    return listening


def _fail(sentence: str) -> NoReturn:
    print(f"portico: {sentence}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
