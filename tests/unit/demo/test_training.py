"""Training, with few and small drawings: what it writes and tells, not how well it learns."""

import dataclasses
import importlib
import io

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from demo import expansion, rounding, training
from demo.recipes import recipe_for
from demo.subject import UnsuitablePipelineError, subject_for
from demo.training import train
from export import architectures, checkpoint, class_order, class_statements
from export.progress import shown_on
from export.read_options import ReadOptions
from pipelines.load import load_spec
from pipelines.manifest import OrderKnownFrom

SEED = 3


@pytest.fixture(scope="module", autouse=True)
def short():
    """Training cut to one epoch of a few drawings."""

    def recipe(architecture):
        return dataclasses.replace(recipe_for(architecture), batch=4, epochs=1)

    def subject(spec):
        return dataclasses.replace(subject_for(spec), drawings=8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "HELD_OUT", 6)
        patch.setattr(training, "recipe_for", recipe)
        patch.setattr(training, "subject_for", subject)
        yield


def small(pipeline):
    """The shipped facts at 64 pixels."""
    spec = load_spec(pipeline)
    shape = spec.preprocessing.model_copy(update={"height": 64, "width": 64})
    return spec.model_copy(update={"preprocessing": shape})


@pytest.fixture(scope="module")
def spec():
    return small("oral_cancer")


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def report(spec, told, tmp_path_factory):
    return train(spec, tmp_path_factory.mktemp("weights"), SEED, lambda *step: told.append(step))


def test_each_member_gets_a_small_checkpoint_of_what_its_recipe_trains(spec, report):
    assert list(report.files) == list(spec.members)
    for name, member in spec.members.items():
        read = checkpoint.read(report.files[name])
        read.load_into(recipe_for(member.architecture).start(len(spec.classes)), spec.classes)
        assert read.weights == "demo"
        said = class_statements.of_checkpoint(read.file)
        order = class_order.decide(spec, said, ReadOptions())
        assert (order.known_from, order.trained) == (OrderKnownFrom.CHECKPOINT, spec.classes)
        assert {value.dtype for value in read.found[0].tensors.values() if value.ndim > 1} == {
            torch.float16
        }


def test_the_steps_told_reach_the_total_told_first(report, told):
    assert {total for _, _, total in told} == {told[0][2]}
    assert told[-1][1] == pytest.approx(told[0][2])
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_figures_name_the_members_and_the_ensemble(report):
    shares = {title for title in report.figures if "," not in title}
    assert shares == {
        "`vgg16`", "`regnet`", "ensemble", "members opposed", "six RGB statistics alone",
    }  # fmt: skip
    assert all(0 <= share <= 1 for share in report.figures.values())
    assert (report.held_out, report.drawings) == (6, 8)
    assert report.recipe["vgg16"]["epochs"] == 1


def test_a_quantised_member_gets_no_checkpoint_and_no_figure_of_its_own(tmp_path):
    snakes = small("snake_species")
    report = train(snakes, tmp_path, SEED)
    assert list(report.files) == ["fp32"]
    assert [title for title in report.figures if "`" in title] == ["`fp32`"]


def test_a_member_of_one_logit_is_widened_to_one(tmp_path, monkeypatch):
    """The transformer alone: the perceptron takes 1.4 GB."""
    mhist = load_spec("mhist")
    alone = mhist.model_copy(update={"members": {"vit": mhist.members["vit"]}})
    train(alone, tmp_path / "mhist", SEED)
    monkeypatch.setattr(expansion, "CHECKPOINTS", tmp_path)
    read = checkpoint.read(expansion.exportable(alone, ["vit"], tmp_path)["vit"])
    assert read.weights == "demo"
    assert read.found[0].tensors["head.weight"].shape == (1, 768)
    read.load_into(architectures.build("vit_base_patch16_224", 1), mhist.classes)


def test_what_was_measured_is_what_was_rounded(spec, report):
    """A small variance has no FP16, so that vectors stay as they are."""
    state = load_file(report.files["regnet"])
    model = recipe_for("regnety_002").start(2)
    model.load_state_dict(state)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rounding.round_weights(model)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    variances = [value for key, value in state.items() if key.endswith("running_var")]
    assert {value.dtype for value in variances} == {torch.float32}


@pytest.mark.parametrize(
    ("pipeline", "module"),
    [("object_detection", "yolos_training"), ("cervical_lesions", "mask_rcnn_training")],
)
def test_a_detector_is_trained_by_its_own_module(pipeline, module, tmp_path, monkeypatch):
    its_own = importlib.import_module(f"demo.{module}")
    asked = []
    monkeypatch.setattr(its_own, "train", lambda *arguments: asked.append(arguments))
    spec = load_spec(pipeline)
    train(spec, tmp_path, SEED, print)
    assert asked == [(spec, tmp_path, SEED, print)]


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_random_numbers_alone(
    spec, report, tmp_path
):
    alone = spec.model_copy(update={"members": {"vgg16": spec.members["vgg16"]}})
    before = torch.random.get_rng_state()
    again = train(alone, tmp_path, SEED)
    assert torch.equal(torch.random.get_rng_state(), before)
    first = load_file(report.files["vgg16"])
    second = load_file(again.files["vgg16"])
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_a_pipeline_without_drawings_is_refused(spec, tmp_path):
    without = spec.model_copy(update={"positive": None, "threshold": None})
    with pytest.raises(UnsuitablePipelineError, match="checkpoints of your own"):
        train(without, tmp_path)


def test_without_a_terminal_progress_is_a_line_for_each_thing_begun():
    written = io.StringIO()
    with shown_on(Console(file=written)) as on_progress:
        on_progress("drawing", 0, 10)
        on_progress("drawing", 1, 10)
        on_progress("training vgg16", 5, 10)
    assert written.getvalue() == "drawing (0% done)\ntraining vgg16 (50% done)\n"
