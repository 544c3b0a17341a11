"""Carries hints of commits (wakeup.py) between the processes of one PostgreSQL, with LISTEN and NOTIFY.

A hint is sent after its commit, over a connection of its own: NOTIFY within a transaction makes all commits of the
database wait for each other. A process that is killed may not send a hint; readers find the rows by polling.
"""

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection

from portico.db.wakeup import TOPICS, Commits, Topic, left_by

log = structlog.get_logger()
CHANNEL = "portico"
CONNECT_AGAIN_SECS = 1.0
CHECK_SECS = 10.0
"""The longest time without traffic on a connection: a query then shows whether it is lost."""
CLOSE_SECS = 3.0
"""The longest time for which `close` sends hints that still wait."""

Connect = Callable[[], tuple["psycopg.Connection[Any]", bool]]
"""Opens a connection; returns it, and whether it is one of PgBouncer, where LISTEN may have no effect."""


class Notifier:
    """Sends and receives hints in a thread of its own, which calls `receive` with the topics of other processes."""

    def __init__(self, connect: Connect, receive: Callable[[Iterable[Topic]], None]) -> None:
        self._connect = connect
        self._receive = receive
        self._listens = False
        self._lock = threading.Lock()
        self._unsent: set[Topic] = set()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._woken, self._wake = -1, -1  # ends of a pipe, once there is a thread
        self._was_listening = False
        self.is_listening = False
        """Whether hints of other processes arrive now."""

    def listen(self) -> None:
        """Begin to receive hints of other processes."""
        with self._lock:
            begun, self._listens = self._listens, True
        if not begun:
            self._wake_up()

    def send(self, topics: Iterable[Topic]) -> None:
        """Queue hints for all other processes. Topics that wait at the same time are sent together."""
        with self._lock:
            self._unsent.update(topics)
        self._wake_up()

    def close(self) -> None:
        """Send the hints that wait, and stop; blocks for CLOSE_SECS at most."""
        with self._lock:
            self._closing, thread = True, self._thread
        if thread is None:
            return
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")
        thread.join(CLOSE_SECS)
        if not thread.is_alive():  # otherwise it hangs in the database, and may use the pipe yet
            os.close(self._woken)
            os.close(self._wake)

    def _wake_up(self) -> None:
        with self._lock:
            if self._closing:
                return
            if self._thread is None:
                self._woken, self._wake = os.pipe()
                os.set_blocking(self._woken, False)
                os.set_blocking(self._wake, False)
                self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
                self._thread.start()
        with contextlib.suppress(BlockingIOError):  # the pipe is full: the thread wakes up anyway
            os.write(self._wake, b"x")

    def _run(self) -> None:
        while True:
            try:
                self._serve()
                return
            except (psycopg.Error, OSError) as error:
                if self.is_listening:
                    log.warning("hints of other processes do not arrive", error=str(error).strip())
            self.is_listening = False
            if self._closing:
                return
            select.select([], [], [], CONNECT_AGAIN_SECS)

    def _serve(self) -> None:
        """Send and receive until closed. Raises psycopg's errors when the connection is lost."""
        connection, is_pooled = self._connect()
        with contextlib.closing(connection):
            connection.autocommit = True
            while True:
                if self._listens and not is_pooled and not self.is_listening:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.is_listening = True
                    if self._was_listening:
                        self._receive(TOPICS)  # hints may have been missed until now
                    self._was_listening = True
                self._send(connection)
                if self._closing:
                    return
                ready, _, _ = select.select([connection.fileno(), self._woken], [], [], CHECK_SECS)
                if self._woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 65536)
                if not ready:
                    connection.execute("SELECT 1")
                self._receive_from(connection)

    def _send(self, connection: "psycopg.Connection[Any]") -> None:
        with self._lock:
            topics, self._unsent = self._unsent, set()
        if topics:
            try:
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, " ".join(sorted(topics))])
            except psycopg.Error:
                with self._lock:
                    self._unsent |= topics
                raise

    def _receive_from(self, connection: "psycopg.Connection[Any]") -> None:
        own = connection.info.backend_pid
        received: set[str] = set()
        for notification in connection.notifies(timeout=0):
            if notification.pid != own:
                received.update(notification.payload.split())
        if received:
            self._receive([topic for topic in TOPICS if topic in received])


class SharedCommits(Commits):
    """Wakes waiting code after commits of this and of all other processes."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._notifier = Notifier(connect, self.wake)

    @property
    def come_from_all(self) -> bool:
        return self._notifier.is_listening

    def listen(self, topic: Topic, wake: asyncio.Event) -> None:
        super().listen(topic, wake)
        self._notifier.listen()

    def happened(self, tx: Connection) -> None:
        if topics := left_by(tx):
            self.wake(topics)
            self._notifier.send(topics)

    def close(self) -> None:
        """End the sending and receiving; blocks for CLOSE_SECS at most."""
        self._notifier.close()
