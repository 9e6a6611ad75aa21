"""Answers that the page is shown: the gateway's own to tensors of a toy, with changes of a test."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from httpx import ASGITransport, AsyncClient
from prometheus_client import generate_latest

from database.engine import open_engine, upgrade
from gateway.app import create_app
from gateway.audit.reading import AuditPage
from gateway.feedback.shapes import Cases
from gateway.http.release_routes import LoadedReleasesOfAll
from gateway.http.served_routes import ServedReleases
from gateway.http.usage_routes import UsageReport
from gateway.results.description import PipelineList
from gateway.results.shapes import AdvancedPrediction, DetectionPrediction, adapter
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from pipelines.load import load_spec
from pipelines.ports import Ports
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.toy_triton import ToyTriton, running

BLURRED = {
    "code": "blurred",
    "detail": "The image is blurred. Hold the camera still and repeat the photo.",
}
ATYPICAL = {
    "typical": False,
    "typicality": 0.001,
    "views": ["picture", "features"],
    "recommendation": "This image does not look like those that the models learnt from.",
}


@cache
def answered(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pipeline's description and an answer of it, as the gateway makes them."""

    async def ask(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
        toy = ToyTriton()
        toy.serve(load_spec(name))
        url = f"sqlite:///{folder}/gateway.db"
        engine = open_engine(url)
        upgrade(engine)
        engine.dispose()
        async with running(toy):
            settings = Settings(
                ports=Ports(triton_grpc_port=toy.port),
                default_pipeline=name,
                database_url=url,
                secrets_dir=Path(folder),
            )
            app = create_app(settings)
            async with (
                app.router.lifespan_context(app),
                AsyncClient(transport=ASGITransport(app), base_url="http://gateway") as client,
            ):
                await toy.probed()
                listed = (await client.get("/api/v1/pipelines")).json()
                answer = await client.post("/api/v1/predict/advanced", content=JPEG, headers=RAW)
                return listed["pipelines"][0], answer.json()

    # The browser's own event loop has this thread.
    with ThreadPoolExecutor(1) as other, TemporaryDirectory() as folder:
        return other.submit(lambda: asyncio.run(ask(folder))).result()


def described(name: str = "oral_cancer", **changes: Any) -> dict[str, Any]:
    """A pipeline, without demo weights."""
    pipeline = deepcopy(answered(name)[0])
    del pipeline["weights"]
    return pipeline | changes


def offered(*pipelines: dict[str, Any]) -> dict[str, Any]:
    listed = {"default": pipelines[0]["name"], "pipelines": list(pipelines)}
    adapter(PipelineList).validate_python(listed)
    return listed


def quality(*warnings: dict[str, str]) -> dict[str, Any]:
    return answered("oral_cancer")[1]["quality"] | {"warnings": list(warnings)}


def decision(
    level: str = "low", *, pipeline: str = "oral_cancer", **changes: Any
) -> dict[str, Any]:
    answer = deepcopy(answered(pipeline)[1])
    answer.pop("weights", None)
    answer["quality"]["warnings"] = []
    answer["uncertainty"] = {
        "level": level,
        "disagreement": 0.04,
        "entropy": 0.29,
        "recommendation": "The models agree. Use the result as one input.",
    }
    if pipeline == "oral_cancer":
        cancer = {"vgg16": 0.97, "regnet": 0.93}
        for name, share in cancer.items():
            answer["models"][name] |= {
                "prediction": "cancer",
                "confidence": share,
                "probabilities": {"healthy": 1 - share, "cancer": share},
            }
        answer |= {
            "prediction": "cancer",
            "confidence": 0.95,
            "probabilities": {"healthy": 0.05, "cancer": 0.95},
            "set": ["cancer"],
            "calibrated": True,
            "coverage": 0.95,
        }
    answer |= changes
    adapter(AdvancedPrediction).validate_python(answer)
    return answer


def explained(*places: tuple[int, int], faithful: bool = True, **changes: Any) -> dict[str, Any]:
    """A decision that says where the members looked: at a cell each, by its row and column."""
    members = {}
    for (row, column), (name, score) in zip(
        places, {"vgg16": 0.97, "regnet": 0.93}.items(), strict=True
    ):
        cells = [[0.0] * 7 for _ in range(7)]
        cells[row][column] = 0.56
        cells[6][6] = -0.1
        hidden = {"hottest_hidden": 0.41, "random_hidden": 0.95, "faithful": faithful}
        members[name] = {"score": score, "cells": cells, "faithfulness": hidden}
    found = {"class": "cancer", "grid": 7, "members": members}
    return decision(explanation=found, **changes)


def detections(*objects: dict[str, Any], width: int, height: int, **changes: Any) -> dict[str, Any]:
    """Of cervical_lesions."""
    answer = deepcopy(answered("cervical_lesions")[1])
    for name in ("weights", "visualization"):
        answer.pop(name, None)
    answer["quality"]["warnings"] = []
    answer |= {"predictions": list(objects), "image": {"width": width, "height": height}} | changes
    adapter(DetectionPrediction).validate_python(answer)
    return answer


def found(box: list[float], name: str = "acetowhite", score: float = 0.93, **more: Any) -> Any:
    x1, y1, x2, y2 = box
    return {"class": name, "score": score, "box": box, "area": (x2 - x1) * (y2 - y1), **more}


def cases(*feedback: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A page of predictions with their feedback."""
    case = {
        "prediction_id": "01a22c91-0000-7000-8000-000000000000",
        "at": "2026-11-30T12:00:00Z",
        "pipeline": "oral_cancer",
        "release": "1-3fa9c2d1",
        "site": "ward",
        "image_kept": False,
        "prediction": "cancer",
        "confidence": 0.95,
        "level": "low",
        "threshold": 0.5,
        "feedback": list(feedback),
    } | changes
    listed = {"cases": [case], "next": None}
    adapter(Cases).validate_python(listed)
    return listed


def entry(kind: str, label: str) -> dict[str, Any]:
    """What a person said of a prediction."""
    return {
        "id": "01a22c92-0000-7000-8000-000000000000",
        "at": "2026-11-30T12:01:00Z",
        "kind": kind,
        "by": "ward",
        "label": label,
        "reader": None,
        "comment": None,
        "deleted": False,
    }


def usage() -> dict[str, Any]:
    """Of a month, by pipeline."""
    sums = {
        "images": 1823,
        "bytes": 291203481,
        "cpu_seconds": 1119.3,
        "gpu_seconds": 0.0,
        "estimated_seconds": 0.0,
        "cost": 0.0124,
        "cost_per_thousand": 0.0068,
    }
    listed = {
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-11-30T14:00:00Z",
        "by": ["pipeline"],
        "prices": {"cpu_hour": 0.04, "gpu_hour": None, "currency": "EUR"},
        "rows": [{"pipeline": "oral_cancer", **sums}],
        "total": sums,
    }
    adapter(UsageReport).validate_python(listed)
    return listed


def problem(status: int, code: str, detail: str = "request: it is refused. Wait.") -> Any:
    return {
        "type": f"urn:second-opinion:problem:{code}",
        "title": "A problem",
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": "0123456789abcdef",
    }


def served(release: str) -> dict[str, Any]:
    """What an operator sees of a release that serves, and of one that did."""
    now = {
        "pipeline": "oral_cancer",
        "release": release,
        "serves": True,
        "first": "2026-11-03T08:00:00Z",
        "last": "2026-11-30T12:00:00Z",
        "images": 1823,
        "profile": "default",
        "release_sha256": "9" * 64,
        "coverage": 0.95,
        "calibration": {
            "photos": 250,
            "error_before": {"value": 0.12, "low": 0.09, "high": 0.16},
            "error_after": {"value": 0.03, "low": 0.02, "high": 0.05},
        },
    }
    unknown = dict.fromkeys(("profile", "release_sha256", "coverage", "calibration"))
    past = now | unknown | {"release": "1-00000000", "serves": False, "images": 18230}
    listed = {"releases": [now, past]}
    adapter(ServedReleases).validate_python(listed)
    return listed


def loaded(**changes: Any) -> dict[str, Any]:
    """Which releases of oral_cancer are loaded: a candidate beside the current one."""
    state = {
        "pipeline": "oral_cancer",
        "profile": "default",
        "revision": 2,
        "current": "1-3fa9c2d1",
        "candidate": "2-9c1e44d0",
        "share": 0,
        "shadow": 0,
        "former": None,
        "loaded": ["1-3fa9c2d1", "2-9c1e44d0"],
    } | changes
    listed = {"releases": [state]}
    adapter(LoadedReleasesOfAll).validate_python(listed)
    return listed


def audit_row() -> dict[str, Any]:
    """A prediction in the audit log."""
    row = {
        "prediction_id": "01a22c91-0000-7000-8000-000000000000",
        "event": "prediction",
        "at": "2026-11-30T12:00:00.123456+00:00",
        "caller": {"id": "k7f3", "kind": "key", "credential": "k7f3", "name": "ward"},
        "request_id": "0123456789abcdef",
        "transport": "http",
        "route": "predict",
        "pipeline": "oral_cancer",
        "release": "1-3fa9c2d1",
        "release_sha256": "9" * 64,
        "input": {"digest": "a" * 64, "bytes": 2048, "format": "jpeg"},
        "parameters": {},
        "result": {"prediction": "cancer", "confidence": 0.95},
        "refusal": None,
        "stages": {"infer": 0.1},
        "compute": None,
        "compute_seconds": None,
        "kept": False,
        "receipt": {"chain": "gateway", "position": 7, "head": "ab" * 32},
        "previous": "cd" * 32,
    }
    adapter(AuditPage).validate_python({"rows": [row], "next": None})
    return row


def metrics(*, started: float, answered: int, quick: int, refused: int) -> str:
    """What Prometheus reads of a gateway that answered so many images, some within half a second.

    A quarter of the answers were uncertain; three requests are under way, and five rows wait.
    """
    made = Metrics(lambda: {"oral_cancer": 3})
    made.watch_audit(lambda: 5, lambda: True)
    labels = ("oral_cancer", "1-3fa9c2d1")
    made.answered.labels(*labels).inc(answered)
    for level, share in (("high", 0.25), ("low", 0.75)):
        made.uncertainty.labels(*labels, level).inc(share * answered)
    for number in range(answered):
        made.request_seconds.labels("oral_cancer").observe(0.4 if number < quick else 0.9)
    made.requests.labels("oral_cancer", "predict", "ok").inc(answered)
    made.requests.labels("oral_cancer", "predict", "busy").inc(refused)
    text = generate_latest(made.registry).decode()
    return re.sub(r"(?m)^(gateway_start_time_seconds) .*$", rf"\g<1> {started}", text)
