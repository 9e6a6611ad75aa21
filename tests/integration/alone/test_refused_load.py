"""Where a backend process dies before it has answered once, the refusal names the cause."""

import time

import pytest

from lab.autoscaling import pipeline
from lab.service.scratch import Scratch
from tests.integration.service import running

MODEL = """
import os
import signal
import sys

class TritonPythonModel:
    def {when}:
        print("libmade_up.so.9: cannot open shared object file", file=sys.stderr, flush=True)
        {death}
"""


@pytest.mark.parametrize(
    ("when", "death", "problem"),
    [
        ("initialize(self, args)", "os._exit(3)", "load failed for model 'snake_species_fp32'"),
        (
            "initialize(self, args)",
            "os.kill(os.getpid(), signal.SIGKILL)",
            "load failed for model 'snake_species_fp32'",
        ),
        ("execute(self, requests)", "os._exit(3)", "loaded, but it does not answer"),
    ],
)
def test_the_cause_in_tritons_log_is_in_the_refusal(when, death, problem, tmp_path, monkeypatch):
    model = tmp_path / "model.py"
    model.write_text(MODEL.format(when=when, death=death))
    place = Scratch(tmp_path / "place")
    monkeypatch.setattr(pipeline, "_MODEL", model)
    pipeline.make(place, 0)
    arguments = ("--pipelines", pipeline.PIPELINE, "--specs", str(place.specs))
    with running(place.repository, tmp_path, *arguments, wait=False) as service:
        give_up = time.monotonic() + 60
        while "NOT SERVED" not in service.tail():
            assert time.monotonic() < give_up, service.tail()
            time.sleep(0.2)
        refusal = service.tail().partition("NOT SERVED")[2]
    assert problem in refusal
    assert "libmade_up.so.9: cannot open shared object file" in refusal
