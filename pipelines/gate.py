"""What a candidate release must keep of the current one, on labelled photos (docs/gate.md)."""

from typing import Annotated

from pydantic import Field

from pipelines.fact import Facts

Margin = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Factor = Annotated[float, Field(gt=1, allow_inf_nan=False)]


class ReleaseGate(Facts):
    """Margins of the gate. They are no part of a release: a candidate cannot bring its own."""

    sensitivity_drop_at_most: Margin = 0.02
    """Of the positive class; of several classes, of the share of right answers; of a detector, of
    the share of objects that are found."""
    specificity_drop_at_most: Margin = 0.05
    """Of a pipeline with a positive class."""
    precision_drop_at_most: Margin = 0.05
    """Of a detector's mAP@0.5."""
    subgroups: tuple[str, ...] = ()
    """Columns of the labels whose values are subgroups, such as `site` or `device`."""
    subgroup_at_least: int = Field(default=30, ge=1)
    """Photos (of a detector: objects) that a subgroup needs to be judged; smaller ones are only
    shown."""
    calibration_error_rise_at_most: Margin = 0.05
    atypical_rise_at_most: Margin = 0.02
    """Of the share of the canary photos that are called atypical: false alarms."""
    latency_factor_at_most: _Factor = 1.5
    """Of the time in the service for one photo, the median."""
    compute_factor_at_most: _Factor = 1.5
    """Of the compute seconds of one photo, the mean."""
