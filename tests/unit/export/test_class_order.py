"""The order of classes: an artefact answers in the YAML's, whatever the training's was."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from export import conversion, formats
from export.__main__ import app
from export.class_map import ClassMapError, Numbered
from export.class_order import Background, decide
from export.class_statements import Statement, of_class_map
from export.errors import CheckpointError, ExportError
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from export.repository import ModelRepository
from inference.decision import decide as decide_images
from inference.rules import DecisionRules
from pipelines.enums import Format
from pipelines.load import load_spec
from pipelines.manifest import Manifest, OrderKnownFrom
from pipelines.release import Release
from tests import photos
from tests.unit.export.class_layouts import CLASS_LAYOUTS, indices
from tests.unit.export.conftest import CLASSES, FEATURES, Tiny

IMAGEFOLDER = {"cancer": 0, "healthy": 1}
PIXELS = np.stack([np.asarray(photos.photo(seed, 48, 32)) for seed in range(6)])


def rearranged(state, order):
    """Weights of the same network, trained with its classes in another order.

    `order` has the former index of each class; None: the logit of two classes that swapped.
    """
    changed = {key: value.clone() for key, value in state.items()}
    for key in ("head.weight", "head.bias"):
        changed[key] = -state[key] if order is None else state[key][list(order)]
    return changed


@pytest.fixture
def command(specs, tmp_path):
    """Runs `python -m export oral_cancer`; gives exit status and what it printed."""

    def run(*arguments, pipeline="oral_cancer"):
        places = ["--repository", str(tmp_path / "repository"), "--specs", str(specs)]
        result = CliRunner().invoke(app, [pipeline, *map(str, arguments), *places])
        return result.exit_code, " ".join(result.output.split())

    return run


@pytest.fixture
def save(tiny, tmp_path):
    """Writes a checkpoint for vgg16 with something beside its weights; gives the argument."""

    def write(state=None, **beside):
        path = tmp_path / "weights.pt"
        torch.save({"state_dict": state or tiny.state_dict(), **beside}, path)
        return f"vgg16={path}"

    return write


@pytest.fixture
def published(tmp_path):
    """The manifest of the newest version of vgg16, and what its artefact answers to photos."""

    def newest():
        repository = ModelRepository(tmp_path / "repository")
        version = repository.versions("oral_cancer_vgg16")[-1]
        folder = repository.root / "oral_cancer_vgg16" / str(version)
        run = formats.open_artefact(folder / "model.onnx", Format.ONNX)
        return Manifest.read(folder), run(PIXELS)

    return newest


@pytest.mark.parametrize("one_logit", [False, True])
@pytest.mark.parametrize("format_", list(Format))
def test_a_checkpoint_trained_either_way_gives_identical_answers(
    spec, tmp_path, format_, one_logit
):
    member = spec.members["vgg16"]
    member = member.model_copy(update={"format": format_, "one_logit": one_logit})
    spec = spec.model_copy(update={"members": {**spec.members, "vgg16": member}})
    state = Tiny(spec.logits("vgg16")).state_dict()
    swapped = rearranged(state, None if one_logit else (1, 0))
    logits = []
    for number, (weights, order) in enumerate([(state, indices(CLASSES)), (swapped, IMAGEFOLDER)]):
        path = tmp_path / f"{number}.pt"
        torch.save({"model": weights, "class_to_idx": order}, path)
        found = convert(spec, path, tmp_path)
        assert found.order.trained == tuple(order)
        logits.append(formats.open_artefact(found.artefact, format_)(PIXELS))
    assert np.array_equal(*logits)
    assert np.ptp(logits[0]) > 0
    rules = DecisionRules.from_spec(spec.model_dump(mode="json"))
    one, other = (decide_images({0: each, 1: each}, rules, None) for each in logits)
    assert np.array_equal(one.prediction, other.prediction)
    assert np.array_equal(one.probabilities, other.probabilities)


def test_artefacts_of_either_training_are_the_same_bytes(spec, tiny, tmp_path):
    artefacts = []
    for order in ((0, 1), (1, 0)):
        path = tmp_path / "weights.pt"
        names = [CLASSES[index] for index in order]
        torch.save({"model": rearranged(tiny.state_dict(), order), "classes": names}, path)
        artefacts.append(convert(spec, path, tmp_path).artefact.read_bytes())
    # What is quantised from them, or runs in one process, is the same then too.
    assert artefacts[0] == artefacts[1]


def convert(spec, path, folder, options=AS_THE_FILE_SAYS, member="vgg16"):
    return conversion.convert(
        spec,
        member,
        path,
        folder=folder,
        compared=[PIXELS[0]],
        options=options,
        on_step=lambda _: None,
    )


@pytest.fixture
def snakes(tiny, tmp_path):
    """The shipped facts of snake_species with a tiny member, written as TorchScript."""
    spec = load_spec("snake_species")
    member = spec.members["fp32"].model_copy(
        update={"architecture": "tiny", "features": FEATURES, "format": Format.TORCHSCRIPT}
    )
    shape = spec.preprocessing.model_copy(update={"height": 32, "width": 48})
    return spec.model_copy(update={"members": {"fp32": member}, "preprocessing": shape})


def spelled(name, chance):
    """A name as another script may write it."""
    forms = [name, name.upper(), name.replace(" ", "_"), name.lower().replace(" ", "-")]
    return chance.choice(forms)


@pytest.mark.parametrize("seed", range(50))
def test_any_order_of_many_classes_is_answered_in_the_yamls_or_refused(snakes, tmp_path, seed):
    chance = random.Random(seed)
    order = chance.sample(range(len(snakes.classes)), len(snakes.classes))
    names = [spelled(snakes.classes[index], chance) for index in order]
    if spoiled := seed % 5 == 4:
        place = chance.randrange(len(names))
        names = chance.choice(
            [names[:-1], [*names, "Naja naja"], [*names[:place], "Naja", *names[place + 1 :]]]
        )
    state = Tiny(len(snakes.classes)).state_dict()
    layout = CLASS_LAYOUTS[seed % len(CLASS_LAYOUTS)]
    path = tmp_path / "weights.pt"
    torch.save({"model": rearranged(state, order), **layout.saved(names)}, path)
    if spoiled:
        with pytest.raises(CheckpointError, match=r"names other classes than snake_species\.yaml"):
            convert(snakes, path, tmp_path, member="fp32")
        return
    found = convert(snakes, path, tmp_path, member="fp32")
    assert found.order.trained == tuple(snakes.classes[index] for index in order)
    torch.save({"model": state, "classes": list(snakes.classes)}, path)
    (tmp_path / "straight").mkdir()
    straight = convert(snakes, path, tmp_path / "straight", member="fp32")
    run, expected = (
        formats.open_artefact(each.artefact, Format.TORCHSCRIPT)(PIXELS)
        for each in (found, straight)
    )
    assert np.array_equal(run, expected)


def test_a_head_that_is_changed_the_wrong_way_does_not_pass_the_parity_gate(
    snakes, tmp_path, monkeypatch
):
    monkeypatch.setattr("export.graph._change", lambda head, *_: head.weight.data.mul_(-1))
    names = snakes.classes[1:] + snakes.classes[:1]
    path = tmp_path / "weights.pt"
    torch.save({"model": Tiny(len(names)).state_dict(), "classes": list(names)}, path)
    with pytest.raises(ExportError, match=r"parity\.tolerance"):
        convert(snakes, path, tmp_path, member="fp32")


def test_the_report_and_the_manifest_say_that_rows_were_permuted(command, save, published):
    _, straight = command("--checkpoint", save(classes=CLASSES)), published()[1]
    status, output = command("--checkpoint", save(class_to_idx=IMAGEFOLDER))
    assert status == 0
    said = "rows were permuted from [cancer, healthy] (by class_to_idx) to [healthy, cancer]"
    assert said in output
    manifest, logits = published()
    assert manifest.class_order.known_from is OrderKnownFrom.CHECKPOINT
    assert manifest.class_order.place == "class_to_idx"
    assert manifest.class_order.trained == ("cancer", "healthy")
    assert said in manifest.notes[0]
    assert np.array_equal(logits, straight[:, ::-1])


def test_a_class_map_says_the_order_of_a_checkpoint_that_does_not(
    command, save, published, tmp_path
):
    path = tmp_path / "class_map.json"
    status, output = command("--checkpoint", save())
    assert status == 0
    manifest, straight = published()
    assert "class order not verified" in output
    assert "ImageFolder would have numbered them [cancer, healthy]" in output
    assert manifest.class_order.known_from is OrderKnownFrom.NOT_VERIFIED
    assert "class order not verified" in manifest.notes[0]
    # Both remedies that the report names.
    path.write_text(json.dumps(IMAGEFOLDER))
    status, output = command("--checkpoint", save(), "--class-map", path)
    manifest, logits = published()
    assert (status, manifest.class_order.known_from) == (0, OrderKnownFrom.CLASS_MAP)
    assert manifest.class_order.place == "class_map.json"
    assert np.array_equal(logits, straight[:, ::-1])
    assert "not verified" not in output
    status, output = command("--checkpoint", save(), "--classes-confirmed")
    manifest, logits = published()
    assert (status, manifest.class_order.known_from) == (0, OrderKnownFrom.USER)
    assert np.array_equal(logits, straight)
    assert "not verified" not in output


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.json", '{"cancer": 0, "healthy": 1}'),
        ("map.json", '{"0": "Cancer", "1": "HEALTHY"}'),
        ("map.json", '{"cancer": "0", "healthy": "1"}'),
        ("map.json", '["cancer", "healthy"]'),
        ("map.json", '\ufeff{"class_to_idx": {"cancer": 0, "healthy": 1}, "epochs": 3}'),
        ("map.json", '[{"id": 1, "name": "healthy"}, {"id": 0, "name": "cancer"}]'),
        ("data.yaml", "nc: 2\nnames: {0: cancer, 1: healthy}\n"),
        ("data.yml", "names: [cancer, healthy]\n"),
        ("labels.txt", "cancer\nhealthy\n"),
    ],
)
def test_class_maps_of_every_form(spec, tmp_path, name, content):
    (tmp_path / name).write_text(content, "utf-8")
    options = ReadOptions(class_map=of_class_map(tmp_path / name))
    order = decide(spec, [], options)
    assert (order.known_from, order.place) == (OrderKnownFrom.CLASS_MAP, name)
    assert order.trained == ("cancer", "healthy")


def test_the_release_says_which_members_are_not_verified(command, save, tmp_path, tiny):
    path = tmp_path / "regnet.pt"
    torch.save({"model": tiny.state_dict(), "classes": CLASSES}, path)
    for confirmed, known_from in (
        ([], OrderKnownFrom.NOT_VERIFIED),
        (["--classes-confirmed"], OrderKnownFrom.USER),
    ):
        arguments = ["--checkpoint", save(), "--checkpoint", f"regnet={path}", *confirmed]
        assert command(*arguments)[0] == 0
        release = Release.current("oral_cancer", "default", tmp_path / "repository")
        assert release.members["vgg16"].class_order is known_from
        assert release.members["regnet"].class_order is OrderKnownFrom.CHECKPOINT


def test_a_checkpoint_that_contradicts_itself_is_refused_until_one_place_is_removed(command, save):
    both = {"class_to_idx": IMAGEFOLDER, "hyper_parameters": {"classes": list(CLASSES)}}
    status, output = command("--checkpoint", save(**both))
    assert status == 1
    assert "class_to_idx says the order [cancer, healthy]" in output
    assert "hyper_parameters.classes says [healthy, cancer]" in output
    assert "remove the other" in output
    for key in both:
        assert command("--checkpoint", save(**{key: both[key]}))[0] == 0


def test_a_class_map_against_the_checkpoint_is_refused_until_it_is_left_out(
    command, save, tmp_path, published
):
    path = tmp_path / "class_map.json"
    path.write_text(json.dumps(indices(CLASSES)))
    argument = save(class_to_idx=IMAGEFOLDER)
    status, output = command("--checkpoint", argument, "--class-map", path)
    assert status == 1
    assert "class_to_idx says the order [cancer, healthy]" in output
    assert "class_map.json of " in output
    assert "says [healthy, cancer]" in output
    assert "Leave --class-map out" in output
    assert command("--checkpoint", argument)[0] == 0
    assert published()[0].class_order.trained == ("cancer", "healthy")


def test_confirming_against_the_checkpoint_is_refused_until_it_is_left_out(
    command, save, published
):
    argument = save(idx_to_class={0: "cancer", 1: "healthy"})
    status, output = command("--checkpoint", argument, "--classes-confirmed")
    assert status == 1
    assert "idx_to_class says the order [cancer, healthy]" in output
    assert "leave --classes-confirmed out" in output
    assert command("--checkpoint", argument)[0] == 0
    assert published()[0].class_order.trained == ("cancer", "healthy")


def test_other_names_are_refused_until_the_yaml_has_them(command, save, facts, specs, published):
    argument = save(class_to_idx={"malignant": 0, "normal": 1})
    status, output = command("--checkpoint", argument)
    assert status == 1
    assert "[malignant, normal] there, [healthy, cancer] in the YAML" in output
    assert "as `classes` (the positive class second" in output
    facts |= {"classes": ["normal", "malignant"], "positive": "malignant"}
    facts.pop("summary_aliases", None)
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    assert command("--checkpoint", argument)[0] == 0
    assert published()[0].class_order.trained == ("malignant", "normal")


def test_what_is_not_about_the_classes_can_be_removed(command, save):
    status, output = command("--checkpoint", save(classes=CLASSES, names=["run 1", "run 2"]))
    assert status == 1
    assert "If names is not about the classes, remove it from the file" in output
    assert command("--checkpoint", save(classes=CLASSES))[0] == 0


def test_other_names_of_many_classes_come_with_the_block_for_the_yaml(snakes):
    names = ("Naja naja", *snakes.classes[1:])
    said = statement(names)
    with pytest.raises(CheckpointError) as raised:
        decide(snakes, [said], AS_THE_FILE_SAYS)
    block = str(raised.value).partition("snake_species.yaml:\n")[2]
    changed = snakes.model_copy(update=yaml.safe_load(block))
    changed = changed.model_copy(update={"classes": tuple(changed.classes)})
    assert decide(changed, [said], AS_THE_FILE_SAYS).trained == names


def statement(names, first=0, key="classes"):
    return Statement(Path("weights.pt"), key, Numbered(first, tuple(names)))


def test_names_that_differ_in_case_and_separators_only_are_the_same(snakes):
    names = [name.upper().replace(" ", "_") for name in snakes.classes[::-1]]
    assert decide(snakes, [statement(names)], AS_THE_FILE_SAYS).trained == snakes.classes[::-1]
    twins = snakes.model_copy(update={"classes": ("a b", "A_B")})
    assert decide(twins, [statement(("A_B", "a b"))], AS_THE_FILE_SAYS).trained == ("A_B", "a b")
    with pytest.raises(CheckpointError, match="names other classes"):
        decide(twins, [statement(("A-B", "a b"))], AS_THE_FILE_SAYS)


def test_numbers_from_1_are_refused_but_where_0_is_the_background(snakes):
    said = statement(snakes.classes, first=1)
    for background in (Background.NONE, Background.LAST):
        with pytest.raises(CheckpointError, match="number them from 0"):
            decide(snakes, [said], AS_THE_FILE_SAYS, background)
    assert decide(snakes, [said], AS_THE_FILE_SAYS, Background.FIRST).trained == snakes.classes
    assert decide(snakes, [statement(snakes.classes)], AS_THE_FILE_SAYS).trained == snakes.classes


@pytest.mark.parametrize("word", ["background", "__background__", "BG", "no-object", "No object"])
def test_the_background_of_a_detector_is_left_out_at_its_place_only(snakes, word):
    classes = snakes.classes
    for names, background in (
        ((word, *classes), Background.FIRST),
        ((*classes, word), Background.LAST),
    ):
        for place in Background:
            if place is background:
                found = decide(snakes, [statement(names)], AS_THE_FILE_SAYS, place)
                assert found.trained == classes
            else:
                with pytest.raises(CheckpointError, match="names other classes"):
                    decide(snakes, [statement(names)], AS_THE_FILE_SAYS, place)


def test_a_class_map_that_names_other_classes_is_refused_by_its_file(snakes):
    options = ReadOptions(class_map=statement(("a", "b"), key=""))
    with pytest.raises(ClassMapError, match=r"^weights\.pt: names other classes than"):
        decide(snakes, [], options)
