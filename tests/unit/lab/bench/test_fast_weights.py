"""Demo weights for `fast`: what is run, and what softening changes."""

import pytest
import torch
import typer
from safetensors.torch import save_file

from export import architectures, checkpoint
from lab.bench import fast_weights
from lab.bench.workload import PIPELINE
from pipelines.fast_decoding import DIFFERENCE_AT_MOST, PHOTOS_AT_LEAST, FastDecoding
from pipelines.load import load_spec

SPEC = load_spec(PIPELINE, profile="onnx_fast")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository to make; drawings take no time."""
    monkeypatch.setattr(fast_weights, "_PHOTOS", tmp_path / "photos")
    monkeypatch.setattr(fast_weights, "draw_photos", draw)
    monkeypatch.setattr(fast_weights, "checkpoints", lambda _whole, _spec: {"vgg16": "a.pt"})
    return tmp_path / "repository"


def draw(spec, folder, count):
    assert count == PHOTOS_AT_LEAST
    for index in range(count):
        (folder / f"{index}.jpg").touch()


def judged(monkeypatch, place, passing):
    """Stands in for the export and its gate; returns what was run."""
    run = []

    def ran(*words):
        run.append(words)
        if words[0] == "export":
            return 0
        record = FastDecoding.path(SPEC, place)
        record.parent.mkdir(parents=True)
        difference = DIFFERENCE_AT_MOST * (0.9 if passing else 1.1)
        record.write_text(
            FastDecoding(
                photos=PHOTOS_AT_LEAST,
                unchanged=0,
                agreement=1.0,
                difference=difference,
                member_difference=difference,
                artefacts={},
                facts="",
            ).model_dump_json()
        )
        return int(not passing)

    monkeypatch.setattr(fast_weights, "_run", ran)
    return run


def status(place):
    with pytest.raises(typer.Exit) as ended:
        fast_weights.main(place)
    return ended.value.exit_code


def test_softened_weights_are_exported_and_judged(place, monkeypatch):
    run = judged(monkeypatch, place, passing=True)
    assert status(place) == 0
    assert [words[0] for words in run] == ["export", "export.fast_decoding"]
    assert run[0][-1] == "--checkpoint=vgg16=a.pt"
    assert FastDecoding.read(SPEC, place).passed


def test_weights_that_pass_are_kept_and_get_new_configs(place, monkeypatch):
    judged(monkeypatch, place, passing=True)
    assert status(place) == 0
    again = []
    monkeypatch.setattr(fast_weights, "_run", lambda *words: again.append(words) or 0)
    assert status(place) == 0
    assert again == [("export", "--configs", "--repository", str(place))]


def test_it_fails_where_they_do_not_pass(place, monkeypatch):
    judged(monkeypatch, place, passing=False)
    assert status(place) == 1


def test_an_export_that_fails_ends_it(place, monkeypatch):
    monkeypatch.setattr(fast_weights, "_run", lambda *_: 2)
    assert status(place) == 2


def test_softened_logits_are_smaller_and_all_else_stays(tmp_path):
    torch.manual_seed(0)
    model = architectures.build("regnety_002", 2).eval()
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    metadata = {"weights": "demo", "classes": '["healthy", "cancer"]'}
    save_file(state, tmp_path / "certain.safetensors", metadata=metadata)
    path = fast_weights.soften(
        SPEC.model_copy(update={"members": load_spec(PIPELINE).members}),
        "regnet",
        tmp_path / "certain.safetensors",
        tmp_path / "softened.safetensors",
    )
    found = checkpoint.read(path)
    assert found.weights == "demo"
    changed = [
        key for key, value in found.found[0].tensors.items() if not torch.equal(value, state[key])
    ]
    assert changed == ["head.fc.weight"], "its bias is 0 before and after"
    softened = architectures.build("regnety_002", 2).eval()
    found.load_into(softened, SPEC.classes)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        less = softened(images) * fast_weights._TEMPERATURE
        assert torch.allclose(less, model(images), atol=1e-5)
