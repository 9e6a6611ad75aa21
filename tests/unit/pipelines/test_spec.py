"""The typed facts of a pipeline."""

from pathlib import Path

import pytest
import yaml

from pipelines.enums import Task
from pipelines.load import FOLDER, SpecError, available, load_spec
from pipelines.quality import Quality
from pipelines.spec import PipelineSpec
from tests.facts import by_default


@pytest.fixture
def facts():
    return by_default("oral_cancer")


def load(folder: Path, data, name="oral_cancer"):
    text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False)
    (folder / f"{name}.yaml").write_text(text, "utf-8")
    return load_spec(name, folder)


@pytest.mark.parametrize("name", available())
def test_every_shipped_pipeline_loads(name):
    assert load_spec(name).name == name


def test_the_positive_class_of_oral_cancer_is_cancer():
    spec = load_spec("oral_cancer")
    assert spec.classes == ("healthy", "cancer")
    assert spec.positive == "cancer"
    assert spec.class_map() == {"0": "healthy", "1": "cancer"}


def test_weights_are_normalised_to_one(facts, tmp_path):
    facts["members"]["vgg16"]["weight"] = 3
    facts["members"]["regnet"]["weight"] = 1
    assert load(tmp_path, facts).weights == (0.75, 0.25)


def set_key(data, path, value):
    *parents, last = path.split(".")
    for key in parents:
        data = data[key]
    data[last] = value


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("positive", "healthy", "second of the classes"),
        ("positive", None, "both or neither"),
        ("classes", ["healthy", "healthy"], "twice"),
        ("classes", ["healthy", "cancer", "unsure"], "two classes"),
        ("threshold.default", 0.01, "minimum <= default <= maximum"),
        ("threshold.default", float("nan"), "threshold.default"),
        ("threshold.maximum", 7, "threshold.maximum"),
        ("members", {}, "members"),
        ("members.vgg16.weight", -1, "members.vgg16.weight"),
        ("uncertainty", None, "needs its bands"),
        ("preprocessing.resize", "letterbox", "preprocessing"),
        ("members.vgg16.format", "keras", "members.vgg16.format"),
        ("members.vgg16.colour", "red", "members.vgg16.colour"),
        ("preprocessing.std", [0.2, 0.2, 0], "preprocessing.std"),
        ("preprocessing.interpolation", "area", "preprocessing.interpolation"),
        ("uncertainty.low.recommendation", "", "uncertainty.low.recommendation"),
        ("summary_aliases", {"found": "tumour"}, "summary_aliases.found"),
        ("serving.max_batch", 0, "serving.max_batch"),
        ("serving.respond_within_ms", 0, "serving.respond_within_ms"),
        ("serving.respond_within_ms", 1.5, "serving.respond_within_ms"),
        ("serving.respond_within_ms", 3_600_001, "serving.respond_within_ms"),
        ("serving.queue_delay_us", 500_001, "more than half of respond_within_ms"),
        ("name", "other", "the file is named 'oral_cancer'"),
        ("release", "two words", "release"),
        ("quality.blurred", {"above": 3}, "quality.blurred.below"),
        ("quality.blurred", {"below": 0}, "quality.blurred.below"),
        ("quality.blurred", {"below": float("nan")}, "quality.blurred.below"),
        ("quality.blurred", {"below": 3, "text": "two\nlines"}, "quality.blurred.text"),
        ("quality.blurred", 3, "quality.blurred"),
        ("quality.dark", {"above": 1}, "give less than 1"),
        ("quality.shaken", {"above": 1}, "quality.shaken"),
        ("quality.side", 256, "quality.side"),
        ("keep_images", True, "keep_images"),
        ("keep_images", {"days": 0}, "keep_images.days"),
        ("keep_images", {}, "keep_images.days"),
        ("explanation", {}, "explanation.grid"),
        ("explanation", {"grid": 2}, "explanation.grid"),
        ("explanation", {"grid": 17}, "explanation.grid"),
        ("explanation", {"grid": 7, "seconds": 0}, "explanation.seconds"),
        ("explanation", {"grid": 7, "colour": "grey"}, "explanation.colour"),
        ("preprocessing.resize", "crop", "explanation: needs resize: stretch"),
        ("preprocessing.height", 6, "explanation.grid: has more cells"),
    ],
)
def test_a_wrong_value_names_file_and_key(facts, tmp_path, key, value, complaint):
    set_key(facts, key, value)
    with pytest.raises(SpecError) as raised:
        load(tmp_path, facts)
    assert str(tmp_path / "oral_cancer.yaml") in str(raised.value)
    assert complaint in str(raised.value)


def test_a_bound_of_quality_has_a_text_with_a_remedy_and_may_have_one_of_its_own(facts, tmp_path):
    facts["quality"] = {"blurred": {"below": 3}, "dark": {"above": 0.5, "text": "Dark. Add light."}}
    quality = load(tmp_path, facts).quality
    assert quality.blurred.text.endswith("Hold the camera still and repeat the photo.")
    assert (quality.dark.text, quality.dark.refuse, quality.small) == (
        "Dark. Add light.",
        False,
        None,
    )


def test_without_bounds_of_quality_nothing_is_judged(facts, tmp_path):
    del facts["quality"]
    assert load(tmp_path, facts).quality == Quality()


@pytest.mark.parametrize("name", available())
def test_no_shipped_pipeline_keeps_images(name):
    assert load_spec(name).keep_images is None


def test_a_pipeline_says_for_how_many_days_it_keeps_images(facts, tmp_path):
    facts["keep_images"] = {"days": 180}
    spec = load(tmp_path, facts)
    assert spec.keep_images.days == 180
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_pipeline_that_keeps_no_images_is_the_release_that_it_was(facts, tmp_path):
    assert "keep_images" not in load(tmp_path, facts).model_dump_json()


def test_a_pipeline_without_explanations_says_nothing_of_them(facts, tmp_path):
    del facts["explanation"]
    assert "explanation" not in load(tmp_path, facts).model_dump_json()


@pytest.mark.parametrize("name", available())
def test_every_shipped_classification_is_explained_and_no_detector(name):
    spec = load_spec(name)
    assert (spec.explanation is not None) == (spec.task is Task.CLASSIFICATION)


def test_a_detector_has_no_explanation(tmp_path):
    facts = by_default("object_detection") | {"explanation": {"grid": 7}}
    (tmp_path / "object_detection.yaml").write_text(yaml.safe_dump(facts), "utf-8")
    with pytest.raises(SpecError, match="explanation: is for classifications"):
        load_spec("object_detection", tmp_path)


def test_a_missing_key_is_named(facts, tmp_path):
    del facts["preprocessing"]["mean"]
    with pytest.raises(SpecError, match=r"preprocessing\.mean: Field required"):
        load(tmp_path, facts)


def test_a_member_may_not_take_the_name_of_a_step(facts, tmp_path):
    facts["members"]["decode"] = facts["members"].pop("vgg16")
    with pytest.raises(SpecError, match=r"members\.decode"):
        load(tmp_path, facts)


def test_a_key_written_twice_is_refused(tmp_path):
    text = (FOLDER / "oral_cancer.yaml").read_text("utf-8") + "\nrelease: '2'\n"
    with pytest.raises(SpecError, match="'release' is given twice"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["a: [", "just words", ""])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, text):
    with pytest.raises(SpecError, match=r"oral_cancer\.yaml"):
        load(tmp_path, text)


def test_an_unknown_pipeline_lists_the_known_ones():
    with pytest.raises(SpecError, match=r"there are: .*oral_cancer"):
        load_spec("../oral_cancer")


def test_swapped_classes_give_another_member_hash_and_a_threshold_does_not(facts, tmp_path):
    before = load(tmp_path, facts)
    facts["threshold"]["default"] = 0.4
    assert load(tmp_path, facts).member_hash("vgg16") == before.member_hash("vgg16")
    facts["classes"], facts["positive"] = ["cancer", "healthy"], "healthy"
    facts["summary_aliases"] = {}
    assert load(tmp_path, facts).member_hash("vgg16") != before.member_hash("vgg16")


def test_a_promise_of_a_second_is_not_written_so_that_older_releases_keep_their_ids(
    facts, tmp_path
):
    facts["serving"].pop("respond_within_ms")
    older = load(tmp_path, facts)
    assert older.serving.respond_within == 1.0
    assert "respond_within_ms" not in older.model_dump_json()
    facts["serving"]["respond_within_ms"] = 1000
    assert load(tmp_path, facts).model_dump_json() == older.model_dump_json()
    facts["serving"]["respond_within_ms"] = 700
    assert '"respond_within_ms":700' in load(tmp_path, facts).model_dump_json()
