"""A decision step that runs the members itself, and a backend that runs one for others: in a real
Triton, with tiny networks."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import tritonclient.grpc as grpcclient
from PIL import Image
from tritonclient.utils import InferenceServerException

from export.photos import decode_rules
from export.quiet import quiet
from export.triton_config import as_text, configs
from inference.decode import decode
from inference.quality import judge
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.protocol import Compute, ConfigOverride, Output, Parameter, Refusal
from server.releases.config_override import with_override
from tests.facts import without_features
from tests.integration import red_finders
from tests.integration.triton import Answer, Triton, bare, begin, infer, infer_together

PIPELINE, PROFILE = "oral_cancer", "onnx"
MODEL = protocol.decision_model(PIPELINE)
ALONE, TOGETHER = "vgg16", "regnet_onnx"
"""Members that take one image at a time, and several."""
IN_TORCH = "regnet"
"""A member of the default profile, as TorchScript."""
SHARED = (TOGETHER, IN_TORCH)
"""Members that Triton is asked for by themselves, too."""
BATCH = 4
"""Requests that Triton waits for, and then hands over together."""
GATHERING_US = 30_000_000
"""How long it waits for them: longer than a test takes to send them."""
FAILS, HELD = 0.25, 0.75
"""Thresholds at which the planted fault raises, and waits."""
WORDS = "what a request held"
FAULT = """

import time

_unharmed = decide


def decide(logits, facts, threshold, *rest):
    if threshold == {fails}:
        raise ValueError({words!r})
    while threshold == {held} and not Path({gate!r}).exists():
        time.sleep(0.01)
    return _unharmed(logits, facts, threshold, *rest)
"""
GREY = (40, 90, 140, 190)
WHITE = 255
"""Images that bright get no row."""
WAIT = 60
"""Seconds for an answer that is on its way."""


class Shy(torch.nn.Module):
    """`red_finders.shy_brightness` in torch."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        brightness = pixels.to(torch.float32).mean(dim=[1, 2, 3]) / 255
        logits = torch.stack([torch.zeros_like(brightness), brightness], dim=1)
        return logits[brightness < 1]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While it does not exist, whoever asks with the threshold `HELD` waits."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Iterator[Triton]:
    def plant(backends: Path) -> None:
        words = {"fails": FAILS, "held": HELD, "words": WORDS, "gate": str(gate)}
        with (backends / "weighted_ensemble" / "model.py").open("a", encoding="utf-8") as file:
            file.write(FAULT.format(**words))

    with bare(tmp_path_factory.mktemp("one-process"), _lay_out, plant) as running:
        yield running


def _lay_out(repository: Path) -> list[str]:
    spec = without_features(load_spec(PIPELINE, profile=PROFILE))
    for member in spec.members:
        folder = repository / protocol.member_model(PIPELINE, member) / "1"
        folder.mkdir(parents=True)
        onnx.save(red_finders.shy_brightness(), folder / "model.onnx")
    torchscript = repository / protocol.member_model(PIPELINE, IN_TORCH) / "1"
    torchscript.mkdir(parents=True)
    with quiet():
        torch.jit.script(Shy().eval()).save(torchscript / "model.pt")
    artefacts = {member: {"version": "1"} for member in spec.members}
    models = [*(protocol.member_model(PIPELINE, member) for member in SHARED), *spec.models]
    found = configs(without_features(load_spec(PIPELINE))) | configs(spec)
    for name in models:
        config = found[name]
        if name == MODEL:
            config = with_override(config, {ConfigOverride.ARTEFACTS: json.dumps(artefacts)}, None)
        if name != PIPELINE:
            config.instance_group[0].count = 1
            config.dynamic_batching.max_queue_delay_microseconds = GATHERING_US
            config.dynamic_batching.preferred_batch_size.append(BATCH)
        (repository / name / "1").mkdir(parents=True, exist_ok=True)
        (repository / name / protocol.CONFIG_FILENAME).write_text(
            as_text(config, PIPELINE), "utf-8"
        )
    return models


def photograph(grey: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 48), (grey, grey, grey)).save(file, "PNG")
    return file.getvalue()


def likely(grey: int) -> float:
    """The probability of the positive class: its logit is the brightness, the other's 0."""
    return float(1 / (1 + np.exp(-grey / 255)))


def positive(answer: Answer) -> float:
    return float(answer[Output.PROBABILITIES][0, 1])


def batches(triton: Triton, before: int, model: str = MODEL) -> int:
    """How many a model was given since; Triton counts one after it is answered."""
    give_up = time.monotonic() + WAIT
    while (found := triton.calls(model) - before) == 0 and time.monotonic() < give_up:
        time.sleep(0.05)
    return found


def together(triton: Triton, requests: list[tuple[int, dict[str, Any]]]) -> list[Any]:
    """HealthMonitor of requests, or errors, that were in one batch of Triton's."""
    assert len(requests) == BATCH
    before = triton.calls(MODEL)
    files = [(photograph(grey), parameters) for grey, parameters in requests]
    answers = infer_together(triton.client, PIPELINE, files)
    assert batches(triton, before) == 1
    return answers


@pytest.mark.parametrize("member", [ALONE, TOGETHER])
def test_each_request_of_a_batch_gets_its_own_answer(triton, member):
    answers = together(triton, [(grey, {Parameter.MEMBER: member}) for grey in GREY])
    assert [positive(answer) for answer in answers] == pytest.approx(list(map(likely, GREY)))


def test_each_image_has_the_quality_that_decoding_measures(triton):
    spec = load_spec(PIPELINE, profile=PROFILE)
    rules = decode_rules(spec)
    noise = np.random.default_rng(5).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    files = [photograph(GREY[0]), file.getvalue()] * (BATCH // 2)
    answer = infer(triton.client, PIPELINE, *files, parameters={Parameter.MEMBER: TOGETHER})
    measures = np.stack([decode(each, rules).measures for each in files])
    np.testing.assert_array_equal(answer[Output.QUALITY], measures)
    warnings = judge(measures, rules.quality)
    np.testing.assert_array_equal(answer[Output.QUALITY_WARNINGS], warnings)
    assert warnings[:, 0].tolist() == [1, 0] * (BATCH // 2)


def test_each_part_of_one_process_says_what_it_computed(triton):
    parts = load_spec(PIPELINE, profile=PROFILE).parts
    files = [photograph(GREY[0])] * BATCH
    table = infer(triton.client, PIPELINE, *files)[Output.COMPUTE]
    assert table.shape == (BATCH, len(parts), len(Compute))
    assert (table[..., Compute.MEASURED] == 1).all()
    for part in ("decode", TOGETHER, "decision"):
        assert (table[:, parts.index(part), Compute.SECONDS] > 0).all()


def test_what_fails_unexpectedly_fails_alone_and_keeps_its_words(triton):
    failed, *answers = together(
        triton, [(GREY[0], {Parameter.THRESHOLD: each}) for each in (FAILS, 0.5, 0.5, 0.4)]
    )
    assert list(map(positive, answers)) == pytest.approx([likely(GREY[0])] * 3)
    assert "the request failed; the server's log says where" in failed.message()
    log = triton.log.read_text("utf-8")
    assert "ValueError in decide, " in log
    for told in (failed.message(), log):
        assert WORDS not in told
        assert "Traceback" not in told


def test_alone_in_its_batch_it_fails_the_same_way(triton):
    files = [photograph(GREY[0])] * BATCH
    with pytest.raises(InferenceServerException) as caught:
        infer(triton.client, PIPELINE, *files, parameters={Parameter.THRESHOLD: FAILS})
    assert "the request failed" in caught.value.message()
    assert WORDS not in caught.value.message()


def test_a_part_of_a_batch_is_answered_before_the_next_one_is_done(triton, gate):
    before = triton.calls(MODEL)
    photo = photograph(GREY[1])
    first = begin(triton.client, PIPELINE, [(photo, {})] * (BATCH - 1))
    # So that it comes last in the batch.
    time.sleep(0.5)
    (held,) = begin(triton.client, PIPELINE, [(photo, {Parameter.THRESHOLD: HELD})])
    for future in first:
        assert positive(future.result(WAIT)) == pytest.approx(likely(GREY[1]))
    assert not held.done()
    gate.touch()
    assert positive(held.result(WAIT)) == pytest.approx(likely(GREY[1]))
    assert batches(triton, before) == 1


@pytest.mark.parametrize("member", [ALONE, TOGETHER])
def test_no_image_gets_the_answer_of_another_where_a_member_leaves_one_out(triton, member):
    greys = (GREY[0], WHITE, GREY[1], GREY[2])
    answers = together(triton, [(grey, {Parameter.MEMBER: member}) for grey in greys])
    for grey, answer in zip(greys, answers, strict=True):
        if member == ALONE and grey != WHITE:
            assert positive(answer) == pytest.approx(likely(grey))
        else:
            assert f"[{Refusal.MODEL_OUTPUT}] " in answer.message()
            assert "did not give one row for each image" in answer.message()


@pytest.mark.parametrize("member", SHARED)
def test_no_request_gets_the_answer_of_another_that_shared_a_pass(triton, member):
    model = protocol.member_model(PIPELINE, member)
    height, width = load_spec(PIPELINE).preprocessing.size or (0, 0)
    before, told = triton.calls(model), [Future() for _ in range(BATCH)]
    for grey, future in zip((GREY[0], WHITE, GREY[1], GREY[2]), told, strict=True):
        pixels = np.full((1, height, width, 3), grey, np.uint8)
        tensor = grpcclient.InferInput(protocol.MEMBER_INPUT, list(pixels.shape), "UINT8")
        tensor.set_data_from_numpy(pixels)
        triton.client.async_infer(
            model, [tensor], lambda result, error, future=future: future.set_result(error)
        )
    for future in told:
        assert "did not give one row for each image" in future.result(WAIT).message()
    assert batches(triton, before, model) == 1
