"""Download links of our own: which object, until when and under which name, signed so that nobody makes one up."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

GOOD_FOR = timedelta(hours=1)
"""How long a link can be used (contract, room_recordings)."""
# RFC 8187 section 3.2.1, what needs no escape beside letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


class LinkRefused(Exception):
    """Why a link does not lead to its file; str() is a sentence for whoever follows it."""


def sign(secret: bytes, base_url: str, key: str, filename: str, *, now: datetime) -> str:
    """A link to the object `key`, which a browser saves as `filename`; good for GOOD_FOR."""
    expires = str(int((now + GOOD_FOR).timestamp()))
    query = {"expires": expires, "filename": filename, "signature": _signature(secret, key, expires, filename)}
    return f"{base_url}/files/{quote(key)}?{urlencode(query, quote_via=quote)}"


def verify(secret: bytes, key: str, query: Mapping[str, str], *, now: datetime) -> str:
    """The file name of a link to `key` that we signed and that is still good; else LinkRefused."""
    expires, filename = query.get("expires", ""), query.get("filename", "")
    expected = _signature(secret, key, expires, filename)
    if not hmac.compare_digest(expected.encode(), _bytes(query.get("signature", ""))):
        raise LinkRefused("This link is not one of this server, or it was altered.")
    if now.timestamp() >= int(expires):
        raise LinkRefused("This link has expired: read the resource again for a fresh one.")
    return filename


def verify_any(accepted: Sequence[bytes], key: str, query: Mapping[str, str], *, now: datetime) -> str:
    """The same, where any of several secrets may have signed the link. The first is told of in the refusal."""
    for secret in accepted[1:]:
        try:
            return verify(secret, key, query, now=now)
        except LinkRefused:
            continue
    return verify(accepted[0], key, query, now=now)


def content_disposition(filename: str) -> str:
    """The header that has a file saved under this name (RFC 6266), in ASCII for old clients and in full."""
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in filename)
    disposition = f'attachment; filename="{plain}"'
    if plain != filename:
        disposition += f"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS, errors='replace')}"
    return disposition


def _signature(secret: bytes, key: str, expires: str, filename: str) -> str:
    # As JSON, so that no two different links are the same text.
    said = json.dumps([key, expires, filename]).encode()
    return base64.urlsafe_b64encode(hmac.digest(secret, said, hashlib.sha256)).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """As bytes, because constant-time comparison takes other text only in ASCII."""
    return text.encode(errors="surrogatepass")
