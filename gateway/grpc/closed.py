"""Methods of the protocol that are not offered: what they do is the operator's."""

from gateway.errors import Code, RefusedError
from gateway.grpc.call import Answer, Call

_IN_THE_REQUEST = "Send the images' bytes in the request."
_LOADED = "The service loads what the model repository holds, by itself."
_SET = "The operator sets it where Triton is started."

REMEDIES = {
    "ModelStreamInfer": "Call ModelInfer once for each request.",
    "ModelConfig": "Ask GET /api/v1/pipelines/NAME over HTTP, or ModelMetadata.",
    "ModelStatistics": "Ask GET /metrics over HTTP.",
    "RepositoryIndex": "Ask GET /api/v1/pipelines over HTTP.",
    "RepositoryModelLoad": _LOADED,
    "RepositoryModelUnload": _LOADED,
    "SystemSharedMemoryStatus": _IN_THE_REQUEST,
    "SystemSharedMemoryRegister": _IN_THE_REQUEST,
    "SystemSharedMemoryUnregister": _IN_THE_REQUEST,
    "CudaSharedMemoryStatus": _IN_THE_REQUEST,
    "CudaSharedMemoryRegister": _IN_THE_REQUEST,
    "CudaSharedMemoryUnregister": _IN_THE_REQUEST,
    "TraceSetting": _SET,
    "LogSettings": _SET,
}
"""What to do instead, by method."""


def closed(method: str) -> Answer:
    """An answer that refuses the method, whoever asks."""

    async def refuse(_: Call) -> bytes:
        raise RefusedError(
            Code.METHOD_NOT_ALLOWED, f"{method}: it is not offered here. {REMEDIES[method]}"
        )

    return refuse
