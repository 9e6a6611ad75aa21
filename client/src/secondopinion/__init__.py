"""Client for a Second Opinion service: photos in, predictions out. No medical device."""

from secondopinion._answers import (
    AdvancedPrediction,
    BatchItem,
    BatchResult,
    BatchSummary,
    Member,
    Opinion,
    Prediction,
    Uncertainty,
)
from secondopinion._async_client import AsyncClient
from secondopinion._calls import Choices
from secondopinion._catalogue import Limits, Pipeline, PipelineMember, Pipelines, Threshold
from secondopinion._client import Client
from secondopinion._connection import __version__
from secondopinion._errors import (
    AnswerTimeoutError,
    BusyError,
    DeadlineError,
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
from secondopinion._retries import Retries

__all__ = [
    "AdvancedPrediction",
    "AnswerTimeoutError",
    "AsyncClient",
    "BatchItem",
    "BatchResult",
    "BatchSummary",
    "BusyError",
    "Choices",
    "Client",
    "DeadlineError",
    "Image",
    "Limits",
    "Member",
    "NotFoundError",
    "Opinion",
    "Pipeline",
    "PipelineMember",
    "Pipelines",
    "Prediction",
    "Problem",
    "ProblemError",
    "RefusedError",
    "Retries",
    "SecondOpinionError",
    "Threshold",
    "TransportError",
    "UnauthorizedError",
    "UnavailableError",
    "Uncertainty",
    "UnexpectedAnswerError",
    "UnreachableError",
    "__version__",
]
