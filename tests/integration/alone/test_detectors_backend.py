"""The detection backend in a real Triton, with tiny members whose answers are known."""

import json
import random
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc as grpcclient
from google.protobuf import json_format
from PIL import Image
from pycocotools import mask as coco
from tritonclient.utils import InferenceServerException

from export.photos import decode_rules
from export.triton_config import as_text, configs
from inference.decode import decode
from inference.quality import judge
from pipelines import protocol
from pipelines.enums import Measure
from pipelines.load import load_spec
from pipelines.protocol import Compute
from pipelines.quality import Quality
from server.triton import metrics as queues
from tests.facts import without_features
from tests.integration import red_finders
from tests.integration.triton import Triton, bare

BOXES, MASKS, BINARY = "object_detection", "cervical_lesions", "mhist"
MEMBERS = {BOXES: red_finders.boxes, MASKS: red_finders.masks, BINARY: red_finders.brightness}
CALLERS = 23
BLURRED_BELOW = 0.5
BUSY = ("timeout expired", "Exceeds maximum queue size")


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    def lay_out(repository: Path) -> list[str]:
        return [name for pipeline in MEMBERS for name in _lay_out(pipeline, repository)]

    with bare(tmp_path_factory.mktemp("detectors"), lay_out) as running:
        yield running


def _lay_out(pipeline: str, repository: Path) -> list[str]:
    """With bounds on what waits, unlike the served ones: Triton has to survive that they pass."""
    spec = without_features(load_spec(pipeline))
    bounds = {"queue_size": 128, "queue_timeout_ms": 60_000}
    # The finder answers two boxes for each image.
    found = {"queries": 2} if pipeline == BOXES else {}
    members = {name: each.model_copy(update=found) for name, each in spec.members.items()}
    serving = spec.serving.model_copy(update=bounds)
    spec = spec.model_copy(update={"serving": serving, "members": members})
    if pipeline == BINARY:
        # A photo that is black all over gets no answer.
        quality = {"dark": {"above": 0.99, "refuse": True}, "blurred": {"below": BLURRED_BELOW}}
        spec = spec.model_copy(update={"quality": Quality(**quality)})
    models = {protocol.member_model(pipeline, member) for member in spec.members}
    for name, config in configs(spec).items():
        folder = repository / name
        (folder / "1").mkdir(parents=True)
        (folder / protocol.CONFIG_FILENAME).write_text(as_text(config, pipeline), "utf-8")
        if name in models:
            onnx.save(MEMBERS[pipeline](), folder / "1" / "model.onnx")
    return list(configs(spec))


def photograph(size: tuple[int, int], red: tuple[int, int, int, int] | None = None) -> bytes:
    image = Image.new("RGB", size, (90, 120, 100))
    if red:
        image.paste((250, 20, 30), red)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _input(*files: bytes) -> list[grpcclient.InferInput]:
    tensor = grpcclient.InferInput(protocol.ENCODED_IMAGE, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return [tensor]


def ask(triton: Triton, pipeline: str, *files: bytes, **parameters: Any) -> dict[str, np.ndarray]:
    """The tensors of an answer, without the batch dimension of 1."""
    result = triton.client.infer(pipeline, _input(*files), parameters=parameters or None)
    return {out.name: result.as_numpy(out.name)[0] for out in result.get_response().outputs}


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
@pytest.mark.parametrize("size", [(640, 480), (300, 500), (1920, 1080), (41, 400)])
def test_a_box_is_found_where_it_is_in_the_photograph(triton, pipeline, size):
    red = (size[0] // 4, size[1] // 3, size[0], size[1] // 2)
    answer = ask(triton, pipeline, photograph(size, red))
    # One pixel of what the member saw, at both edges.
    tolerance = max(1.0, max(size) / 416) if pipeline == BOXES else 0.0
    assert answer["boxes"] == pytest.approx(np.array([red]), abs=tolerance)
    assert answer["classes"].tolist() == ([3] if pipeline == BOXES else [2])
    assert answer["scores"] == pytest.approx([230 / 255], abs=0.05)
    assert answer["image_size"].tolist() == [size[1], size[0]]
    assert answer["threshold"] == [0.5]
    if pipeline == MASKS:
        runs = json.loads(answer["masks"][0])
        assert runs["size"] == [size[1], size[0]]
        assert coco.area(runs) == answer["areas"][0]
        (x, y, width, height) = coco.toBbox(runs)
        assert (x, y, x + width, y + height) == pytest.approx(red, abs=3)


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
def test_no_detection_is_an_answer_with_empty_tensors(triton, pipeline):
    for size in ((640, 480), (1, 1)):
        answer = ask(triton, pipeline, photograph(size), visualization="true")
        assert answer["boxes"].shape == (0, 4)
        assert answer["scores"].shape == answer["classes"].shape == answer["areas"].shape == (0,)
        assert answer.get("masks", np.empty(0)).shape == (0,)
        assert answer["visualization"][0].startswith(b"\x89PNG")


def test_the_threshold_keeps_more_or_fewer(triton):
    file = photograph((640, 480), (100, 100, 300, 300))
    assert len(ask(triton, BOXES, file, threshold="0.05")["scores"]) == 2
    assert len(ask(triton, BOXES, file, threshold=0.95)["scores"]) == 0


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
def test_pictures_and_polygons_come_only_where_asked_for(triton, pipeline):
    file = photograph((640, 480), (100, 100, 300, 300))
    plain = ask(triton, pipeline, file, visualization=False)
    assert plain["visualization"].tolist() == [b""]
    assert plain.get("polygons", np.array([b""])).tolist() == [b""]
    drawn = Image.open(BytesIO(ask(triton, pipeline, file, visualization="1")["visualization"][0]))
    assert drawn.size == (640, 480)
    if pipeline == MASKS:
        ((polygon,),) = (
            json.loads(text) for text in ask(triton, MASKS, file, polygons="true")["polygons"]
        )
        assert (min(polygon), max(polygon)) == pytest.approx((100, 300), abs=8)


@pytest.mark.parametrize(
    ("pipeline", "parameters", "code"),
    [
        (BOXES, {"threshold": "0.01"}, "parameter_invalid"),
        (BOXES, {"polygons": "true"}, "parameter_unknown"),
        (MASKS, {"visualization": "perhaps"}, "parameter_invalid"),
        (MASKS, {"top_k": 1}, "parameter_unknown"),
        (MASKS, {"member": "yolos"}, "member_unknown"),
    ],
)
def test_a_wrong_parameter_is_refused(triton, pipeline, parameters, code):
    with pytest.raises(InferenceServerException, match=rf"\[{code}\]"):
        ask(triton, pipeline, photograph((64, 48)), **parameters)


def test_two_images_and_a_strip_are_refused(triton):
    file = photograph((64, 48))
    with pytest.raises(InferenceServerException, match=r"\[images_many\].*one image a request"):
        ask(triton, BOXES, file, file)
    for pipeline in (BOXES, MASKS):
        with pytest.raises(InferenceServerException, match=r"\[image_shape\]"):
            ask(triton, pipeline, photograph((2000, 3)))


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
def test_a_detectors_answer_has_the_quality_of_its_photo(triton, pipeline):
    rules = decode_rules(load_spec(pipeline))
    for file in (photograph((640, 480)), photograph((64, 48), (0, 0, 20, 20))):
        answer = ask(triton, pipeline, file)
        measures = decode(file, rules).measures
        np.testing.assert_array_equal(answer["quality"], measures)
        np.testing.assert_array_equal(answer["quality_warnings"], judge(measures, rules.quality))
    assert answer["quality_warnings"][list(Measure).index(Measure.RESOLUTION)] == 1


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
def test_a_detectors_answer_says_what_each_part_of_it_computed(triton, pipeline):
    table = ask(triton, pipeline, photograph((640, 480)))["compute"]
    assert table.shape == (len(load_spec(pipeline).parts), len(Compute))
    assert (table[:, Compute.SECONDS] > 0).all()
    # Nobody asked the member to measure: it is estimated by the wait for it.
    assert table[:, Compute.MEASURED].tolist() == [1, 0, 1]


def test_each_image_of_a_batch_has_its_own_quality(triton):
    files = [
        photograph((64, 48)),
        photograph((448, 672), (0, 0, 100, 400)),
        photograph((224, 224), (10, 10, 30, 30)),
    ]
    rules = decode_rules(load_spec(BINARY))
    result = triton.client.infer(BINARY, _input(*files))
    expected = np.stack([decode(file, rules).measures for file in files])
    np.testing.assert_array_equal(result.as_numpy("quality"), expected)
    warned = result.as_numpy("quality_warnings")
    assert warned[:, 0].tolist() == [1, 0, 0]
    assert (warned[:, 1] == 0).all()
    # The other measures have no bound here.
    assert (warned[:, 2:] == -1).all()


def test_a_photo_beyond_a_bound_that_refuses_fails_with_the_remedy(triton):
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, "PNG")
    with pytest.raises(InferenceServerException, match=r"\[image_quality\] the image is too dark"):
        ask(triton, BINARY, file.getvalue())
    with pytest.raises(InferenceServerException, match=r"\[image_quality\] image 1: .*Add light"):
        triton.client.infer(BINARY, _input(photograph((64, 48)), file.getvalue()))
    assert len(ask(triton, BINARY, photograph((64, 48)))["quality"]) == len(Measure)


def test_a_member_that_is_gone_is_an_error_and_no_crash(triton):
    triton.client.unload_model("cervical_lesions_mask_rcnn")
    with pytest.raises(InferenceServerException, match="cervical_lesions_mask_rcnn"):
        ask(triton, MASKS, photograph((64, 48)))
    triton.client.load_model("cervical_lesions_mask_rcnn")
    assert ask(triton, MASKS, photograph((64, 48)))["scores"].shape == (0,)


def test_a_config_that_native_backends_refuse_is_refused_and_the_old_one_goes_on(triton):
    model = protocol.member_model(BOXES, "yolos")
    config = triton.client.get_model_config(model).config
    config.ClearField("version_policy")
    config.ClearField("optimization")
    config.output[0].dims[:] = [-1, 4]
    wrong = json_format.MessageToJson(config, preserving_proto_field_name=True)
    with pytest.raises(InferenceServerException) as refused:
        triton.client.load_model(model, config=wrong)
    assert "the model expects 3 dimensions (shape [-1,2,4])" in str(refused.value)
    assert "making complete shape [-1,-1,4])" in str(refused.value)
    assert ask(triton, BOXES, photograph((64, 48)))["scores"].shape == (0,)


def test_a_member_answers_the_outputs_that_are_asked_for(triton):
    pixels = grpcclient.InferInput(protocol.MEMBER_INPUT, [3, 416, 416, 3], "UINT8")
    pixels.set_data_from_numpy(np.zeros((3, 416, 416, 3), np.uint8))
    asked = [grpcclient.InferRequestedOutput("scores")]
    result = triton.client.infer(protocol.member_model(BOXES, "yolos"), [pixels], outputs=asked)
    assert [out.name for out in result.get_response().outputs] == ["scores"]
    assert result.as_numpy("scores").shape == (3, 2)


def test_a_member_asked_alone_runs_alone_and_an_alternative_only_when_asked(triton):
    members = ("vit", "mlp", "mlp_int8")

    def calls():
        return [triton.calls(protocol.member_model(BINARY, member)) for member in members]

    before = calls()
    both = ask(triton, BINARY, photograph((64, 48)))
    assert np.subtract(calls(), before).tolist() == [1, 1, 0]
    assert both["member_prediction"].tolist() == [1, 1, -1]
    alone = ask(triton, BINARY, photograph((64, 48)), member="mlp_int8")
    assert np.subtract(calls(), before).tolist() == [1, 1, 1]
    assert alone["member_prediction"].tolist() == [-1, -1, 1]
    assert np.isnan(alone["member_probabilities"][:2]).all()
    assert alone["probabilities"] == pytest.approx(alone["member_probabilities"][2])


@pytest.mark.parametrize("pipeline", [BOXES, MASKS])
def test_callers_whose_time_is_up_harm_nobody(triton, pipeline):
    rng = random.Random(1)
    cases = []
    for _ in range(12):
        width, height = rng.randrange(100, 500), rng.randrange(100, 500)
        red = (rng.randrange(width // 2), rng.randrange(height // 2), width, height)
        file = photograph((width, height), red)
        cases.append((file, ask(triton, pipeline, file)["boxes"]))
    wrong: list[str] = []

    def call(seed: int) -> None:
        rng = random.Random(seed)
        with grpcclient.InferenceServerClient(triton.process.connection.address) as client:
            for _ in range(9):
                file, expected = rng.choice(cases)
                # In microseconds, in each queue on the way. No call is cancelled: Triton 2.51 may
                # crash on that (docs/decisions/0012).
                patience = rng.choice([1_000, 20_000, 100_000, 60_000_000])
                try:
                    result = client.infer(pipeline, _input(file), timeout=patience)
                except InferenceServerException as error:
                    if not any(text in str(error) for text in BUSY):
                        wrong.append(str(error))
                    continue
                if not np.array_equal(result.as_numpy("boxes")[0], expected):
                    wrong.append("another image's boxes")

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    assert triton.process.alive()
    assert not triton.process.dead_processes()
    _wait_until_idle(triton, pipeline)
    for file, expected in cases:
        np.testing.assert_array_equal(ask(triton, pipeline, file)["boxes"], expected)


def _wait_until_idle(triton: Triton, pipeline: str) -> None:
    """What callers left behind is worked off first."""
    model, give_up = protocol.decision_model(pipeline), time.monotonic() + 60
    while queues.read(*triton.process.metrics_address)[0][model]:
        assert time.monotonic() < give_up
        time.sleep(0.1)
