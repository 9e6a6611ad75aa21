"""A small service for an evaluation to ask. A photo's bytes are JSON that says how it answers.

[0.2, 0.8]                         -> a classifier's probabilities in class order
[["circle", 0.9, 0, 0, 40, 40]]    -> a detector's finds: class, score, box; masks fill the boxes
{"slow": 0.5, "then": [...]}       -> after that many seconds
{"typicality": 0.2, "then": [...]} -> with that typicality
{"set": ["healthy"], "then": [...]} -> with that prediction set
anything else                      -> 422 image_undecodable
"""

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pycocotools import mask as coco_mask

SIDE = 100
PAGE = 3
"""Cases on a page, whatever is asked for."""
FALSE_ALARMS = 0.01
IDENTITY = "1-3fa9c2d1"
THRESHOLD = {"default": 0.5, "minimum": 0.05, "maximum": 0.95}
MEMBERS = {
    "small": {"weight": 1, "version": "1", "sha256": "aa11" * 16},
    "large": {"weight": 0, "version": "2", "sha256": "bb22" * 16},
}
PIPELINES = {
    "lesions": ("classification", ["healthy", "cancer"], "cancer", THRESHOLD),
    "species": ("classification", ["adder", "asp", "grass snake"], None, None),
    "objects": ("detection", ["circle", "square"], None, THRESHOLD),
    "outlines": ("segmentation", ["circle", "square"], None, THRESHOLD),
}


@dataclass
class Service:
    """What a test tells it, and what it was asked."""

    url: str = ""
    demo: bool = False
    temperature: float | None = None
    """Of every member; None: nothing is calibrated."""
    identity: str = IDENTITY
    judges: bool = False
    """Whether it has a reference for typicality."""
    releases: list = field(default_factory=list)
    seen: list = field(default_factory=list)
    cases: list = field(default_factory=list)
    """Predictions with their feedback."""
    images: dict = field(default_factory=dict)
    """Kept images, by prediction."""
    loaded: list = field(default_factory=list)
    """What it says of its loaded releases, each of which answers by its name."""

    def release(self):
        return self.releases.pop(0) if self.releases else self.identity

    def sha256(self, release):
        return hashlib.sha256(release.encode()).hexdigest()


def problem(status, code, detail):
    return JSONResponse(
        {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
    )


def create_app(service):
    app = FastAPI()

    @app.get("/api/v1/pipelines/{name}")
    async def describe(name: str, request: Request):
        release = request.headers.get("x-release", service.identity)
        if name not in PIPELINES:
            return problem(404, "pipeline_unknown", f"{name}: there is lesions.")
        task, classes, positive, threshold = PIPELINES[name]
        return {
            "name": name, "title": name, "task": task, "release": release, "ready": True,
            "release_sha256": service.sha256(release),
            "classes": classes, "positive": positive, "threshold": threshold,
            "members": {
                key: each | {"temperature": service.temperature} for key, each in MEMBERS.items()
            },
            "preprocessing": "exact",
            "typicality": {"false_alarms": FALSE_ALARMS} if service.judges else None,
            "typicality_reason": None if service.judges else "No reference: make one.",
        }  # fmt: skip

    @app.get("/api/v1/releases")
    async def releases():
        return {"releases": service.loaded}

    @app.get("/api/v1/feedback")
    async def cases(request: Request):
        query = dict(request.query_params)
        service.seen.append(("feedback", query))
        chosen = [
            case for case in service.cases
            if (case["feedback"] or query.get("unlabelled") == "true")
            and case["prediction_id"] > query.get("after", "")
        ]  # fmt: skip
        page = chosen[:PAGE]
        last = page[-1]["prediction_id"] if len(chosen) > PAGE else None
        return {"cases": page, "next": last}

    @app.get("/api/v1/predictions/{name}/image", response_model=None)
    async def image(name: str):
        if name not in service.images:
            return problem(404, "image_not_kept", "prediction: its image is not kept.")
        return Response(service.images[name], media_type="application/octet-stream")

    @app.post("/api/v1/pipelines/{name}/{question:path}", response_model=None)
    async def answer(name: str, question: str, request: Request):
        query = dict(request.query_params)
        service.seen.append((name, question, query))
        try:
            said = json.loads(await request.body())
        except ValueError:
            return problem(422, "image_undecodable", "file: no image. Send a JPEG or a PNG.")
        typicality = chosen = None
        if isinstance(said, dict):
            await asyncio.sleep(said.get("slow", 0))
            typicality, chosen = said.get("typicality"), said.get("set")
            said = said["then"]
        task, classes, positive, threshold = PIPELINES[name]
        decided = float(query.get("threshold", 0.5))
        members = {key: MEMBERS[key] for key in [query.get("member", "small")]}
        common = {
            "request_id": "5f0c", "pipeline": name,
            "release": request.headers.get("x-release") or service.release(),
            "preprocessing": "exact", "processing_time_ms": 1.5,
            **({"weights": "demo"} if service.demo else {}),
            **({"threshold": decided} if threshold else {}),
            "input": {
                "typicality": typicality,
                "typical": None if typicality is None else typicality > FALSE_ALARMS,
            },
        }  # fmt: skip
        if task == "classification":
            best = int(said[1] >= decided) if positive else int(np.argmax(said))
            opinion = decide(classes, said, best)
            models = {key: member | opinion for key, member in members.items()}
            level = "low" if max(said) >= 0.8 else "high"
            sure = {"level": level, "disagreement": 0.0, "entropy": 0.1, "recommendation": "-"}
            common["calibrated"] = service.temperature is not None
            common |= {} if chosen is None else {"set": chosen, "coverage": 0.95}
            return common | opinion | {"uncertainty": sure, "models": models}
        found = [
            found_object(*each, masks=task == "segmentation") for each in said if each[1] >= decided
        ]
        return common | {
            "members": members,
            "predictions": found,
            "image": {"width": SIDE, "height": SIDE},
            "metrics": {
                "count": len(found),
                "class_distribution": dict(Counter(each["class"] for each in found)),
                "scores": [each["score"] for each in found],
                "areas": [each["area"] for each in found],
            },
        }  # fmt: skip

    return app


def decide(classes, said, best):
    return {
        "prediction": classes[best],
        "confidence": said[best],
        "probabilities": dict(zip(classes, said, strict=True)),
    }


def found_object(label, score, *box, masks):
    x1, y1, x2, y2 = box
    said = {"class": label, "score": score, "box": list(box), "area": (x2 - x1) * (y2 - y1)}
    return said | {"mask": filled(box)} if masks else said


def filled(box):
    """The run lengths of a mask that fills its box."""
    pixels = np.zeros((SIDE, SIDE), np.uint8, order="F")
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 1
    coded = coco_mask.encode(pixels)
    return {"size": [SIDE, SIDE], "counts": coded["counts"].decode()}


@contextmanager
def running():
    """A Service that listens on a free port of this machine."""
    service = Service()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(service), log_level="error", lifespan="off", ws="none", loop="asyncio"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end, "the test service did not start"
            time.sleep(0.01)
        yield service
        server.should_exit = True
        thread.join(timeout=20)
