"""What a training says of itself."""

from demo.outcome import DemoReport


def test_the_summary_names_each_figure_and_the_drawings():
    report = DemoReport(files={}, figures={"mAP@0.5": 0.81, "mask IoU": 0.7}, held_out=100)
    assert report.summary() == "on 100 held-out drawings: mAP@0.5 0.810, mask IoU 0.700"
