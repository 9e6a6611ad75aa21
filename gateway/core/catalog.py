"""The facts of each pipeline and of its releases, read back from Triton's model configs."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Self

import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter

from gateway.errors import Code, RefusedError
from gateway.triton.client import TritonClient
from pipelines.calibration import AnswerFigures
from pipelines.protocol import PIPELINE_PARAMETER, ConfigOverride, named_for
from pipelines.spec import PipelineSpec

log = structlog.get_logger("gateway")

_CALL_SECONDS = 2.0
_MISS_SECONDS = 1.0
"""An unknown name makes the catalogue ask Triton again, at most this often."""
_RELEASES_KEPT = 64
_SEARCH_SECONDS = 5.0
_SEARCH_PAUSE = 0.05
_SEARCH_AT_ONCE = 16
"""Times that a release is asked for without a pause: each call goes to the next Triton."""


class Artefact(BaseModel):
    """A member's file, as the launcher verified it."""

    model_config = ConfigDict(frozen=True)

    version: str
    sha256: str
    weights: str
    temperature: float | None = None
    """What its logits were divided by; None: it is not calibrated."""


_ARTEFACTS = TypeAdapter(dict[str, Artefact])


class _Calibration(BaseModel):
    """What of a release is calibrated, as the launcher says it."""

    coverage: float
    figures: AnswerFigures | None = None
    """None: those who answer together were not calibrated together, or by an older launcher."""


class Reference(BaseModel):
    """The photos that a release compares images with, as the launcher says it."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    """Of the reference's file."""
    photos: int
    photos_sha256: str
    """Over the photos' own, sorted."""
    features: bool
    """Whether a member's features are compared, too."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The facts of one release of a pipeline."""

    spec: PipelineSpec
    artefacts: Mapping[str, Artefact]
    release: str
    model: str
    """Triton's name of the ensemble that answers by it."""
    release_sha256: str | None = None
    """Of the release's file; None: the launcher does not say it."""
    coverage: float | None = None
    """The least share of images whose prediction set holds the true class; None: no sets."""
    figures: AnswerFigures | None = None
    """How well its confidence is calibrated; None: it is not known."""
    reference: Reference | None = None
    """None: no image's typicality is judged."""
    first: bool = False
    """Whether the launcher began with it: it is the current one where nobody says which is."""

    @classmethod
    def from_parameters(cls, model: str, parameters: Mapping[str, str]) -> Self:
        """Reads the parameters of an ensemble's config.

        Raises:
            ValueError: they are not what the launcher writes.
        """
        spec = PipelineSpec.model_validate_json(parameters[PIPELINE_PARAMETER])
        if named_for(spec.name, parameters.get(ConfigOverride.STAGED)) != model:
            raise ValueError(f"its facts are those of {spec.name}")
        artefacts = _ARTEFACTS.validate_json(parameters.get(ConfigOverride.ARTEFACTS, "{}"))
        if missing := set(spec.members) - set(artefacts):
            raise ValueError(f"no artefact of {', '.join(sorted(missing))}: start it by the server")
        if not (release := parameters.get(ConfigOverride.RELEASE)):
            raise ValueError("no release id: start it by the server")
        said = parameters.get(ConfigOverride.CALIBRATION)
        calibration = _Calibration.model_validate_json(said) if said else None
        reference = parameters.get(ConfigOverride.REFERENCE)
        return cls(
            spec,
            artefacts,
            release,
            model,
            parameters.get(ConfigOverride.RELEASE_SHA256),
            calibration.coverage if calibration else None,
            calibration.figures if calibration else None,
            Reference.model_validate_json(reference) if reference else None,
            ConfigOverride.FIRST in parameters,
        )

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.spec.name

    @property
    def by_its_other_name(self) -> Self:
        """The same release as another Triton may call its ensemble.

        One that was started before the first change of the pipeline's releases has it under the
        pipeline's name; one that was started since, under the release's.
        """
        own = named_for(self.name, self.release)
        return replace(self, model=own if self.model == self.name else self.name)

    @property
    def weights(self) -> dict[str, float]:
        """Each member's share of the weighted mean; 0 for an alternative."""
        return dict(zip(self.spec.members, self.spec.weights, strict=True))

    def answering_members(self, member: str | None) -> tuple[str, ...]:
        """The members that answer a request that names one, or with None names none."""
        return self.spec.answering_members if member is None else (member,)

    def is_calibrated(self, member: str | None) -> bool:
        """Whether the confidence of a request that names a member, or none, is calibrated."""
        answering = self.answering_members(member)
        return all(self.artefacts[name].temperature is not None for name in answering)

    @property
    def demo(self) -> bool:
        """Whether a member's weights are for demonstration only."""
        return any(artefact.weights == "demo" for artefact in self.artefacts.values())


class Catalog:
    """The loaded releases of each pipeline, and recent ones: an answer is read by its own facts.

    Where a pipeline's releases were changed, its current one is that which the state names; where
    that is not loaded, the one that Triton was started with.
    """

    def __init__(
        self, triton: TritonClient, wanted: Callable[[PipelineSpec], str | None] = lambda _: None
    ) -> None:
        """Asks Triton later.

        Args:
            triton: is asked.
            wanted: gives the id of the release that is to be the current one of a pipeline under a
                profile; None: nobody said so.
        """
        self._triton = triton
        self._wanted = wanted
        self._loaded: dict[str, dict[str, Pipeline]] = {}
        """By pipeline and ensemble. What was loaded last stays, where nothing else is."""
        self._releases: dict[tuple[str, str], Pipeline] = {}
        self._listed: dict[str, bool] = {}
        self._searches: dict[tuple[str, str], asyncio.Task[Pipeline | None]] = {}
        self._unreadable: dict[str, str] = {}
        """Errors by model, to log each once."""
        self._failure: RefusedError | None = None
        self._asked = float("-inf")
        self._lock = asyncio.Lock()

    def names(self) -> Collection[str]:
        """The names of all pipelines that Triton has shown so far, loaded at the moment or not."""
        return self._loaded.keys()

    def pipelines(self) -> list[Pipeline]:
        """All pipelines that Triton has shown so far, by name, loaded at the moment or not."""
        return [self._current(name) for name in sorted(self._loaded)]

    def loaded(self, name: str, release: str) -> Pipeline | None:
        """The facts of a release of a pipeline that Triton has loaded; None where it has not."""
        ensembles = self._loaded.get(name, {}).values()
        return next((each for each in ensembles if each.release == release), None)

    async def named(self, name: str, release: str) -> Pipeline:
        """The facts of a release that an operator names.

        Raises:
            RefusedError: `release_unknown`: Triton has not loaded it.
        """
        if (found := self.loaded(name, release)) is None:
            # It may be loaded since the last look.
            await self.refresh()
            found = self.loaded(name, release)
        if found is None:
            raise RefusedError(
                Code.RELEASE_UNKNOWN,
                "X-Release: no such release is loaded. GET /api/v1/releases says which are; "
                "python -m releases stage loads one.",
            )
        return found

    def _current(self, name: str) -> Pipeline:
        ensembles = self._loaded[name]
        for pipeline in ensembles.values():
            if pipeline.release == self._wanted(pipeline.spec):
                return pipeline
        for pipeline in ensembles.values():
            if pipeline.first:
                return pipeline
        return ensembles.get(name) or next(iter(ensembles.values()))

    async def find(self, name: str, covers: Callable[[str], bool] = bool) -> Pipeline:
        """The current facts of a pipeline.

        Args:
            name: the pipeline's.
            covers: whether the caller may know of a pipeline, by name; by default it may of all.

        Raises:
            RefusedError: `pipeline_unknown`, or `unavailable` where Triton cannot be asked or
                has not loaded it (yet).
        """
        now = time.monotonic()
        if name not in self._loaded and now - self._asked > _MISS_SECONDS:
            await self.refresh()
        if name in self._loaded:
            return self._current(name)
        if self._failure is not None:
            raise self._failure
        if self._listed.get(name) is False:
            raise RefusedError(
                Code.UNAVAILABLE,
                "pipeline: it is not loaded. Try again after the seconds in Retry-After.",
            )
        known = ", ".join(sorted(filter(covers, self._loaded))) or "none"
        raise RefusedError(
            Code.PIPELINE_UNKNOWN, f"pipeline: there is none of this name. There are: {known}."
        )

    async def nearest(self, name: str, release: str) -> Pipeline:
        """The facts of a release, or where they are not known any more, the current ones.

        Raises:
            RefusedError: as `find`.
        """
        return self._releases.get((name, release)) or await self.find(name)

    async def at_release(self, name: str, release: str) -> Pipeline:
        """The facts of the release that made an answer.

        A release that is not known yet is searched for: during a rolling update only some Tritons
        have it, and while the launcher replaces a release, its decision may be new and its
        ensemble old. Answers of one release share a search.

        Raises:
            RefusedError: with `unavailable` where no Triton shows those facts within 5 s.
        """
        key = (name, release)
        if found := self._releases.get(key):
            return found
        if (search := self._searches.get(key)) is None:
            search = self._searches[key] = asyncio.ensure_future(self._search(name, release))
            search.add_done_callback(lambda _: self._searches.pop(key))
        # One caller who leaves does not end the search of the others.
        if found := await asyncio.shield(search):
            return found
        raise RefusedError(
            Code.UNAVAILABLE, "pipeline: its release is being replaced. Send it again."
        )

    async def _search(self, name: str, release: str) -> Pipeline | None:
        """Asks for the facts of a release until a Triton shows them; None where none does."""
        # Of several ensembles that may have it any is asked: in fixed turns the calls about one
        # could go to the same Triton each time.
        models = [name, *(model for model in self._loaded.get(name, ()) if model != name)]
        give_up = time.monotonic() + _SEARCH_SECONDS
        attempts = 0
        while time.monotonic() < give_up:
            # Not by `refresh`: its calls come in a fixed number, so that with several Tritons
            # the one about this pipeline could go to the same Triton each time.
            await self._read(random.choice(models))  # noqa: S311 - no secret
            await self._read_spare(name)
            if found := self._releases.get((name, release)):
                return found
            attempts += 1
            await asyncio.sleep(0 if attempts < _SEARCH_AT_ONCE else _SEARCH_PAUSE)
        return None

    async def refresh(self) -> None:
        """Asks Triton again. Callers that waited for another refresh take its answer."""
        wanted = time.monotonic()
        async with self._lock:
            if self._asked >= wanted:
                return
            asked = time.monotonic()
            try:
                self._listed = await self._triton.models(_CALL_SECONDS)
                ready = [name for name, is_ready in self._listed.items() if is_ready]
                await asyncio.gather(*(self._read(name) for name in ready))
                self._forget_unloaded()
                self._failure = None
                if self._triton.spare:
                    known = list(self._loaded)
                    await asyncio.gather(*(self._read_spare(name) for name in known))
            except RefusedError as failure:
                self._failure = failure
            self._asked = asked

    async def _read(self, model: str) -> None:
        """Reads the current release of a model; a model that is no pipeline is passed over."""
        if pipeline := await self._pipeline(self._triton, model):
            self._loaded.setdefault(pipeline.name, {})[model] = pipeline
            self._keep(pipeline)

    def _forget_unloaded(self) -> None:
        for name, ensembles in self._loaded.items():
            there = {model: each for model, each in ensembles.items() if self._listed.get(model)}
            if there:
                self._loaded[name] = there

    async def _read_spare(self, model: str) -> None:
        """The spare Triton may serve another profile, whose answers have facts of their own."""
        if self._triton.spare and (pipeline := await self._pipeline(self._triton.spare, model)):
            self._keep(pipeline)

    def _keep(self, pipeline: Pipeline) -> None:
        self._releases[pipeline.name, pipeline.release] = pipeline
        while len(self._releases) > _RELEASES_KEPT:
            del self._releases[next(iter(self._releases))]

    async def _pipeline(self, triton: TritonClient, model: str) -> Pipeline | None:
        try:
            parameters = await triton.ensemble_parameters(model, _CALL_SECONDS)
        except RefusedError:
            # Unloaded since it was listed: what is known of it stays.
            return None
        if parameters is None or PIPELINE_PARAMETER not in parameters:
            return None
        try:
            pipeline = Pipeline.from_parameters(model, parameters)
        except ValueError as error:
            if self._unreadable.get(model) != str(error):
                log.error("unreadable pipeline", model=model, error=str(error))  # noqa: TRY400
            self._unreadable[model] = str(error)
            return None
        self._unreadable.pop(model, None)
        return pipeline
