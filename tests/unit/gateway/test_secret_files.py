"""The files of the gateway's secrets."""

import stat
import threading

import pytest

from gateway.secret_files import SecretError, SecretFiles, SecretName

READ = {
    "pepper": SecretFiles.pepper,
    "image_key": SecretFiles.image_keys,
    "audit_signing_key": SecretFiles.audit_signing_key,
}


def test_secrets_are_made_when_they_are_first_needed_and_stay(tmp_path):
    files = SecretFiles(tmp_path / "run" / "secrets", made=True)
    first = files.pepper(), *files.image_keys(), files.audit_signing_key().private_bytes_raw()
    again = files.pepper(), *files.image_keys(), files.audit_signing_key().private_bytes_raw()
    assert first == again
    assert len(set(first)) == 3
    assert {len(secret) for secret in first} == {32}
    made = list(files.folder.iterdir())
    assert {path.name for path in made} == set(SecretName)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("read", READ)
def test_beyond_the_default_a_missing_secret_is_told(tmp_path, read):
    files = SecretFiles(tmp_path, made=False)
    with pytest.raises(SecretError, match=f"{read}: there is no such file.*secrets init"):
        READ[read](files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pepper", "abc"),
        ("pepper", "é" * 64),
        ("pepper", "\n".join(["a" * 64] * 2)),
        ("image_key", ""),
        ("image_key", "a" * 64 + "\nabc"),
        ("audit_signing_key", "no PEM"),
    ],
)
def test_an_unusable_secret_is_told_and_not_replaced(tmp_path, name, content):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(SecretError, match=name):
        READ[name](SecretFiles(tmp_path, made=True))
    assert (tmp_path / name).read_text("utf-8") == content


def test_image_keys_are_read_one_a_line_the_first_being_the_one_that_wraps(tmp_path):
    (tmp_path / "image_key").write_text("b" * 64 + "\n" + "a" * 64 + "\n", "ascii")
    keys = SecretFiles(tmp_path, made=False).image_keys()
    assert keys == [b"\xbb" * 32, b"\xaa" * 32]


def test_all_are_made_at_once_and_none_is_replaced(tmp_path):
    files = SecretFiles(tmp_path, made=False)
    assert [path.name for path in files.make()] == list(SecretName)
    before = files.pepper()
    assert files.make() == []
    assert files.pepper() == before


def test_of_gateways_that_start_together_all_use_the_same(tmp_path):
    found = set()
    starting = threading.Barrier(8)

    def start():
        starting.wait()
        found.add(SecretFiles(tmp_path, made=True).pepper())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]
