"""From an HTTP response to the results of a batch."""

import httpx

from secondopinion._answers import BatchItem, BatchResult, BatchSummary
from secondopinion._errors import UnexpectedAnswerError
from secondopinion._fields import Fields
from secondopinion._problem import problem_from
from secondopinion._reading import body_of, uncertainty


def batch(response: httpx.Response, names: list[str]) -> BatchResult:
    """Reads the answer of `predict/batch`; `names` are the caller's, in the order sent.

    A problem document that carries results (no image was answered) is a result as well.
    """
    body = _batch_body(response)
    items = [_item(Fields(raw, "results"), names) for raw in body.items("results")]
    items.sort(key=lambda item: item.index)
    if [item.index for item in items] != list(range(len(names))):
        raise UnexpectedAnswerError(f"results: {len(items)} for {len(names)} images")
    summary = body.object("summary")
    return BatchResult(
        request_id=body.text_or_none("request_id"),
        pipeline=body.text_or_none("pipeline"),
        release=body.text_or_none("release"),
        threshold=body.number_or_none("threshold"),
        weights=body.text_or_none("weights"),
        results=tuple(items),
        summary=BatchSummary(
            total=int(summary.number("total")),
            failed=int(summary.number("failed")),
            counts={name: int(count) for name, count in summary.numbers("counts").items()},
            average_confidence=summary.number_or_none("average_confidence"),
        ),
        raw=body.raw,
    )


def _batch_body(response: httpx.Response) -> Fields:
    if not response.is_success:
        try:
            document = response.json()
        except ValueError:
            document = None
        if isinstance(document, dict) and "results" in document:
            return Fields(document, "answer")
    return body_of(response)


def _item(item: Fields, names: list[str]) -> BatchItem:
    index = int(item.number("index"))
    error = item.object_or_none("error")
    unsure = item.object_or_none("uncertainty")
    return BatchItem(
        index=index,
        filename=names[index] if 0 <= index < len(names) else f"image {index}",
        prediction=item.text("prediction") if error is None else None,
        confidence=item.number("confidence") if error is None else None,
        probabilities=item.numbers("probabilities"),
        uncertainty=uncertainty(unsure) if unsure else None,
        error=problem_from(error.raw) if error else None,
    )
