"""Bodies as real programs send them: encoded parts, preambles, compression, JSON in UTF-16."""

import base64
import binascii
import gzip
import json
import zlib

import pytest

from gateway.errors import Code
from gateway.http.body import Body
from tests.unit.gateway.http.test_body import BASE64, LIMIT, many, one, refusal_of, request_of
from tests.unit.gateway.samples import JPEG, form

pytestmark = pytest.mark.anyio

MULTIPART = "multipart/form-data; boundary=edge"
NAME = b'Content-Disposition: form-data; name="file"; filename="a.jpg"'
# Bytes whose base64 has both characters that base64url writes in another way.
BYTES = JPEG + b"\xfb\xef\xbe\xff\xff\xff"
URLSAFE = base64.urlsafe_b64encode(BYTES).decode()


def part(*headers: bytes, data: bytes) -> bytes:
    return b"--edge\r\n" + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + data + b"\r\n"


def encoded(name: bytes, data: bytes) -> bytes:
    return part(NAME, b"Content-Transfer-Encoding: " + name, data=data) + b"--edge--\r\n"


BODY = part(NAME, data=JPEG) + b"--edge--\r\n"
FORMS = {
    "base64": encoded(b"base64", base64.encodebytes(JPEG).replace(b"\n", b"\r\n")),
    "base64 in capitals, on one line": encoded(b"BASE64", base64.b64encode(JPEG)),
    "quoted-printable": encoded(b"quoted-printable", binascii.b2a_qp(JPEG, istext=False)),
    "binary": encoded(b"binary", JPEG),
    "8bit": encoded(b" 8bit ", JPEG),
    "a preamble": b"This is a multi-part message in MIME format.\r\n" + BODY,
    "a preamble with a boundary in a line": b"no --edge here\r\n\r\n" + BODY,
    "a preamble with a longer boundary": b"--edges\r\n" + BODY,
    "an empty line first": b"\r\n" + BODY,
    "padding behind the first boundary": BODY.replace(b"--edge\r\n", b"--edge \t\r\n", 1),
    "padding behind all": (part(b"X: y", data=b"") + BODY)
    .replace(b"--edge\r\n", b"--edge  \r\n")
    .replace(b"--edge--\r\n", b"--edge-- \t\r\n"),
    "an epilogue": BODY + b"This is the epilogue.\r\n--edge\r\n",
    "no line end behind the last boundary": BODY.removesuffix(b"\r\n"),
}


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
async def test_a_form_is_read_as_rfc_2046_and_7578_allow_it(body, piece):
    image = await one(MULTIPART, body, piece=piece)
    assert (image.data, image.filename) == (JPEG, "a.jpg")


async def test_an_encoded_part_may_hold_as_much_as_a_plain_one():
    data = bytes(range(256)) * 3 + bytes(LIMIT - 768)
    body = encoded(b"base64", base64.encodebytes(data).replace(b"\n", b"\r\n"))
    assert (await one(MULTIPART, body, length=len(body))).data == data
    body = encoded(b"base64", base64.encodebytes(bytes(LIMIT + 1)))
    refusal = await refusal_of(one(MULTIPART, body))
    assert refusal.code is Code.BODY_TOO_LARGE


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (encoded(b"base64", b"%%%%"), Code.MALFORMED_BODY, "file: it is not valid base64"),
        (encoded(b"base64", b"a"), Code.MALFORMED_BODY, "file: it is not valid base64"),
        (encoded(b"x-uuencode", JPEG), Code.CONTENT_TYPE_UNSUPPORTED, "Content-Transfer-Encoding"),
        (b"only a preamble\r\n" * 5, Code.MALFORMED_BODY, "ends before"),
        (b"x" * 70_000, Code.MALFORMED_BODY, "no valid multipart form"),
    ],
)
async def test_a_form_that_is_not_read_says_why(body, code, words):
    refusal = await refusal_of(one(MULTIPART, body, piece=500))
    assert refusal.code is code
    assert words in refusal.detail


async def test_a_bad_encoding_in_a_batch_is_the_error_of_its_image():
    good = part(NAME.replace(b'"file"', b'"files"'), data=JPEG)
    bad = part(NAME.replace(b'"file"', b'"files"'), b"Content-Transfer-Encoding: base64", data=b"%")
    images = await many(MULTIPART, bad + good + b"--edge--\r\n")
    assert images[0].refusal.code is Code.MALFORMED_BODY
    assert images[0].refusal.detail.startswith("files[0]: ")
    assert (images[1].data, images[1].refusal) == (JPEG, None)


@pytest.mark.parametrize(
    ("options", "filename"),
    [
        (b"filename*=UTF-8''M%C3%BCller%201.jpg", "Müller 1.jpg"),
        (b"filename=\"plain.jpg\"; filename*=UTF-8''M%C3%BCller.jpg", "plain.jpg"),
        (b"filename*0=\"a b\"; filename*1=\"c.jpg\"", "a bc.jpg"),
        (b"filename*=no-charset", "no-charset"),
        (b"filename=unquoted.jpg", "unquoted.jpg"),
    ],
)  # fmt: skip
async def test_a_filename_of_rfc_2231_is_read(options, filename):
    body = part(b'Content-Disposition: form-data; name="files"; ' + options, data=JPEG)
    (image,) = await many(MULTIPART, body + b"--edge--\r\n")
    assert (image.data, image.filename) == (JPEG, filename)


async def test_a_file_field_that_was_left_empty_is_passed_over():
    chosen, left = ("file", "a.jpg", JPEG), ("file", "", b"")
    for parts in ([left, chosen], [chosen, left], [left, chosen, left]):
        assert (await one(*form(*parts))).data == JPEG
    assert (await refusal_of(one(*form(left)))).code is Code.FIELD_MISSING
    images = await many(*form(("files", "", b""), ("files", "a.jpg", JPEG), ("files", "", b"")))
    assert [image.filename for image in images] == ["a.jpg"]


async def test_an_empty_file_with_a_name_is_an_empty_image():
    assert (await one(*form(("file", "a.jpg", b"")))).data == b""


async def test_further_fields_of_a_form_are_dropped():
    fields = [("patient_id", None, b"123"), ("submit", None, b"Send"), ("note", None, b"x" * 999)]
    for parts in ([*fields, ("file", "a.jpg", JPEG)], [("file", "a.jpg", JPEG), *fields]):
        assert (await one(*form(*parts))).data == JPEG


@pytest.mark.parametrize(
    ("field", "code", "words"),
    [
        (("threshold", None, b"0.3"), Code.PARAMETER_UNKNOWN, "query"),
        (("member", None, b"vgg16"), Code.PARAMETER_UNKNOWN, "query"),
        (("second", "b.jpg", JPEG), Code.PARAMETER_UNKNOWN, "a file in a field other than file"),
    ],
)
async def test_a_field_that_would_change_the_answer_is_not_dropped_in_silence(field, code, words):
    refusal = await refusal_of(one(*form(("file", "a.jpg", JPEG), field)))
    assert refusal.code is code
    assert words in refusal.detail


def coded(encoding: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-encoding", encoding.encode())]


@pytest.mark.parametrize("encoding", ["identity", "Identity", "IDENTITY", "", " "])
async def test_an_identity_encoding_is_none(encoding):
    assert (await one("image/jpeg", JPEG, more=coded(encoding))).data == JPEG


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_a_body_in_gzip_is_inflated(encoding, piece):
    for content_type, body in [
        ("image/jpeg", JPEG),
        form(("file", "a.jpg", JPEG)),
        ("application/json", json.dumps({"image": BASE64}).encode()),
    ]:
        compressed = gzip.compress(body)
        assert (await one(content_type, compressed, piece=piece, more=coded(encoding))).data == JPEG
        # Of several members, as `cat a.gz b.gz` makes them.
        members = gzip.compress(body[:50]) + gzip.compress(body[50:])
        assert (await one(content_type, members, piece=piece, more=coded(encoding))).data == JPEG


@pytest.mark.parametrize(
    ("encoding", "body", "code", "words"),
    [
        ("br", JPEG, Code.CONTENT_TYPE_UNSUPPORTED, "Content-Encoding"),
        ("deflate", zlib.compress(JPEG), Code.CONTENT_TYPE_UNSUPPORTED, "gzip"),
        ("gzip, gzip", JPEG, Code.CONTENT_TYPE_UNSUPPORTED, "Content-Encoding"),
        ("gzip", JPEG, Code.MALFORMED_BODY, "gzip"),
        ("gzip", b"", Code.MALFORMED_BODY, "gzip"),
        ("gzip", gzip.compress(JPEG)[:-4], Code.MALFORMED_BODY, "gzip"),
        ("gzip", gzip.compress(JPEG)[:-1] + b"x", Code.MALFORMED_BODY, "gzip"),
        ("gzip", gzip.compress(JPEG) + b"more", Code.MALFORMED_BODY, "gzip"),
        ("gzip", gzip.compress(bytes(LIMIT + 1)), Code.BODY_TOO_LARGE, "body"),
    ],
)
async def test_a_compressed_body_that_is_not_read_says_why(encoding, body, code, words):
    refusal = await refusal_of(one("image/jpeg", body, more=coded(encoding)))
    assert refusal.code is code
    assert words in refusal.detail


async def test_a_body_that_inflates_by_too_much_is_refused_before_it_has():
    request = request_of("image/jpeg", gzip.compress(bytes(9 << 20)), piece=999, more=coded("gzip"))
    refusal = await refusal_of(Body.of_one(request, 10 << 20).image())
    assert refusal.code is Code.BODY_TOO_LARGE
    assert "times" in refusal.detail


async def test_a_compressed_body_is_counted_as_what_it_becomes():
    body = gzip.compress(BYTES)
    request = request_of("image/jpeg", body, more=coded("gzip"))
    came = []
    assert (await Body.of_one(request, LIMIT).image(came.append)).data == BYTES
    assert sum(came) == len(BYTES) != len(body)


@pytest.mark.parametrize(
    "text",
    [
        URLSAFE,
        URLSAFE.rstrip("="),
        base64.b64encode(BYTES).decode().rstrip("="),
        "DATA:image/jpeg;base64," + URLSAFE,
        "Data:Image/JPEG;charset=x;BASE64," + URLSAFE,
        "data:;base64," + URLSAFE,
        " \r\n" + URLSAFE + "\n",
    ],
)
async def test_an_image_in_json_is_read_in_each_form_of_base64(text):
    assert (await one("application/json", json.dumps({"image": text}).encode())).data == BYTES


@pytest.mark.parametrize("text", ["/9j/=", "/9j/====", "=/9j/", "/9=j", "/9j/4", "data:,/9j/", "é"])
async def test_what_is_no_base64_is_refused(text):
    refusal = await refusal_of(one("application/json", json.dumps({"image": text}).encode()))
    assert refusal.code is Code.MALFORMED_BODY


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
async def test_json_is_read_in_each_encoding_of_unicode(encoding):
    body = json.dumps({"images": [{"image": BASE64, "filename": "Müller"}]}, ensure_ascii=False)
    (image,) = await many("application/json", body.encode(encoding))
    assert (image.data, image.filename) == (JPEG, "Müller")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\xff\xfe{", b"\xfe\xff\xd8", b"\xef\xbb\xbf"])
async def test_json_that_is_cut_in_its_encoding_is_refused(body):
    refusal = await refusal_of(one("application/json", body))
    assert refusal.code is Code.MALFORMED_BODY
