"""Asking over gRPC, as a stock client does."""

import asyncio

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.utils import InferenceServerException


def images(*files: bytes) -> list[InferInput]:
    tensor = InferInput("image", [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return [tensor]


async def assert_refused(call, status: str, code: str) -> str:
    """Awaits a call that must fail; returns its message."""
    with pytest.raises(InferenceServerException) as caught:
        await call
    message = caught.value.message()
    assert caught.value.status() == f"StatusCode.{status}", message
    assert message.startswith(f"[{code}] "), message
    return message


def requests(lines: list[dict]) -> list[dict]:
    """Out of all log lines, also those of the first probe, those of requests."""
    return [line for line in lines if line["event"] == "request"]


async def until_ready(http) -> None:
    """Waits until the application of a client has taken note of the first probe's answer."""
    readiness = http._transport.app.state.readiness
    async with asyncio.timeout(30):
        while not any(readiness.states().values()):  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.005)
