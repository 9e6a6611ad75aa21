"""One service for the whole run: starting Triton is dear, and several at once starve each other."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import yaml

from pipelines.load import FOLDER, load_spec
from pipelines.manifest import FILENAME, Manifest
from pipelines.protocol import member_model
from pipelines.spec import PipelineSpec
from tests import checkpoints, photos, plain_recipe
from tests.facts import by_default
from tests.integration.export_command import export
from tests.integration.service import Service, running


@dataclass(frozen=True)
class Model:
    """A pipeline's facts, its checkpoints and the repository exported from them."""

    spec: PipelineSpec
    specs: Path
    files: list[bytes]
    checkpoints: dict[str, Path]
    repository: Path
    opinions: list[plain_recipe.Opinion]


def tight_facts() -> dict[str, Any]:
    """A pipeline with a short queue, and less patience than two passes of its member take.

    It keeps images where a request consents.
    """
    facts = by_default("oral_cancer")
    del facts["members"]["regnet"]
    facts["typicality"]["member"] = None
    facts["members"]["vgg16"]["threads"] = 1
    serving = {"max_batch": 1, "queue_delay_us": 0, "queue_size": 3, "queue_timeout_ms": 100}
    return facts | {"name": "tight", "serving": serving, "keep_images": {"days": 1}}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Adds what the services of a test that failed wrote last."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Service) and value.log.exists():
                report.sections.append((f"log of {name}", value.tail()))
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests ask is no part of the audit log of whoever serves from this folder."""
    folder = tmp_path_factory.mktemp("gateway")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{folder}/gateway.db")
        patch.setenv("GATEWAY_SECRETS_DIR", str(folder / "secrets"))
        patch.setenv("GATEWAY_KEPT_IMAGES", str(folder / "images"))
        yield


@pytest.fixture(scope="session")
def oral_cancer(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Fifty photos, checkpoints whose members oppose each other on some, and their export."""
    folder = tmp_path_factory.mktemp("oral_cancer")
    spec = load_spec("oral_cancer")
    files = photos.album(50)
    torch.set_num_threads(1)
    paths = checkpoints.make(spec, files, folder)
    specs = folder / "specs"
    specs.mkdir()
    shutil.copy(FOLDER / "oral_cancer.yaml", specs)
    (specs / "tight.yaml").write_text(yaml.safe_dump(tight_facts(), sort_keys=False), "utf-8")
    repository = folder / "model_repository"
    places = ["--specs", str(specs), "--repository", str(repository)]
    given = [f"--checkpoint={member}={path}" for member, path in paths.items()]
    export("oral_cancer", *given, *places)
    _lend_network(repository)
    export("--configs", *places)
    members = plain_recipe.load_members(spec, paths)
    opinions = [plain_recipe.opinion(file, spec, members) for file in files]
    return Model(spec, specs, files, paths, repository, opinions)


def _lend_network(repository: Path) -> None:
    """Gives `tight` the other pipeline's VGG16; an export of the same weights takes a minute."""
    folder = repository / member_model("tight", "vgg16")
    version = shutil.copytree(repository / member_model("oral_cancer", "vgg16") / "1", folder / "1")
    lent = Manifest.read(version).model_copy(update={"pipeline": "tight"})
    (version / FILENAME).write_text(lent.model_dump_json(indent=2), "utf-8")


@pytest.fixture(scope="session")
def service(oral_cancer: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "all")
    # On a busy machine many photos at once take longer than the pipelines promise.
    patience = {"GATEWAY_MAX_WAIT_SECONDS": "60", "GATEWAY_RESPOND_WITHIN_MS": "60000"}
    with running(oral_cancer.repository, folder, *places, **patience) as service:
        yield service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the gateway; the service is ready before the test begins."""
    service.wait_ready()
    with httpx.Client(base_url=service.url, timeout=120) as client:
        yield client
