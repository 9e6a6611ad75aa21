"""A costly photo keeps no other one waiting in a real Triton, and ends with its budget."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from PIL import Image

from export.triton_config import as_text, configs
from inference.decode import decode
from inference.rules import DecodeRules
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.protocol import (
    EXPLANATION_LATE,
    ConfigOverride,
    Faithfulness,
    Output,
    Parameter,
    Refusal,
)
from server.releases.config_override import with_override
from tests import attack_images, photos
from tests.facts import without_features
from tests.integration import red_finders
from tests.integration.triton import Answer, Triton, bare, begin, infer

PIPELINE = "oral_cancer"
PROFILES = ("default", "onnx")
BATCH = 4
GATHERING_US = 3_000_000
"""How long Triton waits for a whole batch: longer than a test takes to send it, and shorter than
a batch of costly images, since a batch may be one larger and leave the others waiting."""
WAIT = 120
BUDGET = 2
"""Seconds of CPU time, far above what small photos take."""
SMALL = photos.encoded(photos.photo(1))
LARGE = photos.encoded(Image.new("RGB", (7000, 7000), (90, 40, 40)))
ATTACK = (attack_images.ATTACKS / "prog_7000_5000.jpg").read_bytes()


@pytest.fixture(scope="module", params=PROFILES)
def triton(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    def lay_out(repository: Path) -> list[str]:
        return _lay_out(repository, request.param)

    with bare(tmp_path_factory.mktemp("costly"), lay_out) as running:
        yield running


def _lay_out(repository: Path, profile: str) -> list[str]:
    facts = without_features(load_spec(PIPELINE, profile=profile))
    # The attack would be refused by its header; here it has to use up its time.
    limits = facts.limits.model_copy(update={"cpu_seconds": BUDGET, "scans": 10**6})
    spec = facts.model_copy(update={"limits": limits})
    for member in spec.members:
        folder = repository / protocol.member_model(PIPELINE, member) / "1"
        folder.mkdir(parents=True)
        onnx.save(red_finders.shy_brightness(), folder / "model.onnx")
    artefacts = json.dumps({member: {"version": "1"} for member in spec.members})
    found = configs(spec)
    members = [protocol.member_model(PIPELINE, member) for member in spec.members]
    for name in spec.models:
        config = found[name]
        if name in members:
            config.backend, config.default_model_filename = "onnxruntime", "model.onnx"
            config.ClearField("parameters")
            config.parameters["intra_op_thread_count"].string_value = "1"
        if name == protocol.decision_model(PIPELINE) and spec.serving.one_process:
            config = with_override(config, {ConfigOverride.ARTEFACTS: artefacts}, None)
        first = protocol.decision_model(PIPELINE)
        if not spec.serving.one_process:
            first = protocol.decode_model(PIPELINE)
        if name == first:
            config.instance_group[0].count = 1
            config.dynamic_batching.max_queue_delay_microseconds = GATHERING_US
            config.dynamic_batching.preferred_batch_size.append(BATCH)
        (repository / name / "1").mkdir(parents=True, exist_ok=True)
        (repository / name / protocol.CONFIG_FILENAME).write_text(
            as_text(config, PIPELINE), "utf-8"
        )
    return list(spec.models)


def below(triton: Triton) -> set[int]:
    """Processes that decode costly images."""
    server = psutil.Process(triton.process.pid)
    return {
        each.pid
        for each in server.children(recursive=True)
        if "server.backends.decoder_process" in " ".join(each.cmdline())
    }


def overtaking(costly: list[Future[Answer]], small: list[Future[Answer]]) -> list[bool]:
    """Waits for all; of each small photo whether it was answered before the last costly image."""
    ended: list[bool] = []
    for futures in (small, costly):
        for future in futures:
            future.add_done_callback(lambda _, small=futures is small: ended.append(small))
    for future in costly:
        future.exception(WAIT)
    for future in small:
        assert future.result(WAIT)[Output.PROBABILITIES].shape == (1, 2)
    last = len(ended) - 1 - ended[::-1].index(False)
    return [place < last for place, of_small in enumerate(ended) if of_small]


def test_small_photos_of_a_batch_are_answered_before_a_costly_one(triton):
    costly = begin(triton.client, PIPELINE, [(ATTACK, {})])
    small = begin(triton.client, PIPELINE, [(SMALL, {})] * (BATCH - 1))
    assert all(overtaking(costly, small))
    error = costly[0].exception(WAIT)
    assert f"[{Refusal.IMAGE_TOO_COSTLY}] " in error.message()
    assert f"more than {BUDGET} s of CPU time" in error.message()


def test_the_next_batch_is_answered_while_a_costly_image_is_decoded(triton):
    costly = begin(triton.client, PIPELINE, [(ATTACK, {})] * BATCH)
    small = begin(triton.client, PIPELINE, [(SMALL, {})] * BATCH)
    assert all(overtaking(costly, small))
    for future in costly:
        assert f"[{Refusal.IMAGE_TOO_COSTLY}] " in future.exception(WAIT).message()


def test_a_costly_image_is_refused_at_once_where_it_is_wanted_apart(triton):
    apart = {protocol.COSTLY_APART: "true"}
    costly = begin(triton.client, PIPELINE, [(ATTACK, apart)])
    small = begin(triton.client, PIPELINE, [(SMALL, apart)] * (BATCH - 1))
    assert protocol.COSTLY in costly[0].exception(WAIT).message()
    for future in small:
        assert future.result(WAIT)[Output.PROBABILITIES].shape == (1, 2)


def test_a_large_photo_has_the_answer_of_its_pixels(triton):
    futures = begin(triton.client, PIPELINE, [(LARGE, {})] + [(SMALL, {})] * (BATCH - 1))
    answer = futures[0].result(WAIT)
    rules = DecodeRules.from_spec(load_spec(PIPELINE).model_dump(mode="json"))
    brightness = decode(LARGE, rules).pixels.mean() / 255
    np.testing.assert_allclose(
        answer[Output.PROBABILITIES][0, 1], 1 / (1 + np.exp(-brightness)), atol=1e-5
    )
    assert len(below(triton)) == 1


def test_sixteen_empty_canvases_in_one_request_hurt_nobody(triton):
    webp = (attack_images.ATTACKS / "webp_rgba.webp").read_bytes()
    batch = begin(triton.client, PIPELINE, [(webp, {})] * BATCH)
    small = begin(triton.client, PIPELINE, [(SMALL, {})] * BATCH)
    # How many more are answered first depends on how fast the machine is.
    assert any(overtaking(batch, small))
    for future in batch:
        # A slow machine uses up the budget before it has seen all pixels.
        refused = future.exception(WAIT).message()
        assert "transparent" in refused or f"[{Refusal.IMAGE_TOO_COSTLY}] " in refused


def bright_at(row: int, column: int) -> bytes:
    """A grey photo with one white cell of a grid of 7 x 7."""
    picture = Image.new("RGB", (700, 700), (60, 60, 60))
    picture.paste((255, 255, 255), (100 * column, 100 * row, 100 * column + 100, 100 * row + 100))
    return photos.encoded(picture)


def test_an_explanation_comes_after_others_and_finds_the_brightest_cell(triton):
    """The members' score is the brightness of the whole image."""
    asked = begin(triton.client, PIPELINE, [(bright_at(1, 5), {Parameter.EXPLAIN: "true"})])
    small = begin(triton.client, PIPELINE, [(SMALL, {})] * (BATCH - 1))
    assert all(overtaking(asked, small))
    answer = asked[0].result(WAIT)
    cells = answer[Output.EXPLANATION][0]
    assert cells.shape == (2, 7, 7)
    score = answer[Output.MEMBER_PROBABILITIES][0, :, int(answer[Output.PREDICTION][0, 0])]
    np.testing.assert_array_equal(answer[Output.FAITHFULNESS][0, :, Faithfulness.SCORE], score)
    # It speaks for the bright class, so where the dark one was decided, against that.
    sign = 1 if answer[Output.PREDICTION][0, 0] == 1 else -1
    for member in sign * cells:
        assert np.unravel_index(member.argmax(), (7, 7)) == (1, 5)
        assert (member > 0.001).sum() == 1
    for future in small:
        assert future.result(WAIT)[Output.EXPLANATION].shape == (1, 2, 0, 0)


def test_an_explanation_ends_at_the_deadline_of_its_request(triton):
    """Triton hands the ensemble's timeout on to its steps."""
    asked = [(SMALL, {Parameter.EXPLAIN: "true"})] * BATCH
    soon = begin(triton.client, PIPELINE, asked, microseconds=1)
    for future in soon:
        assert EXPLANATION_LATE in future.exception(WAIT).message()


def test_the_child_ends_with_its_model(triton):
    infer(triton.client, PIPELINE, *[LARGE] * BATCH)
    (child,) = below(triton)
    for model in (PIPELINE, protocol.decision_model(PIPELINE), protocol.decode_model(PIPELINE)):
        triton.client.unload_model(model)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=WAIT)
    assert not psutil.pid_exists(child)
