import pytest

from lab.bench import figures
from tests.unit.lab.bench import measured


def test_ratios_are_to_the_limit_just_before_and_after():
    (row,) = figures.rows(measured.run(), "light")
    # 80 of 100 (110 before, 90 after) images a second, then 30 of 50.
    assert row.loads[8].ratio == pytest.approx((0.8 + 0.6) / 2)
    # 15 ms of 8, then 40 ms of 8.
    assert row.loads[8].cpu_ratio == pytest.approx((15 / 8 + 40 / 8) / 2)


def test_figures_are_medians_over_the_rounds():
    (row,) = figures.rows(measured.run(), "light")
    load = row.loads[8]
    assert load.rate == pytest.approx((80 + 30) / 2)
    assert load.spread == pytest.approx((80 - 30) / 55)
    assert load.ratio_spread == pytest.approx((0.8 - 0.6) / 0.7)
    assert load.cpu_ms == pytest.approx((15 + 40) / 2)
    assert (load.p50_ms, load.images, load.errors) == (40.5, 1100, 0)
    assert row.cold_start == pytest.approx(2.0)
    assert row.pss_mib == pytest.approx(401.0)


def test_the_limit_is_the_better_way_of_using_the_cores():
    limit = figures.limit_row(measured.run(), "light")
    assert limit.rate == pytest.approx(75.0)
    assert limit.cpu_ms == pytest.approx(8.0)
    assert limit.shape == "2 x 1, batch 4"


def test_refusals_and_wrong_answers_are_errors_and_no_images():
    cells = (measured.cell(0, 800, errors=3, wrong=2), measured.cell(1, 300))
    (row,) = figures.rows(measured.run(cells=cells), "light")
    assert row.loads[8].errors == 5
    assert row.loads[8].images == 1100


def test_a_contender_that_failed_in_one_round_has_the_figures_of_the_other():
    sessions = (measured.session(0), measured.session(1, failed="it ended", apart=None))
    (row,) = figures.rows(measured.run(sessions=sessions, cells=(measured.cell(0, 800),)), "light")
    assert row.loads[8].ratio == pytest.approx(0.8)
    assert row.failures == ("it ended",)


def test_a_cell_without_an_answer_has_no_load():
    nothing = measured.cell(0, 0, errors=9, p50_ms=None, p99_ms=None)
    (row,) = figures.rows(measured.run(cells=(nothing,)), "light")
    assert row.loads == {}


def test_int8_is_measured_against_the_limit_of_fp32():
    raw = measured.run(
        workloads=("heavy", "int8"),
        limits=(
            measured.limit(0, 100, workload="heavy"),
            measured.limit(0, 300, workload="int8"),
        ),
        sessions=(measured.session(0).model_copy(update={"workloads": ("int8",)}),),
        cells=(
            measured.cell(
                0, 200, workload="int8", limits=(measured.limit(0, 100, workload="heavy"),) * 2
            ),
        ),
    )
    (row,) = figures.rows(raw, "int8")
    assert row.loads[8].ratio == pytest.approx(2.0)
    assert figures.limit_row(raw, "int8").ratio == pytest.approx(3.0)
    assert figures.limit_row(raw, "heavy").ratio == pytest.approx(1.0)
