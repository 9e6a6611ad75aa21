"""The decode step answers costly images later than others, and each request once."""

import json

import numpy as np
import pytest

from gateway.errors import Code
from gateway.triton.triton_errors import CostlyImageError, translate
from pipelines import protocol
from pipelines.load import load_spec
from server.backends import decoding
from server.backends.image_decode.model import TritonPythonModel
from tests import attack_images, photos
from tests.unit.server.python_backend import Received, answer

PHOTO = photos.encoded(photos.photo(1))
ATTACK = (attack_images.ATTACKS / "prog_7000_5000.jpg").read_bytes()


@pytest.fixture
def step(triton):
    """A decode step under a budget of one second, and no limit of scans."""
    spec = load_spec("oral_cancer")
    limits = spec.limits.model_copy(update={"cpu_seconds": 1, "scans": 10**6})
    spec = spec.model_copy(update={"limits": limits})
    config = {
        "max_batch_size": 16,
        "parameters": {protocol.PIPELINE_PARAMETER: {"string_value": spec.model_dump_json()}},
        "output": [{"name": protocol.PIXELS}],
    }
    step = TritonPythonModel()
    step.initialize({"model_name": "decode", "model_config": json.dumps(config)})
    return step


def asked(*files: bytes, sent: list | None = None, **parameters: str) -> Received:
    inputs = {protocol.ENCODED_IMAGE: np.array(files, dtype=object)[:, None]}
    return Received(inputs, json.dumps(parameters), sent=sent)


def test_a_costly_image_that_waited_beyond_its_deadline_is_not_decoded(step, monkeypatch):
    monkeypatch.setattr(decoding, "_PATIENCE_SECONDS", -1)
    sent = []
    assert step.execute([asked(ATTACK, sent=sent)]) is None
    step.finalize()
    assert translate("UNAVAILABLE", sent[0].error().message()).code is Code.DEADLINE
    assert step._decode._process.pid is None


def test_the_decode_step_answers_small_photos_first_and_each_request_once(step):
    sent = []
    requests = [asked(*files, sent=sent) for files in ([PHOTO, ATTACK], [PHOTO], [b"notes"])]
    assert step.execute(requests) is None
    assert len(sent) == 2
    assert answer(sent[0])[protocol.PIXELS].shape == (1, 224, 224, 3)
    assert "[image_format]" in sent[1].error().message()
    (response,) = step.execute([asked(PHOTO)])
    assert answer(response)[protocol.PIXELS].shape == (1, 224, 224, 3)
    assert len(sent) == 2
    step.finalize()
    assert len(sent) == 3
    assert "[image_too_costly] image 1: " in sent[2].error().message()


def test_costly_images_are_refused_at_once_where_a_request_wants_them_apart(step):
    sent = []
    apart = {protocol.COSTLY_APART: "true"}
    requests = [asked(*files, sent=sent, **apart) for files in ([PHOTO, ATTACK], [PHOTO])]
    assert step.execute(requests) is None
    refused, answered = sent
    assert isinstance(translate("INVALID_ARGUMENT", refused.error().message()), CostlyImageError)
    assert answer(answered)[protocol.PIXELS].shape == (1, 224, 224, 3)
    step.finalize()
    assert len(sent) == 2
