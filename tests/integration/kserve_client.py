"""Asks a service by KServe's own clients, over gRPC and HTTP; runs in their environment.

Arguments: the HTTP address, the gRPC address, the pipeline, the image's file. Prints JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig


def asked(pipeline: str, image: bytes) -> InferRequest:
    tensor = InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[image]], dtype=np.object_))
    return InferRequest(pipeline, [tensor], request_id="mine")


def found(response) -> dict:
    return {
        "model": response.model_name,
        "id": response.id,
        "probabilities": [
            number
            for output in response.outputs
            if output.name == "probabilities"
            for number in output.as_numpy().reshape(-1).tolist()
        ],
    }


async def ask(http: str, grpc: str, pipeline: str, image: bytes) -> dict:
    answers = {}
    async with InferenceGRPCClient(grpc) as client:
        answers["grpc"] = {
            "live": await client.is_server_live(headers=()),
            "ready": await client.is_server_ready(headers=()),
            "model_ready": await client.is_model_ready(pipeline, headers=()),
            **found(await client.infer(asked(pipeline, image))),
        }
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        answers["http"] = {
            "live": await client.is_server_live(http),
            "ready": await client.is_server_ready(http),
            "model_ready": await client.is_model_ready(http, pipeline),
            **found(await client.infer(http, asked(pipeline, image), model_name=pipeline)),
        }
    return answers


if __name__ == "__main__":
    *places, file = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(ask(*places, Path(file).read_bytes()))))
