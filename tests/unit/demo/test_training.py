"""Training, with few and small drawings: what it writes and tells, not how well it learns."""

import dataclasses
import io

import pytest
import torch
from rich.console import Console

from export import architectures, checkpoint
from export.demo import training
from export.demo.progress import shown_on
from export.demo.recipes import recipe_for
from export.demo.training import UnsuitablePipelineError, train
from pipelines.load import load_spec

SEED = 3


@pytest.fixture(scope="module")
def spec():
    """The shipped facts at 64 pixels, and training cut to one epoch of a few drawings."""

    def short(architecture):
        return dataclasses.replace(recipe_for(architecture), batch=4, epochs=1)

    spec = load_spec("oral_cancer")
    small = spec.preprocessing.model_copy(update={"height": 64, "width": 64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "DRAWINGS", 8)
        patch.setattr(training, "HELD_OUT", 6)
        patch.setattr(training, "recipe_for", short)
        yield spec.model_copy(update={"preprocessing": small})


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def report(spec, told, tmp_path_factory):
    return train(spec, tmp_path_factory.mktemp("weights"), SEED, lambda *step: told.append(step))


def test_each_member_gets_a_checkpoint_of_the_plain_architecture(spec, report):
    assert list(report.files) == list(spec.members)
    for name, member in spec.members.items():
        model = architectures.build(member.architecture, len(spec.classes))
        read = checkpoint.read(report.files[name])
        read.load_into(model, spec.classes)
        assert read.weights == "demo"
        assert read.classes == spec.classes


def test_the_steps_told_reach_the_total_told_first(report, told):
    assert {total for _, _, total in told} == {told[0][2]}
    assert told[-1][1] == pytest.approx(told[0][2])
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_report_says_what_it_measured(report):
    vgg16, regnet = report.accuracies.values()
    assert report.summary() == (
        f"right on 6 held-out drawings: vgg16 {vgg16:.3f}, regnet {regnet:.3f}, "
        f"ensemble {report.ensemble:.3f}"
    )


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_random_numbers_alone(
    spec, report, tmp_path
):
    alone = spec.model_copy(update={"members": {"vgg16": spec.members["vgg16"]}})
    before = torch.random.get_rng_state()
    again = train(alone, tmp_path, SEED)
    assert torch.equal(torch.random.get_rng_state(), before)
    first = checkpoint.read(report.files["vgg16"]).state_dict
    second = checkpoint.read(again.files["vgg16"]).state_dict
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_a_pipeline_without_a_positive_class_is_refused(spec, tmp_path):
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
