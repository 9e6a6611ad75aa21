"""From an HTTP response to what a detector found."""

import binascii
from base64 import b64decode
from typing import TypedDict

import httpx

from secondopinion._detections import Box, Detection, Detections, ImageSize, Mask, Metrics
from secondopinion._errors import UnexpectedAnswerError
from secondopinion._fields import Fields
from secondopinion._reading import body_of, common


def detections(response: httpx.Response) -> Detections:
    """Reads the answer of `predict` of a detector."""
    body = body_of(response)
    if "predictions" not in body.raw and "prediction" in body.raw:
        raise UnexpectedAnswerError(
            f"{body.raw.get('pipeline')} answers with one class; ask it with predict()"
        )
    return Detections(visualization=_png(body), **found(body), **common(body))


class Found(TypedDict):
    """What was found in one image."""

    predictions: tuple[Detection, ...]
    image: ImageSize
    metrics: Metrics


def found(fields: Fields) -> Found:
    """Reads the objects of one image, alone or in a batch."""
    image = fields.object("image")
    return {
        "predictions": tuple(map(_detection, fields.object_items("predictions"))),
        "image": ImageSize(image.whole("width"), image.whole("height")),
        "metrics": _metrics(fields.object("metrics")),
    }


def _detection(fields: Fields) -> Detection:
    mask = fields.object_or_none("mask")
    return Detection(
        class_name=fields.text("class"),
        score=fields.number("score"),
        box=Box(*fields.number_items("box", 4)),
        area=fields.number("area"),
        mask=_mask(mask) if mask else None,
        polygons=fields.number_lists_or_none("polygons"),
    )


def _mask(fields: Fields) -> Mask:
    height, width = fields.number_items("size", 2)
    return Mask(size=(int(height), int(width)), counts=fields.text("counts"))


def _metrics(fields: Fields) -> Metrics:
    distribution = fields.object("class_distribution")
    return Metrics(
        count=fields.whole("count"),
        class_distribution={name: distribution.whole(name) for name in distribution.raw},
        scores=fields.number_items("scores"),
        areas=fields.number_items("areas"),
    )


def _png(fields: Fields) -> bytes | None:
    encoded = fields.text_or_none("visualization")
    if encoded is None:
        return None
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnexpectedAnswerError(f"{fields.where}: `visualization` is no base64") from error
