"""A server in the comparison: how it is started, and how requests are sent to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.bench.workload import Workload
from pipelines.enums import Decoding


@dataclass(frozen=True)
class Launch:
    """A command that serves, and where it listens."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    """That a caller sends, over HTTP."""


@dataclass(frozen=True)
class Place:
    """What a deployment is started with."""

    plan: Path
    """The plan of its first workload."""
    repository: Path
    run: Path
    """A folder of its own, for what should be looked at afterwards."""
    temporary: Path
    """Another one, which is removed with the session; its path is short enough for sockets."""


@dataclass(frozen=True)
class Deployment:
    """One way of starting a contender, and the workloads that it then answers."""

    workloads: tuple[str, ...]
    launch: Callable[[Place], Launch]
    decodings: tuple[Decoding, ...] = tuple(Decoding)


@dataclass(frozen=True)
class Contender:
    """A server in the comparison."""

    name: str
    title: str
    protocol: Literal["http", "grpc"]
    deployments: tuple[Deployment, ...]
    ask: Callable[[Workload], tuple[str, dict[str, str]]]
    """The path of the URL, or over gRPC the model's name and parameters."""
    tuning: str
    """How it is set up here, for the report."""
    packages: tuple[str, ...] = ()
    """Whose versions the report names."""
    environment: str | None = None
    """Name of its virtual environment; None: the project's."""
    patience: Mapping[str, str] = field(default_factory=dict)
    """Headers, or metadata of gRPC, by which a batch asks for more time than people at a screen."""
    peer: bool = False
    """Whether it is another server than this project's."""
