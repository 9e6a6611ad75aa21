"""Server reflection, which describes the services to `grpcurl` and the like."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from gateway.errors import RefusedError, grpc_status_of
from gateway.grpc.call import Context, opened
from gateway.identity.authentication import Authenticator

REFLECTION_SERVICE: str = reflection.SERVICE_NAME


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Answers callers with credentials, or everyone where identity is off."""

    def __init__(self, names: tuple[str, ...], authenticator: Authenticator) -> None:
        super().__init__((*names, REFLECTION_SERVICE))
        self._authenticator = authenticator

    def add_to(self, server: Any) -> None:  # noqa: ANN401 - grpc.aio has no types
        """Registers the service."""
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(self, server)

    async def ServerReflectionInfo(  # noqa: N802 - the service's own name
        self, requests: AsyncIterable[Any], connection: Context
    ) -> AsyncIterator[Any]:
        """Answers each request of a stream."""
        try:
            await self._authenticator.authenticate(opened(connection).credentials)
        except RefusedError as refusal:
            status = grpc.StatusCode[grpc_status_of(refusal.code)]
            await connection.abort(status, refusal.message())
        async for answer in super().ServerReflectionInfo(requests, connection):
            yield answer
