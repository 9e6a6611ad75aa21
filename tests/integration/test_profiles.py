"""The same pipeline under each profile: a real launcher, tritonserver and gateway, in turns."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import psutil
import pytest
import yaml

from export import releases
from export.labelled_photos import Evidence
from export.repository import ModelRepository
from export.versions import export
from pipelines.load import FOLDER, load_definition, load_spec
from pipelines.protocol import MEMBER_INPUT
from tests import plain_recipe
from tests.integration.service import running

NAME = "profiled"
PROFILES = ("default", "onnx", "openvino", "int8")
TOLERANCE = 1e-4
ASKED, JUDGED = 6, 12
CROWD = [(index % (ASKED + 1), 0.1 + 0.1 * (index % 8)) for index in range(70)]
"""Number of a photo, the last one broken, and the threshold to ask for: some share a batch."""
BROKEN = b"\xff\xd8\xff" + bytes(64)
"""It begins as a JPEG does."""
GATE = {
    "images_at_least": JUDGED,
    "agreement_at_least": 0.0,
    "accuracy_drop_at_most": 1.0,
    "sensitivity_drop_at_most": 1.0,
}
"""Random networks are no match for INT8; the gate has tests of its own."""


@dataclass(frozen=True)
class Served:
    """What was served under each profile, and what it answered to the same photos."""

    specs: Path
    repository: Path
    answers: dict[str, list[dict[str, Any]]]
    logs: dict[str, str]
    mixed: dict[str, list[dict[str, Any]]]
    """Results of one upload of good photos with a broken one between them."""
    crowd: dict[str, list[httpx.Response]]
    """Replies to `CROWD`, asked side by side."""
    compiled: dict[str, int]
    """Backend processes that had loaded OpenVINO."""


@pytest.fixture(scope="module")
def served(oral_cancer, tmp_path_factory) -> Served:
    """The small network of oral_cancer alone, in three forms, each served once."""
    folder = tmp_path_factory.mktemp("profiles")
    facts = yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8"))
    forms = ("regnet", "regnet_onnx", "regnet_int8")
    facts["members"] = {form: facts["members"][form] for form in forms}
    facts["profiles"] = {profile: facts["profiles"][profile] for profile in PROFILES[1:]}
    for profile in facts["profiles"].values():
        profile["instead"].pop("vgg16", None)
        profile.get("members", {}).pop("vgg16", None)
    facts |= {"name": NAME, "quantisation_gate": GATE}
    specs = folder / "specs"
    specs.mkdir()
    (specs / f"{NAME}.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    whole, repository = load_definition(NAME, specs), ModelRepository(folder / "model_repository")
    repository.write_configs(whole, f"{NAME}.yaml")
    pixels = np.stack([plain_recipe.pixels(file, whole) for file in oral_cancer.files])
    judged = np.arange(JUDGED) % len(whole.classes)
    evidence = Evidence(pixels[JUDGED:], pixels[:JUDGED], judged)
    given = {"regnet": oral_cancer.checkpoints["regnet"]}
    export(whole, given, repository, evidence=evidence)
    assert [release.spec.profile for release in releases.make(whole, repository).made] == [
        *PROFILES
    ]
    answers, logs, mixed, crowd, compiled = {}, {}, {}, {}, {}
    files = [oral_cancer.files[0], BROKEN, oral_cancer.files[1]]
    for profile in PROFILES:
        home = folder / profile
        home.mkdir()
        asked = ("--specs", str(specs), "--profile", profile, "--run-dir", str(home / "run"))
        with running(repository.root, home, *asked) as service:
            path = f"{service.url}/api/v1/pipelines/{NAME}/predict/advanced"
            replies = [
                httpx.post(path, files={"file": file}, timeout=60)
                for file in oral_cancer.files[:ASKED]
            ]
            batch = httpx.post(
                f"{service.url}/api/v1/pipelines/{NAME}/predict/batch",
                files=[("files", file) for file in files],
                timeout=60,
            )
            asking = partial(ask, path, [*oral_cancer.files[:ASKED], BROKEN])
            with ThreadPoolExecutor(16) as callers:
                crowd[profile] = list(callers.map(asking, CROWD))
            logs[profile] = service.log.read_text("utf-8")
            compiled[profile] = backends_with(service, "libopenvino")
        mixed[profile] = batch.json()["results"]
        answers[profile] = [reply.raise_for_status().json() for reply in replies]
    return Served(specs, repository.root, answers, logs, mixed, crowd, compiled)


def backends_with(service, library):
    """How many backend processes have mapped a shared library."""
    processes = psutil.Process(service.process.pid).children(recursive=True)
    backends = [each for each in processes if each.name().startswith("triton_python_b")]
    assert backends
    return sum(library in Path(f"/proc/{each.pid}/maps").read_text("utf-8") for each in backends)


def ask(path, files, asked):
    number, threshold = asked
    url = f"{path}?threshold={threshold:.2f}"
    return httpx.post(url, files={"file": files[number]}, timeout=60)


@pytest.mark.parametrize("profile", ["onnx", "openvino"])
def test_onnx_answers_equal_those_of_the_default_and_say_another_release(served, profile):
    for answer, default in zip(served.answers[profile], served.answers["default"], strict=True):
        assert answer["probabilities"] == pytest.approx(default["probabilities"], abs=TOLERANCE)
        assert list(default["models"]) == ["regnet"]
        assert list(answer["models"]) == ["regnet_onnx"]
    releases = {profile: answers[0]["release"] for profile, answers in served.answers.items()}
    assert len(set(releases.values())) == len(PROFILES)


def test_openvino_runs_where_the_profile_says_so_and_nowhere_else(served):
    processes = load_spec(NAME, served.specs, "openvino").serving.decision.instances
    assert served.compiled == dict.fromkeys(PROFILES, 0) | {"openvino": processes}


def test_one_process_refuses_an_image_alone_and_as_the_default_does(served):
    default, onnx = served.mixed["default"], served.mixed["onnx"]
    assert onnx[1]["error"] == default[1]["error"]
    assert onnx[1]["error"]["code"] == "image_undecodable"
    for position in (0, 2):
        assert onnx[position]["probabilities"] == pytest.approx(
            default[position]["probabilities"], abs=TOLERANCE
        )


@pytest.mark.parametrize("profile", PROFILES)
def test_in_a_crowd_everyone_gets_an_own_answer(served, profile):
    alone = served.answers[profile]
    for (number, threshold), reply in zip(CROWD, served.crowd[profile], strict=True):
        if number == ASKED:
            assert reply.status_code == 422
            assert reply.json()["code"] == "image_undecodable"
            continue
        answer = reply.raise_for_status().json()
        assert answer["threshold"] == pytest.approx(threshold, abs=1e-6)
        assert answer["probabilities"] == pytest.approx(alone[number]["probabilities"], abs=1e-4)
        likely = answer["probabilities"]["cancer"] >= answer["threshold"]
        assert answer["prediction"] == ("cancer" if likely else "healthy")


def test_the_int8_profile_serves_its_artefact(served, oral_cancer):
    spec = load_spec(NAME, served.specs, "int8")
    artefact = served.repository / f"{NAME}_regnet_int8" / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    for file, answer in zip(oral_cancer.files, served.answers["int8"], strict=False):
        pixels = plain_recipe.pixels(file, spec)[None]
        logits = session.run(None, {MEMBER_INPUT: pixels})[0][0]
        wanted = plain_recipe.probabilities_of(logits)
        found = [answer["probabilities"][label] for label in spec.classes]
        assert found == pytest.approx(wanted, abs=TOLERANCE)
        assert list(answer["models"]) == ["regnet_int8"]


def test_the_launcher_says_which_profile_it_serves(served):
    for profile, log in served.logs.items():
        assert f"{NAME}  profile {profile}  release " in log
