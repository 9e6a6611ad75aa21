"""A rolling update before one gateway, and its roll-back: of two real Tritons one is newer."""

import asyncio
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.integration.export_command import export
from tests.integration.service import running
from tests.unit.gateway.several_tritons import gateway_before


@pytest.fixture(scope="module")
def newer(oral_cancer, tmp_path_factory):
    """A service of the same artefacts under release 2."""
    folder: Path = tmp_path_factory.mktemp("newer")
    specs, repository = folder / "specs", folder / "model_repository"
    specs.mkdir()
    facts = yaml.safe_load((oral_cancer.specs / "oral_cancer.yaml").read_text("utf-8"))
    facts["release"] = "2"
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    for model in oral_cancer.repository.glob("oral_cancer*"):
        shutil.copytree(model, repository / model.name)
    export("--configs", "--specs", str(specs), "--repository", str(repository))
    with running(repository, folder, "--specs", str(specs)) as service:
        yield service


def test_no_answer_is_lost_while_one_of_two_tritons_has_a_new_release(oral_cancer, service, newer):
    service.wait_ready()

    async def ask_all() -> tuple[list[int], Counter[str]]:
        async with gateway_before([service.triton_grpc, newer.triton_grpc]) as client:
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            answers = []
            for start in range(0, 40, 4):
                photos = oral_cancer.files[start : start + 4]
                calls = (client.post("/api/v1/predict", files={"file": photo}) for photo in photos)
                answers += await asyncio.gather(*calls)
            releases = Counter(a.json()["release"].split("-")[0] for a in answers)
            return [answer.status_code for answer in answers], releases

    statuses, releases = asyncio.run(ask_all())
    assert statuses == [200] * 40
    assert set(releases) == {"1", "2"}, "only one of the two was asked"


def test_no_answer_is_lost_while_the_new_release_is_rolled_back(oral_cancer, service, newer):
    """As `kubectl rollout undo` does: a pod of the former release is ready, the newer one ends."""
    service.wait_ready()

    async def ask_all() -> tuple[list[int], list[str]]:
        async with gateway_before([service.triton_grpc, newer.triton_grpc]) as client:
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

            async def ask() -> tuple[int, str]:
                photo = {"file": oral_cancer.files[0]}
                answer = await client.post("/api/v1/predict", files=photo)
                return answer.status_code, answer.json().get("release", "").split("-")[0]

            answers = [await ask() for _ in range(4)]
            newer.process.send_signal(signal.SIGTERM)
            while newer.process.poll() is None:
                answers += await asyncio.gather(ask(), ask())
            after = await asyncio.gather(*(ask() for _ in range(8)))
            assert {release for _, release in answers} == {"1", "2"}, "only one of them was asked"
            return [status for status, _ in [*answers, *after]], [release for _, release in after]

    statuses, after = asyncio.run(ask_all())
    assert set(statuses) == {200}
    assert set(after) == {"1"}
