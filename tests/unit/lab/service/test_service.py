"""Processes of a service are known by their command lines."""

import pytest

from lab.service import service
from lab.service.service import role

STUB = "/run/backends/python/triton_python_backend_stub"
PIPELINES = ("oral_cancer", "mhist")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([STUB, "/repository/oral_cancer_decode/1/model.py", "x"], "decode"),
        ([STUB, "/repository/oral_cancer_vgg16/1/model.onnx", "x"], "vgg16"),
        ([STUB, "/repository/mhist_mlp_int8/2/model.onnx", "x"], "mlp_int8"),
        (["/venv/bin/tritonserver", "--model-repository=/repository"], service.TRITON),
        (["/venv/bin/python", "-m", "gateway"], service.GATEWAY),
        (["/venv/bin/python", "-m", "server", "--gateway"], service.LAUNCHER),
        ([], service.LAUNCHER),
    ],
)
def test_each_process_has_its_role(words, expected):
    assert role(words, PIPELINES) == expected
