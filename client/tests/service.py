"""A small service that speaks the shapes of docs/api.md. A photo's bytes say how it is answered.

b"cancer 0.95"       -> that class with that confidence
b"found circle 0.9"  -> those detections; b"found" has none
b"slow 0.5"          -> after that many seconds, as `healthy 0.9`, or as nothing found
b"release 2-aaaa"    -> from that release on, as `healthy 0.9`
b"stop"              -> 422 parameter_invalid
anything else        -> 422 image_undecodable

What stands in `replies` is answered first, one per request about photos.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from client.tests import documents

DEFAULT = "oral_cancer"


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
    release: str = "1-3fa9c2d1"
    replies: deque = field(default_factory=deque)
    other_replies: deque = field(default_factory=deque)
    """To requests about predictions and their feedback."""
    seen: list = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def reset(self):
        self.demo, self.ready, self.release = False, True, "1-3fa9c2d1"
        self.replies.clear()
        self.other_replies.clear()
        self.seen.clear()
        self.most_in_flight = 0

    @property
    def asked(self):
        """Requests about photos."""
        return [seen for seen in self.seen if about_photos(seen.path)]


def about_photos(path):
    return "/predict" in path and "/predictions/" not in path


PHOTO = "BM "
"""How a photo begins (BMP); what this service answers is said behind it."""


def problem(status, code, detail="what was wrong and what to do", **headers):
    return JSONResponse(
        documents.problem(status, code, detail) | {"request_id": "5f0c"},
        status_code=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        media_type="application/problem+json",
    )


def unknown(name):
    return problem(404, "pipeline_unknown", f"{name}: there is {', '.join(documents.TASKS)}.")


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
            if service.other_replies and not about_photos(seen.path):
                return service.other_replies.popleft()
            if service.replies and about_photos(seen.path):
                return service.replies.popleft()
            return await call_next(request)
        finally:
            service.in_flight -= 1

    @app.get("/readyz")
    async def readyz():
        return JSONResponse({}, status_code=200) if service.ready else problem(503, "unavailable")

    @app.get("/api/v1/usage", response_model=None)
    async def usage(request: Request):
        if request.query_params.get("caller") == "other":
            return problem(403, "forbidden", "credentials: they do not have the role operate.")
        return documents.usage(request.query_params.get("by"))

    @app.get("/api/v1/pipelines")
    async def pipelines():
        listed = [documents.pipeline(name, service.release) for name in documents.TASKS]
        return {"default": DEFAULT, "pipelines": listed, "page": 1}

    @app.get("/api/v1/pipelines/{name}", response_model=None)
    async def pipeline(name: str):
        known = name in documents.TASKS
        return documents.pipeline(name, service.release) if known else unknown(name)

    add_predictions(app, service)
    return app


def add_predictions(app, service):
    async def content_of(request: Request) -> str | Response:
        content = (await request.body()).decode("utf-8", "replace").removeprefix(PHOTO)
        kind = content.split()[0] if content.split() else ""
        if kind not in {"cancer", "healthy", "found", "slow", "release", "stop"}:
            return problem(422, "image_undecodable", "file: no image. Send a JPEG or a PNG.")
        if kind == "stop":
            return problem(422, "parameter_invalid", "threshold: 7 is above 0.95.")
        if kind == "slow":
            await asyncio.sleep(float(content.split()[1]))
            return "healthy 0.9"
        if kind == "release":
            service.release = content.split()[1]
            return "healthy 0.9"
        return content

    @app.post("/api/v1/predict", response_model=None)
    @app.post("/api/v1/pipelines/{name}/predict", response_model=None)
    async def predict(request: Request, name: str = DEFAULT):
        if name not in documents.TASKS:
            return unknown(name)
        content = await content_of(request)
        if isinstance(content, Response):
            return content
        members, query = documents.members(name), request.query_params
        said = documents.common(name, service.release)
        said |= {"weights": "demo"} if service.demo else {}
        if documents.TASKS[name] != "classification":
            content = content if content.startswith("found") else "found"
            return said | {"members": members} | documents.detections(content, name, query)
        if member := query.get("member"):
            said |= {"member": member}
            members = {member: members[member]}
        calibrated, chosen = documents.calibration(content)
        said |= calibrated | documents.opinion(content) | chosen
        return said | {"members": members} | documents.explanation(content, members, query)

    @app.post("/api/v1/predict/advanced", response_model=None)
    @app.post("/api/v1/pipelines/{name}/predict/advanced", response_model=None)
    async def advanced(request: Request, name: str = DEFAULT):
        content = await content_of(request)
        if isinstance(content, Response):
            return content
        calibrated, chosen = documents.calibration(content)
        said = documents.common(name, service.release) | documents.opinion(content)
        said |= calibrated | chosen
        models = {
            member: facts | documents.opinion(content) | {"weight": 0.5}
            for member, facts in documents.members(name).items()
        }
        said |= documents.explanation(content, models, request.query_params)
        return said | {"uncertainty": documents.uncertainty(), "models": models}

    @app.post("/api/v1/predict/batch", response_model=None)
    @app.post("/api/v1/pipelines/{name}/predict/batch", response_model=None)
    async def batch(request: Request, name: str = DEFAULT):
        async with request.form() as form:
            parts = [(part.filename, await part.read()) for part in form.getlist("files")]
        results = []
        for index, (filename, encoded) in enumerate(parts):
            content = encoded.decode()
            place = {"index": index, "filename": filename}
            if content.startswith("bad"):
                place |= {"error": documents.problem(422, "image_undecodable", "no image")}
            elif documents.TASKS[name] == "classification":
                place |= documents.opinion(content) | {"uncertainty": documents.uncertainty()}
                place |= documents.calibration(content)[1]
            else:
                place |= documents.detections(content, name, request.query_params)
            results.append(place)
        summary = documents.summary(results, name)
        if summary["failed"] < summary["total"]:
            common = documents.common(name, service.release)
            return common | {"results": results, "summary": summary}
        document = documents.problem(422, "image_undecodable", "no image could be read")
        return JSONResponse(document | {"results": results, "summary": summary}, status_code=422)
