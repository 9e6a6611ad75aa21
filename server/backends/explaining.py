"""Explains single images by the members that a decision step calls, beside its other requests.

One thread of a decision process explains one image after the other. It calls the members with a few
views at a time, so that the passes of other requests come between. Only inside Triton: it needs
pb_utils.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inference.decision import Decisions, probabilities
from inference.explanation import ExplanationRules, explain
from inference.rules import DecisionRules
from pipelines import protocol
from pipelines.protocol import Faithfulness, Output, Spent
from server.backends.failure import Failure, not_explained
from server.backends.members import CallRunner, MemberRequest, Model, run_members

_TOGETHER = 4
"""Views in one pass: a pass of another request waits for no more."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class NotExplainedError(Exception):
    """An explanation has no answer; its failure says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Explained:
    """The explanations of a request's images."""

    cells: Float32
    """[N, M, G, G], see `inference.explanation.Explanation`; NaN of members that did not answer.
    [N, M, 0, 0] where the request does not ask."""
    faithfulness: Float32
    """[N, M, 4], likewise; [N, M, 0] where the request does not ask."""
    seconds: dict[int, float]
    """Of compute that the passes of each member took, by its index."""

    @classmethod
    def none(cls, images: int, members: int) -> Self:
        """Of a request that does not ask."""
        cells = np.zeros((images, members, 0, 0), np.float32)
        return cls(cells, np.zeros((images, members, 0), np.float32), {})

    def tensors(self) -> dict[Output, Float32]:
        """The outputs of a decision step."""
        return {Output.EXPLANATION: self.cells, Output.FAITHFULNESS: self.faithfulness}


class Explainer:
    """Explains images one after the other, in a thread of its own."""

    def __init__(
        self,
        rules: ExplanationRules,
        decision: DecisionRules,
        models: Sequence[Model],
        run: CallRunner,
    ) -> None:
        """Starts no thread yet.

        Args:
            rules: how images are explained.
            decision: the pipeline's.
            models: the members' in their order.
            run: calls them.
        """
        self._rules = rules
        self._decision = decision
        # No view's features are compared with anything.
        self._models = [replace(model, outputs=(protocol.MEMBER_OUTPUT,)) for model in models]
        self._run = run
        self._waiting = ThreadPoolExecutor(1, thread_name_prefix="explanation")

    def later(self, answer: Callable[[], None]) -> None:
        """Calls a function when those that came before are done, and returns at once."""
        self._waiting.submit(answer)

    def latest(self, began: float, allowed: float) -> float:
        """The time by which an explanation must be there, of the monotonic clock, in seconds.

        Args:
            began: when Triton began with the request.
            allowed: how long its caller waits, in seconds.
        """
        return min(began + allowed, time.monotonic() + self._rules.seconds)

    def explain(self, pixels: NDArray[np.uint8], decisions: Decisions, latest: float) -> Explained:
        """Explains the members' scores of the predicted class.

        Args:
            pixels: one image, [1, H, W, 3].
            decisions: on it.
            latest: as `latest` said.

        Raises:
            NotExplainedError: a member failed, or the time is over.
            RefusedError: a member's logits are not finite or not of a shape that fits.
        """
        (predictions,), (prediction,) = decisions.member_prediction, decisions.prediction
        asked = np.flatnonzero(predictions >= 0)
        models = [self._models[member] for member in asked]
        seconds = dict.fromkeys(map(int, asked), 0.0)

        def score(views: Sequence[NDArray[np.uint8]]) -> Float64:
            if time.monotonic() > latest:
                raise NotExplainedError(not_explained())
            requests = [MemberRequest(*pair) for pair in zip(models, views, strict=True)]
            scores = []
            for member, result in zip(seconds, run_members(requests, self._run), strict=True):
                if isinstance(result, Failure):
                    raise NotExplainedError(result)
                seconds[member] += float(result[protocol.SPENT][:, Spent.SECONDS].sum())
                logits, name = result[protocol.MEMBER_OUTPUT], self._decision.members[member]
                each = probabilities(logits, len(self._decision.classes), name)
                scores.append(each[:, prediction])
            return np.stack(scores)

        own = decisions.member_probabilities[0, asked, prediction]
        together = min(_TOGETHER, *(max(model.max_batch, 1) for model in models))
        found = explain(pixels[0], own, self._rules, score, together)
        members, grid = len(self._models), self._rules.grid
        cells = np.full((1, members, grid, grid), np.nan, np.float32)
        faithfulness = np.full((1, members, len(Faithfulness)), np.nan, np.float32)
        cells[0, asked], faithfulness[0, asked] = found.cells, found.faithfulness
        return Explained(cells, faithfulness, seconds)

    def close(self) -> None:
        """Answers what waits, and ends the thread."""
        self._waiting.shutdown()
