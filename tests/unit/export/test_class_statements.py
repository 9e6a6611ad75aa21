"""What checkpoints say of their classes is heard, in every form."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from export import class_statements
from export.checkpoint_file import open_file
from export.errors import CheckpointError
from tests.unit.export.class_layouts import CLASS_LAYOUTS, indices, texts

ORDER = ("cancer", "healthy")
STATE = {"head.weight": torch.zeros(2, 4)}


@pytest.fixture
def said(tmp_path):
    """Saves something beside weights; gives what is read: place and names of each statement."""

    def read(beside):
        path = tmp_path / "weights.pt"
        torch.save({"state_dict": STATE, **beside}, path)
        found = class_statements.of_checkpoint(open_file(path))
        return [(each.place, each.numbered.names) for each in found]

    return read


@pytest.mark.parametrize("layout", CLASS_LAYOUTS, ids=lambda each: f"{each.key}: {each.form}")
def test_every_layout_is_read_in_both_orders(said, layout):
    for order in (ORDER, ORDER[::-1]):
        assert said(layout.saved(order)) == [(layout.key, order)]


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": 2, "labels": "labels.csv", "names": None, "epoch": 3},
        {"classes": [], "class_to_idx": {}, "labels": torch.tensor([0, 1])},
        {"classes": [0, 1], "idx_to_class": {0: 0, 1: 1}},
        {"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}},
        {"optimizer": {"param_groups": {"names": ["a", "b"]}}, "metrics": {"names": ["f1", "acc"]}},
        {"callbacks": {"ModelCheckpoint": {"labels": ["best"]}}, "history": {"labels": ["x"]}},
    ],
)
def test_what_is_not_about_classes_says_nothing(said, beside):
    assert said(beside) == []


@pytest.mark.parametrize(
    ("beside", "problem"),
    [
        ({"class_to_idx": {"healthy": 0, "cancer": 2}}, "class_to_idx: no class has the index 1"),
        ({"class_to_idx": {"healthy": 0, "cancer": 0}}, "0 is there twice"),
        ({"classes": ["healthy", "healthy"]}, "'healthy' is there twice"),
        ({"classes": {"healthy": 812, "cancer": 97}}, "no class has the index 0"),
        ({"id2label": {0: "healthy", 1: None}}, "1: None is no entry"),
        ({"id2label": {"0": "1", "1": "0"}}, "is no entry"),
        ({"classes": ["healthy", 3]}, "is no entry"),
        ({"hparams": {"classes": {"healthy": 0.1, "cancer": 1.0}}}, r"hparams\.classes: 'healthy'"),
        ({"cfg": '{"classes": {"0": "a", "0": "b"}}'}, "cfg: 0 is there twice"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_place(said, beside, problem):
    with pytest.raises(CheckpointError, match=problem) as raised:
        said(beside)
    assert "weights.pt" in str(raised.value)
    assert "remove it from the file" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", json.dumps(ORDER)),
        ("class_names", "cancer, healthy"),
        ("class_to_idx", json.dumps(indices(ORDER))),
        ("id2label", json.dumps(texts(ORDER))),
        ("names", "['cancer', 'healthy']"),
        ("config", json.dumps({"model": {"id2label": texts(ORDER)}})),
    ],
)
def test_the_metadata_of_safetensors_is_read(tmp_path, key, value):
    path = tmp_path / "weights.safetensors"
    save_file(STATE, path, metadata={key: value, "format": "pt"})
    (found,) = class_statements.of_checkpoint(open_file(path))
    assert found.numbered.names == ORDER
    assert found.place.startswith(f"__metadata__.{key}")


def test_the_config_beside_the_weights_is_read(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    config = {"model_type": "vit", "id2label": texts(ORDER), "label2id": indices(ORDER)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = class_statements.of_checkpoint(open_file(tmp_path / "model.safetensors"))
    assert [each.place for each in found] == ["config.json: id2label", "config.json: label2id"]
    assert {each.numbered.names for each in found} == {ORDER}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read as JSON"):
        class_statements.of_checkpoint(open_file(tmp_path / "model.safetensors"))


def test_numbers_and_text_of_numpy_become_plain_values(tmp_path):
    arrays = [
        np.float64(0.5),
        np.int64(-3),
        np.bool_(True),
        np.str_("krebs é"),
        np.array([["a", "bc"], ["d", ""]]),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.array(["healthy", "cancer"], dtype=object),
        np.array([], dtype=np.float32),
    ]
    torch.save({"model": STATE, "arrays": arrays}, tmp_path / "weights.pt")
    read = open_file(tmp_path / "weights.pt").contents["arrays"]
    assert read == [array.tolist() for array in arrays]
    assert {type(each) for each in read[:4]} == {float, int, bool, str}


@pytest.mark.parametrize(
    "array", [np.array([1, None]), np.array([(1, 2.0)], dtype="i4,f4"), np.datetime64("2020")]
)
def test_arrays_of_other_things_are_refused_in_one_sentence(tmp_path, array):
    torch.save({"model": STATE, "array": array}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"weights\.pt: holds an array of NumPy that is not"):
        open_file(tmp_path / "weights.pt")


def test_what_a_checkpoint_says_twice_is_found_twice(said):
    found = said({"class_to_idx": indices(ORDER), "hyper_parameters": {"classes": ORDER[::-1]}})
    assert dict(found) == {"class_to_idx": ORDER, "hyper_parameters.classes": ORDER[::-1]}
