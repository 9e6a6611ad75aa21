"""The tiny pipeline of the export's tests."""

from tests.unit.export.conftest import specs, tiny

__all__ = ["specs", "tiny"]
