"""Finds the Janus program and writes its configuration files."""

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portico.janus.errors import JanusUnavailable
from portico.janus.mjr_folder import FOLDER_NAME

VIDEOROOM = "janus.plugin.videoroom"
AUDIOBRIDGE = "janus.plugin.audiobridge"
TEXTROOM = "janus.plugin.textroom"
PLUGINS = (VIDEOROOM, AUDIOBRIDGE, TEXTROOM)
"""The plugins of calls, which a Janus must have."""
ECHOTEST = "janus.plugin.echotest"
"""The plugin of connection checks. Without it, a Janus serves calls and no checks."""
TRANSPORT = "janus.transport.websockets"
EVENT_HANDLER = "janus.eventhandler.wsevh"

# Janus loads every library of a folder that is not named in `disable`. The names below are those of releases 1.0 to
# 1.4, for a Janus whose folders are not found; if they are found, all other libraries in them are named as well.
_OTHER_PLUGINS = ("duktape", "lua", "nosip", "recordplay", "sip", "streaming", "videocall", "voicemail")
_OTHER_TRANSPORTS = ("http", "mqtt", "nanomsg", "pfunix", "rabbitmq")
_LOGGERS = ("jsonlog",)
_OTHER_EVENT_HANDLERS = ("gelfevh", "mqttevh", "nanomsgevh", "rabbitmqevh", "sampleevh")
_EVENTS_KEPT_MAX = 10_000
"""Events that Janus 1.4 keeps while its event handler is not connected; older versions keep all of them."""

_CHECKOUT = Path(__file__).parents[2]

# Janus builds the paths of its configuration files in buffers of 255 bytes.
_FOLDER_BYTES_MAX = 200


@dataclass(frozen=True)
class JanusSettings:
    """Which Janus serves the media, and on which addresses and ports."""

    data_dir: Path
    binary: Path | None = None
    """The program to start; None looks for one (see `find_janus`)."""
    url: str | None = None
    """ws:// address of a Janus that runs elsewhere, a remote Janus; then none is started here."""
    interface: str | None = None
    """Interface name or address that Janus offers to clients; None offers all but loopback."""
    address: str | None = None
    """Public address that a 1:1 NAT maps to this machine."""
    is_public: bool = False
    """Whether all clients reach the offered addresses directly or by the relay, as those of a public server."""
    rtp_ports: tuple[int, int] = (20000, 39999)
    """The first and the last UDP port for media."""
    keeps_private: bool = False
    """Whether Janus offers its own address beside `address`: a relay on this machine reaches it without the NAT."""
    listen: tuple[str, int] | None = None
    """Address and port of a child's API; None for a free port of 127.0.0.1."""
    event_loops: int | None = None
    """Threads of Janus for media; None takes one per core."""
    api_secret: str | None = field(default=None, repr=False)
    """The api_secret of the remote Janus; only with `url`."""
    admin_key: str | None = field(default=None, repr=False)
    """The admin_key of the remote Janus' plugins; only with `url`."""

    @property
    def folder(self) -> Path:
        """Where configuration, log and lock of a child Janus are."""
        return self.data_dir.absolute() / "janus"

    @property
    def mjr_folder(self) -> Path:
        """Where a child Janus writes mjr files."""
        return self.data_dir.absolute() / FOLDER_NAME


@dataclass(frozen=True)
class JanusSecrets:
    """The secrets of one start of a child Janus: random, and written only to files that only our user can read."""

    api_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    admin_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    admin_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def find_janus(binary: Path | None) -> Path:
    """The program to start: `binary`, else $PORTICO_JANUS_BIN, else .janus of the checkout, else `janus` on PATH.

    Raises JanusUnavailable when there is none.
    """
    named = binary or (Path(value) if (value := os.environ.get("PORTICO_JANUS_BIN")) else None)
    if named is not None:
        if os.access(named, os.X_OK) and named.is_file():
            return named.absolute()
        raise JanusUnavailable(
            f"{named} is not a program that can be started: set PORTICO_JANUS_BIN to a Janus binary."
        )
    for root in (_CHECKOUT, Path.cwd()):
        built = root / ".janus" / "bin" / "janus"
        if os.access(built, os.X_OK):
            return built
    on_path = shutil.which("janus")
    if on_path is None:
        raise JanusUnavailable(
            "Janus is not installed: run script/setup, or install Debian's package janus, or set PORTICO_JANUS_BIN."
        )
    return Path(on_path)


def program_files(binary: Path) -> list[Path]:
    """The files and folders outside the system's own that Janus reads: itself, its libraries, plugins, transports."""
    program = binary.resolve()
    libraries = [path for name in ("lib", "lib64") if (path := program.parent.parent / name).is_dir()]
    return [binary, program, *libraries]


def missing_libraries(binary: Path) -> list[str]:
    """The plugins, the transport and the event handler that we use and this Janus does not have.

    Empty where its folders are not found: Janus then looks in those that it was built for.
    """
    folder = _library_folder(binary)
    if folder is None:
        return []
    used = {"plugins": PLUGINS, "transports": (TRANSPORT,), "events": (EVENT_HANDLER,)}
    return [
        f"libjanus_{short}.so"
        for kind, names in used.items()
        for short in (name.rpartition(".")[2] for name in names)
        if not (folder / kind / f"libjanus_{short}.so").exists()
    ]


def write_config(
    settings: JanusSettings,
    secret: JanusSecrets,
    binary: Path,
    address: tuple[str, int],
    events_url: str | None = None,
    *,
    admin_port: int | None = None,
) -> None:
    """Write all configuration files in `settings.folder` anew, readable only by our user.

    `address` and port are those of Janus' API; `admin_port` of 127.0.0.1 is for its Admin API; None: none.
    `events_url` is the ws:// address that the event handler connects to; None: no events.
    Raises JanusUnavailable when the path of the folder is too long.
    Sources: the sample files janus.jcfg, janus.transport.websockets.jcfg, janus.eventhandler.wsevh.jcfg and
    janus.plugin.*.jcfg of the releases 1.1.2 and 1.4.1, https://github.com/meetecho/janus-gateway/tree/master/conf.
    """
    folder = settings.folder
    if len(os.fsencode(folder)) > _FOLDER_BYTES_MAX:
        raise JanusUnavailable(f"The path {folder} is too long for Janus: choose a shorter PORTICO_DATA_DIR.")
    _write(folder / "janus.jcfg", _libconfig(_core_config(settings, secret, binary, events=events_url is not None)))
    _write(folder / f"{TRANSPORT}.jcfg", _libconfig(_transport_config(address, admin_port)))
    _write(folder / f"{EVENT_HANDLER}.jcfg", _libconfig(_event_config(events_url)))
    for name in (*PLUGINS, ECHOTEST):
        # The VideoRoom's events repeat what its answers to browsers say, which we read anyway; the EchoTest's have
        # nothing that we use.
        general: Mapping[str, _Value] = {
            "admin_key": secret.admin_key,
            "string_ids": False,
            "events": name not in (VIDEOROOM, ECHOTEST),
        }
        _write(folder / f"{name}.jcfg", _libconfig({"general": general}))


_Value = str | int | bool
_Sections = Mapping[str, Mapping[str, _Value]]


def _core_config(settings: JanusSettings, secret: JanusSecrets, binary: Path, *, events: bool) -> _Sections:
    libraries = _library_folder(binary)
    general: dict[str, _Value] = {
        "configs_folder": str(settings.folder),
        "log_to_stdout": True,
        "debug_level": 3,  # warnings and errors: level 4 writes several lines per client
        "debug_timestamps": True,
        "debug_colors": False,
        "server_name": "portico",
        "api_secret": secret.api_secret,
        "admin_secret": secret.admin_secret,
        "session_timeout": 60,
        "reclaim_session_timeout": 0,  # a closed socket ends its session at once
        "recordings_tmp_ext": "tmp",  # a file ending in .mjr is complete
        "event_loops": settings.event_loops or len(os.sched_getaffinity(0)),
    }
    if libraries is not None:
        general["plugins_folder"] = str(libraries / "plugins")
        general["transports_folder"] = str(libraries / "transports")
        general["events_folder"] = str(libraries / "events")
    return {
        "general": general,
        "media": {
            "rtp_port_range": f"{settings.rtp_ports[0]}-{settings.rtp_ports[1]}",
            "no_media_timer": 1,
            "ipv6": True,  # some clients have only IPv6
            "ipv6_linklocal": False,
        },
        "nat": _nat_config(settings),
        "plugins": {"disable": _disabled(libraries, "plugins", _OTHER_PLUGINS, (*PLUGINS, ECHOTEST))},
        "transports": {"disable": _disabled(libraries, "transports", _OTHER_TRANSPORTS, (TRANSPORT,))},
        "loggers": {"disable": _disabled(libraries, "loggers", _LOGGERS, ())},
        "events": {
            "broadcast": events,
            "disable": _disabled(libraries, "events", _OTHER_EVENT_HANDLERS, (EVENT_HANDLER,)),
            "stats_period": 0,  # no statistics of tracks: they would be most of the events, and we do not use them
        },
    }


def _nat_config(settings: JanusSettings) -> dict[str, _Value]:
    nat: dict[str, _Value] = {
        # Browsers hide their addresses behind mDNS names, which we cannot resolve. They connect to us anyway.
        "ignore_mdns": True,
        # ICE lite answers checks and sends none. That suffices if all clients can reach us directly, which a public
        # address implies; behind any other NAT our own checks open the path. With it the browser always selects the
        # path, in its order; Janus would take the first that works, be it a relay over TCP beside one over UDP.
        "ice_lite": settings.address is not None or settings.is_public,
        # A lost path is detected by checks without an answer (RFC 7675), not by missing media: a muted camera sends
        # none. Janus 1.4 has consent checks and hangs up within 25 s. 1.1 has only keepalive checks, which take 65 s:
        # there signaling/liveness.py detects it earlier.
        "ice_consent_freshness": True,
        "ice_keepalive_conncheck": True,
    }
    if settings.address is not None:
        nat["nat_1_1_mapping"] = settings.address
        nat["keep_private_host"] = settings.keeps_private
    if settings.interface is not None:
        nat["ice_enforce_list"] = settings.interface
    else:
        nat["ice_ignore_list"] = "vmnet"
    return nat


def _transport_config(address: tuple[str, int], admin_port: int | None) -> _Sections:
    admin: dict[str, _Value] = {"admin_ws": admin_port is not None, "admin_wss": False}
    if admin_port is not None:
        admin |= {"admin_ws_ip": "127.0.0.1", "admin_ws_port": admin_port}
    return {
        "general": {
            "json": "compact",
            "events": False,
            "ws": True,
            "ws_ip": address[0],
            "ws_port": address[1],
            "wss": False,
        },
        "admin": admin,
    }


def _event_config(url: str | None) -> _Sections:
    return {
        "general": {
            "enabled": url is not None,
            "events": "plugins",
            "grouping": True,
            "json": "compact",
            "backend": url or "",
            "events_cap_on_reconnect": _EVENTS_KEPT_MAX,
        }
    }


def _library_folder(binary: Path) -> Path | None:
    """The folder that has plugins/ and transports/: PREFIX/lib/janus or Debian's multiarch path; None if not found."""
    prefix = binary.resolve().parent.parent
    candidates = [prefix / "lib" / "janus", prefix / "lib64" / "janus", *sorted(prefix.glob("lib/*-linux-gnu*/janus"))]
    return next((folder for folder in candidates if (folder / "plugins").is_dir()), None)


def _disabled(libraries: Path | None, kind: str, known: Iterable[str], used: Iterable[str]) -> str:
    """The value of `disable`: file names of all libraries of a kind, known or found, that we do not use."""
    names = {f"libjanus_{name}.so" for name in known}
    if libraries is not None:
        names |= {path.name for path in (libraries / kind).glob("*.so")}
    return ",".join(sorted(names - {f"libjanus_{name.rpartition('.')[2]}.so" for name in used}))


def _libconfig(sections: _Sections) -> str:
    """Text in libconfig's format, https://hyperrealm.github.io/libconfig/libconfig_manual.html."""
    lines = []
    for section, items in sections.items():
        lines += [f"{section}: {{", *(f"\t{name} = {_libconfig_value(value)}" for name, value in items.items()), "}"]
    return "\n".join(lines) + "\n"


def _libconfig_value(value: _Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write(path: Path, text: str) -> None:
    # A file that exists would keep its permissions, which may be wider: it is deleted first.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
