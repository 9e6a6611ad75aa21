"""The outermost ASGI middleware: the context and record of each request, and unexpected errors.

A path that ends with a slash is the same route, without a redirect that would lose the body. HEAD
asks as GET does, for an answer without its content.
"""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import CallerGoneError, Code, RefusedError
from gateway.http.problems import SECURITY_HEADERS, problem_response
from gateway.telemetry.recorder import HEADER, InferenceTelemetry, RequestContext, request_id

_HEADER = HEADER.encode("ascii")
_SAFE = [(name.encode("ascii"), value.encode("ascii")) for name, value in SECURITY_HEADERS.items()]
"""On answers that do not say otherwise."""

PROBES = ("/healthz", "/readyz")
"""What is answered without a certificate: the launcher and Kubernetes have none."""


class RequestContextMiddleware:
    """Gives each request its context, as `request.state.context`, and records it at its end."""

    def __init__(
        self, app: ASGIApp, telemetry: InferenceTelemetry, *, certificates_required: bool
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._certificates_required = certificates_required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; raises nothing."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == _HEADER]
        context = RequestContext(
            request_id(sent[0].decode("latin-1") if len(sent) == 1 else None),
            address=scope["client"][0] if scope.get("client") else "",
        )
        self._telemetry.begin(context, scope["headers"])
        # uvicorn's own scope stays as it is: by its method it leaves out the content.
        scope = {**scope, "state": {**scope.get("state", {}), "context": context}}
        if scope["path"].strip("/"):
            scope["path"] = scope["path"].removesuffix("/")
        head = scope["method"] == "HEAD"
        if head:
            scope["method"] = "GET"
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message.get("headers", [])
                names = {name for name, _ in sent}
                own = {HEADER: context.request_id, **context.answer_fields}
                mine = ((name.encode("ascii"), said.encode("ascii")) for name, said in own.items())
                safe = (field for field in _SAFE if field[0] not in names)
                message["headers"] = [*sent, *mine, *safe]
            elif head:
                message["body"] = b""
            await send(message)

        try:
            if self._lacks_certificate(scope):
                response = problem_response(Request(scope), _no_certificate())
                await response(scope, receive, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        except CallerGoneError:
            context.gone = True
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nothing passes here
            refusal = self._refusal(error, context)
            if not status:
                response = problem_response(Request(scope), refusal)
                await response(scope, receive, send_with_id)
        finally:
            self._telemetry.end(context, status or None)

    def _lacks_certificate(self, scope: Scope) -> bool:
        if not self._certificates_required or scope["path"] in PROBES:
            return False
        return not scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")

    def _refusal(self, error: BaseException, context: RequestContext) -> RefusedError:
        if isinstance(error, asyncio.CancelledError):
            # The time that a shutdown gives to requests in flight is over.
            return RefusedError(
                Code.UNAVAILABLE, "request: the service is stopping. Send it again."
            )
        return self._telemetry.unexpected(error, context)


def _no_certificate() -> RefusedError:
    return RefusedError(
        Code.UNAUTHORIZED,
        "connection: a client certificate is needed. Ask the operator for one.",
        reason="unauthorized",
    )
