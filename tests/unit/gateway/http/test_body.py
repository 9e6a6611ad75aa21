import base64
import json

import pytest
from starlette.requests import Request

from gateway.errors import CallerGoneError, Code, RefusedError
from gateway.http.body import Body
from tests.unit.gateway.samples import JPEG, form

pytestmark = pytest.mark.anyio

LIMIT = 1000
BASE64 = base64.b64encode(JPEG).decode()


def request_of(content_type, body, *, piece=7, length=None, more=(), hang_up=False):
    """A request whose body comes in small pieces."""
    headers = [(b"content-type", content_type.encode())] if content_type else []
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in pieces]
    ended = {"type": "http.request", "body": b"", "more_body": False}
    messages.append({"type": "http.disconnect"} if hang_up else ended)

    async def receive():
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [*headers, *more], "path": "/"}
    return Request(scope, receive)


async def one(*args, **options):
    return await Body.of_one(request_of(*args, **options), LIMIT).image()


async def many(*args, count=3, limit=10_000, **options):
    return await Body.of_many(request_of(*args, **options), LIMIT, limit).images(count)


async def refusal_of(reading):
    with pytest.raises(RefusedError) as caught:
        await reading
    return caught.value


@pytest.mark.parametrize(
    ("content_type", "body", "where"),
    [
        (*form(("file", "a.jpg", JPEG)), "file"),
        (*form(("file", None, JPEG)), "file"),
        ("image/jpeg", JPEG, "body"),
        ("IMAGE/x-anything; q=1", JPEG, "body"),
        ("application/octet-stream", JPEG, "body"),
        ("application/json", json.dumps({"image": BASE64}).encode(), "image"),
        (
            "application/json; charset=utf-8",
            json.dumps({"image": "data:image/jpeg;base64," + BASE64}).encode(),
            "image",
        ),
        (
            "application/json",
            json.dumps({"image": BASE64[:8] + "\n" + BASE64[8:]}).encode(),
            "image",
        ),
    ],
)
async def test_an_image_is_read_from_each_kind_of_body(content_type, body, where):
    image = await one(content_type, body)
    assert (image.data, image.where) == (JPEG, where)


@pytest.mark.parametrize("size", [1, 2, 3, 50, 10_000])
async def test_a_form_may_be_cut_anywhere_on_its_way(size):
    data = b"\r\n--edg\r\n--ed\r" + JPEG + b"\r\n"
    image = await one(*form(("file", "a.jpg", data)), piece=size)
    assert image.data == data


async def test_a_filename_comes_back_as_it_was_sent():
    images = await many(*form(("files", "Müller 1.jpg", JPEG), ("files", None, JPEG)))
    assert [image.filename for image in images] == ["Müller 1.jpg", None]
    assert [image.where for image in images] == ["files[0]", "files[1]"]


@pytest.mark.parametrize(
    ("content_type", "body", "code", "words"),
    [
        ("", b"", Code.FIELD_MISSING, "nothing was sent"),
        ("text/plain", JPEG, Code.CONTENT_TYPE_UNSUPPORTED, "Content-Type"),
        ("application/x-www-form-urlencoded", JPEG, Code.CONTENT_TYPE_UNSUPPORTED, "Content-Type"),
        ("multipart/form-data", JPEG, Code.MALFORMED_BODY, "boundary"),
        ("multipart/form-data; boundary=" + "x" * 300, JPEG, Code.MALFORMED_BODY, "boundary"),
        ("multipart/form-data; boundary=x", b"garbage", Code.MALFORMED_BODY, "multipart"),
        ("multipart/form-data; boundary=x", b"", Code.MALFORMED_BODY, "ends before"),
        (*form(), Code.FIELD_MISSING, "file"),
        (
            form(("file", "a", JPEG))[0],
            form(("file", "a", JPEG))[1][:-12],
            Code.MALFORMED_BODY,
            "ends",
        ),
        (*form(("image", "a.jpg", JPEG)), Code.FIELD_MISSING, "file"),
        (*form(("file", "a", JPEG), ("file", "b", JPEG)), Code.TOO_MANY_FILES, "file"),
        (*form(("file", "a", JPEG), ("threshold", None, b"0.3")), Code.PARAMETER_UNKNOWN, "query"),
        (*form(*[("x", None, b"")] * 65), Code.MALFORMED_BODY, "too many"),
        (*form(("file", "a.jpg", bytes(LIMIT + 1))), Code.BODY_TOO_LARGE, "file"),
        ("image/jpeg", bytes(LIMIT + 1), Code.BODY_TOO_LARGE, "body"),
        ("application/json", b"", Code.MALFORMED_BODY, "JSON"),
        ("application/json", b"{", Code.MALFORMED_BODY, "JSON"),
        ("application/json", b"\xff\xfe", Code.MALFORMED_BODY, "JSON"),
        ("application/json", b"[]", Code.MALFORMED_BODY, "body"),
        ("application/json", b"{}", Code.FIELD_MISSING, "image"),
        ("application/json", b'{"image": 5}', Code.MALFORMED_BODY, "image"),
        ("application/json", b'{"image": "a"}', Code.MALFORMED_BODY, "base64"),
        ("application/json", b'{"image": "%%%%"}', Code.MALFORMED_BODY, "base64"),
        ("application/json", '{"image": "üü=="}'.encode(), Code.MALFORMED_BODY, "base64"),
        ("application/json", b'{"image": "", "threshold": 1}', Code.PARAMETER_UNKNOWN, "query"),
        (
            "application/json",
            json.dumps({"image": base64.b64encode(bytes(LIMIT + 1)).decode()}).encode(),
            Code.BODY_TOO_LARGE,
            "image",
        ),
    ],
)
async def test_a_bad_body_is_refused_with_its_code(content_type, body, code, words):
    refusal = await refusal_of(one(content_type, body))
    assert refusal.code is code
    assert words in refusal.detail


async def test_a_body_of_no_type_is_not_guessed():
    refusal = await refusal_of(one("", JPEG, length=len(JPEG)))
    assert refusal.code is Code.CONTENT_TYPE_UNSUPPORTED


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("image/jpeg", JPEG, Code.CONTENT_TYPE_UNSUPPORTED),
        (*form(("file", "a.jpg", JPEG)), Code.FIELD_MISSING),
        (*form(*[("files", "a", JPEG)] * 4), Code.TOO_MANY_FILES),
        ("application/json", b'{"images": []}', Code.FIELD_MISSING),
        ("application/json", b'{"images": [{}]}', Code.FIELD_MISSING),
        (
            "application/json",
            json.dumps({"images": [{"image": ""}] * 4}).encode(),
            Code.TOO_MANY_FILES,
        ),
        ("application/json", b'{"images": [{"image": "", "patient": 1}]}', Code.PARAMETER_UNKNOWN),
        ("image/jpeg", bytes(10_001), Code.CONTENT_TYPE_UNSUPPORTED),
        (*form(("files", "a", bytes(10_001))), Code.BODY_TOO_LARGE),
    ],
)
async def test_a_bad_batch_is_refused_as_a_whole(content_type, body, code):
    assert (await refusal_of(many(content_type, body))).code is code


async def test_a_bad_image_of_a_batch_has_its_refusal_in_its_place():
    parts = [("files", "a", JPEG), ("files", "b", bytes(LIMIT + 1)), ("files", "c", b"")]
    images = await many(*form(*parts))
    assert [image.refusal and image.refusal.code for image in images] == [
        None,
        Code.BODY_TOO_LARGE,
        None,
    ]
    body = json.dumps({"images": [{"image": "!"}, {"image": BASE64, "filename": "x"}]}).encode()
    images = await many("application/json", body)
    assert [image.refusal and image.refusal.code for image in images] == [Code.MALFORMED_BODY, None]
    assert images[0].refusal.detail.startswith("images[0].image: ")
    assert images[1].filename == "x"


async def test_a_declared_size_beyond_the_limit_is_refused_unread():
    request = request_of("image/jpeg", b"", length=LIMIT + 1)
    with pytest.raises(RefusedError) as caught:
        Body.of_one(request, LIMIT)
    assert caught.value.code is Code.BODY_TOO_LARGE


async def test_the_bytes_of_a_body_are_counted_as_they_come():
    assert Body.of_one(request_of("image/jpeg", b"", length=10), LIMIT).size == 10
    body = Body.of_one(request_of("image/jpeg", JPEG, piece=10), LIMIT)
    assert body.size == 0
    came = []
    assert (await body.image(came.append)).data == JPEG
    assert len(came) > 5
    assert sum(came) == len(JPEG)


@pytest.mark.parametrize("content_type", [form()[0], "image/jpeg", "application/json"])
async def test_a_caller_who_hangs_up_midway_is_noticed(content_type):
    with pytest.raises(CallerGoneError):
        await one(content_type, b"--edge\r\n", hang_up=True)


async def test_no_refusal_repeats_what_was_sent():
    bodies = [
        form(("Jane Doe", "jane.jpg", JPEG)),
        form(("file", "jane.jpg", JPEG), ("Jane Doe", "jane.jpg", b"Jane Doe")),
        ("application/json", b'{"Jane Doe": 1, "image": ""}'),
        ("application/json", b'{"image": {"Jane Doe": 1}}'),
        ("application/json", b'{"image": "Jane Doe!"}'),
    ]
    for body in bodies:
        refusal = await refusal_of(one(*body))
        assert "jane" not in str(refusal).lower()
