"""OpenVINO, kept from reporting its use: where it is imported, it sends word of that to its maker.

A server of patients' images calls nobody. Without the package that reports, OpenVINO goes on with
a stand-in of its own that does nothing.
"""

import sys

# As if it were not installed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402 - only now

__all__ = ["openvino"]
