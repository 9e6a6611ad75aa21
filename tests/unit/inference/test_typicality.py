"""Typicality: its guarantee, its formulas, and what is refused."""

import math

import numpy as np
import pytest
from scipy import stats

from inference.reference_view import UnfitReferenceError, View
from inference.typicality import Reference, p_values

PHOTOS = 1000
DIMENSIONS = 20
FALSE_ALARMS = 0.05


def photos(count, seed, dimensions=DIMENSIONS):
    """Numbers of photos of one kind: correlated, of different sizes, with heavy tails."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions))
    return random.standard_t(4, size=(count, dimensions)) @ mixing


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(photos(PHOTOS, 1), photos(PHOTOS, 2, 30), {"photos": PHOTOS})


def test_flags_no_larger_share_of_its_own_kind_than_is_stated():
    flagged = trials = 0
    for seed in range(40):
        made = Reference.fit(photos(PHOTOS, 10 + 3 * seed), photos(PHOTOS, 11 + 3 * seed, 30), {})
        others = photos(100, 10_000 + seed), photos(100, 20_000 + seed, 30)
        flagged += int((made.typicality(*others) <= FALSE_ALARMS).sum())
        trials += 100

    # On average floor(0.05 * 501) / 501 of them, so the interval is a true one on both sides.
    low, high = stats.binom.interval(0.999, trials, 25 / 501)
    # Images that share a calibration are not independent of each other: the interval is wider.
    assert low - 40 <= flagged <= high + 40


def test_the_p_value_counts_calibration_scores_at_or_above_the_score():
    calibration = np.array([1.0, 2.0, 2.0, 3.0])

    found = p_values(np.array([0.5, 2.0, 2.5, 3.0, 9.0, np.inf]), calibration)

    assert found.tolist() == [5 / 5, 4 / 5, 2 / 5, 2 / 5, 1 / 5, 1 / 5]


def test_the_score_is_the_mahalanobis_norm_and_the_residual_written_out():
    numbers = photos(PHOTOS, 3)
    view = View.fit(numbers)
    image = photos(1, 4)[0]

    own = numbers[:700]
    scaled = (image - own.mean(axis=0)) / np.maximum(
        own.std(axis=0), 0.1 * np.median(own.std(axis=0))
    )
    along = [float(scaled @ direction) for direction in view.directions.T]
    mahalanobis = sum((a / s) ** 2 for a, s in zip(along, view.lengths, strict=True)) ** 0.5
    rest = scaled - sum(a * d for a, d in zip(along, view.directions.T, strict=True))
    expected = mahalanobis + np.linalg.norm(rest) / view.residual
    beyond = (expected - view.middle) / view.spread
    scored = math.copysign(abs(beyond) ** view.tail, beyond)
    assert view.score(image[None])[0] == pytest.approx(scored)


def test_scores_of_light_and_of_heavy_tails_mean_the_same():
    random = np.random.default_rng(5)
    normal = random.normal(size=(4000, 20))
    # Photos whose distances have a heavy tail: all numbers of one are larger together.
    heavy = normal * np.exp(random.normal(size=(4000, 1)))
    for numbers in (normal, heavy):
        view = View.fit(numbers[:2000])
        scores = view.score(numbers[2000:])
        assert np.quantile(scores, [0.9, 0.99]) == pytest.approx([1, 2], abs=0.35)


def test_the_score_of_an_image_is_the_sum_of_what_its_views_say(reference):
    picture, features = photos(50, 5), photos(50, 6, 30)
    seen, understood = reference.picture.score(picture), reference.features.score(features)

    expected = np.log10(1 + 10**seen) + np.log10(1 + 10**understood)

    assert reference.score(picture, features) == pytest.approx(expected)
    assert reference.score(picture) == pytest.approx(np.log10(1 + 10**seen))


def test_flags_what_is_somewhat_strange_to_both_views():
    random = np.random.default_rng(21)
    made = Reference.fit(random.normal(size=(1000, 20)), random.normal(size=(1000, 30)), {})
    picture, features = random.normal(size=(4000, 20)), random.normal(size=(4000, 30))
    # About one photo in forty lies further out by either view.
    picture = picture[np.argsort(np.abs(made.picture.score(picture) - 1.6))[:20]]
    features = features[np.argsort(np.abs(made.features.score(features) - 1.6))[:20]]

    assert made.typicality(picture).min() > 0.01
    assert (made.typicality(picture, features) <= 0.01).all()


def test_an_image_gets_the_same_typicality_in_any_company(reference):
    picture, features = photos(64, 7), photos(64, 8, 30)
    together = reference.typicality(picture, features)
    order = np.random.default_rng(9).permutation(64)

    assert (
        reference.typicality(picture[order], features[order]).tolist() == together[order].tolist()
    )
    for index in range(0, 64, 7):
        alone = reference.typicality(picture[index : index + 1], features[index : index + 1])
        assert alone[0] == together[index]


def test_without_features_the_pictures_statistics_are_judged_by_their_own_calibration(reference):
    picture = photos(4000, 12)

    flagged = int((reference.typicality(picture) <= FALSE_ALARMS).sum())

    assert 0.02 * 4000 < flagged < 0.09 * 4000
    assert reference.picture_scores.tolist() != reference.scores.tolist()


def test_a_member_without_features_leaves_the_picture_alone():
    made = Reference.fit(photos(PHOTOS, 1), None, {})

    assert made.features is None
    given = made.typicality(photos(5, 2), photos(5, 3, 30))
    assert given.tolist() == made.typicality(photos(5, 2)).tolist()


def test_flags_what_differs_in_one_view_alone(reference):
    common, strange = photos(20, 13) * 0.5, photos(20, 14, 30) * 0.5 + 300

    assert reference.typicality(common, strange).tolist() == pytest.approx([1 / 501] * 20)
    assert reference.typicality(common).min() > FALSE_ALARMS


def test_a_feature_that_no_reference_photo_varies_still_tells_other_images():
    numbers = photos(PHOTOS, 15)
    numbers[:, 3] = 0.25
    made = Reference.fit(numbers, None, {})
    image = photos(20, 16) * 0.5
    image[:, 3] = 0.25
    changed = image.copy()
    changed[:, 3] += 5 * np.median(numbers.std(axis=0))

    assert made.typicality(image).min() > FALSE_ALARMS
    assert made.typicality(changed).max() <= 0.002


def test_numbers_that_are_not_finite_are_atypical(reference):
    picture, features = photos(3, 17), photos(3, 18, 30)
    picture[0, 4], features[1, 2] = np.nan, np.inf

    typicality = reference.typicality(picture, features)

    assert typicality[:2].tolist() == pytest.approx([1 / 501] * 2)


@pytest.mark.parametrize("count", [0, 5, 999])
def test_few_photos_are_refused(count):
    with pytest.raises(
        UnfitReferenceError, match=f"{count} reference photos are too few.*1000 or more"
    ):
        Reference.fit(photos(count, 1), None, {})


def test_photos_that_are_all_the_same_are_refused():
    with pytest.raises(UnfitReferenceError, match="all the same"):
        Reference.fit(np.ones((PHOTOS, DIMENSIONS)), None, {})


@pytest.mark.parametrize("index", [0, 1, 999])
def test_a_photo_with_numbers_that_are_not_finite_is_refused(index):
    numbers = photos(PHOTOS, 1)
    numbers[index, 0] = np.nan
    with pytest.raises(UnfitReferenceError, match="not finite"):
        Reference.fit(numbers, None, {})


def test_fewer_photos_than_numbers_of_a_view_can_be_fitted():
    made = Reference.fit(photos(PHOTOS, 1), photos(PHOTOS, 2, 1500), {})

    flagged = (made.typicality(photos(400, 3), photos(400, 4, 1500)) <= FALSE_ALARMS).mean()
    assert 0.01 < flagged < 0.12


def test_a_file_gives_the_same_typicality_and_the_same_bytes(reference, tmp_path):
    reference.save(tmp_path / "one.npz")
    reference.save(tmp_path / "two.npz")
    loaded = Reference.load(tmp_path / "one.npz")

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert loaded.about == {"photos": PHOTOS}
    picture, features = photos(50, 19), photos(50, 20, 30)
    expected = reference.typicality(picture, features)
    assert loaded.typicality(picture, features).tolist() == expected.tolist()


def test_a_reference_of_the_picture_alone_is_loaded_as_one(tmp_path):
    Reference.fit(photos(PHOTOS, 1), None, {}).save(tmp_path / "one.npz")

    assert Reference.load(tmp_path / "one.npz").features is None


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other", "pickle"])
def test_a_file_that_is_no_reference_is_refused(damage, reference, tmp_path):
    path = tmp_path / "one.npz"
    reference.save(path)
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "other":
        np.savez(path, something=np.zeros(3))
    else:
        np.savez(path, about=np.array({"a": object}, dtype=object))
    with pytest.raises(UnfitReferenceError, match="--reference"):
        Reference.load(path)


def test_a_reference_that_an_earlier_version_made_is_refused(reference, tmp_path):
    reference.save(tmp_path / "now.npz")
    with np.load(tmp_path / "now.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    for earlier in ({}, {"format": np.array(kept.pop("format") - 1)}):
        np.savez(tmp_path / "earlier.npz", **kept, **earlier)
        with pytest.raises(UnfitReferenceError, match="--reference"):
            Reference.load(tmp_path / "earlier.npz")


def test_a_view_of_heavy_tails_does_not_hide_what_the_other_one_tells():
    random = np.random.default_rng(8)
    picture = random.normal(size=(1000, 34))
    features = np.exp(random.normal(0, 2, (1000, 8)))
    reference = Reference.fit(picture, features, {})
    other = random.normal(size=(50, 34)) + 1.5
    judged = reference.typicality(other, np.exp(random.normal(0, 0.5, (50, 8))))
    assert (judged <= 0.01).mean() > 0.9
