import re
import socket
import threading

import pytest
import secondopinion
from secondopinion import (
    AnswerTimeoutError,
    BusyError,
    Client,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ProblemError,
    RefusedError,
    Retries,
    SecondOpinionError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    _errors,
)

from client.tests.service import Response, problem

GOOD = b"cancer 0.95"
TOKEN = ".".join("abc")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed_body", RefusedError),
        (401, "unauthorized", UnauthorizedError),
        (403, "forbidden", ForbiddenError),
        (404, "pipeline_unknown", NotFoundError),
        (413, "image_too_large", RefusedError),
        (415, "image_format", RefusedError),
        (422, "image_undecodable", RefusedError),
        (500, "model_output", ProblemError),
        (504, "deadline", DeadlineError),
    ],
)
def test_a_problem_is_raised_at_once_as_its_own_type(ask, service, status, code, kind):
    service.replies.append(problem(status, code, "file: say what to do."))
    with pytest.raises(kind) as caught:
        ask("predict", GOOD)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "5f0c")
    assert error.detail == "file: say what to do."
    assert "file: say what to do." in str(error)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(409, BusyError), (429, BusyError), (503, UnavailableError)]
)
def test_a_service_that_stays_busy_or_down_is_raised_after_the_last_attempt(
    ask, service, status, kind
):
    service.replies.extend(problem(status, "x", Retry_After="0") for _ in range(9))
    with pytest.raises(kind) as caught:
        ask("predict", GOOD)
    assert caught.value.retry_after == 0
    assert len(service.asked) == 4


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "", "[1]", '{"detail": "no"}'])
def test_a_proxys_error_page_is_a_problem_without_a_code(ask, service, body):
    headers = {"X-Request-ID": "from-header"}
    service.replies.append(Response(body, 502, headers, media_type="text/html"))
    with pytest.raises(ProblemError) as caught:
        ask("predict", GOOD)
    error = caught.value
    assert (error.status, error.code, error.request_id) == (502, None, "from-header")
    assert "Bad Gateway" in error.detail
    assert "proxy" in error.detail


def test_a_page_instead_of_an_answer_is_unexpected(ask, service):
    service.replies.append(Response("<html>Welcome</html>", media_type="text/html"))
    with pytest.raises(UnexpectedAnswerError, match="text/html"):
        ask("predict", GOOD)


def test_a_redirect_is_not_followed_with_the_photo(ask, service):
    service.replies.append(Response(status_code=307, headers={"Location": service.url}))
    with pytest.raises(ProblemError) as caught:
        ask("predict", GOOD)
    assert caught.value.status == 307
    assert len(service.asked) == 1


def test_a_slow_answer_is_a_timeout_and_is_not_asked_again(ask, service):
    with pytest.raises(AnswerTimeoutError, match="in time"):
        ask("predict", b"slow 0.6", options={"timeout": 0.15})
    assert len(service.asked) == 1


def test_a_refused_connection_names_the_url(ask, closed_url):
    with pytest.raises(UnreachableError, match=re.escape(closed_url)) as caught:
        ask("predict", GOOD, options={"url": closed_url})
    assert caught.value.url == closed_url


def test_a_request_for_a_picture_is_not_sent_again_when_its_connection_breaks(ask):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        accepted = []

        def hang_up():
            connection, _ = listener.accept()
            accepted.append(connection)
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransportError) as caught:
            ask("detect", GOOD, visualization=True, options={"url": url})
        thread.join()
    assert type(caught.value) is TransportError
    assert len(accepted) == 1


def test_the_key_comes_from_the_argument_else_from_the_environment(ask, service, monkeypatch):
    monkeypatch.setenv("SECONDOPINION_API_KEY", "from-environment")
    ask("predict", GOOD)
    ask("predict", GOOD, options={"api_key": "from-argument"})
    keys = [seen.headers["x-api-key"] for seen in service.asked]
    assert keys == ["from-environment", "from-argument"]


def test_the_url_comes_from_the_environment_and_may_have_a_path(ask, service, monkeypatch):
    monkeypatch.setenv("SECONDOPINION_URL", f"{service.url}/below")
    with pytest.raises(NotFoundError):
        ask("predict", GOOD, options={"url": None})
    assert service.seen[0].path == "/below/api/v1/predict"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(ask, closed_url, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", closed_url)
    assert ask("predict", GOOD).prediction == "cancer"


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://host", "http://", "http://host:port", "nonsense"]
)
def test_a_malformed_url_is_refused_at_once(url):
    with pytest.raises(ValueError, match="URL"):
        Client(url)


def test_a_key_that_no_header_can_carry_is_refused_without_quoting_it():
    with pytest.raises(ValueError, match="API key") as caught:
        Client(api_key="s3cret\n")
    assert "s3cret" not in str(caught.value)


def sent(client):
    return {name: client._http.headers.get(name) for name in ("X-API-Key", "Authorization")}


def test_a_token_goes_along_as_a_bearer_and_what_is_given_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("SECONDOPINION_API_KEY", "environment's")
    assert sent(Client()) == {"X-API-Key": "environment's", "Authorization": None}
    assert sent(Client(token=TOKEN)) == {"X-API-Key": None, "Authorization": f"Bearer {TOKEN}"}
    monkeypatch.delenv("SECONDOPINION_API_KEY")
    monkeypatch.setenv("SECONDOPINION_TOKEN", "d.e.f")
    assert sent(Client())["Authorization"] == "Bearer d.e.f"
    assert sent(Client(api_key="given")) == {"X-API-Key": "given", "Authorization": None}
    with pytest.raises(ValueError, match="give one of them"):
        Client(api_key="given", token=TOKEN)
    with pytest.raises(ValueError, match="token has characters") as caught:
        Client(token=f"{TOKEN}\n")
    assert TOKEN not in str(caught.value)


def test_retries_need_at_least_one_attempt():
    with pytest.raises(ValueError, match="attempts"):
        Retries(attempts=0)


def test_the_drawn_tree_is_the_tree_of_exceptions():
    def lines(kind, depth=0):
        yield depth, kind.__name__
        for child in kind.__subclasses__():
            yield from lines(child, depth + 1)

    drawn = [
        (len(match[1]) // 4, match[2])
        for match in re.finditer(r"^([│├└─ ]*)(\w+Error)\b", _errors.__doc__, re.MULTILINE)
    ]
    assert drawn == list(lines(SecondOpinionError))


def test_all_public_names_are_listed_and_exist():
    listed = secondopinion.__all__
    assert listed == sorted(listed)
    found = {name for name, value in vars(secondopinion).items() if not name.startswith("_")}
    modules = {name for name in found if type(vars(secondopinion)[name]).__name__ == "module"}
    assert set(listed) - {"__version__"} == found - modules
