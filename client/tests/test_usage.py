"""Usage and its cost: as types, as a table, as JSON and as CSV."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from secondopinion import ProblemError


def test_usage_is_asked_for_and_typed(ask, service):
    since = datetime(2026, 11, 1, tzinfo=UTC)
    report = ask("usage", ["caller", "hour"], since=since, pipeline="mhist", outcome="ok")
    (seen,) = service.seen
    assert seen.path == "/api/v1/usage"
    assert seen.query == {
        "by": "caller,hour",
        "from": "2026-11-01T00:00:00+00:00",
        "pipeline": "mhist",
        "outcome": "ok",
    }
    first, second = report.rows
    assert (first.caller, first.hour.hour, first.pipeline) == ("k1", 12, None)
    assert (first.images, first.cpu_seconds, first.cost_per_thousand) == (2000, 120.5, 0.125)
    assert second.cost is None
    assert (report.since, report.until.day) == (since, 30)
    assert (report.total.images, report.idle.cpu_seconds) == (2000, 3600)
    assert report.prices.currency == "EUR"
    assert report.raw["from_a_newer_service"] == 1
    assert ask("usage").rows == ()


def test_another_caller_s_usage_is_refused(ask):
    with pytest.raises(ProblemError, match="operate"):
        ask("usage", caller="other")


def test_the_table_has_a_row_for_each_group_the_total_and_what_was_idle(command):
    result = command("usage", "--by", "name", "--by", "hour")
    assert result.exit_code == 0
    period, header, *rows, last = result.stdout.splitlines()
    assert period == "2026-11-01 00:00 to 2026-11-30 13:00 UTC"
    assert header.split() == [
        "name",
        "hour",
        *["images", "CPU", "s", "GPU", "s", "EUR", "EUR", "for", "1000"],
    ]
    assert rows[0].split() == ["ward", "3", "2026-11-30T12:00Z", "2000", "120.5", "0.0",
                               "0.2500", "0.1250"]  # fmt: skip
    assert rows[1].split()[-3:] == ["1", "120.5", "0.0"]
    assert rows[2].split()[0] == "all"
    assert rows[3].split() == ["idle", "3600.0", "0.0", "0.0400"]
    assert last == "1.5 s of these are estimates"


def test_without_rows_the_table_has_the_total(command):
    _, header, total, _, _ = command("usage").stdout.splitlines()
    assert header.split()[0] == "images"
    assert total.split()[0] == "2000"


def test_usage_as_json_is_the_service_s_and_as_csv_has_its_figures(command):
    report = json.loads(command("usage", "--by", "caller,name", "--json").stdout)
    assert report["total"]["images"] == 2000
    text = command("usage", "--by", "caller,name", "--csv").stdout
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["caller"], first["name"], first["images"]) == ("k1", "ward 3", "2000")
    assert (first["cost"], first["currency"], second["cost"]) == ("0.25", "EUR", "")
    (only,) = csv.DictReader(io.StringIO(command("usage", "--csv").stdout))
    assert only["images"] == "2000"


def test_a_refused_question_ends_the_command(command):
    result = command("usage", "--caller", "other")
    assert result.exit_code != 0
    assert "operate" in result.stderr
    assert command("usage", "--from", "yesterday").exit_code == 2
