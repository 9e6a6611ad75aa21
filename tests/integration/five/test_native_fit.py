"""What the export published is what Triton's native backends load, without a Triton."""

import json
import subprocess
import sys

import onnxruntime
import pytest

from export.native_fit import require_native_fit
from pipelines import protocol
from pipelines.enums import Format
from pipelines.load import available
from tests.integration.service import ROOT

SIGNATURE = """
import json, sys
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
values = [*session.get_inputs(), *session.get_outputs()]
named = [[value.name, value.type, value.shape] for value in values]
print(json.dumps([onnxruntime.__version__, named]))
"""


def artefact(five, name, member):
    spec = five.specs[name]
    model = five.repository / protocol.member_model(name, member)
    return model / "1" / spec.members[member].format.filename


@pytest.mark.parametrize("name", available())
def test_every_artefact_fits_the_config_that_it_is_served_with(five, name):
    spec = five.specs[name]
    for member in spec.members:
        require_native_fit(spec, member, artefact(five, name, member))


@pytest.mark.parametrize("name", available())
def test_the_oldest_onnx_runtime_infers_the_same_dimensions(five, name):
    """The native backend compares what its own ONNX Runtime infers, which is Triton's."""
    spec = five.specs[name]
    for member in spec.members:
        if spec.members[member].format is not Format.ONNX:
            continue
        path = artefact(five, name, member)
        done = subprocess.run(
            [sys.executable, "-c", SIGNATURE, str(path)],
            env={"PYTHONPATH": str(ROOT / ".cache" / "onnxruntime-1.19")},
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        version, found = json.loads(done.stdout)
        assert version.startswith("1.19.")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        values = [*session.get_inputs(), *session.get_outputs()]
        for (named, type_, shape), here in zip(found, values, strict=True):
            assert (named, type_) == (here.name, here.type)
            assert [isinstance(dim, int) and dim for dim in shape] == [
                isinstance(dim, int) and dim for dim in here.shape
            ], (member, named)
