"""inference runs where there are NumPy, Pillow and simplejpeg and nothing else."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipelines.load import load_spec

ROOT = Path(__file__).parents[3]
SCRIPT = """
import importlib, json, pkgutil, sys
from importlib.util import find_spec
from io import BytesIO

sys.path.append(sys.argv[1])
import inference
modules = [importlib.import_module(f"inference.{each.name}")
           for each in pkgutil.iter_modules(inference.__path__)]

import numpy as np
from PIL import Image
from inference.candidates import Candidates
from inference.decision import decide
from inference.decode import decode
from inference.detections import find, located
from inference.drawing import draw
from inference.rules import DecisionRules, DecodeRules, DetectionRules

oral_cancer, lesions = json.loads(sys.stdin.read())
file = BytesIO()
Image.new("RGB", (640, 480), (10, 200, 30)).save(file, "PNG")
jpeg = BytesIO()
Image.new("L", (640, 480), 200).save(jpeg, "JPEG")
decoded = decode(jpeg.getvalue(), DecodeRules.from_spec(oral_cancer))
logits = {0: np.array([[0.0, 2.0]]), 1: np.array([[1.0, 0.0]])}
decision = decide(logits, DecisionRules.from_spec(oral_cancer), None)

rules = DetectionRules.from_spec(lesions)
photo = decode(file.getvalue(), DecodeRules.from_spec(lesions))
outputs = {"boxes": np.array([[[100, 50, 300, 250]]], np.float32),
           "scores": np.array([[0.9]], np.float32), "classes": np.array([[1]]),
           "masks": np.ones((1, 1, 28, 28), np.float32)}
candidates = Candidates.of(outputs, member=rules.members[0], classes=len(rules.classes))
found = find(candidates, photo.geometry, rules.threshold)
answer = located(found, photo.pixels.shape[:2], polygons=True)
picture = Image.open(BytesIO(draw(file.getvalue(), found, rules.classes)))
print(json.dumps({
    "modules": len(modules),
    "pixels": [list(decoded.pixels.shape), decoded.pixels[0, 0].tolist()],
    "prediction": decision.prediction.tolist(),
    "probabilities": decision.probabilities.tolist(),
    "area": answer["areas"].tolist(),
    "rle": json.loads(answer["masks"][0])["size"],
    "polygons": len(json.loads(answer["polygons"][0])),
    "picture": list(picture.size),
    "others": [name for name in ("pydantic", "torch", "pycocotools", "contourpy", "yaml")
               if find_spec(name)],
}))
"""


@pytest.fixture
def environment(tmp_path):
    """A folder with NumPy, Pillow, simplejpeg, `inference` and the words in `pipelines`."""
    site = Path(find_spec("numpy").origin).parents[1]
    for name in ("numpy", "numpy.libs", "PIL", "pillow.libs", "simplejpeg"):
        if (site / name).exists():
            (tmp_path / name).symlink_to(site / name)
    for name in ("inference", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_a_photo_is_decoded_decided_and_drawn_with_numpy_pillow_and_simplejpeg_alone(environment):
    specs = [
        load_spec(name).model_dump(mode="json") for name in ("oral_cancer", "cervical_lesions")
    ]
    # Isolated, and without site-packages.
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", SCRIPT, str(environment)]
    ran = subprocess.run(
        command, input=json.dumps(specs), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["others"] == []
    assert found["modules"] == len(list((ROOT / "inference").glob("[!_]*.py")))
    assert found["pixels"] == [[224, 224, 3], [200, 200, 200]]
    # Weights 0.4 and 0.6 of 0.8808 and 0.2689.
    assert found["probabilities"][0][1] == pytest.approx(0.5137, abs=1e-4)
    assert found["prediction"] == [1]
    assert found["area"] == [pytest.approx(200 * 200, rel=0.05)]
    assert found["rle"] == [480, 640]
    assert found["polygons"] == 1
    assert found["picture"] == [640, 480]
