"""Encryption of kept images."""

import pytest

from gateway.kept_images.encryption import (
    ImageKeys,
    ImageKeysError,
    UnreadableImageError,
    WrappedKey,
    new_key,
)

IMAGE = b"\xff\xd8 a photo of nobody " * 1000
OLD, NEW = new_key(), new_key()


def keys(folder, *lines):
    file = folder / "image_key"
    file.write_text("\n".join(lines) + "\n", "ascii")
    return ImageKeys.read(file)


def test_an_image_is_read_again_under_its_name(tmp_path):
    content, wrapped = keys(tmp_path, OLD).encrypt(IMAGE, "an-id")
    assert keys(tmp_path, OLD).decrypt(content, wrapped, "an-id") == IMAGE


def test_nothing_of_an_image_is_seen_and_equal_images_differ(tmp_path):
    both = keys(tmp_path, OLD)
    first, second = both.encrypt(IMAGE, "an-id"), both.encrypt(IMAGE, "an-id")
    assert b"nobody" not in first[0] + first[1].content
    assert first[0] != second[0]
    assert first[1] != second[1]
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(first[0], second[1], "an-id")


def test_without_the_key_file_an_image_is_unreadable(tmp_path):
    content, wrapped = keys(tmp_path, OLD).encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match=f"no key with the id {wrapped.by}"):
        keys(tmp_path, NEW).decrypt(content, wrapped, "an-id")


@pytest.mark.parametrize("place", [0, 12, 500, -1])
def test_one_changed_byte_is_found(tmp_path, place):
    content, wrapped = keys(tmp_path, OLD).encrypt(IMAGE, "an-id")
    changed = bytearray(content)
    changed[place] ^= 1
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        keys(tmp_path, OLD).decrypt(bytes(changed), wrapped, "an-id")


@pytest.mark.parametrize("length", [0, 5, 12, 27])
def test_an_image_or_a_key_that_was_cut_is_found(tmp_path, length):
    both = keys(tmp_path, OLD)
    content, wrapped = both.encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content[:length], wrapped, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content, WrappedKey(wrapped.by, wrapped.content[:length]), "an-id")


def test_an_image_is_not_read_in_the_place_of_another(tmp_path):
    both = keys(tmp_path, OLD)
    content, wrapped = both.encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content, wrapped, "another-id")


def test_after_a_new_key_older_images_are_read_and_rewrapped(tmp_path):
    content, wrapped = keys(tmp_path, OLD).encrypt(IMAGE, "an-id")
    both = keys(tmp_path, NEW, OLD)
    assert both.decrypt(content, wrapped, "an-id") == IMAGE
    again = both.rewrap(wrapped, "an-id")
    assert again.by != wrapped.by
    assert keys(tmp_path, NEW).decrypt(content, again, "an-id") == IMAGE


@pytest.mark.parametrize("lines", [[], ["short"], [OLD.upper().replace("0", "g")], [OLD, "x" * 64]])
def test_a_key_file_of_another_form_is_refused_with_the_way_to_make_one(tmp_path, lines):
    with pytest.raises(ImageKeysError, match=r"image_key: has no keys .* python -c"):
        keys(tmp_path, *lines)


def test_a_key_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(ImageKeysError, match="nothing: cannot be read: FileNotFoundError"):
        ImageKeys.read(tmp_path / "nothing")
    (tmp_path / "bytes").write_bytes(b"\xff" * 64)
    with pytest.raises(ImageKeysError, match="bytes: cannot be read: UnicodeDecodeError"):
        ImageKeys.read(tmp_path / "bytes")
