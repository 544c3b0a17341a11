"""Download links of this server: object key, expiry and file name, signed with HMAC-SHA256."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

GOOD_FOR = timedelta(hours=1)
"""How long after its signing a link can be used (contract, room_recordings)."""
# RFC 8187 section 3.2.1, what needs no escape beside letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


class LinkRefused(Exception):
    """A link is not valid; str() is a sentence that says why."""


def sign(secret: bytes, base_url: str, key: str, filename: str, *, now: datetime) -> str:
    """A link to the object `key`, which a browser saves as `filename`; good for GOOD_FOR."""
    expires = str(int((now + GOOD_FOR).timestamp()))
    query = {"expires": expires, "filename": filename, "signature": _signature(secret, key, expires, filename)}
    return f"{base_url}/files/{quote(key)}?{urlencode(query, quote_via=quote)}"


def verify(secret: bytes, key: str, query: Mapping[str, str], *, now: datetime) -> str:
    """The file name in a link to `key` that was signed with `secret` and has not expired; else LinkRefused."""
    expires, filename = query.get("expires", ""), query.get("filename", "")
    expected = _signature(secret, key, expires, filename)
    if not hmac.compare_digest(expected.encode(), _bytes(query.get("signature", ""))):
        raise LinkRefused("This link is not one of this server, or it was altered.")
    if now.timestamp() >= int(expires):
        raise LinkRefused("This link has expired: read the resource again for a fresh one.")
    return filename


def verify_any(accepted: Sequence[bytes], key: str, query: Mapping[str, str], *, now: datetime) -> str:
    """Like verify(), for a link signed with any of the secrets. LinkRefused has the reason for the first secret."""
    for secret in accepted[1:]:
        try:
            return verify(secret, key, query, now=now)
        except LinkRefused:
            continue
    return verify(accepted[0], key, query, now=now)


def content_disposition(filename: str) -> str:
    """The Content-Disposition header that saves a file under this name (RFC 6266), for old clients also in ASCII."""
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in filename)
    disposition = f'attachment; filename="{plain}"'
    if plain != filename:
        disposition += f"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS, errors='replace')}"
    return disposition


def _signature(secret: bytes, key: str, expires: str, filename: str) -> str:
    # As JSON, so that no two different links are the same text.
    signed = json.dumps([key, expires, filename]).encode()
    return base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """The text as bytes, because constant-time comparison takes only ASCII as text."""
    return text.encode(errors="surrogatepass")
