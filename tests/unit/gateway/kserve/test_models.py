"""What clients ask beside inferences: only pipelines are shown, and only what is offered."""

import tomllib
from pathlib import Path

import pytest
from google.protobuf.text_format import MessageToString

from gateway import VERSION
from tests.unit.gateway.asking import assert_refused, images, until_ready
from tests.unit.gateway.samples import JPEG
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio


def test_the_version_is_the_projects():
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


async def test_the_server_says_its_own_name_and_what_it_offers(grpc_client):
    described = await grpc_client.get_server_metadata()
    assert (described.name, described.version) == ("second-opinion", VERSION)
    assert list(described.extensions) == [
        "binary_tensor_data",
        "model_configuration",
        "parameters",
        "statistics",
    ]


async def test_the_config_shows_input_and_outputs_and_no_member(grpc_client):
    config = (await grpc_client.get_model_config("oral_cancer", "1")).config
    assert (config.name, config.max_batch_size) == ("oral_cancer", SPEC.serving.max_batch)
    assert [tensor.name for tensor in config.input] == ["image"]
    assert [tensor.name for tensor in config.output] == ["release"]
    text = MessageToString(config)
    assert not any(word in text for word in ("vgg16", "decode", "parameters", "sha256", "step"))


@pytest.mark.parametrize("name", ["oral_cancer", ""])
async def test_statistics_are_those_of_pipelines(grpc_client, name):
    (stats,) = (await grpc_client.get_inference_statistics(name)).model_stats
    assert (stats.name, stats.inference_count) == ("oral_cancer", 7)


async def test_the_index_lists_pipelines_with_their_states(grpc_client, triton):
    await until_ready(grpc_client.http)
    (entry,) = (await grpc_client.get_model_repository_index()).models
    assert (entry.name, entry.version, entry.state) == ("oral_cancer", "1", "READY")
    grpc_client.http._transport.app.state.readiness.draining = True
    (entry,) = (await grpc_client.get_model_repository_index()).models
    assert entry.state == "UNAVAILABLE"


async def test_without_triton_the_index_is_no_empty_list(open_grpc, triton):
    triton.port = 1
    client = await open_grpc(settled=False)
    await assert_refused(client.get_model_repository_index(), "UNAVAILABLE", "unavailable")


@pytest.mark.parametrize("ask", ["get_model_config", "get_inference_statistics"])
async def test_another_version_is_not_found(grpc_client, ask):
    call = getattr(grpc_client, ask)("oral_cancer", "2")
    await assert_refused(call, "NOT_FOUND", "pipeline_unknown")


async def test_nothing_is_loaded_or_unloaded(grpc_client):
    for call in (grpc_client.load_model("oral_cancer"), grpc_client.unload_model("oral_cancer")):
        await assert_refused(call, "UNIMPLEMENTED", "method_not_allowed")
    await grpc_client.infer("oral_cancer", images(JPEG))
