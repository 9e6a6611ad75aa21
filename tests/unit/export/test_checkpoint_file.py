"""Files that are damaged, of another format, or could run code: refused in one sentence each."""

import argparse
import gzip
import pickle
import shutil
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.serialization import set_crc32_options

from export import checkpoint
from export.checkpoint_file import open_file
from export.errors import CheckpointError
from tests.unit.export.conftest import CLASSES, Tiny


def _saved(tiny, folder, **options):
    torch.save(tiny.state_dict(), folder / "saved.pt", **options)
    return (folder / "saved.pt").read_bytes()


def _safetensors(tiny, folder):
    save_file(tiny.state_dict(), folder / "saved.safetensors")
    return (folder / "saved.safetensors").read_bytes()


def _legacy(tiny, folder):
    return _saved(tiny, folder, _use_new_zipfile_serialization=False)


def _archive(writer):
    def write(_, folder):
        writer(folder / "archive")
        return (folder / "archive").read_bytes()

    return write


def _numpy(path):
    with path.open("wb") as file:
        np.savez(file, weight=np.zeros(3))


def _tar(path):
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "weights.pt")


def _compressed_again(tiny, folder):
    _saved(tiny, folder)
    with (
        zipfile.ZipFile(folder / "saved.pt") as before,
        zipfile.ZipFile(folder / "again", "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name))
    return (folder / "again").read_bytes()


def _torchscript(tiny, folder):
    with pytest.deprecated_call():
        traced = torch.jit.trace(tiny, torch.zeros(1, 3, 32, 32))
    with pytest.deprecated_call():
        torch.jit.save(traced, folder / "script.pt")
    return (folder / "script.pt").read_bytes()


def _exported(tiny, folder):
    torch.export.save(torch.export.export(tiny, (torch.zeros(1, 3, 32, 32),)), folder / "a.pt2")
    return (folder / "a.pt2").read_bytes()


def _module(tiny, folder, **options):
    torch.save(tiny, folder / "module.pt", **options)
    return (folder / "module.pt").read_bytes()


REFUSED = {
    "empty": (lambda *_: b"", "is empty"),
    "zeros, as an interrupted copy leaves": (lambda *_: bytes(4096), "holds zeros only"),
    "text": (lambda *_: b"hello", "not a (PyTorch checkpoint|safetensors file)"),
    "pointer of git-lfs": (
        lambda *_: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "git lfs pull",
    ),
    "web page": (lambda *_: b"\n<!DOCTYPE html>\n<html><body>Log in</body></html>", "a web page"),
    "web page in capitals": (lambda *_: b"<HTML><HEAD>", "a web page"),
    "Keras": (lambda *_: b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5 .* Keras"),
    "GGUF": (lambda *_: b"GGUF" + bytes(99), "GGUF"),
    "gzip": (lambda *a: gzip.compress(_saved(*a)), "is compressed: unpack it"),
    "tar": (_archive(_tar), "is a tar archive: unpack it"),
    "zip of arrays": (_archive(_numpy), r"not of torch\.save \(it holds weight\.npy\)"),
    "zip compressed again": (_compressed_again, "a compressed zip file: unpack it"),
    "zip cut short": (lambda *a: _saved(*a)[:-400], "damaged or cut short"),
    "zip cut to its beginning": (lambda *a: _saved(*a)[:100], "damaged or cut short"),
    "legacy cut short": (lambda *a: _legacy(*a)[:-7], "damaged or cut short"),
    "legacy cut to its beginning": (lambda *a: _legacy(*a)[:40], "damaged"),
    "safetensors cut short": (lambda *a: _safetensors(*a)[:-4], "damaged or cut short"),
    "safetensors cut in the header": (lambda *a: _safetensors(*a)[:60], "damaged or cut short"),
    "safetensors too long": (lambda *a: _safetensors(*a) + b"\0", "damaged or cut short"),
    "safetensors with a huge header": (
        lambda *_: struct.pack("<Q", 1 << 60) + b'{"a":{}}',
        "damaged or cut short",
    ),
    "TorchScript": (_torchscript, r"TorchScript program.*model\.state_dict\(\)"),
    "torch.export": (_exported, r"torch\.export.*model\.state_dict\(\)"),
    "pickled module": (_module, r"pickled Python objects \(.*Tiny\).*model\.state_dict\(\)"),
    "pickled module, legacy": (
        lambda *a: _module(*a, _use_new_zipfile_serialization=False),
        r"pickled Python objects.*model\.state_dict\(\)",
    ),
    "plain pickle": (
        lambda tiny, _: pickle.dumps(tiny.state_dict()),
        r"pickled Python objects.*model\.state_dict\(\)",
    ),
}


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(("content", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_whole_checkpoint_is_refused_in_one_sentence(
    tiny, tmp_path, content, what, suffix
):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content(tiny, tmp_path))
    with pytest.raises(CheckpointError, match=what) as refused:
        checkpoint.read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400


def test_a_folder_is_refused_and_its_files_are_named(tmp_path):
    (tmp_path / "best.pt").touch()
    with pytest.raises(CheckpointError, match=r"is a folder: give the .* \(it holds best\.pt\)"):
        checkpoint.read(tmp_path)


def test_any_flipped_bit_of_the_weights_is_found_in_a_zip(tiny, tmp_path):
    good = _saved(tiny, tmp_path)
    path = tmp_path / "weights.pt"
    expected = open_file(tmp_path / "saved.pt").contents
    random = np.random.default_rng(4)
    refused = 0
    for place in random.choice(len(good), 300, replace=False):
        damaged = bytearray(good)
        damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            found = open_file(path).contents
        except CheckpointError:
            refused += 1
        else:
            # The byte belonged to no record: padding, or a date.
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert refused > 100


def test_no_damaged_legacy_file_or_safetensors_shows_a_traceback(tiny, tmp_path):
    random = np.random.default_rng(5)
    path = tmp_path / "weights.pt"
    for good in (_legacy(tiny, tmp_path), _safetensors(tiny, tmp_path)):
        for place in random.choice(min(len(good), 900), 150, replace=False):
            damaged = bytearray(good)
            damaged[place] ^= 1 << random.integers(8)
            path.write_bytes(damaged)
            try:
                checkpoint.read(path)
            except CheckpointError as refused:
                assert "\n" not in str(refused)  # noqa: PT017 - some are readable


def test_a_file_says_whether_damage_would_be_found(tiny, tmp_path):
    _saved(tiny, tmp_path)
    assert open_file(tmp_path / "saved.pt").has_checksums
    _legacy(tiny, tmp_path)
    assert not open_file(tmp_path / "saved.pt").has_checksums
    _safetensors(tiny, tmp_path)
    assert not open_file(tmp_path / "saved.safetensors").has_checksums


def test_a_file_that_was_saved_without_checksums_is_read(tiny, tmp_path):
    set_crc32_options(compute_crc32=False)
    try:
        _saved(tiny, tmp_path)
    finally:
        set_crc32_options(compute_crc32=True)
    assert not open_file(tmp_path / "saved.pt").has_checksums
    checkpoint.read(tmp_path / "saved.pt").load_into(Tiny(2), CLASSES)


def test_the_content_of_a_file_counts_not_its_suffix(tiny, tmp_path):
    _saved(tiny, tmp_path)
    _safetensors(tiny, tmp_path)
    shutil.copy(tmp_path / "saved.pt", tmp_path / "torch.safetensors")
    shutil.copy(tmp_path / "saved.safetensors", tmp_path / "tensors.pt")
    for name in ("torch.safetensors", "tensors.pt"):
        model = Tiny(2)
        checkpoint.read(tmp_path / name).load_into(model, CLASSES)
        assert torch.equal(model.head.weight, tiny.head.weight)


def test_the_arguments_of_a_command_line_beside_the_weights_are_no_code(tiny, tmp_path):
    data = {"state_dict": tiny.state_dict(), "args": argparse.Namespace(lr=0.1)}
    torch.save(data, tmp_path / "timm.pt")
    checkpoint.read(tmp_path / "timm.pt").load_into(Tiny(2), CLASSES)
