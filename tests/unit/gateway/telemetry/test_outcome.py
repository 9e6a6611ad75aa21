"""The outcome that the recorder gets of each image."""

import hashlib
import time
from uuid import UUID

import pytest

from gateway.core.request import Image, RequestParameters
from gateway.errors import Code, RefusedError
from gateway.telemetry.recorder import Outcome, new_prediction_id
from tests.unit.gateway.samples import JPEG

REFUSAL = RefusedError(Code.BUSY, "request: wait.")


def test_a_prediction_id_is_a_uuid_of_version_7_that_tells_its_time():
    before = time.time_ns() // 1_000_000
    ids = [UUID(new_prediction_id()) for _ in range(100)]
    after = time.time_ns() // 1_000_000
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert all(before <= each.int >> 80 <= after for each in ids)
    assert len(set(ids)) == 100


def test_an_outcome_names_its_image_by_digest_and_raises_its_refusal():
    image = Image(JPEG, "file")
    parameters = RequestParameters({})
    outcome = Outcome("clinic", "oral_cancer", image, parameters, REFUSAL)
    assert outcome.image.digest == hashlib.sha256(JPEG).hexdigest()
    assert outcome.release is None
    with pytest.raises(RefusedError) as caught:
        outcome.answered()
    assert caught.value is REFUSAL
