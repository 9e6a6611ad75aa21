"""Makes broken images, bodies and gRPC messages out of good ones; a seed gives the same again."""

import base64
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache

from tritonclient.grpc import service_pb2

from pipelines.protocol import ENCODED_IMAGE
from tests import photos

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
_EXTREMES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x01")


@cache
def originals() -> tuple[bytes, ...]:
    """A good photo of each format that is read, and of some of their kinds."""
    import pillow_heif  # noqa: PLC0415 - the tests that need no HEIC do not wait for it

    pillow_heif.register_heif_opener()
    picture = photos.photo(3, 96, 72)
    plain = [photos.encoded(picture, name) for name in FORMATS]
    others = [
        photos.encoded(picture, "JPEG", orientation=6),
        photos.encoded(picture.convert("L"), "PNG"),
        photos.encoded(picture.convert("P"), "GIF"),
        photos.encoded(picture.convert("RGBA"), "PNG"),
        photos.encoded(picture.convert("CMYK"), "JPEG"),
    ]
    return (*plain, *others)


def mutate(data: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """One to four changes: bits, extreme numbers, cuts, repeats, parts of another file."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(7):
            case 0 if changed:
                changed[at - 1] ^= 1 << dice.randrange(8)
            case 1:
                extreme = dice.choice(_EXTREMES)
                # Headers are where the numbers are.
                at = dice.randrange(min(len(changed), 200) + 1)
                changed[at : at + len(extreme)] = extreme
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + dice.randrange(1, 64)]
            case 4:
                changed[at:at] = changed[at : at + dice.randrange(1, 512)] * dice.randrange(1, 20)
            case 5:
                other = dice.choice(others)
                start = dice.randrange(len(other))
                changed[at:at] = other[start : start + dice.randrange(1, 2048)]
            case _:
                changed[at:at] = dice.randbytes(dice.randrange(1, 64))
    return bytes(changed)


def images(count: int, seed: int = 0) -> Iterator[bytes]:
    """Mutated images of every format that is read."""
    dice = random.Random(seed)
    known = originals()
    for number in range(count):
        yield mutate(known[number % len(known)], known, dice)


def _bodies() -> dict[str, bytes]:
    photo = originals()[0]
    text = base64.b64encode(photo).decode()
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n'
    form = part % b"file" + photo + b"\r\n--x--\r\n"
    batch = part % b"files" + photo + b"\r\n" + part % b"files" + photo + b"\r\n--x--\r\n"
    tensor = {"name": ENCODED_IMAGE, "datatype": "BYTES", "shape": [1, 1], "data": [text]}
    return {
        "form": form,
        "batch": batch,
        "json": json.dumps({"image": text}).encode(),
        "json batch": json.dumps({"images": [{"image": text}, {"image": text}]}).encode(),
        "kserve": json.dumps({"inputs": [tensor]}).encode(),
    }


_SENT = {
    "form": ("/api/v1/predict", "multipart/form-data; boundary=x"),
    "batch": ("/api/v1/predict/batch", "multipart/form-data; boundary=x"),
    "json": ("/api/v1/predict", "application/json"),
    "json batch": ("/api/v1/predict/batch", "application/json"),
    "kserve": ("/v2/models/oral_cancer/infer", "application/json"),
}


def bodies(count: int, seed: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """Mutated bodies of every kind that is read: path, media type, body."""
    dice = random.Random(seed)
    good = _bodies()
    others = list(good.values())
    for number in range(count):
        kind = list(good)[number % len(good)]
        path, media_type = _SENT[kind]
        body = mutate(good[kind], others, dice)
        if dice.random() < 0.2:
            media_type = mutate(media_type.encode(), others, dice).decode("latin-1")
            media_type = "".join(c for c in media_type if " " <= c <= "~")[:200].strip()
        yield path, media_type, body


def messages(count: int, seed: int = 0) -> Iterator[bytes]:
    """Mutated gRPC messages that asked for an inference."""
    dice = random.Random(seed)
    request = service_pb2.ModelInferRequest(
        model_name="oral_cancer",
        inputs=[
            service_pb2.ModelInferRequest.InferInputTensor(
                name=ENCODED_IMAGE, datatype="BYTES", shape=(1, 1)
            )
        ],
        outputs=[service_pb2.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")],
        raw_input_contents=[len(originals()[0]).to_bytes(4, "little") + originals()[0]],
    )
    request.parameters["threshold"].double_param = 0.4
    request.parameters["member"].string_param = "regnet"
    # The image last: most changes are to meet what describes it.
    good = request.SerializeToString()
    for _ in range(count):
        head = mutate(good[:200], [good], dice)
        yield head + good[200:] if dice.random() < 0.8 else mutate(good, [good], dice)
