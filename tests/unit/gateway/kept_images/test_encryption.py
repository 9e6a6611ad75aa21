"""Encryption of kept images."""

import secrets

import pytest

from gateway.kept_images.encryption import ImageKeys, UnreadableImageError, WrappedKey

IMAGE = b"\xff\xd8 a photo of nobody " * 1000
OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)


def keys(*chosen):
    return ImageKeys(chosen)


def test_an_image_is_read_again_under_its_name():
    content, wrapped = keys(OLD).encrypt(IMAGE, "an-id")
    assert keys(OLD).decrypt(content, wrapped, "an-id") == IMAGE


def test_nothing_of_an_image_is_seen_and_equal_images_differ():
    both = keys(OLD)
    first, second = both.encrypt(IMAGE, "an-id"), both.encrypt(IMAGE, "an-id")
    assert b"nobody" not in first[0] + first[1].content
    assert first[0] != second[0]
    assert first[1] != second[1]
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(first[0], second[1], "an-id")


def test_without_the_key_file_an_image_is_unreadable():
    content, wrapped = keys(OLD).encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match=f"no key with the id {wrapped.by}"):
        keys(NEW).decrypt(content, wrapped, "an-id")


@pytest.mark.parametrize("place", [0, 12, 500, -1])
def test_one_changed_byte_is_found(place):
    content, wrapped = keys(OLD).encrypt(IMAGE, "an-id")
    changed = bytearray(content)
    changed[place] ^= 1
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        keys(OLD).decrypt(bytes(changed), wrapped, "an-id")


@pytest.mark.parametrize("length", [0, 5, 12, 27])
def test_an_image_or_a_key_that_was_cut_is_found(length):
    both = keys(OLD)
    content, wrapped = both.encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content[:length], wrapped, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content, WrappedKey(wrapped.by, wrapped.content[:length]), "an-id")


def test_an_image_is_not_read_in_the_place_of_another():
    both = keys(OLD)
    content, wrapped = both.encrypt(IMAGE, "an-id")
    with pytest.raises(UnreadableImageError, match="not what was kept"):
        both.decrypt(content, wrapped, "another-id")


def test_after_a_new_key_older_images_are_read_and_rewrapped():
    content, wrapped = keys(OLD).encrypt(IMAGE, "an-id")
    both = keys(NEW, OLD)
    assert both.decrypt(content, wrapped, "an-id") == IMAGE
    again = both.rewrap(wrapped, "an-id")
    assert again.by != wrapped.by
    assert keys(NEW).decrypt(content, again, "an-id") == IMAGE
