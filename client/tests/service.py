"""A small service that speaks the shapes of docs/api.md. A photo's bytes say how it is answered.

b"cancer 0.95"  -> that class with that confidence
b"slow 0.5"     -> after that many seconds, as `healthy 0.9`
b"stop"         -> 422 parameter_invalid
anything else   -> 422 image_undecodable

What stands in `replies` is answered first, one per request, whatever is asked.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

MEMBERS = {"vgg16": ("1", "aa11"), "regnet": ("1", "bb22")}
COMMON = {
    "request_id": "5f0c",
    "pipeline": "oral_cancer",
    "release": "1-3fa9c2d1",
    "threshold": 0.5,
    "preprocessing": "exact",
    "processing_time_ms": 12.5,
    "from_a_newer_service": {"unknown": [1, 2, 3]},
}
PIPELINE = {
    "name": "oral_cancer",
    "title": "Oral lesions",
    "task": "classification",
    "release": "1-3fa9c2d1",
    "ready": True,
    "classes": ["healthy", "cancer"],
    "positive": "cancer",
    "threshold": {"default": 0.5, "minimum": 0.05, "maximum": 0.95},
    "members": {
        "vgg16": {"architecture": "vgg16_small_head", "format": "onnx", "weight": 0.4},
        "regnet": {"architecture": "regnety_002", "format": "torchscript", "weight": 0.6},
    },
    "preprocessing": "exact",
    "limits": {"bytes": 10485760, "pixels": 50000000},
    "weights": "demo",
    "from_a_newer_service": True,
}


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes


@dataclass
class Service:
    """What tests tell the service to do, and what it saw."""

    url: str = ""
    demo: bool = False
    ready: bool = True
    replies: deque = field(default_factory=deque)
    seen: list = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def reset(self):
        self.demo, self.ready = False, True
        self.replies.clear()
        self.seen.clear()
        self.most_in_flight = 0

    @property
    def asked(self):
        """Requests about photos."""
        return [seen for seen in self.seen if "predict" in seen.path]


def problem(status, code, detail="what was wrong and what to do", **headers):
    return JSONResponse(
        problem_document(status, code, detail) | {"request_id": "5f0c"},
        status_code=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        media_type="application/problem+json",
    )


def problem_document(status, code, detail):
    kind = f"urn:second-opinion:problem:{code}"
    title = code.replace("_", " ")
    return {"type": kind, "title": title, "status": status, "code": code, "detail": detail}


def opinion(content):
    label, confidence = content.split()[:2]
    other = {"cancer": "healthy", "healthy": "cancer"}[label]
    sure = float(confidence)
    return {
        "prediction": label,
        "confidence": sure,
        "probabilities": {label: sure, other: round(1 - sure, 6)},
    }


def uncertainty():
    advice = "Nothing further."
    return {"level": "low", "disagreement": 0.04, "entropy": 0.29, "recommendation": advice}


def create_app(service):
    app = FastAPI()

    @app.middleware("http")
    async def watch(request: Request, call_next):
        seen = Seen(
            request.method,
            request.url.path,
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
        )
        service.seen.append(seen)
        service.in_flight += 1
        service.most_in_flight = max(service.most_in_flight, service.in_flight)
        try:
            if service.replies and request.url.path != "/readyz":
                return service.replies.popleft()
            return await call_next(request)
        finally:
            service.in_flight -= 1

    @app.get("/readyz")
    async def readyz():
        return JSONResponse({}, status_code=200) if service.ready else problem(503, "unavailable")

    @app.get("/api/v1/pipelines")
    async def pipelines():
        return {"default": "oral_cancer", "pipelines": [PIPELINE], "page": 1}

    @app.get("/api/v1/pipelines/{name}")
    async def pipeline(name: str):
        return PIPELINE if name == "oral_cancer" else problem(404, "pipeline_unknown")

    async def answer(request: Request, advanced: bool, name: str) -> Response | dict:
        if name != "oral_cancer":
            return problem(404, "pipeline_unknown", f"{name}: there is oral_cancer.")
        content = (await request.body()).decode("utf-8", "replace")
        if content.split()[0] not in {"cancer", "healthy", "slow", "stop"}:
            return problem(422, "image_undecodable", "file: no image. Send a JPEG or a PNG.")
        if content.startswith("stop"):
            return problem(422, "parameter_invalid", "threshold: 7 is above 0.95.")
        if content.startswith("slow"):
            await asyncio.sleep(float(content.split()[1]))
            content = "healthy 0.9"
        said = COMMON | opinion(content) | ({"weights": "demo"} if service.demo else {})
        members = {n: {"version": v, "sha256": s} for n, (v, s) in MEMBERS.items()}
        if advanced:
            models = {n: m | opinion(content) | {"weight": 0.5} for n, m in members.items()}
            return said | {"uncertainty": uncertainty(), "models": models}
        if member := request.query_params.get("member"):
            return said | {"member": member, "members": {member: members[member]}}
        return said | {"members": members}

    @app.post("/api/v1/predict", response_model=None)
    async def predict(request: Request):
        return await answer(request, False, "oral_cancer")

    @app.post("/api/v1/predict/advanced", response_model=None)
    async def predict_advanced(request: Request):
        return await answer(request, True, "oral_cancer")

    @app.post("/api/v1/pipelines/{name}/predict", response_model=None)
    async def predict_by_name(name: str, request: Request):
        return await answer(request, False, name)

    @app.post("/api/v1/predict/batch", response_model=None)
    async def batch(request: Request):
        async with request.form() as form:
            parts = [(part.filename, await part.read()) for part in form.getlist("files")]
        results = []
        for index, (filename, encoded) in enumerate(parts):
            content = encoded.decode()
            place = {"index": index, "filename": filename}
            if content.startswith("bad"):
                document = problem_document(422, "image_undecodable", "no image")
                results.append(place | {"error": document})
            else:
                results.append(place | opinion(content) | {"uncertainty": uncertainty()})
        answered = [result for result in results if "error" not in result]
        mean = sum(r["confidence"] for r in answered) / len(answered) if answered else None
        failed = len(results) - len(answered)
        counts = {n: sum(r["prediction"] == n for r in answered) for n in ("healthy", "cancer")}
        summary = {"total": len(results), "failed": failed, "counts": counts}
        summary |= {"cancer_detected": counts["cancer"], "average_confidence": mean}
        if answered:
            return COMMON | {"results": results, "summary": summary}
        document = problem_document(422, "image_undecodable", "no image could be read")
        return JSONResponse(document | {"results": results, "summary": summary}, status_code=422)

    return app
