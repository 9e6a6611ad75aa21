"""Lets unit tests import the backends, which otherwise run inside Triton only."""

import sys

import pytest

from tests.unit.server import python_backend

_MODULE = sys.modules.setdefault("triton_python_backend_utils", python_backend.imported())


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Triton that starts a model; it has loaded no other and has logged nothing."""
    for name, value in python_backend.AT_THE_START.items():
        monkeypatch.setattr(_MODULE, name, value, raising=False)
    monkeypatch.setattr(python_backend, "models", {})
    monkeypatch.setattr(python_backend, "logged", [])
