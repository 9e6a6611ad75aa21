import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["sync", "async"])
def test_the_examples_of_the_readme_run(example, service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDOPINION_URL", service.url)
    for name in ("left_cheek", "scan", "a", "b"):
        Path(f"{name}.jpg").write_bytes(b"bad" if name == "scan" else b"cancer 0.95")
    exec(example, {})  # noqa: S102
    assert "cancer" in capsys.readouterr().out
