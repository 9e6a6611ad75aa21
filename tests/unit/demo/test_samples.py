"""The committed photos are what their command writes."""

import numpy as np
import pytest
from PIL import Image

from demo import samples


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    samples.main(folder)
    return folder


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_committed_samples_are_what_the_command_writes(name, written):
    path = written / f"{name}.jpg"
    assert path.stat().st_size < 150_000
    with Image.open(path) as now, Image.open(samples.ROOT / "samples" / path.name) as committed:
        assert committed.size == (samples.WIDTH, samples.HEIGHT)
        # Another processor may round a pixel otherwise.
        assert np.abs(np.asarray(now, float) - np.asarray(committed, float)).mean() < 0.5
