"""Curves become tables, and a cluster's size follows from them by arithmetic."""

import io
import json

import pytest
import typer.testing
import yaml
from PIL import Image

from lab.machine import Machine
from lab.scale import __main__ as command
from lab.scale import photo_sizes, random_weights
from lab.scale.raw import Curve, Point, Scale, Served, Started
from lab.scale.sizing import HEADROOM, Costs, beside, busiest, step
from lab.scale.sizing_tables import ASSUMED_RATE, on_paper
from pipelines.load import FOLDER, available, load_spec

# CPU seconds of 100 images.
CPU = {
    "gateway": 0.1,
    "tritonserver": 0.05,
    "decode": 0.25,
    "decision": 0.1,
    "vgg16": 8.0,
    "regnet": 1.0,
    "launcher": 0.5,
}


def point(curve, x, **others):
    facts = {
        "callers": 8,
        "images_each": 1,
        "bytes_each": 31_250,
        "requests": 100,
        "refused": 0,
        "errors": {},
        "seconds": 10.0,
        "p50_ms": 80.0,
        "p99_ms": 90.0,
        "cpu_seconds": CPU,
        "generator_cpu_seconds": 0.1,
        "pss_mib": {"gateway": 60.0, "vgg16": 300.0},
    }
    return Point(curve=curve, x=x, **(facts | others))


@pytest.fixture
def scale():
    return Scale(
        command="python -m lab.scale",
        started="2026-01-01T00:00:00+00:00",
        minutes=8,
        seconds=3,
        machine=Machine(
            cpu="a CPU", cores=2, memory_gib=24, system="Linux", python="3.11", load_average=0.5
        ),
        load_average_after=1.0,
        served=(
            Served(name="oral_cancer", weights="demo", artefact_bytes=2**30, members=("vgg16",)),
            Served(name="mhist", weights="random", artefact_bytes=2**20, members=("vit",)),
        ),
        photo_bytes=31_000,
        lightest="regnet",
        series={"gateway": 100, "tritonserver": 200, "launcher": 2},
        starts=(Started(pipelines=1, seconds=5.0, pss_mib={"gateway": 60.0}),),
        points=(
            point(Curve.CONCURRENCY, 8),
            point(Curve.CONCURRENCY, 1),
            point(Curve.CONCURRENCY, 256, refused=30, errors={"status 504": 2}),
            point(Curve.CONCURRENCY, 160, setting="GATEWAY_MAX_IN_FLIGHT=320"),
            point(Curve.LIGHT, 32),
            point(Curve.BATCH, 16, images_each=16, requests=3),
            point(Curve.SIZE, 40, callers=1),
            point(Curve.SIZE, 40),
            point(Curve.PIPELINES, 1),
            point(Curve.TOGETHER, 1, requests=0, p50_ms=None, p99_ms=None),
        ),
    )


def test_images_are_what_all_answered_requests_hold():
    batch = point(Curve.BATCH, 16, images_each=16, requests=5)
    assert (batch.images, batch.rate) == (80, 8.0)
    assert batch.cpu_ms("gateway") == pytest.approx(100 / 80)


def test_costs_are_taken_where_nobody_was_refused(scale):
    assert busiest(scale).x == 8
    costs = Costs.of(scale)
    assert (costs.gateway, costs.triton, costs.decode, costs.decision) == pytest.approx(
        (1.0, 0.5, 2.5, 1.0)
    )
    assert costs.members == pytest.approx(90.0), "the launcher is no member"


def test_a_gpu_needs_cores_by_its_rate(scale):
    need = beside(Costs.of(scale), 1000)
    assert need.decode == pytest.approx(2.5 / HEADROOM)
    assert need.all == pytest.approx(5.0 / HEADROOM)
    assert need.gigabits == pytest.approx(0.25)


def test_a_cluster_grows_with_its_gpus(scale):
    ten = step(Costs.of(scale), scale, 10, 1000)
    assert ten.rate == 10_000
    assert ten.gateways == 15, "10 cores of work at 70 % of each one's time"
    assert ten.series == 10 * 202 + 15 * 100
    assert ten.rollout_gib == pytest.approx(10.0)


def test_an_assumed_rate_is_said_to_be_one_until_it_is_measured(scale, tmp_path):
    costs, gpu = Costs.of(scale), tmp_path / "gpu.json"
    assert f"{ASSUMED_RATE:g} images/s (an assumption" in on_paper(scale, costs, gpu)
    gpu.write_text(json.dumps({"ensemble_images_per_second": 5432.0, "device": "a GPU"}))
    assert "5432 images/s (measured on a GPU)" in on_paper(scale, costs, gpu)


def test_the_page_is_written_anew_from_kept_data(scale, tmp_path):
    page = tmp_path / "scale.md"
    page.write_text("By hand.\n<!-- measured: begin -->\n<!-- measured: end -->\nBy hand too.\n")
    scale.write(tmp_path / "scale" / "scale.json")
    runner = typer.testing.CliRunner()
    app = typer.Typer()
    app.command()(command.main)
    result = runner.invoke(app, ["--redraw", "--output", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.startswith("By hand.\n")
    assert text.endswith("By hand too.\n")
    assert "| 256 | 10.0 | 80 | 90 | 30, 2 x status 504 |" in text
    assert "160 with `GATEWAY_MAX_IN_FLIGHT=320`" in text
    assert "mhist (random weights)" in text
    assert (tmp_path / "scale" / "scale.png").stat().st_size > 10_000
    assert Scale.read(tmp_path / "scale" / "scale.json") == scale


def test_without_kept_data_redrawing_says_what_to_do(tmp_path):
    app = typer.Typer()
    app.command()(command.main)
    arguments = ["--redraw", "--output", str(tmp_path / "scale.md")]
    result = typer.testing.CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "leave --redraw out" in " ".join(result.output.split())


def test_a_photo_has_its_size_and_is_let_in(tmp_path):
    file = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("RGB").save(file, "JPEG")
    drawn = file.getvalue()
    data = photo_sizes.photo(3, "oral_cancer", drawn, tmp_path / "kept")
    with Image.open(io.BytesIO(data)) as image:
        assert image.width * image.height == pytest.approx(3e6, rel=0.01)
        assert image.width / image.height == pytest.approx(4 / 3, rel=0.01)
    assert len(data) < load_spec("oral_cancer").limits.bytes
    assert photo_sizes.photo(3, "oral_cancer", drawn, tmp_path / "kept") == data


@pytest.mark.parametrize("name", available())
def test_every_pipeline_can_do_without_int8(tmp_path, name):
    facts = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    random_weights.without_int8(facts)
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    spec = load_spec(name, tmp_path)
    assert spec.answering_members == load_spec(name).answering_members
    assert not any(member.quantisation for member in spec.members.values())
    assert not random_weights.has_weights(name, tmp_path)
