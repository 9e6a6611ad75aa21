"""Runs Podman and Buildah with their own storage, apart from the machine's other images."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.images.tools import Ended, ran, require, succeed

# As a cluster would run it.
_LOCKED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"),  # noqa: S108 - the container's own
    *("--security-opt", "no-new-privileges", "--network", "host"),
    # What Podman asks for by default is more than a machine may have to give.
    *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
    # Podman leaves its timer to systemd; who wants to know runs the image's command.
    "--no-healthcheck",
)
_BUILD_SECONDS = 1800


class Podman:
    """Images and containers under one folder."""

    def __init__(self, folder: Path) -> None:
        """Keeps layers and temporary files in `folder`.

        Raises:
            LabError: a program is not installed.
        """
        runtime = "crun" if shutil.which("crun") else "runc"
        require(["podman", runtime])
        temporary = folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self._environment = {"TMPDIR": str(temporary)}
        # Not in `folder`: its sockets need a short path.
        mark = sha256(f"{os.getuid()} {folder}".encode()).hexdigest()[:12]
        running = Path(tempfile.gettempdir(), f"images-{mark}")
        self._places = ("--root", str(folder / "storage"), "--runroot", str(running))
        self._podman = ("podman", *self._places, "--runtime", runtime)

    def tell(self, *words: str | Path) -> str:
        """Runs a Podman command and gives what it printed.

        Raises:
            LabError: it failed.
        """
        return succeed([*self._podman, *words], environment=self._environment)

    def has(self, image: str) -> bool:
        """Whether an image is in the storage."""
        return ran([*self._podman, "image", "exists", image]).code == 0

    def facts(self, image: str) -> dict[str, Any]:
        """What the image says of itself: `Size` (bytes, unpacked), `User`, `Config` and so on."""
        found: list[dict[str, Any]] = json.loads(self.tell("image", "inspect", image))
        return found[0]

    def build(self, dockerfile: Path, tag: str, options: Sequence[str], context: Path) -> None:
        """Builds an image without a daemon.

        Raises:
            LabError: a step failed; the text has the end of its output.
        """
        require(["buildah"])
        words = ["--format", "docker", "--isolation", "chroot", "--network", "host", "--layers"]
        build = ["buildah", *self._places, "build", *words, *options]
        succeed(
            [*build, "--file", dockerfile, "--tag", tag, context],
            seconds=_BUILD_SECONDS,
            environment=self._environment,
        )

    def once(self, image: str, *command: str, options: Sequence[str] = ()) -> Ended:
        """Runs an image to its end, locked down."""
        words = [*self._podman, "run", "--rm", *_LOCKED, *options, image, *command]
        return ran(words, seconds=60, environment=self._environment)

    @contextmanager
    def running(self, image: str, options: Sequence[str]) -> Iterator["Container"]:
        """Runs an image in the background, locked down, and removes its container at the end."""
        identity = self.tell("run", "--detach", *_LOCKED, *options, image).split()[-1]
        try:
            yield Container(self, image, identity)
        finally:
            self.tell("rm", "--force", "--time", "0", identity)


@dataclass(frozen=True)
class Container:
    """One that was started."""

    podman: Podman
    image: str
    identity: str

    def state(self) -> dict[str, Any]:
        """`Running`, `Pid`, `ExitCode` and so on, as they are now."""
        found = json.loads(self.podman.tell("container", "inspect", self.identity))
        state: dict[str, Any] = found[0]["State"]
        return state

    def log(self) -> str:
        """What it printed so far."""
        return self.podman.tell("logs", self.identity)

    def execute(self, *command: str) -> str:
        """Runs a command within it.

        Raises:
            LabError: the command failed.
        """
        return self.podman.tell("exec", self.identity, *command)

    def terminate(self) -> None:
        """Sends SIGTERM to its first process, and does not wait."""
        self.podman.tell("kill", "--signal", "TERM", self.identity)

    def wait(self, seconds: float) -> int:
        """Waits for its end and gives its exit code.

        Raises:
            LabError: it still runs after `seconds`.
        """
        give_up = time.monotonic() + seconds
        while (state := self.state())["Running"]:
            if time.monotonic() > give_up:
                raise LabError(f"the container still runs after {seconds:.0f} s")
            time.sleep(0.1)
        return int(state["ExitCode"])
