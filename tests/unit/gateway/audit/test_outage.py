"""While the audit log cannot be written nothing is answered, and no model is asked."""

import asyncio

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from tritonclient.utils import InferenceServerException

from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files

pytestmark = pytest.mark.anyio


@pytest.fixture
def outage():
    """Stops the database of applications, and lets it go on."""
    stopped = []

    class Outage:
        def of(self, http, patience=0.3):
            writer = http._transport.app.state.audit._writer
            writer._patience = patience
            event.listen(writer._engine, "before_cursor_execute", self._fail)
            return self

        def begin(self):
            stopped.append(True)

        def end(self):
            stopped.clear()

        def _fail(self, *_):
            if stopped:
                raise OperationalError("statement", {}, Exception("the database was stopped"))

    return Outage()


async def until_available(http, available):
    audit = http._transport.app.state.audit
    async with asyncio.timeout(10):
        while audit.available != available:  # noqa: ASYNC110 - the writer's thread sets no event
            await asyncio.sleep(0.01)


async def ask(http, path="/api/v1/predict"):
    return await http.post(path, content=JPEG, headers=RAW)


async def test_who_comes_in_an_outage_is_refused_before_inference(open_grpc, triton, outage):
    grpc = await open_grpc()
    http = grpc.http
    outage.of(http).begin()
    # The first one was asked before anybody knew.
    assert_problem(await ask(http), 503, "unavailable")
    await until_available(http, available=False)
    triton.seen.clear()
    problem = assert_problem(await ask(http), 503, "unavailable")
    assert "audit log" in problem["detail"]
    batch = await http.post("/api/v1/predict/batch", files=files(JPEG, JPEG))
    assert_problem(batch, 503, "unavailable")
    with pytest.raises(InferenceServerException, match="audit log"):
        await grpc.infer("oral_cancer", images(JPEG))
    assert triton.seen == []
    assert (await http.get("/readyz")).status_code == 503
    scraped = (await http.get("/metrics")).text
    assert "gateway_audit_available 0.0" in scraped
    assert 'gateway_requests_refused_total{pipeline="oral_cancer",reason="audit"} 4.0' in scraped
    assert (await http.get("/healthz")).status_code == 200


async def test_after_an_outage_it_goes_on_by_itself(start, audit_rows, outage):
    http = await start()
    assert (await ask(http)).status_code == 200
    outage.of(http).begin()
    assert (await ask(http)).status_code == 503
    outage.end()
    await until_available(http, available=True)
    assert (await ask(http)).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    assert [row.position for row in audit_rows()] == [1, 2]


async def test_a_short_outage_costs_nobody_an_answer(start, triton, audit_rows, outage):
    http = await start()
    answered = triton.hold()
    asked = asyncio.ensure_future(ask(http))
    async with asyncio.timeout(10):
        while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.01)
    outage.of(http, patience=30).begin()
    answered.set()
    await until_available(http, available=False)
    outage.end()
    assert (await asked).status_code == 200
    assert len(audit_rows()) == 1
