"""What is measured of a photo stays what references and bounds were made of.

A reference is fitted to the statistics of pictures, and bounds of quality are set by measures. A
change of either, however well meant, makes both wrong without a sign of it. So a change that is
meant raises the format of a reference (`inference.typicality`), makes the committed references anew
(`python -m demo.references`, `python -m lab.quality`) and then writes the new numbers here.
"""

import json
from pathlib import Path

import pytest

from export.photos import decode_rules
from inference import typicality
from inference.decode import decode
from pipelines.load import available, load_spec

SAMPLES = Path(__file__).parents[2] / "samples"
KNOWN = json.loads(Path(__file__).with_name("measured_samples.json").read_text("utf-8"))
ROUNDING = 3e-5


@pytest.mark.parametrize("pipeline", available())
def test_the_statistics_of_a_picture_and_the_measures_of_its_quality_stay(pipeline):
    known = KNOWN[pipeline]
    decoded = decode(
        (SAMPLES / f"{known['sample']}.jpg").read_bytes(), decode_rules(load_spec(pipeline))
    )
    assert decoded.picture == pytest.approx(known["picture"], abs=ROUNDING)
    assert decoded.measures == pytest.approx(known["measures"], abs=ROUNDING, rel=1e-5)


def test_these_numbers_are_of_the_format_that_references_have_now():
    assert KNOWN["format"] == typicality._FORMAT
