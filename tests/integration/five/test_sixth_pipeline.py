"""A sixth pipeline is one YAML and its weights, added while the service runs."""

import time

import numpy as np
import pytest
import yaml

from pipelines.load import load_spec
from pipelines.protocol import Detected, Output
from tests import plain_recipe
from tests.integration.export_command import export
from tests.integration.five.conftest import wait_until_served
from tests.integration.triton import infer

SECONDS = 60


def add(five, name, like, **changes):
    """Writes the YAML of a new pipeline and exports it from another one's checkpoint."""
    facts = yaml.safe_load((five.specs_folder / f"{like}.yaml").read_text("utf-8"))
    member = five.specs[like].answering_members[0]
    # They name members of the other one.
    facts.pop("profiles")
    facts |= {"name": name, "members": {"only": facts["members"][member]}, **changes}
    facts["typicality"]["member"] = None
    path = five.specs_folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    checkpoint = five.checkpoints[like][member]
    places = ["--specs", str(five.specs_folder), "--repository", str(five.repository)]
    export(name, f"--checkpoint=only={checkpoint}", *places)
    return load_spec(name, five.specs_folder)


def test_a_classification_added_while_others_answer(five, http, triton, everything):
    assert http.get("/api/v1/pipelines/sixth").status_code == 404
    process = everything.process.pid
    spec = add(five, "sixth", "snake_species", title="A sixth system")
    wait_until_served(everything.url, "sixth")
    member = plain_recipe.load_members(
        spec,
        {
            "only": five.checkpoints["snake_species"][
                five.specs["snake_species"].answering_members[0]
            ]
        },
    )
    for file in five.photos[:5]:
        expected = plain_recipe.opinion(file, spec, member).probabilities
        answer = http.post("/api/v1/pipelines/sixth/predict", files={"file": file}).json()
        assert answer["pipeline"] == "sixth"
        assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-4)
        over_grpc = infer(triton, "sixth", file)[Output.PROBABILITIES][0]
        np.testing.assert_allclose(over_grpc, expected, atol=1e-4)
    listed = {item["name"] for item in http.get("/api/v1/pipelines").json()["pipelines"]}
    assert "sixth" in listed
    assert http.post("/api/v1/predict", files={"file": five.photos[0]}).status_code == 200
    assert everything.process.pid == process
    assert everything.process.poll() is None


def test_a_detector_added_in_the_same_way(five, http, triton, everything):
    spec = add(five, "seventh", "object_detection")
    wait_until_served(everything.url, "seventh")
    file = five.photos[0]
    path = "/api/v1/pipelines/seventh/predict"
    answer = http.post(path, files={"file": file}).json()
    same = http.post("/api/v1/pipelines/object_detection/predict", files={"file": file}).json()
    assert answer["predictions"] == same["predictions"]
    assert {item["class"] for item in answer["predictions"]} <= set(spec.classes)
    over_grpc = infer(triton, "seventh", file)
    assert over_grpc[Detected.BOXES].shape == (1, len(answer["predictions"]), 4)


def test_a_yaml_without_weights_is_not_served_and_harms_nothing(five, http, everything):
    facts = yaml.safe_load((five.specs_folder / "mhist.yaml").read_text("utf-8"))
    path = five.specs_folder / "weightless.yaml"
    path.write_text(yaml.safe_dump(facts | {"name": "weightless"}, sort_keys=False), "utf-8")
    give_up = time.monotonic() + SECONDS
    while "NOT SERVED  weightless" not in everything.log.read_text("utf-8"):
        assert time.monotonic() < give_up
        time.sleep(0.5)
    assert http.get("/api/v1/pipelines/weightless").status_code == 404
    assert http.get("/readyz").status_code == 200
    path.unlink()
