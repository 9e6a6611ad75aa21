"""The gate of `fast`: figures, bounds, and the command that writes the record."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from export import fast_decoding
from export.decoding_gate import Artefact, measure
from export.gate import GateError
from export.plan import plan
from export.repository import ModelRepository
from export.versions import export
from pipelines.fast_decoding import FastDecoding, facts_hash
from pipelines.load import load_definition, load_spec
from tests.photos import encoded, photo

ENOUGH = 6


@pytest.fixture
def facts(facts):
    # TorchScript alone: it is exported in a moment.
    facts["members"] = {name: facts["members"][name] for name in ("vgg16", "regnet")}
    facts["members"]["vgg16"]["format"] = "torchscript"
    facts["preprocessing"]["reserve"] = 1
    facts["profiles"] = {"fast": {"preprocessing": "fast"}}
    return facts


@pytest.fixture
def fast(specs, tiny):
    return load_spec("oral_cancer", specs, "fast")


@pytest.fixture(autouse=True)
def few_photos(monkeypatch):
    for module in ("export.decoding_gate", "export.fast_decoding", "pipelines.fast_decoding"):
        monkeypatch.setattr(f"{module}.PHOTOS_AT_LEAST", ENOUGH)


@pytest.fixture
def album(tmp_path):
    """Photos that are scaled, one that is no JPEG, one that is no photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(ENOUGH):
        (folder / f"{index}.jpg").write_bytes(encoded(photo(index, 320, 240)))
    (folder / "same.png").write_bytes(encoded(photo(9, 320, 240), "PNG"))
    (folder / "none.jpg").write_bytes(b"no photo")
    return folder


def answering(slope):
    """Artefacts whose logit grows with the difference of neighbouring pixels."""

    def run(pixels):
        sharp = np.abs(np.diff(pixels.astype(float), axis=2)).mean(axis=(1, 2, 3))
        return np.stack([np.zeros_like(sharp), slope * (sharp - 10)], axis=1).astype(np.float32)

    return {name: Artefact(run, name * 8) for name in ("vgg16", "regnet")}


def measured(spec, album, slope):
    return measure(spec, answering(slope), sorted(album.iterdir()))


def test_a_pipeline_that_hardly_changes_passes(fast, album):
    record = measured(fast, album, 1e-3)
    assert record.photos == ENOUGH
    assert record.unchanged == 1
    assert record.agreement == 1
    assert 0 < record.difference <= 0.01
    assert record.passed
    assert record.artefacts == {"vgg16": "vgg16" * 8, "regnet": "regnet" * 8}
    assert record.facts == facts_hash(fast)


def test_a_pipeline_that_sees_each_pixel_does_not(fast, album):
    record = measured(fast, album, 1.0)
    assert record.difference > 0.01
    assert not record.passed
    assert [kept for text, kept in record.verdicts().items() if "|dp|" in text] == [False]


def test_the_difference_is_that_of_the_weighted_mean(fast, album):
    artefacts = answering(1e-3)
    artefacts["vgg16"] = answering(0.05)["vgg16"]
    record = measure(fast, artefacts, sorted(album.iterdir()))
    assert record.difference == pytest.approx(0.4 * record.member_difference, rel=0.1)


def figures(**changes):
    kept = {
        "photos": ENOUGH,
        "unchanged": 0,
        "agreement": 0.999,
        "difference": 0.01,
        "member_difference": 0.5,
        "artefacts": {},
        "facts": "",
    }
    return FastDecoding(**kept | changes)


def test_figures_on_the_bounds_pass():
    assert figures().passed


@pytest.mark.parametrize(
    "changes", [{"photos": ENOUGH - 1}, {"agreement": 0.9989}, {"difference": 0.0101}]
)
def test_each_bound_alone_refuses(changes):
    record = figures(**changes)
    assert not record.passed
    assert list(record.verdicts().values()).count(False) == 1


def test_too_few_photos_are_refused_before_any_work(fast, album):
    with pytest.raises(GateError, match="5 photos were given, 6 or more"):
        measure(fast, {}, sorted(album.iterdir())[:5])


def test_photos_that_are_not_scaled_prove_nothing(fast, album):
    for index in range(ENOUGH):
        (album / f"{index}.jpg").write_bytes(encoded(photo(index, 90, 60)))
    with pytest.raises(GateError, match=r"0 photos are decoded otherwise \(7 have the same"):
        measured(fast, album, 1)


def test_numbers_that_are_not_finite_are_refused(fast, album):
    with pytest.raises(GateError, match="not finite"):
        measured(fast, album, np.nan)


def test_a_profile_that_decodes_exactly_is_not_judged(spec, album):
    with pytest.raises(GateError, match="does not decode by `fast`"):
        measured(spec, album, 1)


def test_other_facts_are_told_apart(fast):
    other = fast.preprocessing.model_copy(update={"reserve": 2})
    assert facts_hash(fast.model_copy(update={"preprocessing": other})) != facts_hash(fast)
    assert facts_hash(fast.model_copy(update={"title": "x"})) == facts_hash(fast)
    shifted = fast.threshold.model_copy(update={"default": 0.6})
    assert facts_hash(fast.model_copy(update={"threshold": shifted})) != facts_hash(fast)


@pytest.fixture
def command(tmp_path, specs, tiny):
    """Runs the command on exported tiny members."""
    torch.save({"state_dict": tiny.state_dict(), "weights": "demo"}, tmp_path / "tiny.pt")
    whole, repository = (
        load_definition("oral_cancer", specs),
        ModelRepository(tmp_path / "repository"),
    )
    files = dict.fromkeys(("vgg16", "regnet"), tmp_path / "tiny.pt")
    members = list(whole.resolve("fast").members)
    assert plan(whole, files, members).published == members

    def run(*words, published=True):
        if published:
            export(whole, files, repository, members=members)
        app = fast_decoding.typer.Typer()
        app.command()(fast_decoding.main)
        places = ["--specs", str(specs), "--repository", str(repository.root)]
        return CliRunner().invoke(app, ["oral_cancer", *words, *places])

    return run


def test_the_command_judges_exported_members_and_writes_the_record(command, fast, album, tmp_path):
    result = command("--photos", str(album))
    assert result.exit_code == 0, result.output
    record = FastDecoding.read(fast, tmp_path / "repository")
    assert record.passed
    assert set(record.artefacts) == {"vgg16", "regnet"}
    folder = tmp_path / "repository" / "oral_cancer" / "1"
    assert [path.name for path in folder.iterdir()] == ["fast_decoding-fast.json"]


def test_figures_that_do_not_pass_are_written_and_fail_the_command(
    command, fast, album, tmp_path, monkeypatch
):
    monkeypatch.setattr("pipelines.fast_decoding.DIFFERENCE_AT_MOST", 0.0)
    result = command("--photos", str(album))
    assert result.exit_code == 1
    assert not FastDecoding.read(fast, tmp_path / "repository").passed
    assert "LOST: largest |dp|" in result.output
    assert "`reserve`" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no version: run python -m export oral_cancer --profile fast"),
        (("--profile", "other"), "has no profile 'other'"),
    ],
)
def test_what_is_missing_is_named(command, album, words, message):
    result = command("--photos", str(album), *words, published=False)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
