import pytest

from gateway.errors import Code, RefusedError
from gateway.identity.api_keys import ApiKeys, ApiKeysError, hash_key
from gateway.identity.principal import OPEN

KEY = "correct-horse-battery"


def test_a_hashed_key_is_known_by_its_name(tmp_path):
    path = tmp_path / "keys"
    other = hash_key("lab", "another-long-enough-key")
    path.write_text(f"# who may call\n\n{hash_key('clinic', KEY)}\n{other}\n", "utf-8")
    keys = ApiKeys.read(path)
    assert keys.principal(KEY).name == "clinic"
    assert keys.principal("another-long-enough-key").name == "lab"
    for unknown in (KEY + "x", "", None):
        with pytest.raises(RefusedError) as caught:
            keys.principal(unknown)
        assert (caught.value.code, caught.value.reason) == (Code.UNAUTHORIZED, "api_key")


def test_without_keys_every_caller_is_let_in_and_has_no_name():
    assert ApiKeys().principal(None) is OPEN
    assert ApiKeys().principal(KEY) is OPEN


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no key"),
        ("# only a comment\n", "has no key"),
        ("clinic:correct-horse-battery\n", ":1: is not name:sha256"),
        (f"a:{'0' * 64}\na:{'1' * 64}\n", "is there twice"),
    ],
)
def test_an_unusable_file_of_keys_is_refused(tmp_path, text, problem):
    path = tmp_path / "keys"
    path.write_text(text, "utf-8")
    with pytest.raises(ApiKeysError, match=problem):
        ApiKeys.read(path)


def test_a_missing_file_of_keys_is_refused(tmp_path):
    with pytest.raises(ApiKeysError, match="cannot be read"):
        ApiKeys.read(tmp_path / "none")


@pytest.mark.parametrize(("name", "key"), [("clinic", "short"), ("a b", KEY), ("", KEY)])
def test_a_key_that_is_short_or_badly_named_is_refused(name, key):
    with pytest.raises(ApiKeysError):
        hash_key(name, key)
