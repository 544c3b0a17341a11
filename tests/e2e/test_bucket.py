"""A whole call with an S3-compatible bucket as the store: recorded, composed, downloaded and deleted."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.converter.mjr_files import duration_ms
from tests.converter.pictures import MediaFile
from tests.e2e import archive
from tests.e2e.conftest import calls
from tests.e2e.person import RED
from tests.servers import PorticoServer
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Bucket, a_bucket

pytestmark = pytest.mark.asyncio(loop_scope="session")

READY_WITHIN_SECS = 60.0


def _files(bucket: Bucket) -> list[str]:
    """What is kept there, but for what /readyz writes to see that it can."""
    kept = bucket.keys()
    return [key for key in kept if key.startswith(("calls/recordings/", "calls/compositions/"))]


async def test_everything_is_in_the_bucket(
    tmp_path: Path, loopback: str | None, browser: Browser, site: str, portico: type[PorticoServer]
) -> None:
    bucket = a_bucket()
    settings = {
        "storage_url": f"s3://{BUCKET}/calls",
        "s3_endpoint": bucket.endpoint,
        "s3_region": REGION,
        "s3_access_key_id": ACCESS_KEY,
        "s3_secret_access_key": SECRET_KEY,
    }
    with bucket.up(), portico(tmp_path / "data", media_interface=loopback, **settings) as server:
        async with aclosing(calls(server, browser, site)) as opened:
            call = await anext(opened)
            await call.create_room(enable_recording=True)
            anna = await call.join()
            await anna.publish(tone=440, colour=RED)

            async def is_on_air() -> bool:
                return len([row async for row in call.rest.room_recordings.list()]) == 2

            await call.eventually("both tracks are on the air", is_on_air)
            await asyncio.sleep(4)
            (session,) = await call.sessions()
            await anna.leave()
            wanted = (await call.rest.room_compositions.create(session_id=session.id or "", resolution="320x240")).data
            assert wanted is not None and wanted.id is not None
            composition_id = wanted.id

            async def is_ready() -> bool:
                composition = (await call.rest.room_compositions.retrieve(composition_id)).data
                return composition is not None and composition.status == "completed"

            await call.eventually("the composition is completed", is_ready, READY_WITHIN_SECS)
            recorded = await archive.recordings(call.rest, tmp_path)
            assert all(abs(duration_ms(one.path) - one.secs * 1000) < 100 for one in recorded)
            composition = (await call.rest.room_compositions.retrieve(composition_id)).data
            assert composition is not None and composition.download_url is not None
            assert composition.download_url.startswith(bucket.endpoint)
            assert MediaFile(await archive.fetch(composition.download_url, tmp_path / "composition.mp4")).size == (
                320,
                240,
            )
            assert len(await asyncio.to_thread(_files, bucket)) == 3

            deleted = await call.rest.room_recordings.delete_bulk()
            assert deleted.data is not None and deleted.data.room_recordings == 2
            await call.rest.room_compositions.delete(composition_id)

            async def is_empty() -> bool:
                return not await asyncio.to_thread(_files, bucket)

            await call.eventually("the bucket is empty", is_empty)
