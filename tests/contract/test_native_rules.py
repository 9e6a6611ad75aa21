"""The code refuses what the record of the native backends (config_keys.yaml) says they refuse."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from pipelines import native_onnxruntime, native_pytorch
from pipelines.native_backends import Interface, NativeRefusalError, Tensor

ROOT = Path(__file__).parents[2]
RECORD = yaml.safe_load((Path(__file__).parent / "config_keys.yaml").read_text("utf-8"))
CASES = [
    pytest.param(rule["backend"], case, id=f"{number}-{rule['backend']}-{index}")
    for number, rule in enumerate(RECORD["rules"])
    for index, case in enumerate(rule["cases"])
]
PLAIN = {"name": "tensor", "data_type": "TYPE_FP32", "dims": [1]}


def tensor(facts):
    return Tensor(facts["name"], facts["data_type"], tuple(facts["dims"]))


def onnxruntime(case):
    said = {put: [PLAIN | case.get(put, {})] for put in ("input", "output")}
    found = {put: [tensor(said[put][0])] for put in said}
    if case["max_batch"]:
        found = {
            put: [Tensor(each.name, each.data_type, (-1, *each.dims)) for each in tensors]
            for put, tensors in found.items()
        }
    for put in said:
        if put in case:
            found[put] = [tensor(PLAIN | case[put] | case["artefact"])]
    found["input"] *= case.get("artefact_inputs", 1)
    config = Interface.of_config("m", said | {"max_batch_size": case["max_batch"]})
    native_onnxruntime.require_fit(config, found["input"], found["output"])


def pytorch(case):
    inputs = [PLAIN | {"name": name} for name in case["inputs"]]
    config = Interface.of_config("m", {"input": inputs, "output": [PLAIN]})
    order = native_pytorch.require_fit(config, [tuple(each) for each in case["arguments"]])
    assert order == case.get("order", order)


def both(case):
    native_onnxruntime.require_parameters(case["parameters"])
    native_pytorch.require_parameters(case["parameters"])


@pytest.mark.parametrize(("backend", "case"), CASES)
def test_a_case_is_refused_in_these_words_or_taken(backend, case):
    words = case["refused"]
    outcome = pytest.raises(NativeRefusalError) if words else nullcontext()
    with outcome as refused:
        {"onnxruntime": onnxruntime, "pytorch": pytorch, "both": both}[backend](case)
    assert words is None or words in str(refused.value)


def test_every_rule_has_its_source_and_a_case_that_is_refused():
    for rule in RECORD["rules"]:
        assert rule["source"].split(",")[0] in RECORD["sources"], rule["rule"]
        assert any(case["refused"] for case in rule["cases"]), rule["rule"]
    for behaviour in RECORD["behaviours"]:
        assert behaviour["source"].split(",")[0] in RECORD["sources"]
        assert (ROOT / behaviour["test"]).is_file()
