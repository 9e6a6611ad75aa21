"""Demo weights for shapes: what is written, what is trained on, and how it is judged."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from demo import scenes, yolos_judging, yolos_training
from demo.subject import UnsuitablePipelineError
from demo.yolos_fitting import Schedule, fit
from demo.yolos_scenes import NONE, drawn
from demo.yolos_start import start
from export.detector import open_detector
from export.detectors.yolos import ServedYolos
from export.graph import Normalisation
from export.photos import decode_rules
from pipelines.load import load_spec

SPEC = load_spec("object_detection")
# Three cells a side: quick, and otherwise the same.
SMALL = SPEC.model_copy(
    update={"preprocessing": SPEC.preprocessing.model_copy(update={"height": 96, "width": 96})}
)
SCHEDULE = Schedule(epochs=1, batch=2, rate=1e-3, matrix_rate=2e-3)


def train(folder, seed=0, on_progress=lambda *_: None):
    return yolos_training.train(
        SMALL, folder, seed, on_progress, drawings=4, held_out=2, schedule=SCHEDULE
    )


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def trained(tmp_path_factory, told):
    before = torch.get_rng_state()
    report = train(tmp_path_factory.mktemp("demo"), on_progress=lambda *step: told.append(step))
    assert torch.equal(torch.get_rng_state(), before)
    return report


class Oracle:
    """Answers with the objects there are, moved by some pixels, and one more of low score."""

    def __init__(self, shown, score=0.9, moved=0.0):
        self.shown, self.score, self.moved, self.next = shown, score, moved, 0

    def __call__(self, pixels):
        chosen = slice(self.next, self.next + len(pixels))
        self.next += len(pixels)
        kinds = self.shown.classes[chosen]
        boxes = self.shown.boxes[chosen] * pixels.shape[1] + self.moved
        scores = torch.where(kinds == NONE, 0.01, self.score)
        return boxes, scores, kinds.clamp(0), torch.zeros(len(pixels), 1)


def test_a_trained_checkpoint_opens_and_calls_itself_a_demo(trained):
    detector = open_detector("yolos", trained.files["yolos"], SMALL)
    assert detector.weights == "demo"
    assert {file.name for file in trained.files["yolos"].iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    assert trained.held_out == 2
    assert set(trained.figures) == {"mAP@0.5", "detections", "objects"}


def test_the_same_seed_gives_the_same_weights_and_another_one_others(trained, tmp_path):
    def weights(report):
        return open_detector("yolos", report.files["yolos"], SMALL).module.state_dict()

    first, again, other = map(
        weights, (trained, train(tmp_path / "again"), train(tmp_path / "other", seed=1))
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_the_steps_told_reach_the_total_told_first(trained, told):
    assert {total for _, _, total in told} == {told[0][2]}
    assert told[-1][1] == pytest.approx(told[0][2])
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_boxes_start_at_the_cells_of_their_tokens():
    shown = drawn(4, 0, decode_rules(SMALL))
    images = Normalisation(SMALL.preprocessing)(shown.pixels)
    model = start(SMALL.classes, images, torch.Generator().manual_seed(0)).eval()
    with torch.inference_mode():
        centres = model(images).pred_boxes[..., :2].mean(0)
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(3)).flip(1)
    torch.testing.assert_close(centres, (cells + 0.5) / 3, atol=0.05, rtol=0)


def test_a_scene_is_learnt_by_heart():
    shown = drawn(1, 0, decode_rules(SMALL))
    normalise = Normalisation(SMALL.preprocessing)
    generator = torch.Generator().manual_seed(0)
    model = start(SMALL.classes, normalise(shown.pixels), generator)
    schedule = dataclasses.replace(SCHEDULE, epochs=60, batch=1)
    fit(model, normalise, shown, schedule, generator=generator, on_step=lambda: None)
    boxes, scores, kinds, _ = ServedYolos(model, SMALL.preprocessing).eval()(shown.pixels)
    sure = scores[0] >= 0.5
    assert sure.sum() >= 3
    for box, kind in zip(boxes[0][sure], kinds[0][sure], strict=True):
        same = 96 * shown.boxes[0][shown.classes[0] == kind]
        assert torch.cdist(centre(box)[None], centre(same)).amin() < 6


def test_what_the_loss_counts_less_is_given_back_to_the_scores():
    rules = decode_rules(SMALL)
    shown, normalise = drawn(1, 0, rules), Normalisation(SMALL.preprocessing)
    generator = torch.Generator().manual_seed(0)
    model = start(SMALL.classes, normalise(shown.pixels), generator)
    bias = model.class_labels_classifier.layers[-1].bias
    before = bias.detach().clone()
    still = Schedule(epochs=1, batch=1, rate=1e-12, matrix_rate=1e-12)
    fit(model, normalise, shown, still, generator=generator, on_step=lambda: None)
    # Only "no object", the last, and by 1 / 0.3.
    expected = torch.tensor([0.0, 0.0, 0.0, 0.0, math.log(1 / 0.3)])
    torch.testing.assert_close(bias.detach() - before, expected, atol=1e-4, rtol=0)


def centre(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2


@pytest.mark.parametrize("place", range(4))
def test_a_scene_of_another_shape_is_letterboxed_with_its_boxes(place):
    shown = drawn(4, 0, decode_rules(SPEC))
    pixels = shown.pixels[place].numpy().astype(float)
    there = shown.classes[place] != NONE
    boxes = (shown.boxes[place][there].numpy() * 416).round().astype(int)
    border = (pixels == 114).all(axis=2)
    assert border.any() == (place > 0)
    ground = np.median(pixels[~border].mean(axis=1))
    for x1, y1, x2, y2 in boxes:
        middle = pixels[(y1 + y2) // 2 - 2 : (y1 + y2) // 2 + 2, (x1 + x2) // 2 - 2 :][:, :4]
        assert middle.mean() > ground + 35


def test_an_oracle_is_judged_perfect_and_a_careless_one_is_not():
    shown = drawn(12, 5, decode_rules(SPEC))
    objects = float((shown.classes != NONE).sum() / 12)
    perfect = yolos_judging.judge(Oracle(shown), shown, SPEC)
    assert perfect["mAP@0.5"] == pytest.approx(1)
    assert perfect["detections"] == perfect["objects"] == pytest.approx(objects)
    assert yolos_judging.judge(Oracle(shown, moved=40), shown, SPEC)["mAP@0.5"] < 0.5
    assert yolos_judging.judge(Oracle(shown, score=0.4), shown, SPEC)["detections"] == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"classes": SPEC.classes[::-1]},
        {"preprocessing": SPEC.preprocessing.model_copy(update={"height": 400})},
        {"preprocessing": SPEC.preprocessing.model_copy(update={"resize": "stretch"})},
    ],
)
def test_a_pipeline_that_the_drawings_do_not_fit_is_refused(facts, tmp_path):
    with pytest.raises(UnsuitablePipelineError, match="object_detection"):
        yolos_training.train(SPEC.model_copy(update=facts), tmp_path)


def test_there_is_room_for_all_objects_of_a_scene():
    assert drawn(1, 0, decode_rules(SMALL)).classes.shape[1] == scenes.OBJECTS[1]
