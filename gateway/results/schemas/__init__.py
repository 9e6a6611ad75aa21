"""The shapes of the answers for /docs; rendering does not pass through them, for speed.

A test holds what is rendered against them.
"""

from gateway.results.schemas.classification import (
    AdvancedPrediction,
    BatchPrediction,
    FlatPrediction,
    Prediction,
)
from gateway.results.schemas.detection import BatchDetectionPrediction, DetectionPrediction
from gateway.results.schemas.pipeline import PipelineDescription, PipelineList
from gateway.results.schemas.problem import Problem
from gateway.results.schemas.service import Health, ReadinessReport

__all__ = [
    "AdvancedPrediction",
    "BatchDetectionPrediction",
    "BatchPrediction",
    "DetectionPrediction",
    "FlatPrediction",
    "Health",
    "PipelineDescription",
    "PipelineList",
    "Prediction",
    "Problem",
    "ReadinessReport",
]
