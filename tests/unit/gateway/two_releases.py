"""A toy Triton with two releases of a pipeline, and changes of them in the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

from database import releases as history
from database.engine import open_engine
from gateway.settings import Settings
from pipelines.protocol import Output, named_for
from pipelines.release_changes import Action, Change
from pipelines.release_state import ReleaseState
from tests.unit.gateway.toy_answers import Tensor, elements, encoded
from tests.unit.gateway.toy_triton import SPEC, Failure, Rule, ToyTriton, release_of

NEWER = SPEC.model_copy(update={"release": "2"})
OLD, NEW = release_of(SPEC), release_of(NEWER)
STAGED = named_for(SPEC.name, NEW)


class TwoReleases(ToyTriton):
    """The ensemble of the start, and a staged one."""

    loaded = True

    def __init__(self) -> None:
        super().__init__()
        self.staged_altered: dict[str, Tensor] = {}
        """Outputs of the staged one that are others than the current one's."""
        self.staged_rules: list[Rule] = []
        """Applied to the staged one alone."""
        self.copies: list[bytes] = []
        """Images that the staged one was asked about."""

    async def RepositoryIndex(self, request, context):  # noqa: N802
        index = await super().RepositoryIndex(request, context)
        if self.loaded:
            index.models.add(name=STAGED, state="READY")
        return index

    async def ModelConfig(self, request, context):  # noqa: N802
        if request.name != STAGED:
            return await super().ModelConfig(request, context)
        if not self.loaded:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not found")
        self.spec = NEWER
        try:
            asked = pb.ModelConfigRequest(name=SPEC.name)
            response = await super().ModelConfig(asked, context)
        finally:
            self.spec = SPEC
        response.config.name = STAGED
        response.config.parameters["staged"].string_value = NEW
        return response

    async def _answer(self, request, images):
        staged = request.model_name == STAGED
        if staged and not self.loaded:
            raise Failure(grpc.StatusCode.NOT_FOUND, f"'{STAGED}' is not found")
        if staged:
            self.copies += elements(request.raw_input_contents[0])
            for rule in self.staged_rules:
                await rule(images[0], {})
        response = await super()._answer(request, images)
        if staged:
            names = [output.name for output in response.outputs]
            size = len(NEW).to_bytes(4, "little")
            answered = (size + NEW.encode()) * len(images)
            response.raw_output_contents[names.index(Output.RELEASE)] = answered
            for name, tensor in self.staged_altered.items():
                response.raw_output_contents[names.index(name)] = encoded(tensor) * len(images)
        return response


@contextmanager
def changes_in_database() -> Iterator[Callable[[Action, Change], None]]:
    """Gives what makes a change of the toy's releases, as a command beside the gateway does."""
    engine = open_engine(Settings().database_url)

    def make(action: Action, step: Change, **said: Any) -> None:
        with engine.begin() as connection:
            history.apply(
                connection,
                action,
                step,
                first=lambda: ReleaseState(
                    pipeline=SPEC.name, profile="default", revision=1, current=OLD
                ),
                pipeline=SPEC.name,
                profile="default",
                author=history.Author("test", **said),
            )

    yield make
    engine.dispose()
