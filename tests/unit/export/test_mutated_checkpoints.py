"""200 mutated checkpoints: the right answers by class, or a refusal of one line; never another."""

import copy

import numpy as np
import pytest
import torch
import yaml

from export import conversion, formats
from export.detector import open_detector
from export.errors import CheckpointError, ExportError
from export.graph import ServedMember
from export.parity import photos_to_compare
from export.read_options import ReadOptions
from export.repository import ModelRepository
from export.versions import export
from pipelines.load import load_spec
from pipelines.protocol import MEMBER_FEATURES, MEMBER_OUTPUT
from tests.unit.export.checkpoint_mutations import mutate, write
from tests.unit.export.conftest import CLASSES
from tests.unit.export.test_yolos import SPEC as YOLOS_SPEC
from tests.unit.export.test_yolos import photos as yolos_photos
from tests.unit.export.test_yolos import save as save_yolos

TINY, MOBILENET, YOLOS, EXPORTED = 160, 16, 12, 12


def network(member, spec):
    """The member's network, for the truth to be loaded into."""
    from export import architectures  # noqa: PLC0415 - `tiny` is put there by a fixture

    return architectures.build(spec.members[member].architecture, spec.logits(member)).eval()


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks wait for further threads longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def in_torch(monkeypatch):
    """Artefacts are copies of the network in torch, as it is when they are written."""
    written = {}

    def keep(served, _height, _width, _format, path, *, outputs):
        written[path] = copy.deepcopy(served), list(outputs)

    def run(path, _format, output=MEMBER_OUTPUT):
        def answer(pixels):
            served, outputs = written[path]
            with torch.inference_mode():
                found = served(torch.from_numpy(pixels))
            given = found if isinstance(found, tuple) else (found,)
            return given[outputs.index(output)].numpy()

        return answer

    def run_features(path, format_, output=MEMBER_FEATURES):
        return run(path, format_, output)

    monkeypatch.setattr(formats, "write", keep)
    monkeypatch.setattr(formats, "open_artefact", run)
    monkeypatch.setattr(formats, "open_features", run_features)
    return run


def by_class(names, logits):
    return {name: logits[:, index] for index, name in enumerate(names)}


def assert_right(mutant, member, spec, found, pixels):
    """`found` are the artefact's logits in the pipeline's order of classes."""
    model = network(member, spec)
    model.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in mutant.truth.items()}
    )
    with torch.inference_mode():
        served = ServedMember(model, spec.preprocessing).eval()
        expected = by_class(mutant.names, served(torch.from_numpy(pixels)).numpy())
    for name, logits in by_class(spec.classes, found).items():
        np.testing.assert_allclose(logits, expected[name], atol=1e-4, err_msg=str(mutant.steps))


def assert_one_line(refused, path):
    message = str(refused)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 1000


def judge(seeds, spec, member, tmp_path, artefact):
    """How many of some mutants are read, all of them rightly; the others are refused."""
    compared = photos_to_compare(None, spec)[:2]
    pixels = np.stack(compared)
    torch.manual_seed(3)
    state = network(member, spec).state_dict()
    path = tmp_path / "mutant.pt"
    read = 0
    for seed in seeds:
        mutant = mutate(seed, state, CLASSES)
        write(mutant, path)
        folder = tmp_path / f"artefact-{seed}"
        folder.mkdir()
        try:
            made = conversion.convert(
                spec,
                member,
                path,
                folder=folder,
                compared=compared,
                options=ReadOptions(),
                on_step=lambda _: None,
            )
        except ExportError as refused:
            assert_one_line(refused, path)
            continue
        read += 1
        run = artefact(made.artefact, spec.members[member].format)
        assert_right(mutant, member, spec, run(pixels), pixels)
    return read


def test_mutants_of_a_small_network_are_right_or_refused(spec, in_torch, tmp_path):
    read = judge(range(TINY), spec, "vgg16", tmp_path, in_torch)
    assert TINY / 5 < read < TINY * 4 / 5


def test_mutants_of_a_mobilenet_are_right_or_refused(facts, specs, in_torch, tmp_path):
    facts["members"]["vgg16"]["architecture"] = "mobilenetv3_small_100"
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    spec = load_spec("oral_cancer", specs)
    read = judge(range(1000, 1000 + MOBILENET), spec, "vgg16", tmp_path, in_torch)
    assert MOBILENET / 5 < read < MOBILENET * 4 / 5


def test_mutants_of_a_yolos_are_right_or_refused(tmp_path):
    model = save_yolos(tmp_path / "yolos", (416, 416))
    truth = open_detector("yolos", tmp_path / "yolos", YOLOS_SPEC).module
    pixels = torch.from_numpy(np.stack(yolos_photos(2)))
    path = tmp_path / "yolos" / "model.safetensors"
    good = path.read_bytes()
    read = 0
    with torch.inference_mode():
        expected = truth(pixels)
    for seed in range(2000, 2000 + YOLOS):
        path.write_bytes(good)
        mutant = mutate(seed, model.state_dict(), YOLOS_SPEC.classes, changes=1)
        write(mutant, path)
        try:
            opened = open_detector("yolos", tmp_path / "yolos", YOLOS_SPEC)
        except CheckpointError as refused:
            assert_one_line(refused, tmp_path / "yolos")
            continue
        read += 1
        coarse = "cast_all" in mutant.steps
        with torch.inference_mode():
            found = opened.module(pixels)
        for one, other in zip(found[:2], expected[:2], strict=True):
            torch.testing.assert_close(one, other, atol=9.0 if coarse else 1e-4, rtol=0)
        assert coarse or torch.equal(found[2], expected[2])
    assert 0 < read < YOLOS


def test_the_whole_export_of_mutants_publishes_right_versions_or_nothing(spec, tiny, tmp_path):
    repository = ModelRepository(tmp_path / "model_repository")
    compared = np.stack(photos_to_compare(None, spec))
    path = tmp_path / "mutant.pt"
    outcomes = set()
    for seed in range(3000, 3000 + EXPORTED):
        mutant = mutate(seed, tiny.state_dict(), CLASSES)
        write(mutant, path)
        before = sorted(repository.root.rglob("*"))
        try:
            (done,) = export(spec, {"vgg16": path}, repository)
        except ExportError as refused:
            assert_one_line(refused, path)
            assert sorted(repository.root.rglob("*")) == before
            outcomes.add("refused")
            continue
        outcomes.add("published")
        artefact = done.folder / done.manifest.artefact
        run = formats.open_artefact(artefact, spec.members["vgg16"].format)
        assert_right(mutant, "vgg16", spec, run(compared), compared)
        assert not list(repository.root.glob(".staging-*"))
    assert outcomes == {"refused", "published"}
