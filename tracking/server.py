"""A tracking server, and what it is told of one run.

MLflow's client lives in an environment of its own, because its pins differ from ours: it is run as
a process that reads the run as JSON. What is sent are figures, facts of releases, and artefacts;
never a photo, nor the name or digest of one.
"""

import json
import math
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".cache" / "mlflow" / "bin" / "python"
"""`make mlflow` makes it."""
_CLIENT = Path(__file__).with_name("mlflow_client.py")
_SECONDS = 1800
"""For hundreds of megabytes of artefacts."""
_LONGEST = 5000
"""Characters of a parameter's or a tag's value; MLflow takes 6000."""
_PASSED = {
    "HOME", "LANG", "PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
}  # fmt: skip
"""Variables that the client's process gets, beside those of MLflow: no secret of the service."""
_SET = {
    # It would tell its makers of each use.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}

MLFLOW_HELP = (
    "Also tells the MLflow tracking server at this URL (docs/tracking.md). What it cannot be told "
    "is said, and changes neither the result nor the exit status."
)


class TrackingError(Exception):
    """A run cannot be tracked; the text has the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What is told of one export, gate or evaluation.

    Attributes:
        pipeline: The experiment is `second-opinion-` and this name.
        name: Of the run, for people.
        parameters: Facts, by name.
        metrics: Finite numbers, by name; others are left out.
        tags: What runs are searched by.
        files: Files to keep, by their path in the run.
        texts: Likewise texts.
    """

    pipeline: str
    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As the client's process reads it."""
        return {
            "experiment": f"second-opinion-{self.pipeline}",
            "name": self.name,
            "parameters": _cut(self.parameters),
            "metrics": {
                _key(name): float(value)
                for name, value in self.metrics.items()
                if math.isfinite(value)
            },
            "tags": _cut(self.tags),
            "files": {path: str(file.resolve()) for path, file in self.files.items()},
            "texts": dict(self.texts),
        }


@dataclass(frozen=True)
class TrackingServer:
    """An MLflow tracking server, which is told by MLflow's own client."""

    url: str
    python: Path

    @classmethod
    def at(cls, url: str) -> Self:
        """A server by its URL; nothing is sent yet.

        Raises:
            TrackingError: it is no URL of a server, or MLflow's client is not there.
        """
        try:
            said = urlsplit(url)
            usable = said.scheme in {"http", "https"} and bool(said.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise TrackingError(
                "--mlflow: give the URL of a tracking server, as http://127.0.0.1:5000"
            )
        if said.username is not None or said.password is not None:
            raise TrackingError(
                "--mlflow: a user and a password do not belong into the URL: set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        if not PYTHON.is_file():
            raise TrackingError(
                "--mlflow: MLflow's client is not there: `make mlflow` gets it, into an "
                "environment of its own"
            )
        return cls(url, PYTHON)

    def tell(self, run: TrackedRun) -> str:
        """Sends a run, whole; returns its id on the server.

        Raises:
            TrackingError: the server does not answer, or refuses; what it has of the run by then
                is marked as failed there.
        """
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED or name.startswith("MLFLOW_")
        }
        try:
            done = subprocess.run(
                [self.python, "-I", _CLIENT, self.url],
                input=json.dumps(run.document()),
                env={**_SET, **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise TrackingError(f"the tracking server took over {_SECONDS} s") from None
        except OSError as error:
            raise TrackingError(
                f"MLflow's client cannot be run: {error.strerror}: remove .cache/mlflow, and get "
                "it again by `make mlflow`"
            ) from None
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise TrackingError(lines[-1] if lines else f"MLflow's client ended: {done.returncode}")
        return done.stdout.strip()


def figures(prefix: str, document: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a document of nested objects, by their path; lists and texts are left out."""
    found: dict[str, float] = {}
    for name, value in document.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, Mapping):
            found |= figures(path, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[path] = float(value)
    return found


def _cut(texts: Mapping[str, str]) -> dict[str, str]:
    return {_key(name): value[:_LONGEST] for name, value in texts.items()}


def _key(name: str) -> str:
    """With the characters that MLflow takes in names."""
    return "".join(each if each.isalnum() or each in "_-. /" else "_" for each in name)[:250]
