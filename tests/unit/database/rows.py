"""Rows of the audit log, as a gateway writes them."""

import uuid_utils

from database.clock import now


def row(**values):
    return {
        "id": str(uuid_utils.uuid7()),
        "at": now(),
        "event": "prediction",
        "principal_id": "ward",
        "principal_kind": "key",
        "credential": "k1",
        "tenant": "ward",
        "request_id": "r1",
        "transport": "http",
        "route": "predict",
        "pipeline": "oral_cancer",
        "release": "2024.1-abcdef",
        "release_sha256": "a" * 64,
        "input_digest": "b" * 64,
        "input_bytes": 1000,
        "input_format": "jpeg",
        "parameters": "{}",
        "result": '{"prediction":"cancer"}',
        "refusal": None,
        "stages": '{"infer":0.25}',
        "compute": None,
        "compute_seconds": 0.125,
        "kept": False,
        **values,
    }
