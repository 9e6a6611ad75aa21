"""`python -m lab.bench.bare_gateway SERVER...`: the gateway without an audit log, for the bench.

No setting of the gateway does this. The given command serves Triton alone beside it. Digests, rows
and commits are left out; so are limits, as on loopback nobody has any.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from database.chain import Receipt
from gateway import app
from gateway.audit.audit_log import AuditLog, Finish
from gateway.commands.serve import serve
from gateway.telemetry.recorder import Outcome, RequestContext

_NOWHERE = Receipt("none", 1, "0" * 64)
_STOP_SECONDS = 30.0


class Unaccounted(AuditLog):
    """Answers for which there is no row."""

    async def account(
        self, context: RequestContext, outcomes: Sequence[Outcome], finish: Finish | None = None
    ) -> list[Outcome]:
        """The outcomes, with a receipt of no row. The bench sends no idempotency keys."""
        assert finish is None  # noqa: S101
        context.accounted = True
        return [replace(outcome, receipt=_NOWHERE) for outcome in outcomes]

    def refused(self, context: RequestContext) -> None:
        """Writes nothing."""


def main(server: Sequence[str]) -> None:
    """Serves until it is told to stop, and stops what serves Triton then."""
    process = subprocess.Popen(server)
    try:
        vars(app)["AuditLog"] = Unaccounted
        serve()
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
