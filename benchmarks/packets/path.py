"""The path of one PeerConnection: ICE and DTLS over the shared socket of a Port, and SRTP with the keys of DTLS.

Only what one host next to the server needs: one candidate, no relay. Source: RFC 8445, 5764.
"""

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING

import pylibsrtp
from aioice import stun
from aiortc import RTCCertificate
from OpenSSL import SSL

from benchmarks.packets.rtp import sent_ns
from benchmarks.packets.sdp import Local, Remote

if TYPE_CHECKING:
    from benchmarks.packets.port import Port

CONNECTS_WITHIN_SECS = 30.0
CHECK_EVERY_SECS = 0.1
DTLS_AFTER_SECS = 0.02
"""From the check with which Janus chooses the path to our first packet of DTLS: Janus ignores an earlier one."""
_PRIORITY = 1862270975
_MTU = 1400
# (name of OpenSSL, profile of libsrtp, bytes of key and of salt), in the order of Chromium.
_PROFILES = (
    (b"SRTP_AEAD_AES_256_GCM", pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    (b"SRTP_AEAD_AES_128_GCM", pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    (b"SRTP_AES128_CM_SHA1_80", pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
)


class Identity:
    """One certificate for all paths of a process, as one browser has one for all pages."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        (self.fingerprint,) = [one.value for one in certificate.getFingerprints() if one.algorithm == "sha-256"]
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_options(SSL.OP_NO_TICKET)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.use_certificate(certificate._cert)
        self.context.use_privatekey(certificate._key)
        self.context.set_tlsext_use_srtp(b":".join(name for name, *_ in _PROFILES))


class Path:
    """One PeerConnection; `protect` and `send` work once `connect` has returned."""

    def __init__(self, port: "Port") -> None:
        self._port = port
        self.local = Local(secrets.token_hex(4), secrets.token_hex(12), port.identity.fingerprint, port.address)
        self.remote_address: tuple[str, int] | None = None
        self.profile = ""
        self._tie = secrets.randbits(64)
        self._checked = asyncio.Event()
        self._chosen = asyncio.Event()
        self._encrypted = asyncio.Event()
        self._dtls: SSL.Connection | None = None
        self._has_role = False

    async def connect(self, remote: Remote, *, controlling: bool) -> None:
        """Find the path and agree on keys. TimeoutError when that takes too long."""
        self._remote = remote
        self._controlling = controlling
        # Janus offers both roles; an answer of it says which one it has taken.
        self._is_dtls_client = not remote.is_dtls_client
        self._port.add(self)
        async with asyncio.timeout(CONNECTS_WITHIN_SECS):
            await self._check()
            if not controlling:
                await self._chosen.wait()
                await asyncio.sleep(DTLS_AFTER_SECS)
            await self._handshake()

    def close(self) -> None:
        self._port.remove(self)

    async def _check(self) -> None:
        while not self._checked.is_set():
            for address in self._remote.addresses:
                self._port.send(self._request(), address)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._checked.wait(), CHECK_EVERY_SECS)

    def _request(self) -> bytes:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self._remote.user}:{self.local.user}"
        request.attributes["PRIORITY"] = _PRIORITY
        if self._controlling:
            request.attributes["ICE-CONTROLLING"] = self._tie
            request.attributes["USE-CANDIDATE"] = None
        else:
            request.attributes["ICE-CONTROLLED"] = self._tie
        request.add_message_integrity(self._remote.password.encode())
        self._port.expect(request.transaction_id, self)
        return bytes(request)

    def take_response(self, address: tuple[str, int]) -> None:
        """Janus has answered a check from there."""
        if self.remote_address is None:
            self.remote_address = address
            self._port.learn(address, self)
            self._checked.set()

    def take_request(self, message: stun.Message, address: tuple[str, int]) -> None:
        """Janus checks the path, at its begin and again and again for consent."""
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(self.local.password.encode())
        self._port.send(bytes(response), address)
        if "USE-CANDIDATE" in message.attributes:
            self._chosen.set()

    async def _handshake(self) -> None:
        connection = self._connection()
        (connection.set_connect_state if self._is_dtls_client else connection.set_accept_state)()
        self._has_role = True
        self._advance()
        while not self._encrypted.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._encrypted.wait(), 1.0)
            if not self._encrypted.is_set():
                connection.DTLSv1_handle_timeout()
                self._flush()

    def _connection(self) -> SSL.Connection:
        if self._dtls is None:
            self._dtls = SSL.Connection(self._port.identity.context)
            self._dtls.set_ciphertext_mtu(_MTU)
        return self._dtls

    def take_dtls(self, data: bytes) -> None:
        """A datagram of DTLS."""
        if self._encrypted.is_set():
            return
        connection = self._connection()
        connection.bio_write(data)
        if self._has_role:
            self._advance()

    def _advance(self) -> None:
        connection = self._connection()
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        self._flush()
        self._take_keys()

    def _flush(self) -> None:
        assert self.remote_address is not None
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self._port.send(self._connection().bio_read(1500), self.remote_address)

    def _take_keys(self) -> None:
        connection = self._connection()
        chosen = connection.get_selected_srtp_profile()
        name, profile, key, salt = next(one for one in _PROFILES if one[0] == chosen)
        material = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        ours, theirs = (client, server) if self._is_dtls_client else (server, client)
        any_in, any_out = pylibsrtp.Policy.SSRC_ANY_INBOUND, pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        self._out = pylibsrtp.Session(pylibsrtp.Policy(key=ours, ssrc_type=any_out, srtp_profile=profile))
        self._in = pylibsrtp.Session(pylibsrtp.Policy(key=theirs, ssrc_type=any_in, srtp_profile=profile))
        self.protect, self.protect_rtcp, self.unprotect = self._out.protect, self._out.protect_rtcp, self._in.unprotect
        self.profile = name.decode()
        self._encrypted.set()

    def send(self, packet: bytes) -> None:
        """Encrypt a packet of media and send it."""
        assert self.remote_address is not None
        self._port.send(self.protect(packet), self.remote_address)

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt a packet of control and send it."""
        assert self.remote_address is not None
        self._port.send(self.protect_rtcp(packet), self.remote_address)

    def delay(self, packet: bytes) -> float | None:
        """Decrypt a packet of our own video; returns the seconds since it was sent, None when it says no time."""
        try:
            sent = sent_ns(self.unprotect(packet))
        except pylibsrtp.Error:
            return None
        return (time.monotonic_ns() - sent) / 1e9 if sent else None
