"""Kept images in a bucket of a server that speaks S3's protocol.

It has an environment of its own (`make test` makes it): its dependencies are other than ours.
"""

import asyncio
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway.kept_images.store import ImageStore, StoreError
from tests.integration.service import ROOT
from tests.processes import child

SERVER = ROOT / ".cache" / "moto" / "bin" / "moto_server"
LARGE = bytes(range(256)) * 50_000


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a new bucket; the environment says where it is, as an operator's does."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        child([str(SERVER), "-H", "127.0.0.1", "-p", str(port)]),
        pytest.MonkeyPatch.context() as patch,
    ):
        end = time.monotonic() + 60
        while True:
            try:
                httpx.put(f"{url}/clinic").raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.1)
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", url),
        ):
            patch.setenv(name, value)
        yield "s3://clinic/images"


def test_images_are_stored_read_listed_and_deleted(bucket):
    async def use():
        store = ImageStore(bucket)
        await store.put("toy/an-id", LARGE)
        await store.put("toy/another", b"")
        names = {name: at async for name, at in store.names()}
        assert sorted(names) == ["toy/an-id", "toy/another"]
        assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=5) for at in names.values())
        assert await ImageStore(bucket).get("toy/an-id") == LARGE
        await store.delete("toy/an-id")
        await store.delete("toy/an-id")
        assert await store.get("toy/an-id") is None
        assert [name async for name, _ in store.names()] == ["toy/another"]

    asyncio.run(use())


def test_a_bucket_that_is_not_there_stores_nothing_and_says_so(bucket):
    async def use():
        with pytest.raises(StoreError, match="not stored"):
            await ImageStore("s3://nobodys/images").put("toy/an-id", b"bytes")

    asyncio.run(use())


def test_a_server_that_is_gone_is_an_error_within_the_time_of_an_answer(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    async def use():
        with pytest.raises(StoreError, match="not stored"):
            await asyncio.wait_for(ImageStore(bucket).put("toy/an-id", b"bytes"), 10)

    asyncio.run(use())
