"""The committed checkpoints: all there, small, and what the export reads."""

import json

import pytest

from demo import references, report
from demo.expansion import exportable
from demo.figures import CHECKPOINTS, Figures
from demo.training import trained_members
from export import checkpoint, class_order, class_statements
from export.detector import open_detector
from export.read_options import ReadOptions
from inference.typicality import Reference
from pipelines.enums import Task
from pipelines.load import available, load_definition, load_spec
from pipelines.manifest import OrderKnownFrom, sha256_of

LARGEST = 40e6


@pytest.mark.parametrize("name", available())
def test_figures_say_how_the_committed_weights_were_made(name):
    made, spec = Figures.read(CHECKPOINTS / name), load_spec(name)
    assert made.pipeline == name
    assert list(made.recipe) == trained_members(spec)
    assert made.figures


@pytest.mark.parametrize("name", available())
def test_detectors_find_and_classifiers_decide_well_enough_to_show(name):
    figures = Figures.read(CHECKPOINTS / name).figures
    title = {"object_detection": "mAP@0.5", "cervical_lesions": "box mAP@0.5"}.get(name)
    assert figures.get(title or "ensemble", figures.get("release")) > 0.9


def test_all_of_them_together_are_small():
    assert sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) < LARGEST


REFERENCED = sorted(path.parent.name for path in CHECKPOINTS.glob(f"*/{references.FILENAME}"))


@pytest.mark.parametrize("name", REFERENCED)
def test_committed_references_are_of_the_committed_checkpoints(name):
    whole, folder = load_definition(name), CHECKPOINTS / name
    said = json.loads((folder / references.FILENAME).read_text("utf-8"))
    for precision, of in said.items():
        path = folder / f"typicality_{precision}.npz"
        assert of == {"sha256": sha256_of(path), "checkpoint": references.checkpoint_digest(whole)}
        reference = Reference.load(path)
        assert reference.about["photos"] == len(reference.photos) == references.PHOTOS
        assert len(reference.features.mean) == whole.members[whole.typicality.member].features


# The perceptron of mhist takes 1.4 GB.
@pytest.mark.parametrize("name", ["oral_cancer", "snake_species"])
def test_classifiers_open_as_demo_weights_of_the_pipelines_classes(name, tmp_path):
    spec = load_spec(name)
    for path in exportable(spec, trained_members(spec), tmp_path).values():
        read = checkpoint.read(path)
        assert read.weights == "demo"
        order = class_order.decide(spec, class_statements.of_checkpoint(read.file), ReadOptions())
        assert (order.known_from, order.trained) == (OrderKnownFrom.CHECKPOINT, spec.classes)


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_detectors_open_as_demo_weights(name, tmp_path):
    spec = load_spec(name)
    assert spec.task is not Task.CLASSIFICATION
    for member, path in exportable(spec, spec.members, tmp_path).items():
        opened = open_detector(spec.members[member].architecture, path, spec)
        assert opened.weights == "demo"
        assert opened.order.known_from is OrderKnownFrom.CHECKPOINT


def test_the_page_is_what_the_command_writes(tmp_path):
    report.main(tmp_path / "demo.md")
    committed = (report.ROOT / "docs" / "demo.md").read_text("utf-8")
    assert (tmp_path / "demo.md").read_text("utf-8") == committed
