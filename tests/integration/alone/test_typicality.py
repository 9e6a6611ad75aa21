"""Typicality through a real Triton: members in models of their own, in one process, a detector."""

import hashlib
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from export.photos import decode_rules
from export.triton_config import as_text, configs
from inference.decode import decode
from inference.picture_statistics import picture_statistics
from inference.typicality import Reference
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.protocol import ConfigOverride, Output, Parameter
from pipelines.spec import PipelineSpec
from pipelines.typicality import reference_path
from server.releases.config_override import with_override
from tests.facts import without_features
from tests.integration import red_finders
from tests.integration.triton import Triton, bare, infer

APART, TOGETHER, DETECTOR = "mhist", "alone", "object_detection"
PHOTOS = 1000
SIDE = 96


def _classifier(name: str, *, one_process: bool) -> PipelineSpec:
    """mhist, whose first member has three features: the mean colour."""
    spec = load_spec("mhist")
    members = {
        member: facts.model_copy(update={"features": 3 if member == "vit" else None})
        for member, facts in spec.members.items()
    }
    serving = spec.serving.model_copy(update={"one_process": one_process})
    changes = {"name": name, "members": members, "serving": serving}
    return PipelineSpec.model_validate(spec.model_copy(update=changes).model_dump())


def _detector() -> PipelineSpec:
    """object_detection, whose member's two boxes are those of the finder."""
    spec = without_features(load_spec(DETECTOR))
    members = {
        name: facts.model_copy(update={"queries": 2}) for name, facts in spec.members.items()
    }
    return spec.model_copy(update={"members": members})


SPECS = {
    APART: _classifier(APART, one_process=False),
    TOGETHER: _classifier(TOGETHER, one_process=True),
    DETECTOR: _detector(),
}


def drawn(seed: int, colour: tuple[int, int, int] = (180, 120, 130)) -> Image.Image:
    """A slope of one colour with some grain: what the models of this test learnt from."""
    random = np.random.default_rng(seed)
    slope = np.linspace(-1, 1, SIDE)
    turn = random.uniform(0, 2 * np.pi)
    light = np.cos(turn) * slope[:, None] + np.sin(turn) * slope[None]
    grain = random.normal(scale=random.uniform(4, 8), size=(SIDE, SIDE, 3))
    shades = np.array(colour) + random.normal(scale=6, size=3)
    pixels = shades + 25 * light[..., None] + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _reference(spec: PipelineSpec) -> Reference:
    rules = decode_rules(spec)
    decoded = [decode(encoded(drawn(seed)), rules) for seed in range(PHOTOS)]
    picture = np.stack([image.tensors()[protocol.PICTURE] for image in decoded])
    colours = np.stack([image.pixels.mean(axis=(0, 1)) / 255 for image in decoded])
    return Reference.fit(picture, None if spec.name == DETECTOR else colours, {})


@pytest.fixture(scope="module")
def references() -> dict[str, Reference]:
    found = {name: _reference(SPECS[name]) for name in (APART, DETECTOR)}
    return found | {TOGETHER: found[APART]}


@pytest.fixture(scope="module")
def triton(
    tmp_path_factory: pytest.TempPathFactory, references: dict[str, Reference]
) -> Iterator[Triton]:
    def lay_out(repository: Path) -> list[str]:
        return [
            model for name in SPECS for model in _lay_out(SPECS[name], references[name], repository)
        ]

    with bare(tmp_path_factory.mktemp("typicality"), lay_out) as running:
        yield running


def _lay_out(spec: PipelineSpec, reference: Reference, repository: Path) -> list[str]:
    content = reference.content()
    sha256 = hashlib.sha256(content).hexdigest()
    path = reference_path(spec.name, sha256)
    (repository / path).parent.mkdir(parents=True)
    (repository / path).write_bytes(content)
    named = json.dumps({"file": path.as_posix(), "sha256": sha256})
    given = {
        ConfigOverride.REFERENCE: named,
        ConfigOverride.ARTEFACTS: json.dumps({name: {"version": "1"} for name in spec.members}),
    }
    found = configs(spec)
    for name, config in found.items():
        folder = repository / name
        (folder / "1").mkdir(parents=True, exist_ok=True)
        if name == protocol.decision_model(spec.name):
            config = with_override(config, given, None)  # noqa: PLW2901 - as the launcher does
        (folder / protocol.CONFIG_FILENAME).write_text(as_text(config, spec.name), "utf-8")
    for member, facts in spec.members.items():
        folder = repository / protocol.member_model(spec.name, member) / "1"
        if spec.name == DETECTOR:
            model = red_finders.boxes()
        elif facts.features:
            model = red_finders.coloured_brightness()
        else:
            model = red_finders.brightness()
        onnx.save(model, folder / "model.onnx")
    return list(spec.models)


def strange() -> list[Image.Image]:
    """Noise, one colour, and the usual slope in another colour."""
    noise = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return [
        Image.fromarray(noise),
        Image.new("RGB", (SIDE, SIDE), (180, 120, 130)),
        drawn(7, (90, 160, 200)),
    ]


@pytest.mark.parametrize("pipeline", [APART, TOGETHER])
def test_usual_images_are_typical_and_strange_ones_highly_uncertain(triton, references, pipeline):
    images = [*(drawn(PHOTOS + seed) for seed in range(5)), *strange()]
    files = list(map(encoded, images))

    answer = infer(triton.client, pipeline, *files)

    rules = decode_rules(SPECS[pipeline])
    decoded = [decode(file, rules) for file in files]
    expected = references[pipeline].typicality(
        np.stack([image.tensors()[protocol.PICTURE] for image in decoded]),
        np.stack([image.pixels.mean(axis=(0, 1)) / 255 for image in decoded]),
    )
    assert answer[Output.TYPICALITY][:, 0] == pytest.approx(expected, abs=1e-3)
    assert answer[Output.TYPICAL].ravel().tolist() == (expected > np.float32(0.01)).tolist()
    assert answer[Output.TYPICAL][5:].ravel().tolist() == [0, 0, 0]
    assert answer[Output.TYPICAL][:5].sum() >= 4
    assert answer[Output.TYPICALITY_VIEWS].ravel().tolist() == [2] * 8
    assert answer[Output.UNCERTAINTY_LEVEL][5:].ravel().tolist() == [2, 2, 2]


@pytest.mark.parametrize("pipeline", [APART, TOGETHER])
@pytest.mark.parametrize(("member", "views"), [("vit", 2), ("mlp", 1)])
def test_a_member_alone_is_judged_by_the_views_that_it_has(triton, pipeline, member, views):
    files = [encoded(drawn(PHOTOS)), encoded(strange()[0])]
    answer = infer(triton.client, pipeline, *files, parameters={Parameter.MEMBER: member})
    assert answer[Output.TYPICALITY_VIEWS].ravel().tolist() == [views, views]
    assert answer[Output.TYPICAL].ravel().tolist() == [1, 0]


def test_a_detector_s_photo_is_judged_without_its_border(triton):
    for image, typical in ((drawn(PHOTOS), 1), (strange()[0], 0)):
        answer = infer(triton.client, DETECTOR, encoded(image))
        assert answer[Output.TYPICAL].ravel().tolist() == [typical]
        assert answer[Output.TYPICALITY_VIEWS].ravel().tolist() == [1]


def test_the_statistics_are_those_of_the_picture_without_a_letterbox():
    photo = drawn(3).resize((400, 200))
    decoded = decode(encoded(photo), decode_rules(SPECS[DETECTOR]))
    fitted = Image.fromarray(decoded.pixels)
    inside = decoded.geometry.within(fitted.size)
    # As quality is measured, at a long side of 320 pixels or less.
    without = picture_statistics(fitted.reduce(2, inside))
    np.testing.assert_array_equal(decoded.tensors()[protocol.PICTURE], without)
    assert np.abs(without - picture_statistics(fitted)).max() > 0.1
