"""The settings of a run over photos, checked against the pipeline."""

from dataclasses import dataclass
from typing import Self

from secondopinion._async_client import AsyncClient
from secondopinion._calls import Choices
from secondopinion._catalogue import Pipeline
from secondopinion._errors import UnexpectedAnswerError
from secondopinion._images import Image
from secondopinion._outcome import Failure, Reply, answer_or_failure


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What to ask about every photo, which service, and how many photos at a time."""

    url: str
    advanced: bool
    choices: Choices
    concurrency: int


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings:
    """Settings that the service accepts.

    Attributes:
        choices: With the name of the pipeline: the service's default may change during the run.
    """

    pipeline: Pipeline
    advanced: bool
    choices: Choices

    @classmethod
    async def of(cls, settings: RunSettings, client: AsyncClient) -> Self:
        """Looks up the pipeline.

        Raises:
            SecondOpinionError: The service cannot be asked, or has no such pipeline.
            ValueError: The pipeline does not have such answers.
        """
        name = settings.choices.get("pipeline")
        # A wrong URL or key is said at once, and not after retries. Not ready is no reason to
        # stop: a restart takes seconds, and the retries wait for it.
        await client.ready(name)
        pipeline = await (client.pipeline(name) if name else _default(client))
        if pipeline.detects and settings.advanced:
            raise ValueError(
                f"--advanced: {pipeline.name} has no members to compare; "
                "see --visualization and --polygons"
            )
        if settings.choices.get("visualization") and not pipeline.detects:
            raise ValueError(
                f"--visualization: {pipeline.name} names a class, there is nothing to draw"
            )
        if settings.choices.get("explain") and pipeline.explanation is None:
            raise ValueError(f"--explain: {pipeline.name} does not show where it looked")
        choices: Choices = {**settings.choices, "pipeline": pipeline.name}
        return cls(pipeline=pipeline, advanced=settings.advanced, choices=choices)

    async def ask(self, image: Image, client: AsyncClient) -> Reply | Failure:
        """The answer, or the error that concerns this photo alone; others are raised."""
        if self.pipeline.detects:
            return await answer_or_failure(client.detect(image, **self.choices))
        if self.advanced:
            return await answer_or_failure(client.predict_advanced(image, **self.choices))
        return await answer_or_failure(client.predict(image, **self.choices))


async def _default(client: AsyncClient) -> Pipeline:
    offered = await client.pipelines()
    for pipeline in offered:
        if pipeline.name == offered.default:
            return pipeline
    raise UnexpectedAnswerError("answer: `default` names no pipeline; name one with --pipeline")
