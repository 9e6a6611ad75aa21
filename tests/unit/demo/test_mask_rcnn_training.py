"""Demo weights for lesions: what is written, and how it is judged."""

import numpy as np
import pytest
import torch
from torch import nn

from demo import lesions, mask_rcnn_fitting, mask_rcnn_judging, mask_rcnn_training
from demo.mask_rcnn_fitting import Schedule
from demo.subject import UnsuitablePipelineError
from export.detector import open_detector
from pipelines.load import load_spec

SPEC = load_spec("cervical_lesions")


def train(folder, seed=0, on_progress=lambda *_: None):
    folder.mkdir()
    return mask_rcnn_training.train(
        SPEC,
        folder,
        seed,
        on_progress,
        drawings=4,
        held_out=2,
        schedule=Schedule(epochs=1, batch=2, rate=1e-3),
    )


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def trained(tmp_path_factory, told):
    before = torch.get_rng_state()
    report = train(
        tmp_path_factory.mktemp("demo") / "one",
        on_progress=lambda doing, done, total: told.append((doing, done, total)),
    )
    assert torch.equal(torch.get_rng_state(), before)
    return report


def test_a_trained_checkpoint_opens_and_calls_itself_a_demo(trained):
    detector = open_detector("mask_rcnn", trained.files["mask_rcnn"], SPEC)
    assert detector.weights == "demo"
    assert not detector.module.training
    assert trained.held_out == 2
    assert set(trained.figures) == {"box mAP@0.5", "mask mAP@0.5", "mask IoU", "found"}
    assert all(0 <= value <= 1 for value in trained.figures.values())


def test_the_same_seed_gives_the_same_weights_and_another_one_others(trained, tmp_path):
    def weights(report):
        return open_detector("mask_rcnn", report.files["mask_rcnn"], SPEC).module.state_dict()

    first, again, other = (
        weights(trained),
        weights(train(tmp_path / "again")),
        weights(train(tmp_path / "other", seed=1)),
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.usefixtures("trained")
def test_progress_runs_to_the_end(told):
    assert [doing for doing, _, _ in dict.fromkeys((d, 0, 0) for d, _, _ in told)] == [
        "drawing", "training mask_rcnn", "checking mask_rcnn",
    ]  # fmt: skip
    assert len({total for _, _, total in told}) == 1
    assert told[-1][1] == pytest.approx(told[-1][2])
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_other_classes_than_the_drawings_are_refused(tmp_path):
    swapped = SPEC.model_copy(update={"classes": SPEC.classes[::-1]})
    with pytest.raises(UnsuitablePipelineError, match="acetowhite, punctation, mosaic"):
        mask_rcnn_training.train(swapped, tmp_path)


def test_a_mirrored_example_has_its_boxes_around_its_masks():
    generator = torch.Generator().manual_seed(0)
    example = mask_rcnn_fitting._example(lesions.draw(0, 96, 64))
    images = set()
    for _ in range(12):
        image, target = mask_rcnn_fitting._flipped(example, generator)
        images.add(image.numpy().tobytes())
        for box, mask in zip(target["boxes"].int().tolist(), target["masks"], strict=True):
            rows, columns = mask.nonzero().unbind(1)
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box == [int(value) for value in around]
    assert len(images) == 4


class Oracle(nn.Module):
    """Answers what is in the drawings, in turn; boxes may be halved."""

    def __init__(self, drawings, halved=False, score=0.9):
        super().__init__()
        self.drawings, self.halved, self.score = iter(drawings), halved, score

    def forward(self, pixels):
        drawing = next(self.drawings)
        assert pixels.shape == (*drawing.masks.shape[1:], 3)
        count = len(drawing.boxes)
        boxes = torch.from_numpy(drawing.boxes).clone()
        if self.halved:
            boxes[:, 2] -= 0.55 * (boxes[:, 2] - boxes[:, 0])
        return (
            boxes,
            torch.full((count,), self.score),
            torch.from_numpy(drawing.classes),
            torch.ones(count, 28, 28),
            torch.zeros(SPEC.members["mask_rcnn"].features),
        )


@pytest.fixture(scope="module")
def drawings():
    return [lesions.draw(seed, 640, 480) for seed in range(3)]


def test_all_lesions_found_is_a_precision_of_one(drawings):
    figures = mask_rcnn_judging.judge(Oracle(drawings), drawings, SPEC)
    assert figures["box mAP@0.5"] == pytest.approx(1)
    assert figures["found"] == 1
    # Its masks are the whole boxes, of which a lesion takes its share.
    shares = [
        mask.sum() / np.prod(box[2:] - box[:2])
        for drawing in drawings
        for mask, box in zip(drawing.masks, drawing.boxes, strict=True)
    ]
    assert figures["mask IoU"] == pytest.approx(np.mean(shares), abs=0.03)


def test_boxes_around_less_than_half_of_a_lesion_find_none(drawings):
    figures = mask_rcnn_judging.judge(Oracle(drawings, halved=True), drawings, SPEC)
    assert figures["found"] == figures["mask IoU"] == figures["box mAP@0.5"] == 0


def test_what_lies_under_the_threshold_is_not_found(drawings):
    figures = mask_rcnn_judging.judge(Oracle(drawings, score=0.4), drawings, SPEC)
    assert figures["found"] == 0
    assert figures["box mAP@0.5"] == pytest.approx(1)
