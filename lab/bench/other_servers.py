"""The other model servers' settings, as their documentation advises for this number of cores."""

import os
from collections.abc import Callable, Sequence

from lab.bench.contender import Contender, Deployment, Launch, Place
from lab.bench.environment import folder_of
from lab.bench.plan import VARIABLE
from lab.bench.second_opinion import second_opinion
from lab.bench.workload import WORKLOADS
from lab.paths import ROOT
from lab.service.ports import free_ports

_PACKAGES = ("onnxruntime", "pillow", "simplejpeg", "numpy")
_APP = "lab.bench.contenders.{name}.app"
_WORKERS = "a worker for each core, one thread each"


def other_servers() -> list[Contender]:
    """In the order of the tables."""
    return [
        _peer(
            "fastapi",
            "FastAPI + ONNX Runtime",
            "uvicorn, one worker; a plain `def` endpoint, in as many threads as cores, and one "
            "thread for the model in each; no batching; tried, slower: a worker for each core "
            "(connections are dealt out to them by chance)",
            packages=("fastapi", "uvicorn"),
        ),
        _peer(
            "fastapi_openvino",
            "FastAPI + OpenVINO",
            "as the one with ONNX Runtime; a compiled model for each thread, in FP32, of one image",
            packages=("fastapi", "uvicorn", "openvino"),
            workloads=("heavy", "light", "snakes", "polyps"),
        ),
        _peer(
            "litserve",
            "LitServe",
            f"{_WORKERS}, `fast_queue`; tried, without a clear gain: batches of 4, the default "
            "queue, a single HTTP process",
            packages=("litserve",),
        ),
        _peer(
            "bentoml",
            "BentoML",
            f"{_WORKERS}, adaptive batching up to 8; tried, without a clear gain: no batching, "
            "a coroutine as endpoint, no metrics",
            packages=("bentoml",),
            argv=("bentoml", "serve", f"{_APP}:Classifier"),
            environment=_at_home_in,
        ),
        _peer(
            "ray",
            "Ray Serve",
            "a replica for each core, one thread each, behind HAProxy and with "
            "`RAY_SERVE_THROUGHPUT_OPTIMIZED` (about 40 % less CPU time than the defaults); tried, "
            "without a clear gain: `serve.batch` up to 8, 5 requests in a replica",
            packages=("ray",),
            environment=_high_throughput,
        ),
        _peer(
            "mlserver",
            "MLServer",
            f"a custom runtime over gRPC, {_WORKERS}; tried, without a clear gain: adaptive "
            "batching up to 8, one parallel worker, none",
            packages=("mlserver",),
            model="classifier",
            workloads=("heavy", "light", "int8", "snakes", "polyps"),
        ),
    ]


def _peer(
    name: str,
    title: str,
    tuning: str,
    *,
    packages: tuple[str, ...],
    argv: tuple[str, ...] = ("python", "-m", _APP),
    model: str | None = None,
    workloads: Sequence[str] = tuple(WORKLOADS),
    environment: Callable[[Place], dict[str, str]] = lambda _: {},
) -> Contender:
    """A server in its own environment, started once for each workload.

    Args:
        name: of its folder in contenders/.
        title: for the tables.
        tuning: for the report.
        packages: whose versions the report names.
        argv: a program of its environment, and arguments.
        model: over gRPC, the model's name; None: it is asked over HTTP.
        workloads: that it can serve.
        environment: variables of its own.
    """

    def launch(place: Place) -> Launch:
        port, second = free_ports(2)
        program, *arguments = (word.format(name=name) for word in argv)
        binaries = folder_of(name) / "bin"
        return Launch(
            argv=(str(binaries / program), *arguments),
            environment={
                VARIABLE: str(place.plan),
                "PORT": str(port),
                "SECOND_PORT": str(second),
                "PYTHONPATH": str(ROOT),
                "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
                **environment(place),
            },
            port=port,
        )

    return Contender(
        name=name,
        title=title,
        protocol="grpc" if model else "http",
        deployments=tuple(Deployment((workload,), launch) for workload in workloads),
        ask=lambda _: (model or "/predict", {}),
        tuning=tuning,
        packages=(*packages, *_PACKAGES),
        environment=name,
        peer=True,
    )


def _at_home_in(place: Place) -> dict[str, str]:
    """BentoML's store, else in the user's home; and no reports of its use."""
    return {"BENTOML_HOME": str(place.temporary), "BENTOML_DO_NOT_TRACK": "True"}


def _high_throughput(place: Place) -> dict[str, str]:
    """What Ray's guide to high throughput advises; HAProxy's files and ports have fixed defaults.

    https://docs.ray.io/en/latest/cluster/kubernetes/user-guides/kuberay-serve-high-throughput.html
    """
    statistics, metrics = free_ports(2)
    folder = place.temporary / "haproxy"
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
    }


def all_contenders() -> dict[str, Contender]:
    """All contenders, by name, in the order of the tables."""
    return {contender.name: contender for contender in [*second_opinion(), *other_servers()]}
