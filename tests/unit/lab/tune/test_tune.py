"""Settings become YAML and back, and only what every pair shows counts as a gain."""

import shutil
from dataclasses import replace

import pytest
import yaml

from lab.tune import proposal
from lab.tune.candidates import knobs, shapes
from lab.tune.paired_comparison import Level
from lab.tune.setting import Setting, Shape, changes, merge, nested
from pipelines.load import FOLDER, available, load_definition, load_spec
from tests.unit.lab.bench import measured_pairs

EVERY = [
    (name, profile)
    for name in available()
    for profile in ("default", *load_definition(name).profiles)
]
CORES = 8


def every_candidate(spec):
    now = Setting.of(spec)
    serving = spec.serving
    found = knobs(list(spec.members), CORES, serving.max_batch, one_process=serving.one_process)
    for knob in found:
        yield from (candidate.setting for candidate in knob(now))


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_every_candidate_is_served_as_it_says(tmp_path, name, profile):
    start = Setting.of(load_spec(name, profile=profile))
    candidates = list(every_candidate(load_spec(name, profile=profile)))
    assert candidates
    for candidate in candidates:
        assert candidate != start
        facts = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
        merge(facts, nested(changes(start, candidate), profile))
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
        served = Setting.of(load_spec(name, tmp_path, profile))
        assert replace(served, calls=candidate.calls) == candidate


def test_where_one_process_does_all_only_its_number_is_tried():
    start = Setting.of(spec := load_spec("oral_cancer", profile="onnx"))
    candidates = list(every_candidate(spec))
    assert {candidate.decode for candidate in candidates} == {start.decode}
    for name, member in start.members.items():
        assert {each.members[name].shape for each in candidates} == {member.shape}
    assert {each.decisions for each in candidates} == {1, 2, 4}


def test_what_keeps_its_size_is_not_tried_in_batches():
    spec = load_spec("cervical_lesions")
    sizes = {each.members["mask_rcnn"].max_batch for each in every_candidate(spec)}
    assert sizes == {0}


@pytest.mark.parametrize("cores", [1, 2, 6, 16])
def test_shapes_use_all_cores_or_half_of_them(cores):
    used = {shape.instances * shape.threads for shape in shapes(cores)}
    assert used == {cores, cores // 2} - {0}
    assert Shape(1, cores) in shapes(cores)
    assert Shape(cores, 1) in shapes(cores)


@pytest.mark.parametrize("profile", ["default", "int8"])
def test_writing_changes_nothing_but_the_settings(tmp_path, profile):
    path = tmp_path / "oral_cancer.yaml"
    shutil.copy(FOLDER / path.name, path)
    before = path.read_text("utf-8").splitlines()
    member = "vgg16_int8" if profile == "int8" else "vgg16"
    changed = nested({"members": {member: {"instances": 2, "threads": 1}}}, profile)
    proposal.write(path, changed)
    served = load_spec("oral_cancer", tmp_path, profile).members[member]
    assert (served.instances, served.threads) == (2, 1)
    after = path.read_text("utf-8").splitlines()
    gone = [line for line in before if line not in after]
    assert len(gone) <= 1, "comments and order stay"
    assert list(tmp_path.iterdir()) == [path]


def test_the_block_to_paste_says_the_same():
    changed = {
        "members": {"vgg16": {"instances": 2, "threads": 1}},
        "serving": {"queue_delay_us": 0},
    }
    assert yaml.safe_load(proposal.block(changed)) == changed


def level(*gains):
    return Level(8, measured_pairs.pairs(8, gains))


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1.05, 1.2, 1.01), "gain"),
        ((0.9, 0.99, 0.8), "loss"),
        ((1.5, 1.5, 0.99), "no significant difference"),
        ((1.0, 1.0, 1.0), "no significant difference"),
    ],
)
def test_only_what_every_pair_shows_is_a_difference(gains, verdict):
    assert level(*gains).verdict == verdict
    assert level(*gains).smallest == pytest.approx(min(gains))


def test_a_gain_that_costs_a_loss_elsewhere_is_not_worth_it():
    assert proposal.worth_it([level(1.1, 1.2), level(0.9, 1.1)])
    assert not proposal.worth_it([level(1.1, 1.2), level(0.9, 0.8)])
    assert not proposal.worth_it([level(0.9, 1.1)])


def test_the_table_shows_medians_and_spread():
    table = proposal.compared([level(0.9, 1.1, 1.2)])
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells[0] == "8"
    assert cells[2] == "11000.0 (9000.0 to 12000.0)"
    assert cells[5] == "1.10 (0.90 to 1.20)"
