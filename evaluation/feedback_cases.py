"""Asks the service for predictions and what people said of them."""

from collections.abc import Iterator
from datetime import datetime

from secondopinion import Case, Client, FeedbackEntry

_PAGE = 500
_CORRECTION, _BEFORE = "correction", "before"


def fetch(
    client: Client,
    pipeline: str,
    *,
    unlabelled: bool,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Case]:
    """A pipeline's predictions in the order in which they were made, page by page.

    Args:
        client: The service.
        pipeline: Name of the pipeline.
        unlabelled: Also those that nobody said anything of.
        since: From this moment on.
        until: Before this moment.

    Raises:
        SecondOpinionError: The service is gone, or the key may not ask.
    """
    after = None
    while True:
        page = client.cases(
            pipeline, unlabelled=unlabelled, since=since, until=until, after=after, limit=_PAGE
        )
        yield from page.cases
        if (after := page.next) is None:
            return


def label_of(case: Case) -> FeedbackEntry | None:
    """What is right, by the last correction; None where nobody said it."""
    return _last(case, _CORRECTION)


def reading_of(case: Case) -> FeedbackEntry | None:
    """The last finding that a reader recorded before the models' was shown."""
    return _last(case, _BEFORE)


def _last(case: Case, kind: str) -> FeedbackEntry | None:
    return next((each for each in reversed(case.feedback) if each.kind == kind), None)
