"""`python -m lab.images.smoke`: builds the gateway's image and tests it with a real Triton."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import httpx
import typer

from lab.errors import LabError
from lab.images import base_image, gateway_checks, gateway_image
from lab.images.gateway_image import ROOT
from lab.images.podman import Podman
from lab.images.tools import require
from lab.options import MODEL_REPOSITORY, Repository
from lab.service.ports import free_ports
from lab.service.service import Service

_CACHE = ROOT / ".cache" / "images"
_PIPELINE = "oral_cancer"
_DRAIN_SECONDS = 20


def main(
    *,
    image: Annotated[
        str | None,
        typer.Option(
            help="Try this image instead of building one: a name that podman can pull, such as "
            "docker-archive:FILE or ghcr.io/OWNER/NAME:TAG."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Build on this image instead of one from Debian's packages, such as "
            "docker.io/library/python:3.11-slim-bookworm."
        ),
    ] = None,
    repository: Repository = MODEL_REPOSITORY,
) -> None:
    """Builds the gateway's image with Buildah and runs it with Podman: locked down, then drained.

    Podman, Buildah and (without --base or --image) debootstrap must be installed. Debian's files
    and the image stay in .cache/images.
    """
    try:
        require(needed(image, base))
        podman = Podman(_CACHE)
        name = _pulled(podman, image) if image else _built(podman, base)
        _try(podman, name, repository)
    except LabError as error:
        sys.stderr.write(f"image-check: {error}\n")
        raise typer.Exit(1) from None
    except httpx.HTTPError as error:
        sys.stderr.write(f"image-check: the gateway does not answer any more: {error}\n")
        raise typer.Exit(1) from None


def needed(image: str | None, base: str | None) -> list[str]:
    """The programs that a run with these options starts, told before anything is done."""
    programs = ["podman"]
    if image is None:
        programs.append("buildah")
        if base is None:
            programs.append("debootstrap")
    return programs


def _pulled(podman: Podman, image: str) -> str:
    return podman.tell("pull", "--quiet", image).split()[-1]


def _built(podman: Podman, base: str | None) -> str:
    _say("building (the first time, Debian's packages are fetched: 1 to 3 minutes)")
    return gateway_image.build(podman, base or base_image.make(podman, _CACHE))


def _try(podman: Podman, image: str, repository: Path) -> None:
    _say(gateway_checks.check_facts(podman.facts(image)))
    own_python = ["--entrypoint", "python"]
    inside = podman.once(image, "-c", gateway_checks.INSIDE, options=own_python)
    _say(gateway_checks.check_inside(inside))
    off = podman.once(image, options=["--env=GATEWAY_AUTH=off"])
    _say(gateway_checks.check_refusal(off))
    with ExitStack() as stack:
        service = Service([_PIPELINE], repository, log=_CACHE / "service.log")
        port, grpc_port = free_ports(2)
        variables = {
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": port,
            "GATEWAY_GRPC_PORT": grpc_port,
            "GATEWAY_AUTH": "required",
            "GATEWAY_SHUTDOWN_SECONDS": _DRAIN_SECONDS,
            "TRITON_GRPC_PORT": service.ports.triton_grpc_port,
        }
        options = [f"--env={name}={value}" for name, value in variables.items()]
        container = stack.enter_context(podman.running(image, options))
        key = gateway_checks.new_key(container)
        client = stack.enter_context(_client(f"http://127.0.0.1:{port}", key))
        _say(gateway_checks.check_alone(container, client))
        stack.enter_context(service)
        outside = stack.enter_context(_client(service.url, key))
        samples = ROOT / "samples"
        _say(gateway_checks.check_answers(container, client, outside, samples))
        photo = samples / "cancer.jpg"
        _say(gateway_checks.check_drain(container, client, photo, _DRAIN_SECONDS))


def _client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60, trust_env=False)


def _say(what: str) -> None:
    sys.stdout.write(f"image-check: {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
