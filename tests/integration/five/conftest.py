"""All five pipelines in one service, from checkpoints made for the tests."""

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpcclient
import yaml

from pipelines.enums import Task
from pipelines.load import FOLDER, load_spec
from pipelines.spec import PipelineSpec
from tests import checkpoints, detector_checkpoints, photos, plain_recipe
from tests.integration.export_command import export
from tests.integration.service import Service, running

PHOTOS = 30
ASKED = 20
"""Photos that each pipeline is asked about."""


@dataclass(frozen=True)
class Five:
    """The facts of all pipelines, their checkpoints, and the repository exported from them."""

    specs: dict[str, PipelineSpec]
    folder: Path
    repository: Path
    checkpoints: dict[str, dict[str, Path]]
    photos: list[bytes]

    @property
    def specs_folder(self) -> Path:
        return self.folder / "specs"


def facts_of(name: str) -> dict[str, Any]:
    """A pipeline's facts, with bounds that the tests can reach."""
    facts: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    if name == "mhist":
        _quantise_vit(facts)
    if any("quantisation" in member for member in facts["members"].values()):
        # Random networks are no match for INT8; the gate has tests of its own.
        facts["quantisation_gate"] = {
            "images_at_least": PHOTOS,
            "agreement_at_least": 0.0,
            "accuracy_drop_at_most": 1.0,
            "sensitivity_drop_at_most": 1.0,
        }
    if facts["task"] != Task.CLASSIFICATION:
        # No score reaches it: nothing is found.
        facts["threshold"]["maximum"] = 1.0
    return facts


def _quantise_vit(facts: dict[str, Any]) -> None:
    """Puts an INT8 form of the ViT in place of the MLP's, which has four times its weights.

    So the export takes minutes less, and members of INT8 are tested all the same.
    """
    profiles = [profile.get("members", {}) for profile in facts["profiles"].values()]
    for members in (facts["members"], *profiles):
        if "mlp_int8" in members:
            members["vit_int8"] = members.pop("mlp_int8")
    facts["members"]["vit_int8"]["quantisation"]["of"] = "vit"


def labelled(spec: PipelineSpec, files: list[bytes], folder: Path) -> Path:
    """A folder of photos for each class, by what the first member is fitted to see."""
    for index, file in enumerate(files):
        place = folder / spec.classes[checkpoints.label(spec, index)]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}.img").write_bytes(file)
    return folder


def calibration(folder: Path) -> Path:
    """Photos that the gate does not see."""
    folder.mkdir()
    for seed in range(1000, 1020):
        (folder / f"{seed}.png").write_bytes(photos.encoded(photos.photo(seed), "PNG"))
    return folder


@pytest.fixture(scope="package")
def five(oral_cancer: Any, tmp_path_factory: pytest.TempPathFactory) -> Five:
    folder = tmp_path_factory.mktemp("five")
    specs, repository = folder / "specs", folder / "model_repository"
    specs.mkdir()
    files = photos.album(PHOTOS)
    ours: dict[str, dict[str, Path]] = {"oral_cancer": oral_cancer.checkpoints}
    shutil.copy(FOLDER / "oral_cancer.yaml", specs)
    for model in oral_cancer.repository.glob("oral_cancer*"):
        shutil.copytree(model, repository / model.name, copy_function=os.link)
    places = ["--specs", str(specs), "--repository", str(repository)]
    calibrating = ["--calibration", str(calibration(folder / "calibration"))]
    exports = []
    # Exports use one core most of the time. The largest networks come first.
    with ThreadPoolExecutor(2) as pool:
        for name in ("mhist", "snake_species", "cervical_lesions", "object_detection"):
            (specs / f"{name}.yaml").write_text(
                yaml.safe_dump(facts_of(name), sort_keys=False), "utf-8"
            )
            spec = load_spec(name, specs)
            home = folder / name
            home.mkdir()
            extra = []
            if spec.task is Task.CLASSIFICATION:
                ours[name] = checkpoints.make(spec, files, home)
                extra = ["--validation", str(labelled(spec, files, home / "labelled"))]
                extra += calibrating
            else:
                ours[name] = detector_checkpoints.make(spec, home)
            given = [f"--checkpoint={member}={path}" for member, path in ours[name].items()]
            exports.append(pool.submit(export, name, *given, *extra, *places))
    for each in exports:
        each.result()
    return Five(
        specs={name: load_spec(name, specs) for name in ours},
        folder=folder,
        repository=repository,
        checkpoints=ours,
        photos=files[:ASKED],
    )


@pytest.fixture(scope="package")
def everything(five: Five) -> Iterator[Service]:
    """A service of all pipelines in the specs folder, those that come later included."""
    places = ("--specs", str(five.specs_folder), "--pipelines", "all")
    with running(five.repository, five.folder, *places) as service:
        for name in five.specs:
            wait_until_served(service.url, name)
        yield service


def wait_until_served(url: str, name: str) -> None:
    """The service answers as soon as its first pipeline does; others may still be loading."""
    give_up = time.monotonic() + 300
    while httpx.get(f"{url}/readyz", params={"pipeline": name}, timeout=10).status_code != 200:
        assert time.monotonic() < give_up, f"{name} is not served"
        time.sleep(0.5)


@pytest.fixture
def ready(five: Five, everything: Service) -> Service:
    """The service, which serves all pipelines, also where a test before broke one."""
    everything.wait_ready()
    for name in five.specs:
        wait_until_served(everything.url, name)
    return everything


@pytest.fixture
def http(ready: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ready.url, timeout=120) as client:
        yield client


@pytest.fixture
def triton(ready: Service) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(ready.grpc) as client:
        yield client


def opinions(five: Five, name: str) -> list[plain_recipe.Opinion]:
    """What the plain recipe says of the asked photos, by the members that answer by default."""
    spec = five.specs[name]
    paths = {member: five.checkpoints[name][member] for member in spec.answering_members}
    members = plain_recipe.load_members(spec, paths)
    return [plain_recipe.opinion(file, spec, members) for file in five.photos]
