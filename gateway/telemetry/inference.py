"""What is counted of images and of the answers about them, whatever the transport."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.core.image_format import image_format
from gateway.core.readiness import Readiness
from gateway.errors import Code, RefusedError
from gateway.http.body import Image
from gateway.results.classification import Opinion
from gateway.results.result import Finding
from gateway.telemetry.metrics import Metrics

_OF_THE_IMAGE = {
    Code.IMAGE_EMPTY,
    Code.IMAGE_FORMAT,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_UNDECODABLE,
    Code.IMAGE_SHAPE,
    Code.IMAGES_MANY,
}


class Tally:
    """Counts what goes to Triton and what comes of it; tells readiness what traffic met."""

    def __init__(self, metrics: Metrics, readiness: Readiness) -> None:
        self._metrics = metrics
        self._readiness = readiness

    def images(self, images: Sequence[Image]) -> list[str]:
        """Counts the images of one request to Triton, unless one of them is none.

        Returns:
            The format of each.

        Raises:
            RefusedError: one cannot be looked at.
        """
        formats = [_format(image) for image in images]
        for image, found in zip(images, formats, strict=True):
            self._metrics.images.labels(found).inc()
            self._metrics.image_bytes.observe(len(image.data))
        return formats

    @contextmanager
    def asking(self, pipeline: str, where: str | None) -> Iterator[None]:
        """Around a question to Triton: takes its time, and a refusal's meaning for others.

        Args:
            pipeline: the one that is asked.
            where: the input's name, put before refusals that are about the image; None where
                there are several, as the refusal then says which.
        """
        start = time.perf_counter()
        try:
            yield
        except RefusedError as refusal:
            self._readiness.saw(pipeline, refusal.code)
            if refusal.code is Code.BUSY:
                self._metrics.refused.labels(pipeline, "triton_queue").inc()
            if where and refusal.code in _OF_THE_IMAGE:
                raise RefusedError(refusal.code, f"{where}: {refusal.detail}") from None
            raise
        else:
            self._readiness.saw(pipeline, None)
        finally:
            self.took(pipeline, "infer", start)

    def took(self, pipeline: str, stage: str, start: float) -> None:
        """A stage is over that began at `start` of `time.perf_counter`."""
        seconds = time.perf_counter() - start
        self._metrics.stage_seconds.labels(pipeline, stage).observe(seconds)

    def finding(self, finding: Finding) -> None:
        """Counts what a pipeline's own members say, not one that was asked alone."""
        name, release = finding.pipeline.name, finding.pipeline.release
        for label, confidence in finding.named:
            self._metrics.confidence.labels(name, release, label).observe(confidence)
        if isinstance(finding, Opinion):
            self._metrics.disagreement.labels(name, release).observe(finding.disagreement)
            self._metrics.uncertainty.labels(name, release, finding.level[0]).inc()


def _format(image: Image) -> str:
    if image.refusal:
        raise image.refusal
    if not image.data:
        raise RefusedError(
            Code.IMAGE_EMPTY, f"{image.where}: it has no bytes. Send the image's bytes."
        )
    if (found := image_format(image.data)) is None:
        raise RefusedError(
            Code.IMAGE_FORMAT,
            f"{image.where}: it is no image that is read. Send JPEG, PNG, WebP, BMP or TIFF.",
        )
    return found
