"""No artefact is published that Triton's native backends would refuse with its config."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from export import conversion, detector, versions
from export.checkpoint import Loaded
from export.detector import Detector, Difference
from export.errors import ConversionError
from export.native_fit import require_native_fit
from export.read_options import Weights
from export.repository import ModelRepository
from pipelines.load import load_spec
from pipelines.manifest import ClassOrder, OrderKnownFrom

LOADED = Loaded(Weights.RAW, "", ())
SPEC = load_spec("object_detection")
ORDER = ClassOrder(known_from=OrderKnownFrom.USER, place=None, trained=SPEC.classes)
(MEMBER,) = SPEC.members
QUERIES = SPEC.members[MEMBER].queries
FEATURES = SPEC.members[MEMBER].features


def model(queries=QUERIES, batch="N", ir=10, opset=20):
    """A YOLOS' tensors, without a network."""
    nodes = f"""
        first = Constant <value_ints = [0]> ()
        shape = Shape <start = 0, end = 1> (INPUT__0)
        many = Constant <value_ints = [{queries}]> ()
        four = Constant <value_ints = [4]> ()
        zero = Constant <value_float = 0.0> ()
        features_of_one = Constant <value_ints = [{FEATURES}]> ()
        wide = Concat <axis = 0> (shape, features_of_one)
        features = Expand (zero, wide)
        none = Constant <value_ints = [0]> ()
        each = Concat <axis = 0> (shape, many)
        corners = Concat <axis = 0> (shape, many, four)
        scores = Expand (zero, each)
        classes = Expand (none, each)
        boxes = Expand (zero, corners)
    """
    given = f"uint8[{batch}, 416, 416, 3] INPUT__0"
    made = f"float[{batch}, {FEATURES}] features, " + ", ".join(
        f"{kind}[{batch}, {queries}{more}] {name}"
        for kind, more, name in (
            ("float", ", 4", "boxes"),
            ("float", "", "scores"),
            ("int64", "", "classes"),
        )
    )
    head = f'<ir_version: {ir}, opset_import: ["": {opset}]> tiny ({given}) => ({made})'
    return onnx.parser.parse_model(f"{head} {{{nodes}}}")


def saved(folder, made):
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


def test_an_artefact_of_the_configs_form_is_taken(tmp_path):
    require_native_fit(SPEC, MEMBER, saved(tmp_path, model()))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (model(queries=100), r"shape \[-1,100,4\].*complete shape \[-1,169,4\].*`queries`"),
        (model(batch=1), r"first dimension must be -1; but shape expected by the model is \[1"),
        (model(ir=11), "Unsupported model IR version: 11, max supported IR version: 10"),
        (model(opset=21), "opset 21 is newer than 20"),
    ],
    ids=["queries", "batch", "file format", "operators"],
)
def test_another_form_is_refused_and_both_are_named(tmp_path, made, words):
    with pytest.raises(ConversionError, match=words):
        require_native_fit(SPEC, MEMBER, saved(tmp_path, made))


def test_a_detector_of_a_number_of_boxes_that_the_yaml_does_not_say_is_refused(tmp_path):
    silent = {MEMBER: SPEC.members[MEMBER].model_copy(update={"queries": None})}
    with pytest.raises(ConversionError, match=r"shape \[-1,169,4\].*shape \[-1,-1,4\]"):
        require_native_fit(
            SPEC.model_copy(update={"members": silent}), MEMBER, saved(tmp_path, model())
        )


def test_weights_in_a_file_of_their_own_are_refused(tmp_path):
    made = model()
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(9), "w"))
    path = tmp_path / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(ConversionError, match="weights lie in another file"):
        require_native_fit(SPEC, MEMBER, path)


def test_an_export_whose_artefact_is_refused_publishes_nothing(tmp_path, monkeypatch):
    def write(path):
        onnx.save(model(queries=100), path)
        return 20

    made = Detector(
        module=SimpleNamespace(),
        sha256="ab" * 32,
        weights="demo",
        loaded=LOADED,
        order=ORDER,
        write=write,
    )
    monkeypatch.setitem(detector.DETECTORS, "yolos", lambda *_: made)
    monkeypatch.setattr(conversion.detector, "parity", lambda *_: Difference(0.0, 0.0, 0.0))
    repository = ModelRepository(tmp_path / "repository")
    with pytest.raises(ConversionError, match=r"\[-1,100,4\].*\[-1,169,4\]"):
        versions.export(SPEC, {MEMBER: tmp_path}, repository)
    assert not [path for path in repository.root.rglob("*") if path.is_file()]
