import re
from pathlib import Path

import pytest

from gateway.errors import Code, RefusedError, problem, status_of
from gateway.triton.triton_errors import NotServingError, translate
from pipelines.protocol import Refusal, refusal

SHM_FULL = (
    "in ensemble 'p', Failed to increase the shared memory pool size for key 'r' to 9 bytes. If "
    "you are running Triton inside docker, use '--shm-size' flag to control the shared memory "
    "region size. Error: No space left on device"
)
API = Path(__file__).parents[3] / "docs" / "api.md"


def test_each_code_has_the_status_that_the_documentation_says():
    documented = {}
    for line in API.read_text("utf-8").splitlines():
        if row := re.fullmatch(r"\| (`.*) \| (\d{3}) \|", line):
            cell = re.sub(r"\(.*?\)", "", row[1])
            documented |= dict.fromkeys(re.findall(r"`(\w+)`", cell), int(row[2]))
    assert documented == {str(code): status_of(code) for code in Code}


def test_a_problem_document_names_type_title_status_code_and_detail():
    assert problem(Code.IMAGE_EMPTY, "file: empty. Send it.") == {
        "type": "urn:second-opinion:problem:image_empty",
        "title": "The image is empty",
        "status": 422,
        "code": "image_empty",
        "detail": "file: empty. Send it.",
    }


@pytest.mark.parametrize("code", Refusal)
def test_each_refusal_of_a_backend_keeps_its_code_and_text(code):
    wrapped = f"in ensemble 'p', [request id: <id_unknown>] {refusal(code, 'Do this.')}\n\nAt: x"
    answer = translate("INVALID_ARGUMENT", wrapped)
    assert (answer.code, answer.detail) == (Code(code), "Do this.")


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        ("UNAVAILABLE", "in ensemble 'p', [request id: 1] Exceeds maximum queue size", Code.BUSY),
        ("UNAVAILABLE", "[request id: <id_unknown>] exceeds maximum queue size", Code.BUSY),
        ("UNAVAILABLE", "in ensemble 'p', Request timeout expired", Code.DEADLINE),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Code.DEADLINE),
        ("UNAVAILABLE", "failed to connect to all addresses", Code.UNAVAILABLE),
        ("UNAVAILABLE", "Socket closed", Code.UNAVAILABLE),
        ("UNAVAILABLE", "Request for unknown model: 'p' is not ready", Code.UNAVAILABLE),
        ("UNAVAILABLE", "", Code.UNAVAILABLE),
        ("NOT_FOUND", "Request for unknown model: 'p' is not found", Code.UNAVAILABLE),
        ("INTERNAL", "in ensemble 'p', Stub process 'p_0_0' is not healthy.", Code.UNAVAILABLE),
        ("INTERNAL", SHM_FULL, Code.UNAVAILABLE),
        ("UNKNOWN", "Stream removed (Socket closed)", Code.UNAVAILABLE),
        ("INTERNAL", "Received RST_STREAM with error code 2", Code.UNAVAILABLE),
        ("CANCELLED", "cancelled by the server", Code.UNAVAILABLE),
        ("INTERNAL", "in ensemble 'p', ValueError: secret", Code.INTERNAL),
        ("INVALID_ARGUMENT", "unexpected shape for input 'image'", Code.INTERNAL),
        ("UNKNOWN", "anything", Code.INTERNAL),
    ],
)
def test_each_message_of_triton_has_one_meaning(status, message, code):
    answer = translate(status, message)
    assert answer.code is code
    assert "secret" not in answer.detail


@pytest.mark.parametrize(
    ("status", "message", "nothing_computed"),
    [
        ("NOT_FOUND", "Request for unknown model: 'p' is not found", True),
        ("NOT_FOUND", "Request for unknown model: 'p' has no available versions", True),
        ("UNAVAILABLE", "Request for unknown model: 'p' is not ready", True),
        ("UNAVAILABLE", "failed to connect to all addresses", True),
        ("UNAVAILABLE", "connections to all backends failing; last error: recvmsg", True),
        ("UNAVAILABLE", "Socket closed", False),
        ("UNAVAILABLE", "GOAWAY received", False),
        ("UNKNOWN", "Stream removed (Socket closed)", False),
        ("INTERNAL", "in ensemble 'p', Stub process 'p_0_0' is not healthy.", False),
        ("UNAVAILABLE", "in ensemble 'p', Exceeds maximum queue size", False),
    ],
)
def test_only_a_triton_that_has_computed_nothing_is_known_as_such(
    status, message, nothing_computed
):
    assert isinstance(translate(status, message), NotServingError) is nothing_computed


def test_a_refusal_says_code_and_detail_in_its_text():
    assert str(RefusedError(Code.BUSY, "wait")) == "busy: wait"
