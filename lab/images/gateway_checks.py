"""Checks of the gateway's image; each raises an error where it fails."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from gateway.identity.key_format import PREFIX
from lab.errors import LabError
from lab.images.podman import Container
from lab.images.tools import Ended
from lab.images.upload import HeldUpload

MB = 10**6
LARGEST_MB = 200
USER = 65532
_WRONG_SETTING = 2
"""The gateway's exit code."""
_PHOTOS = ("cancer.jpg", "healthy.jpg")
_OWN = ("request_id", "prediction_id", "receipt", "processing_time_ms")
"""Of each answer alone."""
INSIDE = """
import importlib.util as u, json, os, pathlib as p
read_only = lambda folder: bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
print(json.dumps({
    "user": os.getuid(), "group": os.getgid(),
    "root": read_only("/"), "tmp": read_only("/tmp"),
    "shells": [str(x) for x in map(p.Path, ["/bin/sh", "/bin/bash", "/usr/bin/apt"]) if x.exists()],
    "unwanted": [m for m in ["torch", "onnxruntime", "PIL", "pip", "server", "export"]
                 if u.find_spec(m)],
}))
"""
"""A program for the image's Python, whose output `check_inside` reads."""
_START_SECONDS = 30


def check_facts(facts: dict[str, Any]) -> str:
    """What the image says of itself: size, user, entrypoint, labels."""
    config, size = facts["Config"], facts["Size"] / MB
    _require(size < LARGEST_MB, f"the image has {size:.0f} MB: less than {LARGEST_MB} are allowed")
    user = config.get("User", "")
    _require(user == f"{USER}:{USER}", f"the image's user is {user!r}: name {USER}:{USER}")
    entrypoint = config.get("Entrypoint")
    _require(
        entrypoint == ["python", "-m", "gateway"],
        f"the entrypoint is {entrypoint}: a shell before the gateway would keep signals from it",
    )
    labels = {name.removeprefix("org.opencontainers.image.") for name in config.get("Labels", {})}
    missing = {"title", "description", "licenses", "version", "revision"} - labels
    _require(not missing, f"labels are missing: {', '.join(sorted(missing))}")
    return f"{size:.0f} MB unpacked, user {user}"


def check_inside(ended: Ended) -> str:
    """What `INSIDE` found: who runs, what can be written, what must not be there."""
    _require(ended.code == 0, f"its Python does not run:\n{ended.output}")
    found = json.loads(ended.output)
    _require(found["user"] == found["group"] == USER, f"it runs as {found['user']}")
    _require(found["root"] and not found["tmp"], "it was not run with a read-only root")
    unwanted = found["shells"] + found["unwanted"]
    _require(not unwanted, f"it contains {', '.join(unwanted)}")
    return "read-only root, no shell, no torch"


def check_refusal(ended: Ended) -> str:
    """As it comes, it listens beyond loopback, where GATEWAY_AUTH=off must not have started."""
    refused = ended.code == _WRONG_SETTING and "GATEWAY_AUTH=off" in ended.output
    _require(refused, f"with GATEWAY_AUTH=off it ended with {ended.code} and said: {ended.output}")
    return "does not start where it would let everyone in"


def new_key(container: Container) -> str:
    """An API key that is made within the container, as its operator would."""
    roles = ("--role", "predict", "--role", "operate")
    printed = container.execute("python", "-m", "gateway", "keys", "create", *roles)
    found = next((word for word in printed.split() if word.startswith(PREFIX)), None)
    _require(found is not None, f"`keys create` printed no key: {printed}")
    return str(found)


def check_alone(container: Container, client: httpx.Client) -> str:
    """Without Triton: it lives, is not ready, and lets nobody in without a key."""
    _wait_until(container, lambda: _status(client, "/healthz") == httpx.codes.OK, "does not answer")
    ready = client.get("/readyz").status_code
    _require(ready == httpx.codes.SERVICE_UNAVAILABLE, f"/readyz says {ready} without Triton")
    bare = httpx.get(client.base_url.join("/api/v1/pipelines"), trust_env=False).status_code
    _require(bare == httpx.codes.UNAUTHORIZED, f"a caller without a key gets {bare}")
    command = container.podman.facts(container.image)["Healthcheck"]["Test"]
    container.execute(*command[1:])
    return "/healthz 200, /readyz 503, 401 without a key, the image's health check passes"


def check_answers(
    container: Container, client: httpx.Client, outside: httpx.Client, samples: Path
) -> str:
    """With Triton: the answers are those of a gateway that runs without a container."""
    ready = "/readyz?pipeline=oral_cancer"
    _wait_until(container, lambda: _status(client, ready) == httpx.codes.OK, "is not ready")
    for name in _PHOTOS:
        inside, other = (_answer(each, samples / name) for each in (client, outside))
        _require(inside == other, f"{name}: {inside} in the container, {other} outside")
    return f"the same answers as without a container to {', '.join(_PHOTOS)}"


def check_drain(container: Container, client: httpx.Client, photo: Path, seconds: int) -> str:
    """SIGTERM: the request under way is answered, then it ends with 0."""
    with HeldUpload(client, "/api/v1/predict", photo.read_bytes()) as upload:
        _wait_until(container, lambda: _in_flight(client) == 1, "does not begin with a request")
        started = time.monotonic()
        container.terminate()
        _wait_until(container, lambda: _status(client, "/healthz") is None, "goes on listening")
        status = upload.finish()
    code = container.wait(seconds)
    took = time.monotonic() - started
    how = f"answered with {status}" if status else "not answered"
    _require(status == httpx.codes.OK, f"the request under way was {how} after SIGTERM")
    _require(code == 0, f"it ended with {code}:\n{container.log()}")
    _require(took < seconds, f"it took {took:.0f} s to end, of {seconds}")
    return f"SIGTERM: the request under way was answered, exit code 0 after {took:.1f} s"


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LabError(otherwise)


def _wait_until(container: Container, holds: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while not holds():
        alive = container.state()["Running"]
        if not alive or time.monotonic() > give_up:
            what = otherwise if alive else "ended"
            raise LabError(f"the container {what}; its log:\n{container.log()}")
        time.sleep(0.1)


def _status(client: httpx.Client, path: str) -> int | None:
    """None where nobody listens."""
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return None


def _answer(client: httpx.Client, photo: Path) -> dict[str, Any]:
    response = client.post("/api/v1/predict/advanced", files={"file": photo.read_bytes()})
    _require(response.is_success, f"{photo.name}: {response.status_code}: {response.text}")
    answer: dict[str, Any] = response.json()
    return {name: value for name, value in answer.items() if name not in _OWN}


def _in_flight(client: httpx.Client) -> float:
    """Requests that the gateway holds now, by its own metric."""
    lines = client.get("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("gateway_requests_in_flight{")
    )
