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

from export import reference_photos, references, releases
from export.calibration import Calibrations
from export.calibration_labels import CalibrationPhotos, halved
from export.labelled_photos import Evidence
from export.photos import decode_rules
from export.reference_forms import forms
from export.repository import ModelRepository
from export.versions import export
from inference.decode import decode
from inference.typicality import Reference
from pipelines.calibration import COVERAGE, MemberCalibration
from pipelines.load import FOLDER, load_definition, load_spec
from pipelines.protocol import MEMBER_FEATURES, MEMBER_INPUT
from pipelines.release import Release
from pipelines.typicality import reference_path
from tests import photos, plain_recipe
from tests.integration.service import running
from tests.references import around

NAME = "profiled"
PROFILES = ("default", "onnx", "openvino", "int8")
TOLERANCE = 1e-4
ASKED, JUDGED, CALIBRATING = 6, 12, 80
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
    members = ("regnet", "regnet_onnx", "regnet_int8")
    facts["members"] = {member: facts["members"][member] for member in members}
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
    calibrations = Calibrations(calibrating(whole, given))
    export(whole, given, repository, evidence=evidence, calibrations=calibrations)
    pictures = statistics(oral_cancer.files, whole)
    for form in forms(whole, repository):
        features = reference_photos.open_features(form, whole)([*pixels])
        reference = around(whole, form.manifest, pictures, features)
        references.publish(reference, repository.root)
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


def calibrating(spec, checkpoints) -> CalibrationPhotos:
    """Photos with labels of which the network has those right that it is sure of."""
    files = [photos.encoded(photos.photo(2000 + number), "PNG") for number in range(CALIBRATING)]
    network = plain_recipe.load_members(spec, checkpoints)
    seen = [plain_recipe.opinion(file, spec, network).probabilities[1] for file in files]
    ranks, middle = np.argsort(np.argsort(seen)), CALIBRATING // 2
    labels = (ranks >= middle).astype(np.int64)
    unsure = (np.abs(ranks - middle) <= CALIBRATING // 8) & (ranks % 2 == 0)
    labels[unsure] = 1 - labels[unsure]
    pixels = np.stack([plain_recipe.pixels(file, spec) for file in files])
    return halved(pixels, labels, "a" * 64)


def statistics(files, spec):
    """Of the pictures, [N, 34]."""
    rules = decode_rules(spec)
    return np.stack([decode(file, rules).picture for file in files])


def reference_of(served, profile):
    """What a profile's release judges by."""
    release = Release.current(NAME, profile, served.repository)
    return Reference.load(served.repository / reference_path(NAME, release.reference.sha256))


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


@pytest.mark.parametrize("profile", ["default", "onnx", "openvino"])
def test_a_calibrated_release_answers_with_its_temperature_and_its_sets(
    served, oral_cancer, profile
):
    spec, release = load_spec(NAME, served.specs), Release.current(NAME, profile, served.repository)
    (member,) = release.members
    folder = served.repository / f"{NAME}_{member}" / str(release.members[member].version)
    temperature = MemberCalibration.read(folder).figures.temperature
    assert abs(np.log(temperature)) > 0.1
    given = {"regnet": oral_cancer.checkpoints["regnet"]}
    network = plain_recipe.load_members(spec, given)
    least = release.calibration.ensemble.set_from
    sizes = set()
    for file, answer in zip(oral_cancer.files, served.answers[profile], strict=False):
        (p,) = plain_recipe.opinion(file, spec, network).member_probabilities.values()
        expected = plain_recipe.probabilities_of(np.log(p) / temperature)
        found = [answer["probabilities"][label] for label in spec.classes]
        assert found == pytest.approx(expected, abs=TOLERANCE)
        chosen = [
            label
            for label, each, low in zip(spec.classes, found, least, strict=True)
            if each >= low
        ]
        assert answer["set"] == sorted(chosen, key=lambda label: -answer["probabilities"][label])
        assert (answer["calibrated"], answer["coverage"]) == (True, COVERAGE)
        if chosen != [answer["prediction"]]:
            assert answer["uncertainty"]["level"] == "high"
        sizes.add(len(chosen))
    assert 1 in sizes


@pytest.mark.parametrize("profile", ["default", "onnx", "openvino"])
def test_a_photo_is_as_typical_through_every_runtime_as_by_its_checkpoint(
    served, oral_cancer, profile
):
    spec, files = load_spec(NAME, served.specs), oral_cancer.files[:ASKED]
    (network,) = plain_recipe.load_members(
        spec, {"regnet": oral_cancer.checkpoints["regnet"]}
    ).values()
    features = np.stack([plain_recipe.features(file, spec, network) for file in files])
    reference, pictures = reference_of(served, profile), statistics(files, spec)
    expected = reference.typicality(pictures, features)
    check_typicality(served.answers[profile], expected, reference, pictures, features)
    assert reference.about["precision"] == "fp32"


def test_int8_is_judged_by_a_reference_of_its_own(served, oral_cancer):
    spec, files = load_spec(NAME, served.specs, "int8"), oral_cancer.files[:ASKED]
    artefact = served.repository / f"{NAME}_regnet_int8" / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    pixels = np.stack([plain_recipe.pixels(file, spec) for file in files])
    (features,) = session.run([MEMBER_FEATURES], {MEMBER_INPUT: pixels})
    reference, pictures = reference_of(served, "int8"), statistics(files, spec)
    expected = reference.typicality(pictures, features)
    check_typicality(served.answers["int8"], expected, reference, pictures, features)
    assert reference.about["precision"] == "int8"


def check_typicality(answers, expected, reference, pictures, features):
    """The answers' typicality is the expected one, and varies from photo to photo."""
    scores = reference.score(pictures, features)
    # Nearer to a step of the p-value than this, rounding alone could move a photo across.
    assert np.abs(scores[:, None] - reference.scores).min() > 1e-5
    assert np.ptp(expected) > 0.2
    assert [answer["input"]["views"] for answer in answers] == [["picture", "features"]] * ASKED
    found = [answer["input"]["typicality"] for answer in answers]
    assert found == pytest.approx(expected, abs=1e-3)


def test_the_launcher_says_which_profile_it_serves(served):
    for profile, log in served.logs.items():
        assert f"{NAME}  profile {profile}  release " in log
