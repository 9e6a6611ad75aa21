"""The tiny pipeline of the export's tests."""

from tests.unit.export.conftest import facts, spec, specs, tiny

__all__ = ["facts", "spec", "specs", "tiny"]
