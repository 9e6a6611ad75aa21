"""The commands of `python -m gateway` for keys and secrets, on the database of the test."""

import contextlib
import hashlib
import json
import sqlite3
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.command_line import app
from gateway.identity.key_format import ApiKey
from gateway.settings import Settings
from gateway.telemetry import logs
from tests.certificates import Site

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _own_logs(monkeypatch):
    """The loggers of the tests' process would go on writing to a command's streams, which end."""
    monkeypatch.setattr(logs, "configure", lambda: None)


def run(*words, code=0):
    ended = RUNNER.invoke(app, words)
    assert ended.exit_code == code, ended.output
    assert "Traceback" not in ended.output
    return ended


def listed():
    return json.loads(run("keys", "list", "--json").stdout)


def test_of_images_that_are_not_kept_the_commands_say_so():
    ended = run("images", "delete", "p1", "p2", code=1)
    assert ended.stdout == "p1: no image is kept\np2: no image is kept\n"
    assert run("images", "sweep").stdout == "0 destroyed, 0 removed from the store\n"
    assert run("images", "rewrap").stdout == "0 wrapped again\n"


def test_a_store_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("GATEWAY_KEPT_IMAGES", "ftp://host/images")
    assert "ftp://host/images" in run("images", "sweep", code=2).stderr


def test_a_key_is_printed_once_and_listed_without_its_text():
    ended = run(
        *("keys", "create", "--name", "clinic", "--role", "predict", "--role", "audit"),
        *("--pipeline", "mhist", "--rate", "60/min", "--budget", "20EUR/month", "--expires", "90d"),
    )
    key = ApiKey.parse(ended.stdout.strip())
    assert key is not None
    (found,) = listed()
    assert found["id"] == key.id
    assert (found["name"], found["roles"]) == ("clinic", ["audit", "predict"])
    assert (found["pipelines"], found["rate"]) == (["mhist"], "60/min")
    assert (found["budget"], found["state"]) == ("20EUR/month", "active")
    assert found["expires"] > found["created"]
    assert key.text not in run("keys", "list").stdout
    assert key.id in run("keys", "list").stdout


def test_a_key_in_json_has_its_text_and_by_default_its_id_for_a_name():
    made = json.loads(run("keys", "create", "--role", "predict", "--json").stdout)
    assert ApiKey.parse(made["key"]).id == made["id"] == made["name"]
    assert made["pipelines"] is None
    assert "key" not in listed()[0]


def test_keys_are_revoked_and_rotated_by_their_id():
    made = json.loads(run("keys", "create", "--role", "predict", "--json").stdout)
    new = json.loads(run("keys", "rotate", made["id"], "--overlap", "1h", "--json").stdout)
    assert new["name"] == made["name"]
    assert new["key"] != made["key"]
    assert new["replaces"]["id"] == made["id"]
    assert new["replaces"]["expires"] is not None
    assert "revoked" in run("keys", "revoke", new["id"]).stdout
    assert [key["state"] for key in listed()] == ["active", "revoked"]
    printed = run("keys", "rotate", made["id"]).stdout.strip()
    assert ApiKey.parse(printed) is not None


def test_a_keys_file_is_taken_over(tmp_path):
    file = tmp_path / "keys"
    digest = hashlib.sha256(b"correct-horse-battery").hexdigest()
    file.write_text(f"clinic:{digest}\nprometheus:{'0' * 64}\n", "utf-8")
    ended = run("keys", "import", str(file), "--operator", "prometheus")
    assert "2 taken over, 0 were there already" in ended.stdout
    roles = {key["name"]: key["roles"] for key in listed()}
    assert roles == {"clinic": ["predict"], "prometheus": ["operate", "predict"]}
    assert "0 taken over, 2 were there" in run("keys", "import", str(file)).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("keys", "create"), "--role"),
        (("keys", "create", "--role", "admin"), "admin"),
        (("keys", "create", "--role", "predict", "--expires", "soon"), "as in 90d"),
        (("keys", "create", "--role", "predict", "--rate", "many"), "as in 60/min"),
        (("keys", "create", "--role", "predict", "--budget", "20"), "as in 20EUR/month"),
        (("keys", "create", "--role", "predict", "--name", "a b"), "name:"),
        (("keys", "revoke", "none"), "there is no key of the id 'none'"),
        (("keys", "rotate", "none"), "there is no key of the id 'none'"),
        (("keys", "import", "/no/such/file"), "it cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_remedy(words, told):
    assert told in run(*words, code=2).output


def test_without_the_secrets_of_a_shared_database_no_key_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    assert "database" in run("keys", "list", code=2).output


def test_secrets_are_made_once_and_for_their_user_alone():
    folder = Settings().secrets_dir
    assert "made" in run("secrets", "init").stdout
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert set(files) == {"pepper", "audit_signing_key", "image_key"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path(folder).iterdir()} == {0o600}
    assert "all secrets are there" in run("secrets", "init").stdout
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == files


def test_a_gateway_says_where_the_keys_of_its_keys_file_went(monkeypatch):
    monkeypatch.setenv("GATEWAY_API_KEYS_FILE", "/etc/keys")
    assert "python -m gateway keys import FILE" in run(code=2).output


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GATEWAY_AUTH", "maybe", "GATEWAY_AUTH: "),
        ("GATEWAY_TOKEN_ALGORITHMS", "HS256", "GATEWAY_TOKEN_ALGORITHMS: "),
        ("GATEWAY_TOKEN_ISSUER", "https://issuer.example", "give all or none"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    assert told in run(code=2).output


def test_a_certificate_is_a_key_without_a_text(tmp_path):
    certificate, _ = Site(tmp_path).caller("ward.example")
    ended = run("keys", "create", "--role", "predict", "--certificate", str(certificate))
    assert ended.stdout == ""
    assert "It is sha256:" in ended.stderr
    named = ("keys", "create", "--role", "audit", "--certificate", "dns:ward.example", "--json")
    made = json.loads(run(*named).stdout)
    assert "key" not in made
    assert [key["certificate"] for key in listed()][1] == "dns:ward.example" == made["certificate"]
    assert "stands for it" in run(*named, code=2).stderr
    wrong = run("keys", "create", "--role", "predict", "--certificate", "ward", code=2)
    assert "give a PEM file" in wrong.stderr


READING = (
    ("keys", "list"),
    ("keys", "revoke", "k"),
    ("keys", "rotate", "k"),
    ("audit", "verify"),
    ("audit", "retain", "--older-than", "90d"),
    ("usage", "check"),
    ("usage", "rebuild"),
    ("images", "sweep"),
    ("images", "delete", "p"),
    ("recall", "--release", "1-3fa9c2d1"),
)
"""What needs a database that is there."""


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_database_that_is_not_there_is_told_and_not_made(words, tmp_path, monkeypatch):
    file = tmp_path / "mistyped" / "none.db"
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{file}")
    told = run(*words, code=2).stderr
    assert told.startswith(f"gateway: {file}: there is no database.")
    assert "GATEWAY_DATABASE_URL" in told
    assert not file.parent.exists()


def test_the_first_key_may_come_before_the_first_gateway(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{tmp_path}/new/own.db")
    run("keys", "create", "--role", "predict")
    assert len(listed()) == 1


def damage(file, how):
    """Turns a database's file into none, or destroys most of what is in it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = file.read_bytes()
    cut = content[: len(content) // 2]
    holes = content[:8192] + bytes(len(content) - 8192)
    file.write_bytes({"text": b"no database\n" * 1000, "cut": cut, "holes": holes}[how])


@pytest.mark.parametrize("how", ["text", "cut", "holes"])
@pytest.mark.parametrize("words", [*READING, ("keys", "create", "--role", "predict")], ids=" ".join)
def test_a_damaged_database_is_told_without_a_traceback(words, how):
    run("keys", "list")
    damage(Path(Settings().database_url.removeprefix("sqlite:///")), how)
    ended = RUNNER.invoke(app, words)
    # What reads a part that is whole may succeed.
    if how != "holes" or ended.exit_code:
        assert ended.exit_code == 2, ended.output
        (line,) = [each for each in ended.stderr.splitlines() if each.startswith("gateway: ")]
        assert "the database" in line
        assert "malformed" in line or "not a database" in line
    assert ended.exception is None or isinstance(ended.exception, SystemExit)


def test_a_folder_of_secrets_that_is_a_file_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text")
    monkeypatch.setenv("GATEWAY_SECRETS_DIR", str(tmp_path / "file"))
    ended = run("secrets", "init", code=2)
    assert "it is no folder" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("name", ["pepper", "audit_signing_key", "image_key"])
def test_secrets_that_cannot_be_used_are_not_said_to_be_there(name):
    run("secrets", "init")
    (Path(Settings().secrets_dir) / name).write_text("hello")
    assert f"{name}: it" in run("secrets", "init", code=2).stderr


def test_keys_of_another_pepper_are_told(tmp_path, monkeypatch):
    run("keys", "create", "--role", "predict")
    assert run("keys", "list").stderr == ""
    monkeypatch.setenv("GATEWAY_SECRETS_DIR", str(tmp_path / "other"))
    run("secrets", "init")
    assert "1 of them are of another pepper" in run("keys", "list").stderr


@pytest.mark.parametrize(("place", "told"), [("README.md", "it is no folder"), ("s3://", "s3://")])
def test_a_store_that_cannot_be_used_is_told_in_one_line(monkeypatch, place, told):
    monkeypatch.setenv("GATEWAY_KEPT_IMAGES", place)
    (line,) = run("images", "sweep", code=2).stderr.splitlines()
    assert told in line
    assert "Error" not in line
