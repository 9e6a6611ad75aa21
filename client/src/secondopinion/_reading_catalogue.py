"""From an HTTP response to the pipelines it describes."""

import httpx

from secondopinion._catalogue import Limits, Pipeline, PipelineMember, Pipelines, Threshold
from secondopinion._fields import Fields
from secondopinion._reading import body_of


def pipelines(response: httpx.Response) -> Pipelines:
    """Reads the answer of `GET /api/v1/pipelines`."""
    body = body_of(response)
    described = map(_pipeline, body.object_items("pipelines"))
    return Pipelines(default=body.text_or_none("default"), pipelines=tuple(described))


def pipeline(response: httpx.Response) -> Pipeline:
    """Reads the answer of `GET /api/v1/pipelines/{name}`."""
    return _pipeline(body_of(response))


def _pipeline(fields: Fields) -> Pipeline:
    threshold = fields.object_or_none("threshold")
    limits = fields.object_or_none("limits")
    return Pipeline(
        name=fields.text("name"),
        title=fields.text_or_none("title") or "",
        task=fields.text("task"),
        release=fields.text_or_none("release"),
        ready=fields.raw.get("ready") is True,
        classes=tuple(str(name) for name in fields.items("classes")),
        positive=fields.text_or_none("positive"),
        threshold=_threshold(threshold) if threshold else None,
        members={name: _member(member) for name, member in fields.objects("members").items()},
        preprocessing=fields.text_or_none("preprocessing"),
        limits=_limits(limits) if limits else None,
        weights=fields.text_or_none("weights"),
        raw=fields.raw,
    )


def _threshold(fields: Fields) -> Threshold:
    return Threshold(
        default=fields.number("default"),
        minimum=fields.number("minimum"),
        maximum=fields.number("maximum"),
    )


def _limits(fields: Fields) -> Limits:
    return Limits(
        bytes=fields.whole("bytes"),
        pixels=fields.whole("pixels"),
        aspect=fields.number_or_none("aspect"),
    )


def _member(fields: Fields) -> PipelineMember:
    return PipelineMember(
        architecture=fields.text_or_none("architecture"),
        format=fields.text_or_none("format"),
        precision=fields.text_or_none("precision"),
        weight=fields.number_or_none("weight"),
        version=fields.text_or_none("version"),
        sha256=fields.text_or_none("sha256"),
    )
