"""References for typicality that are made in a moment, for tests."""

import numpy as np

from export.references import origin_of
from inference.picture_statistics import COUNT
from inference.typicality import Reference

PHOTOS = 1000
SHA = "c" * 64
_BEYOND, _NOISE = 0.6, 0.2


def around(spec, manifest, pictures, features, seed=0):
    """A reference by which the given images are typical, some more and some less.

    Args:
        spec: of the profile.
        manifest: of the member whose features these are.
        pictures: statistics of N images, [N, 34].
        features: of the same, [N, D].
        seed: another one makes another reference.
    """
    random = np.random.default_rng(seed)
    pairs = random.integers(len(pictures), size=(2, PHOTOS))
    shares = random.uniform(-_BEYOND, 1 + _BEYOND, size=(PHOTOS, 1))

    def mixed(numbers):
        first, second = numbers[pairs].astype(np.float64)
        noise = random.normal(size=first.shape) * numbers.std(axis=0) * _NOISE
        return first + shares * (second - first) + noise

    about = origin_of(spec, manifest, PHOTOS, SHA).model_dump(mode="json")
    return Reference.fit(mixed(pictures), mixed(features), about)


def made(spec, manifest=None, seed=0, like=None, features=None):
    """A reference of numbers that stand for photos.

    Args:
        spec: of the profile.
        manifest: of the member whose features it has; None: the picture's statistics alone.
        seed: another one makes another reference.
        like: statistics [34] of an image that is one of the photos' kind.
        features: features [D] of such an image.
    """
    random = np.random.default_rng(seed)
    middle = np.zeros(COUNT) if like is None else like
    picture = middle + random.normal(size=(PHOTOS, COUNT)) * 0.05
    seen = None
    if manifest is not None:
        dimensions = spec.members[manifest.member].features
        centre = np.zeros(dimensions) if features is None else features
        seen = centre + random.normal(size=(PHOTOS, dimensions))
    about = origin_of(spec, manifest, PHOTOS, SHA).model_dump(mode="json")
    return Reference.fit(picture, seen, about)
