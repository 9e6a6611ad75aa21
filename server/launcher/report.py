"""The launcher's console output: plain lines on stderr, and a spinner on a terminal."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console

from server.releases.verified import VerifiedRelease

_RULE = "-" * min(78, shutil.get_terminal_size().columns)


class Report:
    """Lines of the form `TIME PART: MESSAGE`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """Prints one event."""
        self._console.print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {message}")

    @contextmanager
    def busy(self, message: str) -> Iterator[None]:
        """Shows that something takes a while."""
        if self._console.is_terminal:
            with self._console.status(message):
                yield
        else:
            self.say(message)
            yield

    def banner(
        self,
        releases: Sequence[VerifiedRelease],
        refused: Sequence[str],
        addresses: Sequence[str],
        reasons: Mapping[str, str],
    ) -> None:
        """Prints what is served and where, what is not, and a warning of demo weights.

        Args:
            releases: that are served.
            refused: the pipelines that are not, and why.
            addresses: where.
            reasons: why a pipeline has its profile, by its name.
        """
        lines = [_RULE, f"Second Opinion is serving {len(releases)} pipeline(s)"]
        for release in releases:
            members = ", ".join(
                f"{name} v{member.version} ({member.weights})"
                for name, member in release.release.members.items()
            )
            spec = release.spec
            lines.append(
                f"  {spec.name}  profile {spec.profile}  release {release.identity}  {members}"
            )
            if reason := reasons.get(spec.name):
                lines.append(f"    {spec.profile}: {reason}")
        lines += [f"  {address}" for address in addresses]
        lines += [f"NOT SERVED  {problem}" for problem in refused]
        if any(release.demo for release in releases):
            lines.append("DEMO WEIGHTS: answers mean nothing clinically")
        lines += ["This is not a medical device.", _RULE]
        for line in lines:
            self._console.print(line)
