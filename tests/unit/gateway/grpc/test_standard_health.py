"""grpc.health.v1 as Kubernetes and gRPC clients ask it, and server reflection."""

import asyncio

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from structlog.testing import capture_logs

from tests.unit.gateway.asking import requests, until_ready

pytestmark = pytest.mark.anyio

SERVING, NOT_SERVING, UNKNOWN = "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"
WHOLE = ["", "inference.GRPCInferenceService"]


def readiness(client):
    return client.http._transport.app.state.readiness


@pytest.fixture
async def ask(grpc_client):
    await until_ready(grpc_client.http)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)


def asked(service):
    return health_pb2.HealthCheckRequest(service=service)


def named(response):
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


@pytest.mark.parametrize("service", [*WHOLE, "oral_cancer"])
async def test_a_check_says_whether_it_serves(ask, grpc_client, service):
    with capture_logs() as lines:
        assert named(await ask.Check(asked(service))) == SERVING
        readiness(grpc_client).draining = True
        assert named(await ask.Check(asked(service))) == NOT_SERVING
    assert requests(lines) == []


@pytest.mark.parametrize("service", ["oral_cancer_vgg16", "grpc.health.v1.Health", "x"])
async def test_a_check_of_another_service_is_not_found(ask, service):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask.Check(asked(service))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", [*WHOLE, "oral_cancer"])
async def test_a_watch_sends_each_change_and_ends_with_the_server(ask, grpc_client, service):
    async with asyncio.timeout(10):
        call = ask.Watch(asked(service))
        assert named(await call.read()) == SERVING
        readiness(grpc_client).draining = True
        assert named(await call.read()) == NOT_SERVING
        readiness(grpc_client).draining = False
        assert named(await call.read()) == SERVING
        closing = asyncio.create_task(grpc_client.http._transport.app.state.grpc_server.close())
        assert named(await call.read()) == NOT_SERVING
        assert await call.read() is grpc.aio.EOF
        # Well before the time that calls in flight would have.
        await closing


async def test_a_watch_of_another_service_waits_for_it(ask):
    call = ask.Watch(asked("x"))
    assert named(await call.read()) == UNKNOWN
    call.cancel()


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_bytes_that_are_no_request_are_refused(grpc_client, method):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        call = channel.unary_stream(f"/grpc.health.v1.Health/{method}")(b"\x0a\xff")
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_it_needs_no_key(open_grpc):
    client = await open_grpc(auth="required")
    await until_ready(client.http)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert named(await stub.Check(asked(""))) == SERVING


async def test_reflection_describes_the_services_where_it_is_switched_on(open_grpc):
    client = await open_grpc(grpc_reflection=True)

    def look():
        with grpc.insecure_channel(f"127.0.0.1:{client.port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            names = set(database.get_services())
            service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
            return names, {method.name for method in service.methods}

    names, methods = await asyncio.to_thread(look)
    assert names == {
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert {"ModelInfer", "ServerReady"} < methods


async def test_reflection_is_off_by_default(grpc_client):
    def look():
        with grpc.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
            ProtoReflectionDescriptorDatabase(channel).get_services()

    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(look)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
