"""The committed references tell the demo's images of other kinds from its own, in short."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo.expansion import exportable
from demo.figures import CHECKPOINTS
from demo.reference import photo
from export import architectures, checkpoint, photos
from export.graph import ServedMember, features_of
from inference.decode import decode
from inference.typicality import Reference
from pipelines.load import load_definition

SAMPLES = Path(__file__).parents[3] / "samples"
# As `lab.typicality` has it: no reference and no training was made of them.
HELD_OUT = 2**52
OWN = {"oral_cancer": {"healthy", "cancer"}, "snake_species": {"snake"}}


@pytest.fixture(scope="module", params=OWN)
def typicality(request, tmp_path_factory):
    """Judges encoded images by a committed reference, and the member in torch."""
    whole = load_definition(request.param)
    name = whole.typicality.member
    path = exportable(whole, [name], tmp_path_factory.mktemp("checkpoint"))[name]
    model = architectures.build(whole.members[name].architecture, whole.logits(name))
    checkpoint.read(path).load_into(model, whole.classes)
    member = ServedMember(model, whole.preprocessing).eval()
    reference = Reference.load(CHECKPOINTS / whole.name / "typicality_fp32.npz")
    rules = photos.decode_rules(whole)

    def judge(images):
        decoded = [decode(image, rules) for image in images]
        pixels = torch.from_numpy(np.stack([each.pixels for each in decoded]))
        with torch.inference_mode():
            features = features_of(member, pixels).numpy()
        return reference.typicality(np.stack([each.picture for each in decoded]), features)

    return whole, judge


def flagged(typicality, images):
    whole, judge = typicality
    return judge(images) <= np.float32(whole.typicality.false_alarms)


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def test_other_drawings_of_its_own_kind_are_typical(typicality):
    whole, _ = typicality
    own = [photo(whole, HELD_OUT + number) for number in range(40)]
    # Of 40 at a rate of 1 %, four or more would come once in a thousand times.
    assert flagged(typicality, own).sum() < 4


def test_which_samples_are_typical(typicality):
    whole, _ = typicality
    paths = sorted(SAMPLES.glob("*.jpg"))
    found = flagged(typicality, [path.read_bytes() for path in paths])
    typical = {path.stem for path, is_flagged in zip(paths, found, strict=True) if not is_flagged}
    assert typical == OWN[whole.name]


def test_noise_and_one_colour_are_atypical(typicality):
    random = np.random.default_rng(0)
    noise = [encoded(random.integers(0, 256, (480, 640, 3), dtype=np.uint8)) for _ in range(5)]
    plain = [
        encoded(np.full((480, 640, 3), random.integers(0, 256, 3), dtype=np.uint8))
        for _ in range(5)
    ]
    assert flagged(typicality, noise + plain).all()
