"""From calls and samples to figures."""

import pytest

from lab.overload import report
from lab.overload.calls import Call
from lab.overload.capacity import Step
from lab.overload.experiment import Record, settled
from lab.overload.figures import figures_of
from lab.overload.plot import plot
from lab.overload.resources import Sample
from loadtest.study import End

START = 1000.0


def answered(intended, seconds):
    return Call(intended, intended + seconds, End.ANSWERED)


@pytest.fixture
def record():
    """Two minutes at 30/s of a service that answers 9/s and refuses the rest at once."""
    calls = [answered(START + index / 9, 2.0) for index in range(9 * 120)]
    refusals = [
        Call(START + index / 21, START + index / 21 + 0.01, End.REPORTED)
        for index in range(21 * 120)
    ]
    after = [Call(START + 120, START + 120.1, End.REPORTED), answered(START + 120.2, 3.0)]
    after += [answered(START + 123.2 + index / 10, 0.1) for index in range(5)]
    samples = [
        Sample(START + at, {"stubs": 900.0 + at / 2}, {"stubs": float(at), "generator": at / 10})
        for at in range(0, 121, 2)
    ]
    return Record(
        unloaded=[0.1] * 15,
        steps=[Step(6.0, 6.0, 0, 10.0), Step(12.0, 10.0, 3, 10.0)],
        offered=30.0,
        started=START,
        stopped=START + 120,
        calls=[*calls, *refusals],
        recovery=after,
        ready=[(START + second, True) for second in range(124)],
        samples=samples,
    )


def test_goodput_latency_and_refusals(record):
    figures = figures_of(record)
    assert figures.peak == 10.0
    # What is answered after the end does not count.
    assert figures.goodput == pytest.approx(9 * 118 / 120, abs=0.02)
    assert figures.goodput_share == pytest.approx(figures.goodput / 10)
    assert figures.worst_window_share == pytest.approx(0.9, abs=0.01)
    assert (figures.answered, figures.refused, figures.failed) == (1080, 2520, 0)
    assert figures.answer_p50_ms == pytest.approx(2000)
    assert figures.refusal_p99_ms == pytest.approx(10)
    assert figures.refusal_ratio == pytest.approx(0.005)
    assert (figures.unready_polls, figures.polls) == (0, 124)


def test_recovery_is_when_the_first_fast_answer_was_asked_for(record):
    assert figures_of(record).recovery_seconds == pytest.approx(3.2)
    assert figures_of(record).recovery_ratio == pytest.approx(32)
    record.recovery = record.recovery[:4]
    assert figures_of(record).recovery_seconds is None


def test_a_slow_or_refused_request_is_no_recovery():
    fast = [answered(index, 0.1) for index in range(5)]
    assert settled(fast, 0.1)
    assert not settled(fast[:4], 0.1)
    assert not settled([answered(0, 9.0), *fast[1:]], 0.1)
    assert not settled([Call(0, 0.01, End.REPORTED), *fast[1:]], 0.1)
    assert not settled([answered(index, 0.16) for index in range(5)], 0.1)


def test_memory_and_processor_time(record):
    figures = figures_of(record)
    assert figures.memory_mib == 960
    assert figures.memory_slope_mib_per_minute == pytest.approx(30)
    # From the second quarter's mean to the last one's.
    assert figures.memory_growth == pytest.approx(31 / 922, rel=0.1)
    assert figures.cores == {"stubs": pytest.approx(1), "generator": pytest.approx(0.1)}
    assert figures.per_core_second == pytest.approx(figures.goodput, rel=1e-3)


def test_a_service_of_unknown_processes_has_no_memory(record):
    record.samples = []
    figures = figures_of(record)
    assert (figures.memory_mib, figures.memory_growth, figures.cores) == (None, None, {})


def test_faults_are_counted_by_what_they_are(record):
    record.calls.append(Call(START, START + 1, End.WRONG, "503 unavailable"))
    figures = figures_of(record)
    assert (figures.failed, figures.faults) == (1, {"503 unavailable": 1})
    assert figures.error_rate == pytest.approx(1 / 3601)


def test_the_plot_and_the_tables_are_written(record, tmp_path):
    plot(record, tmp_path / "overload.png")
    assert (tmp_path / "overload.png").read_bytes().startswith(b"\x89PNG")
    text = report.section(figures_of(record), record.steps, "Of a test.")
    assert text.startswith("Of a test.\n\n| what | measured |\n")
    assert "| peak goodput, stepping up | 10.00/s |" in text
    assert "| arrivals/s | answered/s | answers a core-second | refused |" in text
