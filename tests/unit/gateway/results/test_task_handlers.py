import pytest

from gateway.core.catalog import Artefact, Pipeline
from gateway.core.request import RequestParameters
from gateway.results.task_handlers import handler_of
from pipelines.load import load_spec

ARTEFACT = Artefact(version="1", sha256="c" * 64, weights="trained")


def images_per_call(pipeline, profile, **parameters):
    spec = load_spec(pipeline, profile=profile)
    artefacts = dict.fromkeys(spec.members, ARTEFACT)
    served = Pipeline(spec, artefacts, "1-00000000", spec.name)
    return spec, handler_of(served).images_per_call(served, RequestParameters(parameters))


@pytest.mark.parametrize("member", [None, "regnet"])
def test_triton_takes_as_many_as_the_pipeline_where_each_model_has_its_own_batches(member):
    spec, found = images_per_call(
        "oral_cancer", "default", **({"member": member} if member else {})
    )
    assert spec.max_batch("vgg16") < found == spec.serving.max_batch


@pytest.mark.parametrize("member", [None, "vgg16", "regnet_onnx"])
def test_in_one_process_no_image_waits_for_more_than_the_members_take(member):
    spec, found = images_per_call("oral_cancer", "onnx", **({"member": member} if member else {}))
    heard = ["vgg16", "regnet_onnx"] if member is None else [member]
    assert found == min(spec.max_batch(name) for name in heard)
    assert spec.max_batch("vgg16") < spec.max_batch("regnet_onnx")


def test_what_a_detector_finds_does_not_stack():
    assert images_per_call("object_detection", "default")[1] == 1


def test_an_image_that_is_explained_shares_no_call():
    assert images_per_call("oral_cancer", "default", explain="true")[1] == 1
