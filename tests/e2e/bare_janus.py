"""A stock Janus with nothing in front of it: what Portico's own share of a join is measured against."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import free_port

PLUGINS = ("videoroom", "audiobridge", "textroom")
PLUGIN_ROOTS = (
    Path("/usr/lib/x86_64-linux-gnu/janus"),
    Path("/usr/lib/aarch64-linux-gnu/janus"),
    Path("/usr/lib/janus"),
)
STARTS_WITHIN_SECS = 10.0


class BareJanus:
    """A running Janus that speaks its own protocol; room ids are strings, so that the SDK's UUIDs fit without a map."""

    def __init__(self, port: int) -> None:
        self.websocket_url = f"ws://127.0.0.1:{port}"

    async def create_room(self, room_id: str) -> None:
        """Creates the video room and the audio bridge that the SDK expects to exist under this id."""
        video = {"request": "create", "room": room_id, "publishers": 100, "audiocodec": "opus", "videocodec": "vp8"}
        audio = {"request": "create", "room": room_id, "sampling_rate": 48000}
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(self.websocket_url, protocols=("janus-protocol",)) as socket,
        ):
            session_id = (await _ask(socket, {"janus": "create"}))["data"]["id"]
            for plugin, body in (("videoroom", video), ("audiobridge", audio)):
                attach = {"janus": "attach", "session_id": session_id, "plugin": f"janus.plugin.{plugin}"}
                handle_id = (await _ask(socket, attach))["data"]["id"]
                message = {"janus": "message", "session_id": session_id, "handle_id": handle_id, "body": body}
                answer = await _ask(socket, message)
                assert answer["plugindata"]["data"].get(plugin) == "created", answer


async def _ask(socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]) -> dict[str, Any]:
    """Sends one request and returns the first answer that is not an ack."""
    await socket.send_json({**message, "transaction": "1"})
    while True:
        answer: dict[str, Any] = await socket.receive_json(timeout=5)
        if answer.get("transaction") == "1" and answer["janus"] != "ack":
            return answer


@contextlib.asynccontextmanager
async def bare_janus(
    media_interface: str | None, janus_bin: str | None = None, *, string_ids: bool = True
) -> AsyncIterator[BareJanus]:
    """Starts a Janus on loopback with a configuration of its own and stops it at the end."""
    program = janus_bin or shutil.which("janus")
    if program is None:
        raise RuntimeError("There is no janus on the PATH: install Debian's package, or name another with --janus.")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bare-janus-") as name, (Path(name) / "janus.log").open("wb") as log:
        folder = Path(name)
        _write_configuration(folder, Path(program), port, media_interface, string_ids)
        command = [program, "-F", str(folder), "-C", f"{folder}/janus.jcfg"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            await _until_it_listens(process, port, folder / "janus.log")
            yield BareJanus(port)
        finally:
            process.terminate()
            process.wait(timeout=10)


async def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    try:
        async with asyncio.timeout(STARTS_WITHIN_SECS):
            while process.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    raise RuntimeError(f"Janus did not start. Its log:\n{log.read_text(errors='replace')}")


def _plugin_root(program: Path) -> Path:
    """Where this Janus keeps its shared objects: beside a program built by hand, else in Debian's folder."""
    candidates = (program.resolve().parent.parent / "lib" / "janus", *PLUGIN_ROOTS)
    return next(root for root in candidates if (root / "plugins").is_dir())


def _write_configuration(folder: Path, program: Path, port: int, media_interface: str | None, string_ids: bool) -> None:
    root = _plugin_root(program)
    for kind, names in (("plugins", PLUGINS), ("transports", ("websockets",)), ("events", ()), ("loggers", ())):
        (folder / kind).mkdir()
        for name in names:
            (folder / kind / f"libjanus_{name}.so").symlink_to(root / kind / f"libjanus_{name}.so")
    enforced = f'nat: {{ ice_enforce_list = "{media_interface}" }}' if media_interface else ""
    (folder / "janus.jcfg").write_text(
        f"""
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    events_folder = "{folder}/events"
    loggers_folder = "{folder}/loggers"
    reclaim_session_timeout = 0
    event_loops = 2
    debug_level = 3
}}
{enforced}
"""
    )
    (folder / "janus.transport.websockets.jcfg").write_text(
        f'general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "127.0.0.1" wss = false }}\n'
    )
    for plugin in PLUGINS:
        (folder / f"janus.plugin.{plugin}.jcfg").write_text(f"general: {{ string_ids = {str(string_ids).lower()} }}\n")
