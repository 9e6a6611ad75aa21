"""Wrong keys, all different, leave nothing behind; `python -m lab.attack.wrong_keys` sends more."""

from lab.attack.wrong_keys import attacked


def test_wrong_keys_leave_no_row_and_no_metric_series(tmp_path):
    outcome = attacked(2000, tmp_path / "log")
    assert outcome.held, outcome
    assert outcome.answers[401] == 2000
