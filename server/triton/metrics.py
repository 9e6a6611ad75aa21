"""Reads Triton's metrics: waiting and answered requests of each model."""

import http.client
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from server.errors import UnhealthyError

_WAITING = "nv_inference_pending_request_count"
_INFERENCES = "nv_inference_count"
_TIMEOUT_SECONDS = 3


def read(host: str, port: int) -> tuple[Counter[str], Counter[str]]:
    """Requests waiting, and inferences done, by model.

    Raises:
        UnhealthyError: Triton does not answer.
    """
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"tritonserver's metrics do not answer: {error}") from None
    finally:
        connection.close()
    waiting: Counter[str] = Counter()
    inferences: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == _WAITING:
                waiting[sample.labels["model"]] += int(sample.value)
            elif sample.name.removesuffix("_total") == _INFERENCES:
                inferences[sample.labels["model"]] += int(sample.value)
    return waiting, inferences
