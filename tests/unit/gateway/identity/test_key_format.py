import hashlib
import re
import zlib

import pytest

from gateway.identity.key_format import (
    ApiKey,
    digest,
    legacy_digest,
    legacy_digest_of,
    new_id,
    pepper_id,
)

PEPPER, OTHER = b"p" * 32, b"q" * 32


def test_a_key_has_an_id_a_secret_and_a_checksum():
    key = ApiKey.new()
    assert re.fullmatch(r"so_[0-9a-z]{12}_[0-9A-Za-z]{49}", key.text)
    assert key.text.startswith(f"so_{key.id}_")
    assert ApiKey.parse(key.text) == key
    assert key.text not in repr(key)
    assert len({ApiKey.new().text for _ in range(100)}) == 100


def test_the_checksum_is_crc_32_in_62_letters():
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ApiKey.new().text
    number = 0
    for letter in text[-6:]:
        number = number * 62 + letters.index(letter)
    assert number == zlib.crc32(text[:-6].encode())


def test_every_mistyped_letter_is_found_by_the_checksum():
    text = ApiKey.new().text
    for index, letter in enumerate(text):
        wrong = text[:index] + ("x" if letter != "x" else "y") + text[index + 1 :]
        assert ApiKey.parse(wrong) is None


@pytest.mark.parametrize("text", ["", "so_", "so_a_b", "é" * 70, "x" * 100_000, "a.b.c"])
def test_other_texts_are_no_keys(text):
    assert ApiKey.parse(text) is None
    assert ApiKey.parse(ApiKey.new().text + text + "\n") is None


def test_a_digest_is_of_the_whole_text_and_of_its_pepper():
    key = ApiKey.new()
    assert digest(PEPPER, key.text) == digest(PEPPER, key.text)
    assert re.fullmatch("[0-9a-f]{64}", digest(PEPPER, key.text))
    assert digest(PEPPER, key.text) != digest(OTHER, key.text)
    assert pepper_id(PEPPER) != pepper_id(OTHER)


def test_a_key_of_the_keys_file_is_found_by_the_digest_of_its_digest():
    sha256 = hashlib.sha256(b"correct-horse-battery").hexdigest()
    assert legacy_digest_of(PEPPER, "correct-horse-battery") == legacy_digest(PEPPER, sha256)
    assert legacy_digest_of(PEPPER, "x" * 5000) is None


def test_ids_fit_their_column():
    assert re.fullmatch("[0-9a-z]{12}", new_id())
