"""The pipeline that the replicas serve is one that the launcher serves."""

from lab.autoscaling import pipeline
from lab.autoscaling.plan import Plan
from lab.service.scratch import Scratch
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.release_files import ReleaseFiles
from server.releases.verification import verify_release


def test_the_launcher_would_serve_it(tmp_path):
    place = Scratch(tmp_path)
    pipeline.make(place, delay_ms=800)
    spec = load_spec(pipeline.PIPELINE, place.specs)
    release = verify_release(spec, place.repository, ReleaseFiles(place.repository))
    member = release.configs[protocol.member_model(pipeline.PIPELINE, pipeline.MEMBER)]
    assert (member.backend, member.max_batch_size) == ("python", pipeline.BATCH)
    assert member.parameters["delay_ms"].string_value == "800"


def test_the_overload_is_three_times_what_the_replicas_before_it_answer():
    plan = Plan()
    _, busy, overload, *_ = plan.steps()
    assert overload.rate == 3 * busy.replicas * plan.capacity
    assert plan.cap < 16 * plan.most
