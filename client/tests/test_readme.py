import json
import re
from pathlib import Path

import pytest
from fastapi.responses import PlainTextResponse
from secondopinion._results import columns

from client.tests.service import JSONResponse
from client.tests.test_audit import ROW
from client.tests.test_feedback import ENTRY, RECEIPT

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["sync", "feedback", "audit", "detect", "async"])
def test_the_examples_of_the_readme_run(example, service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDOPINION_URL", service.url)
    for name in ("left_cheek", "scan", "a", "b"):
        Path(f"{name}.jpg").write_bytes(b"bad" if name == "scan" else b"cancer 0.95")
    Path("desk.jpg").write_bytes(b"found circle 0.9")
    if "client.feedback(" in example:
        history = {"prediction_id": "p", "pipeline": "p", "release": "1", "feedback": [ENTRY]}
        receipt = {"id": "f", "prediction_id": "p", "at": "now", "receipt": RECEIPT}
        service.other_replies += [JSONResponse(receipt, 201), JSONResponse(history)]
    if "client.audit_rows(" in example:
        service.other_replies += [JSONResponse(ROW), PlainTextResponse(json.dumps(ROW))]
    exec(example, {})  # noqa: S102
    said = capsys.readouterr().out
    assert "cancer" in said or "circle 0.9" in said


def test_every_column_of_results_is_in_the_readme():
    table = README.read_text().split("| column | holds |")[1].split("\n\n")[0]
    named = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    known = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert known == set(columns(detects=True)) | set(columns(detects=False))
