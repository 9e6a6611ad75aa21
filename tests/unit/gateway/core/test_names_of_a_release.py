"""A release has one name on some Tritons and another on others; several may be loaded by theirs."""

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb

from gateway.core.catalog import Catalog
from gateway.triton.client import TritonClient
from pipelines.protocol import named_for
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.several_tritons import gateway_before
from tests.unit.gateway.toy_triton import SPEC, Failure, ToyTriton, release_of, running
from tests.unit.gateway.two_releases import NEW, NEWER, OLD

pytestmark = pytest.mark.anyio

PLAIN = SPEC.name


class Named(ToyTriton):
    """Ensembles by their names, of which the launcher may have begun with one."""

    def __init__(self, *ensembles, first=""):
        super().__init__()
        self.models_after = ()
        self.ensembles, self.first = dict(ensembles), first

    async def RepositoryIndex(self, _request, _context):  # noqa: N802
        index = pb.RepositoryIndexResponse()
        for name in self.ensembles:
            index.models.add(name=name, state="READY")
        return index

    async def ModelConfig(self, request, context):  # noqa: N802
        if request.name not in self.ensembles:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        self.serve(self.ensembles[request.name])
        response = await super().ModelConfig(pb.ModelConfigRequest(name=PLAIN), context)
        response.config.name = request.name
        parameters = response.config.parameters
        if request.name != PLAIN:
            parameters["staged"].string_value = release_of(self.spec)
        if request.name == self.first:
            parameters["first"].string_value = release_of(self.spec)
        return response

    async def _answer(self, request, images):
        if request.model_name not in self.ensembles:
            raise Failure(grpc.StatusCode.NOT_FOUND, f"unknown model: '{request.model_name}'")
        self.serve(self.ensembles[request.model_name])
        return await super()._answer(request, images)


OWN = (named_for(PLAIN, OLD), SPEC)
OTHER = (named_for(PLAIN, NEW), NEWER)


async def ask(client):
    answer = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert answer.status_code == 200, answer.text
    return answer.json()["release"]


@pytest.mark.parametrize("began_with", [OWN, OTHER])
async def test_where_nobody_says_which_is_current_it_is_what_the_launcher_began_with(began_with):
    name, spec = began_with
    async with (
        running(Named(OWN, OTHER, first=name)) as toy,
        gateway_before([toy.port]) as client,
    ):
        assert await ask(client) == release_of(spec)


@pytest.mark.parametrize("gone", [0, 1])
async def test_no_call_is_lost_where_the_triton_ends_whose_name_of_the_release_was_known(gone):
    """One was started before the first change of releases, and one since."""
    async with (
        running(Named((PLAIN, SPEC))) as before,
        running(Named(OWN)) as since,
        gateway_before([before.port, since.port]) as client,
    ):
        assert {await ask(client) for _ in range(8)} == {OLD}
        await (before, since)[gone].stop()
        assert {await ask(client) for _ in range(8)} == {OLD}
        assert (before, since)[1 - gone].calls


async def test_each_look_finds_every_release_that_any_triton_has_loaded():
    async with running(Named((PLAIN, SPEC))) as before, running(Named(OTHER)) as since:
        client = TritonClient(f"ipv4:127.0.0.1:{before.port},127.0.0.1:{since.port}")
        client.open()
        try:
            catalog = Catalog(client)
            for _ in range(10):
                await catalog.refresh()
                assert catalog.loaded(PLAIN, OLD)
                assert catalog.loaded(PLAIN, NEW)
        finally:
            await client.close()
