"""The project's own contenders: Triton alone, and the gateway with Triton over HTTP and gRPC."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from lab.bench.contender import Contender, Deployment, Launch, Place
from lab.bench.workload import PIPELINE, WORKLOADS, Workload
from lab.errors import LabError
from lab.paths import ROOT
from lab.service.service import Service
from pipelines.enums import Decoding
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import Parameter

_PACKAGES = ("nvidia-pytriton", "onnxruntime-gpu", "pillow", "simplejpeg", "numpy")
_THREADS = (
    "processes, threads and batches as pipelines/oral_cancer.yaml says: a process for each core "
    "that decodes, runs the models and decides"
)
_PATIENCE = {"X-Respond-Within-Ms": "60000"}
_TORCHSCRIPT = {"regnet_onnx": "regnet"}
"""The member of the same checkpoint, by its name as ONNX."""
_LIMITS = ("--rate", "100000/s", "--budget", "100000EUR/month")
_MEMORY = "one service answers heavy and light, so its memory holds the models of both"


def _unchanged(launch: Launch) -> Launch:
    return launch


def _limited(launch: Launch) -> Launch:
    """Each caller must have a key; the one that all send has a rate and a budget."""
    environment = launch.environment | {"GATEWAY_AUTH": "required", "GATEWAY_PRICE_CPU_HOUR": "1"}
    create = ("-m", "gateway", "keys", "create", "--role", "predict", *_LIMITS)
    made = subprocess.run(
        [sys.executable, *create],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise LabError(f"a key for the bench cannot be made: {made.stderr.strip()}")
    return replace(launch, environment=environment, headers={"X-API-Key": made.stdout.strip()})


def _bare(launch: Launch) -> Launch:
    """The launcher serves Triton alone, and the gateway beside it accounts for nothing."""
    return replace(launch, argv=(sys.executable, "-m", "lab.bench.bare_gateway", *launch.argv))


def second_opinion() -> list[Contender]:
    """In the order of the tables."""
    return [
        Contender(
            name="triton",
            title="Triton",
            protocol="grpc",
            deployments=_by_profile("triton_grpc_port", gateway=False),
            ask=_over_grpc,
            tuning=f"`python -m server`; {_THREADS}; {_MEMORY}",
            packages=_PACKAGES,
        ),
        Contender(
            name="gateway",
            title="gateway + Triton",
            protocol="http",
            deployments=_by_profile("gateway_port", gateway=True),
            ask=_over_http,
            tuning=f"`python -m server --gateway`; {_THREADS}; {_MEMORY}",
            patience=_PATIENCE,
            packages=("fastapi", "uvicorn", *_PACKAGES),
        ),
        Contender(
            name="gateway-limited",
            title="gateway + Triton, with a key, a rate and a budget",
            protocol="http",
            deployments=_by_profile("gateway_port", gateway=True, changed=_limited),
            ask=_over_http,
            tuning="the same; each request has an API key with a rate and a budget",
            patience=_PATIENCE,
            packages=("fastapi", "uvicorn", *_PACKAGES),
        ),
        Contender(
            name="gateway-bare",
            title="gateway + Triton, without an audit log",
            protocol="http",
            deployments=_by_profile("gateway_port", gateway=False, changed=_bare),
            ask=_over_http,
            tuning="`python -m lab.bench.bare_gateway`: the same gateway without identity, limits "
            "and audit log, which no setting leaves out",
            patience=_PATIENCE,
            packages=("fastapi", "uvicorn", *_PACKAGES),
        ),
        Contender(
            name="gateway-grpc",
            title="gateway + Triton",
            protocol="grpc",
            deployments=_by_profile("gateway_grpc_port", gateway=True),
            ask=_over_grpc,
            tuning="the same service, asked over gRPC",
            patience=_PATIENCE,
            packages=("grpcio", *_PACKAGES),
        ),
        Contender(
            name="gateway-openvino",
            title="gateway + Triton, OpenVINO",
            protocol="http",
            deployments=(
                _deployment(
                    "gateway_port",
                    PIPELINE,
                    "openvino",
                    Decoding.EXACT,
                    ["heavy", "light"],
                    gateway=True,
                ),
            ),
            ask=_over_http,
            tuning="`python -m server --gateway` with the profile `openvino`: as before, with the "
            "same ONNX files compiled by OpenVINO, in FP32",
            patience=_PATIENCE,
            packages=("openvino", *_PACKAGES),
        ),
        Contender(
            name="gateway-torchscript",
            title="gateway + Triton, RegNetY as TorchScript",
            protocol="http",
            deployments=(
                _deployment(
                    "gateway_port",
                    PIPELINE,
                    DEFAULT_PROFILE,
                    Decoding.EXACT,
                    ["heavy", "light"],
                    gateway=True,
                ),
            ),
            ask=_as_torchscript,
            tuning="`python -m server --gateway` with the default profile: a process for each step "
            "and model",
            patience=_PATIENCE,
            packages=("torch", *_PACKAGES),
        ),
    ]


def _by_profile(
    port_name: str, *, gateway: bool, changed: Callable[[Launch], Launch] = _unchanged
) -> tuple[Deployment, ...]:
    """One service for each pipeline's profile, and all workloads that it answers."""
    answered: dict[tuple[str, str, Decoding], list[str]] = {}
    for name, workload in WORKLOADS.items():
        for decoding, profile in workload.profiles.items():
            answered.setdefault((workload.pipeline, profile, decoding), []).append(name)
    return tuple(
        _deployment(port_name, *served, names, gateway=gateway, changed=changed)
        for served, names in answered.items()
    )


def _deployment(
    port_name: str,
    pipeline: str,
    profile: str,
    decoding: Decoding,
    workloads: list[str],
    *,
    gateway: bool,
    changed: Callable[[Launch], Launch] = _unchanged,
) -> Deployment:
    """The launcher with its Triton on free ports.

    Args:
        port_name: the port that is asked, as `Ports` names it.
        pipeline: that it serves.
        profile: under which.
        decoding: that profile's.
        workloads: what it is asked.
        gateway: whether the launcher runs the gateway, too.
        changed: makes the launch another one.
    """

    def launch(place: Place) -> Launch:
        service = Service(
            [pipeline],
            place.repository,
            log=place.run / "service.log",
            profile=profile,
            run=place.run,
            gateway=gateway,
        )
        port: int = getattr(service.ports, port_name)
        return changed(Launch(service.argv, service.environment, port))

    return Deployment(tuple(workloads), launch, (decoding,))


def _over_grpc(workload: Workload) -> tuple[str, dict[str, str]]:
    return workload.pipeline, {Parameter.MEMBER.value: workload.alone} if workload.alone else {}


def _over_http(workload: Workload) -> tuple[str, dict[str, str]]:
    query = f"?{Parameter.MEMBER}={workload.alone}" if workload.alone else ""
    return f"/api/v1/pipelines/{workload.pipeline}/predict{query}", {}


def _as_torchscript(workload: Workload) -> tuple[str, dict[str, str]]:
    """The default profile serves RegNetY under another name."""
    alone = _TORCHSCRIPT.get(workload.alone or "", workload.alone)
    return _over_http(replace(workload, alone=alone))
