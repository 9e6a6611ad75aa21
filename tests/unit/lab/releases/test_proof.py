"""The canary set and the networks of `lab.releases.proof` differ by what they say."""

import csv

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from lab.releases.proof import canaries
from lab.releases.proof.world import BLUE_BLIND, RED, SHUFFLED, SIDE, network


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pixels, labels and sites of the whole set."""
    labels = canaries.write(tmp_path_factory.mktemp("canaries") / "set")
    with labels.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = [labels.parent / row["file"] for row in rows]
    assert len({file.read_bytes() for file in files}) == len(files)
    pixels = np.stack([np.asarray(Image.open(file).resize((SIDE, SIDE))) for file in files])
    return pixels, np.array([r["label"] for r in rows]), np.array([r["site"] for r in rows])


def found(pixels, colours, threshold=0.5, **how):
    session = onnxruntime.InferenceSession(network(colours, **how).SerializeToString())
    (logits,) = session.run(None, {"INPUT__0": pixels})
    return 1 / (1 + np.exp(-logits[:, 0])) >= threshold


def test_a_threshold_of_06_loses_four_points_at_all_sites_alike(photos):
    pixels, labels, sites = photos
    positive = labels == "cancer"
    lost = found(pixels, RED) & ~found(pixels, RED, 0.6)
    assert (lost & positive).sum() == 0.04 * positive.sum() == 12
    assert {site: int((lost & (sites == site)).sum()) for site in canaries.SITES} == dict.fromkeys(
        canaries.SITES, 3
    )
    assert (found(pixels, RED) == found(pixels, RED, 0.49)).all()
    assert not found(pixels, RED)[~positive].any()


def test_a_network_that_is_blind_for_blue_loses_at_one_site_what_it_gains_at_another(photos):
    pixels, _, sites = photos
    ours, theirs = found(pixels, RED), found(pixels, BLUE_BLIND)
    assert set(sites[ours & ~theirs]) == {"south"}
    assert set(sites[theirs & ~ours]) == {"east"}
    assert (ours & ~theirs).sum() == (theirs & ~ours).sum() == 12


def test_shuffled_labels_are_the_opposite_and_a_slow_or_large_network_answers_alike(photos):
    pixels, _, _ = photos
    few = pixels[::9]
    assert (found(few, SHUFFLED) != found(few, RED)).all()
    assert (found(few, RED, slow=True) == found(few, RED)).all()
    assert (found(few, RED, mebibytes=1) == found(few, RED)).all()
