"""Hands figures of a command that ends to Prometheus: by a file, or by a Pushgateway."""

import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipelines.atomic_write import write_text

METRICS_HELP = (
    "Where the figures go: a file for node_exporter's textfile collector, or the URL of a "
    "Pushgateway."
)
_SECONDS = 30.0


class ExpositionError(Exception):
    """The figures could not be handed over; the text names where to and why."""


def publish(text: str, where: str, *, job: str, pipeline: str) -> None:
    """Replaces what the job said of the pipeline before.

    Args:
        text: In Prometheus's text format.
        where: A file, or the URL of a Pushgateway.
        job: Of which the figures are, on a Pushgateway.
        pipeline: Likewise.

    Raises:
        ExpositionError: The file cannot be written, or the Pushgateway does not take it.
    """
    if not where.startswith(("http://", "https://")):
        try:
            write_text(Path(where), text)
        except OSError as error:
            raise ExpositionError(f"{where}: {error.strerror}") from None
        return
    said = urlsplit(where)
    user, _, address = said.netloc.rpartition("@")
    group = f"metrics/job/{quote(job, safe='')}/pipeline/{quote(pipeline)}"
    url = f"{said.scheme}://{address}{said.path.rstrip('/')}/{group}"
    headers = {"Content-Type": "text/plain; version=0.0.4"}
    if user:
        headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
    host = said.hostname
    try:
        request = urllib.request.Request(url, text.encode(), headers, method="PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - http and https
            pass
    except urllib.error.HTTPError as error:
        # It is the answer, and holds its connection.
        error.close()
        raise ExpositionError(
            f"the Pushgateway at {host} refuses the figures: {error.code} {error.reason}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ExpositionError(f"the Pushgateway at {host} cannot be reached: {reason}") from None
