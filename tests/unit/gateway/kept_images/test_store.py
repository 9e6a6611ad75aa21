"""The store of kept images, in a folder. An S3-compatible one: tests/s3."""

import stat

import pytest

from gateway.kept_images.store import ImageStore, StoreError

pytestmark = pytest.mark.anyio


async def names_of(store):
    return sorted([name async for name, _ in store.names()])


async def test_what_is_stored_is_read_listed_and_deleted(tmp_path):
    store = ImageStore(str(tmp_path / "kept"))
    await store.put("toy/an-id", b"bytes")
    await store.put("toy/another", b"")
    # Written beside its place and renamed: no other file is left.
    assert sorted(file.name for file in (tmp_path / "kept" / "toy").iterdir()) == [
        "an-id",
        "another",
    ]
    assert await names_of(ImageStore(str(tmp_path / "kept"))) == ["toy/an-id", "toy/another"]
    assert (await store.get("toy/an-id"), await store.get("toy/another")) == (b"bytes", b"")
    await store.delete("toy/an-id")
    await store.delete("toy/an-id")
    assert await store.get("toy/an-id") is None
    assert await names_of(store) == ["toy/another"]


async def test_others_of_the_machine_cannot_look_into_the_folder(tmp_path):
    ImageStore(str(tmp_path / "kept"))
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


async def test_a_store_that_fails_says_so_without_the_name(tmp_path):
    store = ImageStore(str(tmp_path / "kept"))
    (tmp_path / "kept" / "toy").write_bytes(b"a file where a folder should be")
    with pytest.raises(StoreError, match="not stored: ") as caught:
        await store.put("toy/an-id", b"bytes")
    assert "an-id" not in str(caught.value)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/kept"):
        ImageStore(str(tmp_path / "file" / "kept"))


@pytest.mark.parametrize("url", ["ftp://host/images", "memory:///", "https://host/images"])
async def test_a_store_of_another_kind_is_refused_with_those_that_there_are(url):
    with pytest.raises(StoreError, match="a folder's path, or s3://BUCKET/PREFIX"):
        ImageStore(url)
