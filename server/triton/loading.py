"""Loads models into Triton, and checks that Triton serves the configs that were sent."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tritonclient.grpc as triton
from google.protobuf import json_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.errors import RefusedPipelineError
from server.releases.config_override import without_defaults
from server.releases.verified import VerifiedRelease
from server.triton.connection import Connection

_LOAD_TIMEOUT_SECONDS = 120
_ASK_TIMEOUT_SECONDS = 5


class Loader:
    """Counts each model's loads: only another config makes Triton load a loaded model again."""

    def __init__(self, connection: Connection, measures: Callable[[str], bool]) -> None:
        """Takes Triton's connection, and which backends answer what their passes spent."""
        self._connection = connection
        self._measures = measures
        self._generations: Counter[str] = Counter()

    def load(self, release: VerifiedRelease, model: str) -> None:
        """Loads one model; one that is loaded already gets new backend processes.

        Triton ignores a config that it has already, so each load has another generation.

        Raises:
            RefusedPipelineError: Triton refuses the model.
        """
        self._generations[model] += 1
        config = json_format.MessageToJson(
            self._sent(release, model), preserving_proto_field_name=True
        )
        with self._client(release) as client:
            client.load_model(model, config=config, client_timeout=_LOAD_TIMEOUT_SECONDS)

    def check(self, release: VerifiedRelease) -> None:
        """Compares every model's live config with what was sent.

        Called after every load, as loading one model may change others: an ensemble its members.

        Raises:
            RefusedPipelineError: one differs.
        """
        with self._client(release) as client:
            for model in release.configs:
                sent = self._sent(release, model)
                live = client.get_model_config(model, client_timeout=_ASK_TIMEOUT_SECONDS).config
                if (served := without_defaults(live, sent)) != sent:
                    raise RefusedPipelineError(
                        f"{release.spec.name}: Triton serves {model} with another "
                        f"{_difference(served, sent)} than it was given: start the server again"
                    )

    def _sent(self, release: VerifiedRelease, model: str) -> ModelConfig:
        return release.loadable(model, self._generations[model], self._measures)

    def unloaded(self, model: str) -> bool:
        """Asks Triton to unload a model, and says whether no request of it is in flight any more.

        A model that is unloading takes no new requests and finishes those it has.
        """
        try:
            with self._connection.client() as client:
                index = client.get_model_repository_index(client_timeout=_ASK_TIMEOUT_SECONDS)
                states = {entry.state for entry in index.models if entry.name == model}
                if "READY" in states:
                    client.unload_model(model, client_timeout=_ASK_TIMEOUT_SECONDS)
        except triton.InferenceServerException:
            return True
        return states.isdisjoint({"READY", "UNLOADING"})

    @contextmanager
    def _client(self, release: VerifiedRelease) -> Iterator[Any]:
        try:
            with self._connection.client() as client:
                yield client
        except triton.InferenceServerException as error:
            # Without the traceback of the backend, which is in Triton's log.
            message = " ".join(error.message().split("\n\nAt:")[0].split()).strip("; ")
            raise RefusedPipelineError(f"{release.spec.name}: {message}") from None


def _difference(one: ModelConfig, other: ModelConfig) -> str:
    fields = ModelConfig.DESCRIPTOR.fields_by_name
    return ", ".join(name for name in fields if getattr(one, name) != getattr(other, name))
