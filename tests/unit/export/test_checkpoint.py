"""Checkpoints as training scripts leave them, and those that are refused."""

import pytest
import torch
from safetensors.torch import save_file

from export import checkpoint
from export.errors import CheckpointError
from tests.unit.export.conftest import CLASSES, Tiny


def test_safetensors_are_read(tiny, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(tiny.state_dict(), path)
    model = Tiny(len(CLASSES))
    checkpoint.read(path).load_into(model, CLASSES)
    assert torch.equal(model.head.weight, tiny.head.weight)


def test_safetensors_may_say_that_they_are_a_demo(tiny, tmp_path):
    path = tmp_path / "weights.safetensors"
    for said, weights in (({"weights": "demo"}, "demo"), ({"weights": "best"}, "trained")):
        save_file(tiny.state_dict(), path, metadata=said)
        assert checkpoint.read(path).weights == weights


def test_a_pickled_module_is_refused_with_the_remedy(tiny, tmp_path):
    path = tmp_path / "module.pt"
    torch.save(tiny, path)
    with pytest.raises(CheckpointError, match=r"model\.state_dict\(\)") as raised:
        checkpoint.read(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.pt", b"hello"),
        ("empty.pt", b""),
        ("text.safetensors", b"hello"),
        ("empty.safetensors", b""),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        checkpoint.read(tmp_path / name)


def test_a_truncated_checkpoint_is_refused(tiny, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(tiny.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(CheckpointError, match=r"weights\.pt"):
        checkpoint.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pt: no such file"):
        checkpoint.read(tmp_path / "absent.pt")


@pytest.mark.parametrize("data", [{"epoch": 3}, torch.zeros(2), [1, 2]])
def test_a_file_without_a_state_dict_is_refused(tmp_path, data):
    torch.save(data, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="state dict"):
        checkpoint.read(tmp_path / "weights.pt")


def test_a_mismatch_lists_what_was_expected_and_found(tiny, tmp_path):
    state = tiny.state_dict()
    state["head.weight"] = torch.zeros(3, 4)
    state["extra"] = torch.zeros(1)
    del state["head.bias"]
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError) as raised:
        checkpoint.read(tmp_path / "weights.pt").load_into(Tiny(2), CLASSES)
    message = str(raised.value)
    assert "1 missing: head.bias [2]" in message
    assert "1 unexpected: extra [1]" in message
    assert "1 of another shape: head.weight: expected [2, 4], found [3, 4]" in message
    assert "\n" not in message


def test_weights_that_are_not_finite_are_refused(tiny, tmp_path):
    state = tiny.state_dict()
    state["head.bias"] = torch.tensor([float("nan"), 0.0])
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"head\.bias holds NaN"):
        checkpoint.read(tmp_path / "weights.pt").load_into(Tiny(2), CLASSES)
