"""What a run asks about every photo, settled with the service before the first one is sent."""

from dataclasses import dataclass
from typing import Self

from secondopinion._asking import Failure, Reply, settled
from secondopinion._async_client import AsyncClient
from secondopinion._calls import Choices
from secondopinion._catalogue import Pipeline
from secondopinion._errors import UnexpectedAnswerError
from secondopinion._images import Image


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about every photo, where, and how many at a time."""

    url: str
    advanced: bool
    choices: Choices
    concurrency: int


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A question that the service can be asked.

    Attributes:
        choices: With the name of the pipeline, so that another default changes nothing midway.
    """

    pipeline: Pipeline
    advanced: bool
    choices: Choices

    @classmethod
    async def of(cls, question: Question, client: AsyncClient) -> Self:
        """Looks up the pipeline.

        Raises:
            SecondOpinionError: The service cannot be asked, or has no such pipeline.
            ValueError: This pipeline has no answer to such a question.
        """
        name = question.choices.get("pipeline")
        # A wrong URL or key is said at once, and not after retries. Not ready is no reason to
        # stop: a restart takes seconds, and the retries wait for it.
        await client.ready(name)
        pipeline = await (client.pipeline(name) if name else _default(client))
        if pipeline.detects and question.advanced:
            raise ValueError(
                f"--advanced: {pipeline.name} has no members to compare; "
                "see --visualization and --polygons"
            )
        if question.choices.get("visualization") and not pipeline.detects:
            raise ValueError(
                f"--visualization: {pipeline.name} names a class, there is nothing to draw"
            )
        choices: Choices = {**question.choices, "pipeline": pipeline.name}
        return cls(pipeline=pipeline, advanced=question.advanced, choices=choices)

    async def ask(self, image: Image, client: AsyncClient) -> Reply | Failure:
        """The answer, or the error that concerns this photo alone; others are raised."""
        if self.pipeline.detects:
            return await settled(client.detect(image, **self.choices))
        if self.advanced:
            return await settled(client.predict_advanced(image, **self.choices))
        return await settled(client.predict(image, **self.choices))


async def _default(client: AsyncClient) -> Pipeline:
    offered = await client.pipelines()
    for pipeline in offered:
        if pipeline.name == offered.default:
            return pipeline
    raise UnexpectedAnswerError("answer: `default` names no pipeline; name one with --pipeline")
