"""The gateway's Prometheus metrics. Names are API; labels are bounded, and no caller's input."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from database.shadow import BOUNDS as SHADOW_BOUNDS

NO_PIPELINE = "none"
"""Label of a request before, or without, a known pipeline."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_SECONDS = (0.0005, 0.001, 0.0025, *_SECONDS)
_BYTES = tuple(1024 * 4**power for power in range(8))
_UNIT = tuple(tenth / 20 for tenth in range(1, 21))


class _InFlight(Collector):
    """Reads the requests in flight when the metrics are scraped."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "gateway_requests_in_flight", "Requests that hold a place.", labels=["pipeline"]
        )
        for pipeline, requests in self._read().items():
            gauge.add_metric([pipeline], requests)
        yield gauge


@dataclass(frozen=True, slots=True)
class WatchedFigure:
    """One figure of a release that was promoted."""

    pipeline: str
    release: str
    figure: str
    answers: int
    """That were looked at."""
    worse: bool


class _Watch(Collector):
    """Reads what is known of promotions when the metrics are scraped."""

    def __init__(
        self,
        figures: Callable[[], Iterable[WatchedFigure]],
        undone: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self._figures = figures
        self._undone = undone

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["pipeline", "release", "figure"]
        worse = GaugeMetricFamily(
            "prediction_watch_worse",
            "1 where the release that was promoted is worse than the former one, else 0.",
            labels=labels,
        )
        answers = GaugeMetricFamily(
            "prediction_watch_answers", "Of the release, that were looked at.", labels=labels
        )
        for each in self._figures():
            of = [each.pipeline, each.release, each.figure]
            worse.add_metric(of, each.worse)
            answers.add_metric(of, each.answers)
        undone = GaugeMetricFamily(
            "prediction_watch_rolled_back",
            "1 for a day where the watch rolled the release back.",
            labels=labels[:2],
        )
        for pipeline, release in self._undone():
            undone.add_metric([pipeline, release], 1)
        yield from (worse, answers, undone)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, in_flight: Callable[[], Mapping[str, int]] = dict) -> None:
        """Registers the metrics; `in_flight` gives the requests in flight by pipeline."""
        self.registry = CollectorRegistry()
        self.registry.register(_InFlight(in_flight))
        started = Gauge(
            "gateway_start_time_seconds",
            "When this gateway started, in seconds since 1970.",
            registry=self.registry,
        )
        started.set_to_current_time()
        self.requests = Counter(
            "gateway_requests_total",
            "Requests by outcome: ok, gone (the caller hung up) or a problem's code.",
            ("pipeline", "route", "outcome"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "gateway_request_seconds",
            "Time from a prediction's headers to its answer.",
            ("pipeline",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "gateway_stage_seconds",
            "Time of each stage: receive (the body), queue (a place in Triton), infer, account "
            "(rows of the audit log), render.",
            ("pipeline", "stage"),
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "gateway_requests_refused_total",
            "Refusals by reason: requests or bytes (in flight), caller (its share of them), "
            "receiving (gRPC messages), wait, triton_queue, unauthorized, forbidden, identity (it "
            "cannot be checked), rate, budget, audit.",
            ("pipeline", "reason"),
            registry=self.registry,
        )
        self.audit_rows = Counter(
            "gateway_audit_rows_total",
            "Rows of the audit log that are on disk.",
            registry=self.registry,
        )
        self.audit_commit_seconds = Histogram(
            "gateway_audit_commit_seconds",
            "Time of a transaction of the database's writer, until it is on disk.",
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )
        self.audit_failures = Counter(
            "gateway_audit_failures_total",
            "Transactions that failed because the database could not be written.",
            registry=self.registry,
        )
        self.audit_rows_refused = Counter(
            "gateway_audit_rows_refused_total",
            "Rows that the database refused while it took others.",
            registry=self.registry,
        )
        self.kept_image_failures = Counter(
            "gateway_kept_images_failures_total",
            "Images that were not kept though their callers consented (keep), and times that those "
            "whose time is over could not be removed (sweep).",
            ("step",),
            registry=self.registry,
        )
        for step in ("keep", "sweep"):
            # From 0 on, so that the first failure is an increase.
            self.kept_image_failures.labels(step)
        self.connections = Gauge(
            "gateway_connections", "HTTP connections that are open.", registry=self.registry
        )
        self.connections_refused = Counter(
            "gateway_connections_refused_total",
            "HTTP connections that were refused or ended in a request, by the problem's code; or "
            "tls_handshake.",
            ("reason",),
            registry=self.registry,
        )
        self.budgets = Gauge(
            "gateway_budgets",
            "Callers that have spent 80 % of their budget this month (low), or all (spent).",
            ("state",),
            registry=self.registry,
        )
        self.certificate_days = Gauge(
            "gateway_tls_certificate_days",
            "Days until the certificate ends: of the server, or the last one of the client CA.",
            ("certificate",),
            registry=self.registry,
        )
        self.certificate_lifetime_days = Gauge(
            "gateway_tls_certificate_lifetime_days",
            "Days from the beginning to the end of that certificate.",
            ("certificate",),
            registry=self.registry,
        )
        self.certificate_failures = Counter(
            "gateway_tls_reload_failures_total",
            "Times that the TLS files changed and could not be served.",
            registry=self.registry,
        )
        self.image_bytes = Histogram(
            "gateway_image_bytes",
            "Size of the encoded images that went to Triton.",
            buckets=_BYTES,
            registry=self.registry,
        )
        self.images = Counter(
            "gateway_images_total",
            "Images that went to Triton, by the format of their first bytes.",
            ("format",),
            registry=self.registry,
        )
        self.confidence = Histogram(
            "prediction_confidence",
            "Probability of the predicted class; of detections, each one's score.",
            ("pipeline", "release", "class"),
            buckets=_UNIT,
            registry=self.registry,
        )
        self.disagreement = Histogram(
            "prediction_disagreement",
            "Largest distance between two members' probabilities.",
            ("pipeline", "release"),
            buckets=_UNIT,
            registry=self.registry,
        )
        self.typicality = Counter(
            "prediction_typicality_total",
            "Images compared with the reference photos: typical is yes, or no of another kind.",
            ("pipeline", "release", "typical"),
            registry=self.registry,
        )
        self.uncertainty = Counter(
            "prediction_uncertainty_total",
            "Answers by uncertainty level.",
            ("pipeline", "release", "level"),
            registry=self.registry,
        )
        self.answered = Counter(
            "prediction_images_total",
            "Images that were answered.",
            ("pipeline", "release"),
            registry=self.registry,
        )
        self.quality_warnings = Counter(
            "prediction_quality_warnings_total",
            "Answered images with this warning of the photo's quality.",
            ("pipeline", "release", "code"),
            registry=self.registry,
        )
        self._add_shadow()

    def _add_shadow(self) -> None:
        """Of copies of answered images that a candidate got."""
        labels = "pipeline", "release"
        self.shadow_images = Counter(
            "gateway_shadow_images_total",
            "Copies for a candidate: compared, failed, or shed (never sent).",
            (*labels, "outcome"),
            registry=self.registry,
        )
        self.shadow_seconds = Histogram(
            "gateway_shadow_seconds",
            "Time of a candidate's call about a copy.",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.shadow_differs = Counter(
            "prediction_shadow_differs_total",
            "Compared copies whose decision or uncertainty level differs; of a detector, the count "
            "of detections, or the boxes.",
            (*labels, "what"),
            registry=self.registry,
        )
        self.shadow_value = Histogram(
            "prediction_shadow_value_difference",
            "The candidate's probability, or of a detection its score, less the one that was "
            "given.",
            labels,
            buckets=SHADOW_BOUNDS,
            registry=self.registry,
        )
        self.shadow_uncertainty = Histogram(
            "prediction_shadow_uncertainty_difference",
            "The candidate's entropy less the one that was given.",
            labels,
            buckets=SHADOW_BOUNDS,
            registry=self.registry,
        )

    def watch_releases(
        self,
        figures: Callable[[], Iterable[WatchedFigure]],
        undone: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        """Adds what is known of promotions.

        Args:
            figures: gives those that were judged.
            undone: gives pipeline and release of each that the watch rolled back lately.
        """
        self.registry.register(_Watch(figures, undone))

    def watch_audit(self, waiting: Callable[[], int], available: Callable[[], bool]) -> None:
        """Adds what is read when the metrics are scraped.

        Args:
            waiting: gives the rows that wait to be written.
            available: gives whether rows can be written.
        """
        rows = Gauge(
            "gateway_audit_rows_waiting", "Rows that wait to be written.", registry=self.registry
        )
        rows.set_function(waiting)
        written = Gauge(
            "gateway_audit_available",
            "1 where the audit log can be written, else 0: then no image is answered.",
            registry=self.registry,
        )
        written.set_function(available)
