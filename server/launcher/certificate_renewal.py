"""Says when tritonserver must be started again, as it reads its certificate only at its start."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from pipelines.certificates import MutualTls, TlsError
from pipelines.tls import TritonTls

_LOOK_SECONDS = 2.0
_LONGEST_SECONDS = 6 * 3600.0


class CertificateRenewal:
    """Looks at the TLS files, and chooses a moment after they have changed.

    Several Tritons get their new files in the same minute. Each chooses its moment at random,
    within six hours or half of what is left of the certificate that it shows, so that they do not
    all start again together.
    """

    def __init__(
        self,
        settings: TritonTls,
        shown: Callable[[], MutualTls | None],
        say: Callable[[str], None],
    ) -> None:
        """Begins to look.

        Args:
            settings: name the files, or none.
            shown: what the running tritonserver has read.
            say: told what is worth a line.
        """
        self._settings, self._shown, self._say = settings, shown, say
        self._next_look = 0.0
        self._moment: float | None = None
        self._usable = False
        """Whether the files are other ones than those shown, and can be shown."""
        self._problem = self._told = ""

    def due(self) -> bool:
        """Whether it is time to start tritonserver again."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look(now)
        return self._usable and self._moment is not None and now >= self._moment

    def _look(self, now: float) -> None:
        shown, problem = self._shown(), ""
        try:
            renewed = MutualTls.load(self._settings)
        except TlsError as error:
            renewed, problem = None, str(error)
        # At the second look: a pair may be in the middle of being replaced.
        if problem and problem == self._problem != self._told:
            self._told = problem
            self._say(f"triton: {problem}; its certificate stays as it was")
        self._problem = problem
        if not problem:
            self._told = ""
        self._usable = renewed not in {None, shown} and not _ended(renewed)
        if renewed is not None and renewed == shown:
            # Also where tritonserver was started again for another reason.
            self._moment = None
        elif self._usable and shown is not None and self._moment is None:
            seconds = random.uniform(0, _spread(shown))  # noqa: S311 - no secret
            self._moment = now + seconds
            self._say(f"triton: its TLS files were renewed; it is started again in {seconds:.0f} s")


def _ended(tls: MutualTls | None) -> bool:
    return tls is not None and tls.validity.ends < datetime.now(UTC)


def _spread(shown: MutualTls) -> float:
    left = (shown.validity.ends - datetime.now(UTC)).total_seconds()
    return max(0.0, min(_LONGEST_SECONDS, left / 2))
