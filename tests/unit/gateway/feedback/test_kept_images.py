"""Images are kept where the pipeline's YAML and the request say so, whatever the transport."""

import json

import pytest

from gateway.secret_files import SecretFiles
from gateway.settings import Settings
from pipelines.spec import KeepImages
from tests.unit.gateway.asking import assert_refused, images
from tests.unit.gateway.feedback.conftest import rows_of
from tests.unit.gateway.samples import JPEG, PNG, RAW, assert_problem, files
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio
PATHS = ["/api/v1/predict", "/api/v1/predict/advanced", "/predict"]


@pytest.fixture
def keeping(triton):
    triton.serve(SPEC.model_copy(update={"keep_images": KeepImages(days=30)}))


@pytest.fixture
def kept_files(tmp_path):
    def read():
        found = (tmp_path / "images").glob("*/*")
        return sorted(path.name.removesuffix(".kept") for path in found)

    return read


@pytest.fixture
def ask(service):
    async def send(consent="yes", path="/api/v1/predict"):
        said = {} if consent is None else {"x-keep-image": consent}
        headers = {**RAW, **service.by("north", **said)}
        response = await service.post(path, content=JPEG, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    return send


@pytest.fixture
def image(service):
    async def read(prediction, name="north"):
        return await service.get(
            f"/api/v1/predictions/{prediction}/image", headers=service.by(name)
        )

    return read


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("keeping")
async def test_with_yaml_and_consent_an_image_is_kept_and_can_be_had(
    service, kept_files, path, ask, image
):
    answer = await ask(path=path)
    assert answer["kept"] is True
    assert kept_files() == [answer["prediction_id"]]
    response = await image(answer["prediction_id"])
    assert (response.status_code, response.content) == (200, JPEG)
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["content-disposition"] == "attachment"
    assert rows_of(service)[0][0].kept is True


@pytest.mark.parametrize("consent", [None, "no", " NO "])
@pytest.mark.usefixtures("keeping")
async def test_without_consent_nothing_is_kept(service, kept_files, consent, ask, image):
    answer = await ask(consent)
    assert answer.get("kept") is (None if consent is None else False)
    assert kept_files() == []
    assert_problem(await image(answer["prediction_id"]), 404, "image_not_kept")
    assert rows_of(service)[0][0].kept is False


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_yaml_nothing_is_kept(service, kept_files, tmp_path, path, ask):
    answer = await ask(path=path)
    assert answer["kept"] is False
    assert not (tmp_path / "images").exists()


@pytest.mark.usefixtures("keeping")
async def test_another_word_than_yes_or_no_is_refused(service, triton, kept_files):
    for word in ("true", "", "yes, no"):
        headers = {**RAW, **service.by("north"), "x-keep-image": word}
        response = await service.post("/api/v1/predict", content=JPEG, headers=headers)
        detail = assert_problem(response, 422, "parameter_invalid")["detail"]
        assert detail == "X-Keep-Image: say yes or no, or leave it out."
    assert kept_files() == []


@pytest.mark.usefixtures("keeping")
async def test_a_store_that_fails_loses_no_answer(service, tmp_path, ask):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "oral_cancer").write_bytes(b"a file where a folder should be")
    answer = await ask()
    assert answer["kept"] is False
    assert answer["prediction"] in SPEC.classes
    assert rows_of(service)[0][0].kept is False


@pytest.mark.usefixtures("keeping")
async def test_of_a_batch_each_answered_image_is_kept(service, kept_files, image):
    response = await service.post(
        "/api/v1/predict/batch",
        files=files(JPEG, b"text", PNG),
        headers=service.by("north", **{"x-keep-image": "yes"}),
    )
    first, refused, last = response.json()["results"]
    assert [first["kept"], refused["kept"], last["kept"]] == [True, False, True]
    assert kept_files() == sorted([first["prediction_id"], last["prediction_id"]])
    assert (await image(last["prediction_id"])).content == PNG
    assert [row.kept for row in rows_of(service)[0][:3]] == [True, False, True]


@pytest.mark.usefixtures("keeping")
async def test_over_kserves_protocol_consent_is_a_header_too(service, kept_files):
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES",
              "parameters": {"binary_data_size": len(JPEG) + 4}}  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = service.by("north", **{"x-keep-image": "yes"})
    headers["inference-header-content-length"] = str(len(head))
    body = head + len(JPEG).to_bytes(4, "little") + JPEG
    response = await service.post("/v2/models/oral_cancer/infer", content=body, headers=headers)
    assert response.status_code == 200, response.text
    said = response.json()["parameters"]
    assert said["kept"] == "true"
    assert kept_files() == [said["prediction_id"]]


@pytest.mark.usefixtures("keeping")
async def test_over_grpc_consent_is_in_the_metadata(open_grpc, tmp_path, kept_files):
    client = await open_grpc(kept_images=str(tmp_path / "images"))
    for word, said in (("yes", "true"), ("no", "false")):
        answer = await client.infer("oral_cancer", images(JPEG), headers={"x-keep-image": word})
        assert answer.get_response().parameters["kept"].string_param == said
    answer = await client.infer("oral_cancer", images(JPEG))
    assert "kept" not in answer.get_response().parameters
    assert len(kept_files()) == 1
    call = client.infer("oral_cancer", images(JPEG), headers={"x-keep-image": "maybe"})
    await assert_refused(call, "INVALID_ARGUMENT", "parameter_invalid")


@pytest.mark.usefixtures("keeping")
async def test_a_deleted_image_is_gone(service, kept_files, ask, image):
    prediction = (await ask())["prediction_id"]
    path = f"/api/v1/predictions/{prediction}/image"
    for deleted in (True, False):
        assert (await service.delete(path, headers=service.by("north"))).json() == {
            "deleted": deleted
        }
    assert_problem(await image(prediction), 404, "image_not_kept")
    assert kept_files() == []


@pytest.mark.usefixtures("keeping")
async def test_anothers_image_is_neither_read_nor_deleted(service, kept_files, ask, image):
    prediction = (await ask())["prediction_id"]
    path = f"/api/v1/predictions/{prediction}/image"
    for name in ("south", "audit"):
        assert_problem(await image(prediction, name), 404, "prediction_unknown")
        response = await service.delete(path, headers=service.by(name))
        assert_problem(response, 404, "prediction_unknown")
    assert (await image(prediction)).content == JPEG
    assert (await image(prediction, "operate")).content == JPEG
    assert (await service.delete(path, headers=service.by("operate"))).json() == {"deleted": True}
    assert kept_files() == []
    rows = [row for row in rows_of(service)[0] if row.event.startswith("image_")]
    assert [(row.event, row.tenant) for row in rows] == [
        ("image_read", "north"),
        ("image_read", "office"),
        ("image_deleted", "office"),
    ]
    assert json.loads(rows[0].parameters) == {"prediction_id": prediction}
    assert {row.pipeline for row in rows} == {"oral_cancer"}
    for event, actions in (("image_read", ["R", "R"]), ("image_deleted", ["D"])):
        path = f"/api/v1/audit?format=fhir&event={event}"
        bundle = (await service.get(path, headers=service.by("audit"))).json()
        assert [each["resource"]["action"] for each in bundle["entry"]] == actions


@pytest.mark.usefixtures("keeping")
async def test_an_image_that_cannot_be_decrypted_is_a_fault_of_the_service(
    service, tmp_path, capfd, ask, image
):
    prediction = (await ask())["prediction_id"]
    (tmp_path / "images" / "oral_cancer" / f"{prediction}.kept").write_bytes(b"overwritten")
    assert_problem(await image(prediction), 503, "unavailable")
    assert "not what was kept" in capfd.readouterr().out


@pytest.mark.usefixtures("keeping")
async def test_feedback_and_kept_images_work_on_postgresql(start, postgres_url, tmp_path):
    SecretFiles(Settings().secrets_dir, made=False).make()
    client = await start(database_url=postgres_url, kept_images=str(tmp_path / "images"))
    headers = {**RAW, "x-keep-image": "yes"}
    answer = (await client.post("/api/v1/predict", content=JPEG, headers=headers)).json()
    assert answer["kept"] is True
    path = f"/api/v1/predictions/{answer['prediction_id']}"
    given = await client.post(f"{path}/feedback", json={"label": "cancer", "comment": "Biopsy."})
    assert given.status_code == 201, given.text
    (entry,) = (await client.get(f"{path}/feedback")).json()["feedback"]
    assert (entry["label"], entry["comment"]) == ("cancer", "Biopsy.")
    (case,) = (await client.get("/api/v1/feedback?pipeline=oral_cancer")).json()["cases"]
    assert (case["image_kept"], case["feedback"]) == (True, [entry])
    assert (await client.get(f"{path}/image")).content == JPEG
    assert (await client.delete(f"{path}/image")).json() == {"deleted": True}
    deleted = await client.delete(f"{path}/feedback/{entry['id']}/comment")
    assert deleted.json() == {"deleted": True}
    assert (await client.get("/api/v1/predictions/a%00b/image")).status_code == 404
    assert (await client.get("/api/v1/feedback?pipeline=a%00b")).status_code == 422
