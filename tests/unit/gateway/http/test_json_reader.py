"""What a JSON body costs is bounded, however it is cut, escaped or encoded on its way."""

import asyncio
import base64
import collections
import gzip
import json
import random
import tracemalloc

import pytest

from gateway.errors import Code, RefusedError
from gateway.http.body import Body
from gateway.http.json_reader import LONGEST_TEXT, JsonReader
from gateway.http.kserve_messages import InferBody
from tests.unit.gateway.http.test_body import request_of
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
LONG = bytes(range(256)) * 100
TEXT = base64.b64encode(LONG).decode()
assert len(TEXT) > LONGEST_TEXT


async def body_of(content, *, images=3, size=MIB, piece=65536, **options):
    """The images, or the refusal; and how many pieces were left unread."""
    request = request_of("application/json", content, piece=piece, **options)
    left = request._receive.__closure__[0].cell_contents
    body = Body.of_many(request, size, 256 * MIB)
    try:
        return await body.images(images), len(left)
    except RefusedError as refusal:
        return refusal, len(left)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100, 65536])
@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("/", "\\/"),
        TEXT.replace("A", "\\u0041"),
        "data:image/png;base64," + TEXT,
        "\\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
        TEXT.rstrip("=").replace("+", "-").replace("/", "_"),
        "  " + TEXT + " \\r\\n",
    ],
    ids=["plain", "slashes", "escapes", "data", "lines", "url-safe", "spaces"],
)
async def test_an_image_is_the_same_however_it_is_cut_and_written(text, piece):
    content = f'{{"images": [{{"image": "{text}", "filename": "a\\"b\\\\"}}]}}'.encode()
    ((image,), _) = await body_of(content, piece=piece)
    assert (image.data, image.filename, image.refusal) == (LONG, 'a"b\\', None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
@pytest.mark.parametrize("piece", [5, 65536])
async def test_other_encodings_are_read_as_they_come(encoding, piece):
    content = json.dumps({"images": [{"image": TEXT, "filename": "é"}]}, ensure_ascii=False)
    ((image,), _) = await body_of(content.encode(encoding), piece=piece)
    assert (image.data, image.filename) == (LONG, "é")


async def test_long_and_short_images_keep_their_order():
    data = [b"\xff\xd8\xff", LONG, b"x", LONG[::-1]]
    entries = [
        {"image": base64.b64encode(each).decode(), "filename": str(at)}
        for at, each in enumerate(data)
    ]
    images, _ = await body_of(json.dumps({"images": entries}).encode(), images=4)
    assert [image.data for image in images] == data
    assert [image.filename for image in images] == ["0", "1", "2", "3"]


async def test_a_bad_long_image_of_a_batch_has_its_refusal_in_its_place():
    texts = [TEXT, TEXT[:-2] + "!=", TEXT + "AAAA", "=" + TEXT, TEXT[:-3], TEXT + "é", TEXT]
    content = json.dumps({"images": [{"image": text} for text in texts]}).encode()
    images, _ = await body_of(content, images=7)
    codes = [image.refusal and image.refusal.code for image in images]
    bad = Code.MALFORMED_BODY
    assert codes == [None, bad, bad, bad, bad, bad, None]
    large, _ = await body_of(content, images=7, size=len(LONG) - 1)
    assert large[0].refusal.code is Code.BODY_TOO_LARGE
    assert "images[0].image" in large[0].refusal.detail


MANY = {
    "images": (b'{"images": [' + b'{"image":""},' * MIB, Code.TOO_MANY_FILES),
    "other objects": (b'{"images": [' + b'{"x":1},' * MIB, Code.TOO_MANY_FILES),
    "long images": (
        b'{"images": [' + (b'"' + TEXT.encode() + b'",') * 400,
        Code.TOO_MANY_FILES,
    ),
    "numbers": (b'{"images": [' + b"1," * MIB, Code.MALFORMED_BODY),
    "lists": (b'{"images": ' + b"[" * MIB, Code.MALFORMED_BODY),
    "texts": (b'{"images": [' + b'"",' * MIB, Code.MALFORMED_BODY),
    "keys": (b"{" + b'"x":1,' * MIB, Code.MALFORMED_BODY),
    "spaces": (b'{"images": [' + b" " * (10 * MIB), Code.MALFORMED_BODY),
    "one number": (b'{"images": ' + b"1" * (10 * MIB), Code.MALFORMED_BODY),
    "short texts": (b'{"images": [' + (b'"' + b"a" * 8000 + b'",') * 1000, Code.MALFORMED_BODY),
}


@pytest.mark.parametrize(("content", "code"), MANY.values(), ids=MANY.keys())
async def test_more_than_images_is_refused_before_it_is_read(content, code):
    refusal, left = await body_of(content)
    assert refusal.code is code
    assert left > len(content) / 65536 * 0.7


@pytest.mark.parametrize("filler", [b" ", b"\\n", b"\\u0020"])
async def test_white_space_in_base64_takes_no_memory(filler):
    content = b'{"images": [{"image": "' + filler * (20 * MIB // len(filler)) + b'/9j/"}]}'
    request = request_of("application/json", content, piece=65536)
    body = Body.of_many(request, MIB, 256 * MIB)
    tracemalloc.start()
    try:
        (image,) = await body.images(1)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()
    assert image.data == b"\xff\xd8\xff"


async def test_an_image_takes_little_more_memory_than_its_bytes():
    data = bytes(8 * MIB)
    content = json.dumps({"images": [{"image": base64.b64encode(data).decode()}]}).encode()
    request = request_of("application/json", content, piece=65536)
    body = Body.of_many(request, 8 * MIB, 256 * MIB)
    tracemalloc.start()
    try:
        (image,) = await body.images(1)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * len(data)
    finally:
        tracemalloc.stop()
    assert image.data == data


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"images": [{"image": "", "filename": TEXT}]}),
        json.dumps({"images": [{"image": "", TEXT: 1}]}),
        json.dumps({"images": [{"image": {"image": TEXT}}]}),
        json.dumps({TEXT: []}),
        f'{{"images": [{{"image": "{TEXT}", "image": "{TEXT}"}}]}}',
        f'{{"images": [{{"image": "{TEXT}", "image": ""}}]}}',
    ],
    ids=["file name", "key", "deeper", "outermost key", "twice", "twice, the last short"],
)
async def test_a_long_text_that_is_no_image_is_refused(content):
    refusal, _ = await body_of(content.encode())
    assert refusal.code in {Code.MALFORMED_BODY, Code.PARAMETER_UNKNOWN, Code.FIELD_MISSING}


async def test_a_caller_cannot_name_what_stands_for_an_image():
    names = {JsonReader(1, 1)._name for _ in range(100)}
    assert len(names) == 100
    content = json.dumps({"images": [{"image": "0"}, {"image": TEXT}, {"image": "1"}]}).encode()
    images, _ = await body_of(content)
    assert [image.refusal is None for image in images] == [False, True, False]


@pytest.mark.parametrize(
    "content",
    [
        b'{"images": [{"image": "' + TEXT.encode(),
        b'{"images": [{"image": "' + TEXT.encode() + b'\n"}]}',
        b'{"images": [{"image": "' + TEXT.encode() + b'\\x41"}]}',
        b'{"images": [{"image": "' + TEXT.encode() + b'\\u00g1"}]}',
        b'{"images": [{"image": "' + TEXT.encode() + b'\\"}]}',
        b'{"images": [{"image": "' + TEXT.encode() + b'"}',
        b'{"images": [{"image": "' + TEXT.encode() + b'"}]} x',
        b"",
        b'{"images": [{"image": "\\',
    ],
)
@pytest.mark.parametrize("piece", [5, 65536])
async def test_what_is_not_json_is_refused(content, piece):
    refusal, _ = await body_of(content, piece=piece)
    assert refusal.code is Code.MALFORMED_BODY


async def test_others_have_their_turn_while_a_body_inflates():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    made = random.Random(1)
    text = base64.b64encode(
        b"".join(made.randbytes(50) + bytes(1000) for _ in range(4000))
    ).decode()
    content = gzip.compress(json.dumps({"images": [{"image": text}]}).encode())
    counting = asyncio.create_task(count())
    gzipped = [(b"content-encoding", b"gzip")]
    ((image,), _) = await body_of(
        content, piece=len(content), more=gzipped, size=16 * MIB, images=1
    )
    counting.cancel()
    assert image.refusal is None
    assert turns > 50


KSERVE = '{"inputs": [{"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": ["%s"]}]%s}'


def infer(content, length=None, piece=1000):
    body = InferBody(length, SPEC)
    for at in range(0, len(content), piece):
        body.feed(content[at : at + piece])
    return body.request("oral_cancer", "")


@pytest.mark.parametrize("piece", [1, 1000, 10**6])
def test_kserves_json_is_read_in_the_same_way(piece):
    asked = infer((KSERVE % (TEXT, "")).encode(), piece=piece)
    assert asked.inputs[0].typed == [LONG]
    with pytest.raises(RefusedError, match="malformed_body"):
        infer((KSERVE % ("", f', "id": "{TEXT}"')).encode(), piece=piece)


@pytest.mark.parametrize("piece", [1, 50, 10**6])
def test_tensors_behind_the_json_are_not_read_as_json(piece):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": [1, 1],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": 10},
                }
            ]
        }
    ).encode()
    asked = infer(head + b'{"{"{"{"{"', str(len(head)), piece)
    assert bytes(asked.inputs[0].raw) == b'{"{"{"{"{"'


@pytest.mark.parametrize("filling", [b'{"a":1},', b"1,", b"[", b'"",', b" "])
def test_kserves_json_is_refused_before_all_of_it_is_read(filling):
    content = b'{"inputs": [' + filling * (10 * MIB // len(filling))
    body, fed = InferBody(None, SPEC), iter(range(0, len(content), 65536))
    with pytest.raises(RefusedError):
        collections.deque((body.feed(content[at : at + 65536]) for at in fed), maxlen=0)
    assert len(list(fed)) > 100
