"""Stores behind a proxy, stores that insist on virtual hosts, and endpoints whose URLs reach them byte for byte."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from portico.storage.store import StorageUnavailable
from tests.factories import NOW
from tests.proxy import Proxy
from tests.receiver import Receiver, status
from tests.storage.buckets import BUCKET, Bucket, a_bucket
from tests.storage.test_storage import KEY, a_file, remote
from tests.storage.virtual_hosts import Front

HOST = "store.example"


@pytest.mark.parametrize("user", [None, "me:pass"])
async def test_a_store_behind_a_proxy(bucket: Bucket, tmp_path: Path, user: str | None) -> None:
    path, sha256 = a_file(tmp_path)
    async with Proxy(user=user) as proxy:
        store = remote(bucket, tmp_path, replace(bucket.access, proxy=proxy.url))
        await store.put(path, KEY, "audio/ogg", sha256)
        assert await store.size(KEY) == path.stat().st_size
        await store.fetch(KEY, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == path.read_bytes()
        await store.delete(KEY)
        assert await store.size(KEY) is None
        assert await store.check() is None
        assert proxy.asked and all(f" {bucket.endpoint}/{BUCKET}/calls/2026/" in each for each in proxy.asked)


async def test_a_store_over_tls_is_asked_for_through_a_tunnel(tmp_path: Path) -> None:
    async with Receiver() as receiver, Proxy(goes_to={f"{HOST}:443": receiver.port}) as proxy:
        access = replace(a_bucket().access, endpoint=f"https://{HOST}", proxy=proxy.url)
        with pytest.raises(StorageUnavailable):
            await remote(a_bucket(), tmp_path, access).size(KEY)
        assert set(proxy.asked) == {f"CONNECT {HOST}:443 HTTP/1.1"}


async def test_a_proxy_that_refuses_is_reported_in_words(bucket: Bucket, tmp_path: Path) -> None:
    async with Proxy(user="me:pass") as proxy:
        access = replace(bucket.access, proxy=proxy.url.replace("me:pass", "me:wrong"))
        assert "cannot be used" in (await remote(bucket, tmp_path, access).check() or "")


async def test_a_store_that_insists_on_virtual_hosts(bucket: Bucket, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)
    async with Front(HOST, bucket.port) as front:
        names = {f"{BUCKET}.{HOST}": front.port, HOST: front.port}
        async with Proxy(goes_to=names) as proxy:
            access = replace(bucket.access, endpoint=f"http://{HOST}", proxy=proxy.url)
            by_path = remote(bucket, tmp_path, access)
            assert "cannot be used" in (await by_path.check() or "")
            store = remote(bucket, tmp_path, replace(access, virtual_hosted=True))
            await store.put(path, KEY, "audio/ogg", sha256)
            assert front.targets[-1] == (f"{BUCKET}.{HOST}", f"/calls/2026/{KEY}")
            assert await store.size(KEY) == path.stat().st_size
            await store.fetch(KEY, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == path.read_bytes()
            assert await store.check() is None
            await store.delete(KEY)
            assert await store.size(KEY) is None
            assert bucket.keys() == ["calls/2026/.portico-writable"]


@pytest.mark.parametrize("endpoint", ["https://files.example.com", f"https://{BUCKET}.files.example.com/"])
def test_links_of_virtual_hosts_name_the_bucket_once(tmp_path: Path, endpoint: str) -> None:
    access = replace(a_bucket().access, public_endpoint=endpoint, virtual_hosted=True)
    link = urlsplit(remote(a_bucket(), tmp_path, access).link(KEY, "a.ogg", "audio/ogg", now=NOW))
    assert (link.netloc, link.path) == (f"{BUCKET}.files.example.com", f"/calls/2026/{KEY}")


def test_amazons_own_virtual_hosts_need_no_endpoint(tmp_path: Path) -> None:
    access = replace(a_bucket().access, endpoint=None, virtual_hosted=True)
    link = urlsplit(remote(a_bucket(), tmp_path, access).link(KEY, "a.ogg", "audio/ogg", now=NOW))
    assert link.netloc == f"{BUCKET}.s3.{access.region}.amazonaws.com"


@pytest.mark.parametrize("path", ["", "/s3%2Fv1/h%28x%29", "/a//b", "/%7euser/%c3%a4"])
async def test_the_path_of_an_endpoint_arrives_as_it_was_given(tmp_path: Path, path: str) -> None:
    async with Receiver(otherwise=status(404)) as receiver:
        access = replace(a_bucket().access, endpoint=f"http://127.0.0.1:{receiver.port}{path}")
        assert await remote(a_bucket(), tmp_path, access).size(KEY) is None
        assert receiver.requests[0].target == f"{path}/{BUCKET}/calls/2026/{KEY}"
