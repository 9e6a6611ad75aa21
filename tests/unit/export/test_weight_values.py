"""Types and numbers of weights: converted and said, or refused in one sentence."""

import numpy as np
import pytest
import torch

from export import checkpoint
from export.errors import CheckpointError
from export.quiet import quiet
from export.repository import ModelRepository
from export.versions import export
from tests.unit.export.conftest import CLASSES, Tiny


def _quantised(weight):
    with quiet():
        return torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)


def _with(value):
    def spoil(weight):
        weight = weight.clone()
        weight.view(-1)[0] = value
        return weight

    return spoil


REFUSED = {
    "integers": (lambda weight: (weight * 99).to(torch.int8), "holds int8"),
    "booleans": (lambda weight: weight > 0, "holds bool"),
    "complex": (lambda weight: weight.to(torch.complex64), "complex numbers"),
    "fp8": (lambda weight: weight.to(torch.float8_e4m3fn), "float8_e4m3fn, which is too coarse"),
    "fp8, wide": (lambda weight: weight.to(torch.float8_e5m2), "too coarse"),
    "quantised": (_quantised, r"is quantised \(qint8\): give the FP32 checkpoint"),
    "meta": (lambda weight: weight.to("meta"), "a meta tensor"),
    "sparse": (lambda weight: weight.to_sparse(), r"tensor\.to_dense\(\)"),
    "NaN": (_with(torch.nan), "NaN or infinity: train it again"),
    "infinity": (_with(-torch.inf), "NaN or infinity"),
    "infinity in FP32": (lambda weight: _with(1e300)(weight.double()), "NaN or infinity"),
    "a flipped exponent": (_with(3e36), "3e[+]36, which no training gives: the file is damaged"),
    "zeros": (torch.zeros_like, "is all zeros, so that no answer would depend on the image"),
}


@pytest.fixture
def save(tiny, tmp_path):
    """Writes the checkpoint with one tensor changed, in one of the formats."""

    def write(key, change, **options):
        state = tiny.state_dict()
        with quiet():
            torch.save(state | {key: change(state[key])}, tmp_path / "weights.pt", **options)
        return tmp_path / "weights.pt"

    return write


# torch.load itself cannot read FP8 in the format of before PyTorch 1.6.
CASES = [
    pytest.param(change, what, zipped, id=f"{name}-{'zip' if zipped else 'legacy'}")
    for name, (change, what) in REFUSED.items()
    for zipped in (True, False)
    if zipped or "fp8" not in name
]


@pytest.mark.parametrize(("change", "what", "zipped"), CASES)
def test_weights_that_cannot_be_served_are_refused_in_one_sentence(save, change, what, zipped):
    path = save("head.weight", change, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=what) as refused:
        checkpoint.read(path).load_into(Tiny(2), CLASSES)
    assert str(refused.value).startswith(f"{path}: head.weight ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_negative_variance_is_refused(save):
    path = save("body.1.running_var", lambda variance: -variance)
    with pytest.raises(CheckpointError, match=r"body\.1\.running_var holds a negative variance"):
        checkpoint.read(path).load_into(Tiny(2), CLASSES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_weights_are_converted_and_it_is_said(save, tiny, dtype):
    path = save("head.weight", lambda weight: weight.to(dtype))
    model = Tiny(2)
    loaded = checkpoint.read(path).load_into(model, CLASSES)
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, tiny.head.weight.to(dtype).float())
    name = str(dtype).removeprefix("torch.")
    assert loaded.notes == (f"1 tensors are {name} and were converted to float32",)


def test_full_precision_in_a_checked_format_needs_no_note(save):
    path = save("head.weight", torch.clone)
    assert checkpoint.read(path).load_into(Tiny(2), CLASSES).notes == ()


@pytest.mark.parametrize("counter", [torch.tensor(3.0), torch.tensor([3]), torch.tensor(3).int()])
def test_a_counter_of_training_steps_may_be_of_any_kind(save, counter):
    path = save("body.1.num_batches_tracked", lambda _: counter)
    checkpoint.read(path).load_into(Tiny(2), CLASSES)


def test_a_network_that_answers_every_image_alike_is_not_published(spec, tiny, tmp_path):
    with torch.no_grad():
        # Of these weights no activation passes the last ReLU.
        tiny.body[1].bias.fill_(-1e4)
    torch.save(tiny.state_dict(), tmp_path / "weights.pt")
    repository = ModelRepository(tmp_path / "model_repository")
    with pytest.raises(CheckpointError, match="gives the same answer for every image"):
        export(spec, {"vgg16": tmp_path / "weights.pt"}, repository)
    assert not list(repository.root.rglob("*"))


def test_what_was_converted_stands_in_the_manifest(spec, tiny, tmp_path):
    state = {"model": tiny.half().state_dict(), "classes": list(spec.classes)}
    torch.save(state, tmp_path / "weights.pt")
    repository = ModelRepository(tmp_path / "model_repository")
    (done,) = export(spec, {"vgg16": tmp_path / "weights.pt"}, repository)
    assert done.manifest.notes == ("8 tensors are float16 and were converted to float32",)
    assert np.isfinite(done.manifest.parity_error)
