"""The page of models: measured from the artefacts that are there."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from export import timing
from export.repository import ModelRepository
from export.versions import export
from lab.models import __main__ as models_report
from lab.models import held_out
from pipelines.calibration import CalibrationFigures, Estimate
from pipelines.enums import Format
from pipelines.load import load_definition, load_spec
from pipelines.protocol import MEMBER_INPUT, DetectorOutput


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(held_out, "IMAGES", 20)
    monkeypatch.setattr(held_out, "SCENES", 3)
    monkeypatch.setattr(timing, "SECONDS", 0)


@pytest.mark.usefixtures("few")
def test_the_page_says_what_was_measured_and_what_is_not_there(spec, specs, tiny, tmp_path):
    torch.save({"state_dict": tiny.state_dict(), "weights": "demo"}, tmp_path / "demo.pt")
    repository = ModelRepository(tmp_path / "repository")
    export(spec, {"regnet": tmp_path / "demo.pt"}, repository)
    page = tmp_path / "models.md"
    models_report.main(page, repository.root, specs)
    rows = [line for line in page.read_text("utf-8").splitlines() if "`oral_cancer`" in line]
    missing, measured = (row.split(" | ") for row in rows)
    assert missing[1] == "`vgg16`"
    assert missing[8] == "not exported"
    assert measured[1:4] == ["`regnet`", "tiny", "torchscript"]
    size = (repository.root / "oral_cancer_regnet" / "1" / "model.pt").stat().st_size
    assert float(measured[4]) == pytest.approx(size / 1e6, abs=0.05)
    # So small a network may take less than a tenth of a millisecond.
    assert float(measured[6]) >= 0
    assert 0 <= float(measured[8].removeprefix("accuracy ")) <= 1


@pytest.mark.usefixtures("few")
def test_trained_weights_are_not_judged_by_drawings(spec, specs, tiny, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "trained.pt")
    repository = ModelRepository(tmp_path / "repository")
    export(spec, {"regnet": tmp_path / "trained.pt"}, repository)
    page = tmp_path / "models.md"
    models_report.main(page, repository.root, specs)
    assert "not demo weights" in page.read_text("utf-8")


def test_the_calibration_of_a_member_has_both_errors_and_their_intervals():
    before, after = Estimate(value=0.08, low=0.06, high=0.1), Estimate(value=0.02, low=0, high=0.03)
    figures = CalibrationFigures(
        temperature=1.5, fitted=40, measured=40, error_before=before, error_after=after
    )
    said = models_report._calibration(figures)
    assert said == "0.080 (0.060 to 0.100), then 0.020 (0.000 to 0.030)"
    assert models_report._calibration(None) == ""


def test_an_int8_member_stands_beside_its_original_whatever_else_is_made_of_it():
    members = [row[1] for row in models_report._rows(load_definition("oral_cancer"), {})]
    assert members == ["`vgg16` / `vgg16_int8`", "`regnet`", "`regnet_onnx` / `regnet_int8`"]


class Knowing:
    """A session that answers what was drawn; `wrong` names the classes wrongly."""

    def __init__(self, spec, wrong):
        height, width = spec.preprocessing.size or held_out.SIZE
        self._batched = spec.preprocessing.size is not None
        self._wrong, self._classes = wrong, len(spec.classes)
        drawings = [
            held_out._drawing(spec.task, held_out._FIRST_SCENE + seed, width, height)
            for seed in range(3)
        ]
        self._known = {np.asarray(each.image).tobytes(): each for each in drawings}
        self._names = DetectorOutput.of_candidates(masks=hasattr(drawings[0], "masks"))

    def get_outputs(self):
        return [type("Output", (), {"name": str(name)}) for name in self._names]

    def run(self, _names, feed):
        pixels = feed[MEMBER_INPUT]
        drawing = self._known[pixels.tobytes()]
        classes = (drawing.classes + self._wrong) % self._classes
        outputs = [drawing.boxes, np.ones(len(classes), np.float32), classes]
        if hasattr(drawing, "masks"):
            outputs.append(np.ones((len(classes), 28, 28), np.float32))
        return [output[None] for output in outputs] if self._batched else outputs


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
@pytest.mark.parametrize(("wrong", "precision"), [(0, "1.000"), (1, "0.000")])
def test_a_detector_is_measured_on_what_was_drawn(name, wrong, precision, monkeypatch, tmp_path):
    spec = load_spec(name)
    monkeypatch.setattr(
        held_out.onnxruntime, "InferenceSession", lambda *_, **__: Knowing(spec, wrong)
    )
    (text,) = held_out.quality(spec, {"m": (tmp_path, Format.ONNX)}).values()
    assert text.startswith(f"mAP@0.5 {precision}")
    if name == "cervical_lesions" and not wrong:
        # Full boxes in place of lesions: the share of a box that a lesion fills.
        iou = float(text.rpartition(" ")[2])
        assert 0.5 < iou < 0.9


def test_a_mask_keeps_its_rows_and_columns():
    mask = np.zeros((4, 6), dtype=bool)
    mask[1, 2:5] = True
    unpacked = coco_mask.decode(held_out._rle(mask))
    np.testing.assert_array_equal(unpacked.astype(bool), mask)
