"""The README shows what a newcomer meets."""

import json
import re

import pytest
from pydantic_settings import BaseSettings

from gateway.identity.oidc_settings import OidcSettings
from gateway.identity.token_settings import TokenSettings
from gateway.settings import Settings
from pipelines.load import load_definition
from pipelines.ports import Ports
from pipelines.tls import GatewayTls, TritonTls
from tests.integration.service import ROOT

README = (ROOT / "README.md").read_text("utf-8")
WHOLE = load_definition("oral_cancer")


def shape(value):
    """Keys and types of an answer, all the way down."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_the_first_prediction_has_the_shape_that_the_readme_prints(http):
    command = re.search(r"curl -s -F file=@(\S+) http://127\.0\.0\.1:(\d+)(\S+)", README)
    assert int(command[2]) == Ports.model_fields["gateway_port"].default
    printed = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])
    answer = http.post(command[3], files={"file": (ROOT / command[1]).read_bytes()}).json()
    # The README's answer comes from demo weights, the test's from checkpoints of its own.
    assert printed.pop("weights") == "demo"
    # The demo is calibrated and has reference photos, and the test's is not and has none.
    assert {type(printed.pop(key)) for key in ("set", "coverage")} == {list, float}
    assert printed.pop("input")["typical"] is True
    assert answer.pop("input")["typical"] is None
    # The README's service has the profile that `make serve` takes, with other forms of members.
    served = WHOLE.resolve(WHOLE.embedded)
    assert list(printed["models"]) == list(served.members)
    printed["models"] = {served.origin(name): each for name, each in printed["models"].items()}
    assert shape(printed) == shape(answer)


@pytest.mark.parametrize(
    "settings",
    [Settings, Ports, TritonTls, GatewayTls, TokenSettings, OidcSettings],
    ids=lambda kind: kind.__name__,
)
def test_every_setting_is_documented(settings: type[BaseSettings]):
    prefix = settings.model_config.get("env_prefix", "")
    for name in settings.model_fields.keys() - {"ports", "triton_tls", "tls", "tokens", "oidc"}:
        default = settings.model_fields[name].default
        # As a variable of the environment says it.
        said = str(default).lower() if isinstance(default, bool) else default
        said = "" if default in (None, ()) else said
        said = ",".join(said) if isinstance(said, tuple) else said
        assert f"| `{(prefix + name).upper()}` | {said} |" in README


def test_every_target_of_make_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"serve", "test"} <= named <= targets


def test_every_folder_that_the_readme_names_exists():
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / link).exists(), link
