"""Layouts of checkpoints: each is read, or refused in one line; nothing is picked silently."""

import pytest
import torch

from export import checkpoint
from export.errors import CheckpointError
from export.read_options import ReadOptions, Weights
from export.repository import ModelRepository
from export.versions import export
from pipelines.manifest import Manifest
from tests.unit.export import checkpoint_layouts
from tests.unit.export.checkpoint_layouts import LAYOUTS, other
from tests.unit.export.conftest import CLASSES, Tiny

READ = [each for each in LAYOUTS if not each.refused]
REFUSED = [each for each in LAYOUTS if each.refused]
CHOOSABLE = [each for each in LAYOUTS if each.choosable]


def _name(layout):
    return layout.holds


@pytest.fixture
def save(tmp_path):
    def write(layout, state):
        torch.save(layout.write(state), tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return write


def load(path, options=None):
    torch.manual_seed(1)
    model = Tiny(len(CLASSES)).eval()
    loaded = checkpoint.read(path, *filter(None, [options])).load_into(model, CLASSES)
    return model, loaded


def assert_answers_as(model, state):
    expected = Tiny(len(CLASSES)).eval()
    expected.load_state_dict(state)
    image = torch.rand(4, 3, 32, 48)
    with torch.inference_mode():
        assert torch.equal(model(image), expected(image))


@pytest.mark.parametrize("layout", READ, ids=_name)
def test_a_layout_that_is_understood_gives_the_networks_answers(tiny, save, layout):
    model, _ = load(save(layout, tiny.state_dict()))
    assert_answers_as(model, tiny.state_dict())


@pytest.mark.parametrize("layout", REFUSED, ids=_name)
def test_a_layout_that_leaves_something_open_is_refused_in_one_line(tiny, save, layout):
    path = save(layout, tiny.state_dict())
    with pytest.raises(CheckpointError) as refused:
        load(path)
    message = str(refused.value)
    assert layout.refused in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize("layout", CHOOSABLE, ids=_name)
def test_of_raw_and_averaged_weights_those_are_taken_that_were_asked_for(tiny, save, layout):
    path = save(layout, tiny.state_dict())
    raw, of_raw = load(path, ReadOptions(weights=Weights.RAW))
    ema, of_ema = load(path, ReadOptions(weights=Weights.EMA))
    assert_answers_as(raw, tiny.state_dict())
    assert_answers_as(ema, other(tiny.state_dict()))
    assert (of_raw.weights, of_ema.weights) == (Weights.RAW, Weights.EMA)
    assert of_raw.place != of_ema.place


@pytest.mark.parametrize(
    ("holds", "says"),
    [
        ("shadow_params", "a list of tensors without names"),
        ("have no dots", "the average under model_ema has other keys than the network"),
    ],
)
def test_an_average_that_cannot_be_read_is_passed_over_on_demand_only(tiny, save, holds, says):
    (layout,) = (each for each in LAYOUTS if holds in each.holds)
    path = save(layout, tiny.state_dict())
    assert_answers_as(load(path, ReadOptions(weights=Weights.RAW))[0], tiny.state_dict())
    with pytest.raises(CheckpointError, match=says):
        load(path, ReadOptions(weights=Weights.EMA))


@pytest.mark.parametrize(
    ("key", "asked", "kind"), [("model", "ema", "averaged"), ("ema", "raw", "raw")]
)
def test_weights_that_are_not_there_are_not_replaced_by_others(tiny, tmp_path, key, asked, kind):
    torch.save({key: tiny.state_dict()}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=f"holds no {kind} weights, only {key}"):
        load(tmp_path / "weights.pt", ReadOptions(weights=Weights(asked)))


def test_which_weights_were_taken_is_recorded(tiny, spec, tmp_path):
    data = {"model": tiny.state_dict(), "model_ema": other(tiny.state_dict())}
    torch.save(data, tmp_path / "weights.pt")
    repository = ModelRepository(tmp_path / "model_repository")
    for asked, key in (("raw", "model"), ("ema", "model_ema")):
        options = ReadOptions(weights=Weights(asked))
        (done,) = export(spec, {"vgg16": tmp_path / "weights.pt"}, repository, options=options)
        manifest = Manifest.read(done.folder)
        assert (manifest.checkpoint_weights, manifest.checkpoint_key) == (asked, key)


def test_the_documentation_has_the_table_of_layouts():
    text = checkpoint_layouts.DOCS.read_text("utf-8")
    assert checkpoint_layouts.in_docs(text) == text, (
        "run python -m tests.unit.export.checkpoint_layouts"
    )
