"""Links to files of ours: who signed them, until when they are good, and what cannot be done to them."""

import base64
import hashlib
import hmac
from datetime import timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core import links
from tests.factories import NOW

SECRET = bytes(range(32))
KEY = "recordings/7b61621f-62e0-4aad-ab11-9fd19e272e73/1ccc7b54-4df3-4bca-a65a-35a1ecc777f0.ogg"
BASE = "https://video.example.com"
HOUR = timedelta(hours=1)


def parts(link: str) -> tuple[str, dict[str, str]]:
    """Key and query as a server reads them."""
    split = urlsplit(link)
    query = dict(parse_qsl(split.query, keep_blank_values=True, strict_parsing=True))
    return unquote(split.path).removeprefix("/files/"), query


def test_a_link_says_all_that_its_signature_covers() -> None:
    """Written out once more by hand, so that links stay good from one version to the next."""
    signed = f'["{KEY}", "1770074727", "alice.ogg"]'.encode()
    signature = base64.urlsafe_b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode().rstrip("=")
    assert links.sign(SECRET, BASE, KEY, "alice.ogg", now=NOW) == (
        f"{BASE}/files/{KEY}?expires=1770074727&filename=alice.ogg&signature={signature}"
    )


@given(filename=st.text(st.characters(exclude_categories=["Cs"])), key=st.text("abc/-.é ?#&%", min_size=1))
def test_what_was_signed_is_believed(filename: str, key: str) -> None:
    found, query = parts(links.sign(SECRET, BASE, key, filename, now=NOW))
    assert found == key
    assert links.verify(SECRET, found, query, now=NOW) == filename


def test_a_link_is_good_for_one_hour() -> None:
    key, query = parts(links.sign(SECRET, BASE, KEY, "a.ogg", now=NOW))
    last = NOW.replace(microsecond=0) + HOUR
    assert links.verify(SECRET, key, query, now=last - timedelta(microseconds=1)) == "a.ogg"
    with pytest.raises(links.LinkRefused, match="expired"):
        links.verify(SECRET, key, query, now=last)


@pytest.mark.parametrize(
    "altered",
    [
        {"expires": "1970074727"},
        {"expires": "01770074727"},
        {"expires": ""},
        {"expires": "never"},
        {"filename": "b.ogg"},
        {"filename": ""},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "\udcff"},
        {"signature": "A" * 43},
    ],
)
def test_an_altered_link_is_refused(altered: dict[str, str]) -> None:
    key, query = parts(links.sign(SECRET, BASE, KEY, "a.ogg", now=NOW))
    with pytest.raises(links.LinkRefused, match="altered"):
        links.verify(SECRET, key, query | altered, now=NOW)


@pytest.mark.parametrize("missing", ["expires", "filename", "signature"])
def test_a_link_with_a_member_missing_is_refused(missing: str) -> None:
    key, query = parts(links.sign(SECRET, BASE, KEY, "a.ogg", now=NOW))
    del query[missing]
    with pytest.raises(links.LinkRefused, match="altered"):
        links.verify(SECRET, key, query, now=NOW)


def test_every_single_change_of_a_signature_is_refused() -> None:
    key, query = parts(links.sign(SECRET, BASE, KEY, "a.ogg", now=NOW))
    signature = query["signature"]
    for at, letter in enumerate(signature):
        for other in "AQgw":  # among them the four that differ in the last character's unused bits
            if other != letter:
                changed = query | {"signature": signature[:at] + other + signature[at + 1 :]}
                with pytest.raises(links.LinkRefused):
                    links.verify(SECRET, key, changed, now=NOW)


def test_a_link_leads_to_no_other_file_and_comes_from_no_other_installation() -> None:
    key, query = parts(links.sign(SECRET, BASE, KEY, "a.ogg", now=NOW))
    for secret, other in ((SECRET, key + "x"), (SECRET, f"{key}/../x"), (SECRET[::-1], key)):
        with pytest.raises(links.LinkRefused):
            links.verify(secret, other, query, now=NOW)


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("recording-1.ogg", 'attachment; filename="recording-1.ogg"'),
        ("two words.ogg", 'attachment; filename="two words.ogg"'),
        ("Zoë €.ogg", "attachment; filename=\"Zo_ _.ogg\"; filename*=UTF-8''Zo%C3%AB%20%E2%82%AC.ogg"),
        ('a"b\\c.ogg', "attachment; filename=\"a_b_c.ogg\"; filename*=UTF-8''a%22b%5Cc.ogg"),
        ("a\r\nX-Evil: 1", "attachment; filename=\"a__X-Evil: 1\"; filename*=UTF-8''a%0D%0AX-Evil%3A%201"),
        ("100%.ogg", "attachment; filename=\"100_.ogg\"; filename*=UTF-8''100%25.ogg"),
    ],
)
def test_a_file_name_is_given_to_old_and_new_clients(filename: str, header: str) -> None:
    assert links.content_disposition(filename) == header


@given(st.text())
def test_no_file_name_breaks_the_header(filename: str) -> None:
    header = links.content_disposition(filename)
    assert header.isascii() and header.isprintable()
    assert header.count('"') == 2
