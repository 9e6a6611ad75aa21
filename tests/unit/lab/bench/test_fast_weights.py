import pytest
import torch
import typer

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
    monkeypatch.setattr(fast_weights, "checkpoints", lambda _whole, _spec, seed: {"vgg16": seed})
    return tmp_path / "repository"


def draw(spec, folder, count, short):
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
        seed = int(run[-2][-1].rpartition("=")[2])
        record = FastDecoding.path(SPEC, place)
        record.parent.mkdir(parents=True)
        difference = DIFFERENCE_AT_MOST * (0.9 if seed == passing else 1.1)
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
        return int(seed != passing)

    monkeypatch.setattr(fast_weights, "_run", ran)
    return run


def test_seeds_are_tried_until_one_passes_on_the_same_drawings(place, monkeypatch):
    run = judged(monkeypatch, place, passing=3)
    fast_weights.main(place)
    tried = [words[-1] for words in run if words[0] == "export"]
    assert tried == [f"--checkpoint=vgg16={seed}" for seed in range(4)]
    assert len({words[-1] for words in run if words[0] != "export"}) == 1
    assert FastDecoding.read(SPEC, place).passed


def test_weights_that_pass_are_kept_and_get_new_configs(place, monkeypatch):
    judged(monkeypatch, place, passing=1)
    fast_weights.main(place)
    again = []
    monkeypatch.setattr(fast_weights, "_run", lambda *words: again.append(words) or 0)
    with pytest.raises(typer.Exit) as ended:
        fast_weights.main(place)
    assert ended.value.exit_code == 0
    assert again == [("export", "--configs", "--repository", str(place))]


def test_it_fails_where_no_seed_passes(place, monkeypatch, capsys):
    judged(monkeypatch, place, passing=None)
    with pytest.raises(typer.Exit):
        fast_weights.main(place)
    assert "none of 5 seeds passes" in capsys.readouterr().err


def test_a_training_that_fails_ends_it(place, monkeypatch):
    monkeypatch.setattr(fast_weights, "_run", lambda *_: 2)
    with pytest.raises(typer.Exit) as ended:
        fast_weights.main(place)
    assert ended.value.exit_code == 2


def test_softened_logits_are_smaller_and_all_else_stays(tmp_path):
    last = torch.nn.Linear(3, 2)
    kernel = torch.ones(2, 2)
    state = {"kernel": kernel, "head.weight": last.weight.data, "head.bias": last.bias.data}
    torch.save({"state_dict": state, "weights": "demo"}, tmp_path / "certain.pt")
    path = fast_weights.soften(tmp_path / "certain.pt", tmp_path / "new" / "softened.pt")
    found = torch.load(path, weights_only=True)
    assert found["weights"] == "demo"
    assert torch.equal(found["state_dict"]["kernel"], kernel)
    less = torch.nn.Linear(3, 2)
    less.weight.data, less.bias.data = list(found["state_dict"].values())[1:]
    features = torch.randn(5, 3)
    assert torch.allclose(less(features) * fast_weights._TEMPERATURE, last(features), atol=1e-6)
