"""The commands of `python -m gateway` for keys and secrets, on the database of the test."""

import hashlib
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.command_line import app
from gateway.identity.key_format import ApiKey
from gateway.settings import Settings
from tests.certificates import Site

RUNNER = CliRunner()


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
