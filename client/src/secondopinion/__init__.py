"""Client for a Second Opinion service: photos in, predictions out. No medical device."""

from secondopinion._answers import (
    AdvancedPrediction,
    Answer,
    BatchItem,
    BatchResult,
    BatchSummary,
    Member,
    Opinion,
    Prediction,
    Receipt,
    Uncertainty,
)
from secondopinion._async_client import AsyncClient
from secondopinion._calls import Choices
from secondopinion._catalogue import (
    KeepImages,
    Limits,
    Pipeline,
    PipelineMember,
    Pipelines,
    QualityBound,
    Threshold,
)
from secondopinion._client import Client
from secondopinion._connection import __version__
from secondopinion._detections import (
    Box,
    Detection,
    Detections,
    DetectionsBatch,
    DetectionsItem,
    ImageSize,
    Mask,
    Metrics,
)
from secondopinion._errors import (
    AnswerTimeoutError,
    BusyError,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ProblemError,
    RefusedError,
    SecondOpinionError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from secondopinion._images import Image
from secondopinion._problem import Problem
from secondopinion._quality import PhotoWarning, Quality
from secondopinion._retries import Retries
from secondopinion._typicality import ImageKind, TypicalityFacts
from secondopinion._usage import (
    UsageFilter,
    UsageIdle,
    UsagePrices,
    UsageReport,
    UsageRow,
    UsageSums,
)

__all__ = [
    "AdvancedPrediction",
    "Answer",
    "AnswerTimeoutError",
    "AsyncClient",
    "BatchItem",
    "BatchResult",
    "BatchSummary",
    "Box",
    "BusyError",
    "Choices",
    "Client",
    "DeadlineError",
    "Detection",
    "Detections",
    "DetectionsBatch",
    "DetectionsItem",
    "ForbiddenError",
    "Image",
    "ImageKind",
    "ImageSize",
    "KeepImages",
    "Limits",
    "Mask",
    "Member",
    "Metrics",
    "NotFoundError",
    "Opinion",
    "PhotoWarning",
    "Pipeline",
    "PipelineMember",
    "Pipelines",
    "Prediction",
    "Problem",
    "ProblemError",
    "Quality",
    "QualityBound",
    "Receipt",
    "RefusedError",
    "Retries",
    "SecondOpinionError",
    "Threshold",
    "TransportError",
    "TypicalityFacts",
    "UnauthorizedError",
    "UnavailableError",
    "Uncertainty",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UsageFilter",
    "UsageIdle",
    "UsagePrices",
    "UsageReport",
    "UsageRow",
    "UsageSums",
    "__version__",
]
