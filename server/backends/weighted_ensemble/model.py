"""Triton backend `weighted_ensemble`: runs the members, makes one decision (inference.decision).

Inputs: UINT8 `protocol.PIXELS` [H, W, 3], FP32 `protocol.MEASURES` [7], FP64 `protocol.SPENT` [3],
and FP32 `protocol.PICTURE` [34] where the YAML says `typicality`. Outputs: `protocol.Output`.
Config parameters: `protocol.PIPELINE_PARAMETER`, the served spec, and the launcher's `release`,
`calibration`, `reference`, `measured` and `staged`.
Request parameters: `protocol.Parameter`; each request of a batch keeps its own, and is refused
alone. Only members that answer some request are run (docs/decisions/0008).

Where the spec says `one_process`, the input is `protocol.ENCODED_IMAGE`, and this process also
decodes and runs the members itself, from the launcher's `artefacts` (docs/decisions/0017).

A request that asks for an explanation is answered after `execute` has returned, so that others do
not wait for it (docs/decisions/0074).
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.decision import Decisions, decide
from inference.errors import RefusedError
from inference.explanation import ExplanationRules
from inference.prediction_set import SetRules
from inference.quality import judge
from inference.rules import DecisionRules, QualityRules
from inference.typicality import Judgement
from pipelines import protocol
from pipelines.derived import parts
from pipelines.protocol import ConfigOverride, Output, Parameter, Refusal, Spent
from server.backends.affinity import pin_to_own_core
from server.backends.compute import Meter, compute_tensor, spent
from server.backends.config import parameters_of, spec_of
from server.backends.explaining import Explained, Explainer, NotExplainedError
from server.backends.failure import (
    Failure,
    Response,
    apart,
    expired,
    not_explained,
    refused,
    unexpected,
)
from server.backends.members import (
    CallRunner,
    MemberRequest,
    MemberResult,
    models_of,
    run_in_triton,
    run_members,
)
from server.backends.parameters import ParameterRules, RequestParameters, costly_apart
from server.backends.reference import featured_member, judge_of
from server.backends.request import Request, parameters, seconds_allowed, tensor
from server.backends.sibling_load import SiblingLoad

_Rest: TypeAlias = Callable[[float, float], float]
"""Gives the CPU seconds of the decision itself, by those of decoding and members beside it."""
_Read: TypeAlias = Callable[[], Mapping[str, NDArray[Any]]]
"""Gives the decode step's outputs."""


@dataclass(frozen=True)
class _Accepted:
    """One request that is not refused."""

    parameters: RequestParameters
    decoded: Mapping[str, NDArray[Any]]
    """The decode step's outputs by name, [N, ...], or [...] where the model takes no batches."""
    latest: float = math.inf
    """When an explanation that it asks for must be there, of the monotonic clock, in seconds."""


_Accept: TypeAlias = Callable[[], _Accepted | Response]
"""Gives a request's parameters and images, or the response that refuses it."""


class TritonPythonModel:
    """One instance; it keeps no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the spec from the config's parameters."""
        self._name = args["model_name"]
        config = json.loads(args["model_config"])
        given = parameters_of(config)
        spec = spec_of(given)
        self._rules = DecisionRules.from_spec(spec)
        self._quality = QualityRules.from_spec(spec)
        explanation = ExplanationRules.from_spec(spec)
        self._parameters = ParameterRules(
            members=self._rules.members,
            bounds=self._rules.bounds,
            top_k=None if self._rules.bounds else len(self._rules.classes),
            flags=(Parameter.EXPLAIN,) if explanation else (),
        )
        self._sets = SetRules.from_json(given.get(ConfigOverride.CALIBRATION))
        self._release = (given.get(ConfigOverride.RELEASE) or spec["release"]).encode()
        self._judge = judge_of(spec, given, args)
        self._featured = featured_member(spec, self._judge)
        self._runs_members = spec["serving"]["one_process"]
        measured = json.loads(given.get(ConfigOverride.MEASURED, "[]"))
        staged = given.get(ConfigOverride.STAGED)
        self._models = models_of(
            spec, self._featured, spec["members"] if self._runs_members else measured, staged
        )
        self._count = len(parts(self._rules.members))
        self._estimated = {1 + n for n, model in enumerate(self._models) if not model.measured}
        judged = [] if self._judge is None else [protocol.PICTURE]
        self._inputs = [protocol.PIXELS, protocol.MEASURES, protocol.SPENT, *judged]
        self._batched = config["max_batch_size"] > 0
        self._run: CallRunner = run_in_triton
        self._read: Callable[[Request], Mapping[str, NDArray[Any]]] = self._decoded
        if self._runs_members:
            # It needs ONNX Runtime; where native backends run members, there is none.
            from server.backends.in_process import LocalDecoder, LocalMembers  # noqa: PLC0415

            processes = sum(group["count"] for group in config["instance_group"])
            folder = Path(args["model_repository"])
            artefacts = json.loads(given[ConfigOverride.ARTEFACTS])
            members = LocalMembers(
                spec, folder, artefacts, processes, SiblingLoad().idle, staged=staged
            )
            self._decoder = LocalDecoder(spec)
            self._run, self._read = members.run, self._decode
            # Last: the threads of the sessions may run on any core.
            pin_to_own_core(int(args["model_instance_name"].rpartition("_")[2]), processes)
        self._explainer: Explainer | None = None
        if explanation is not None:
            self._explainer = Explainer(explanation, self._rules, self._models, self._run)
        self._meter = Meter()

    def execute(self, requests: list[Request]) -> list[Response] | None:
        """Answers all together; where it runs members itself, in parts, each when it is done."""
        self._meter.begin()
        at_once: list[Request] = []
        for request in requests:
            if self._explainer and self._explains(request):
                self._explain_later(request, self._explainer)
            else:
                at_once.append(request)
        later = len(at_once) < len(requests)
        if not self._runs_members:
            if not later:
                return self._answers(at_once)
            self._send(at_once)
            return None
        costly = [request for request in at_once if self._decoder.costly(_files(request))]
        for request in costly:
            self._answer_later(request)
        parts = list(self._parts([each for each in at_once if each not in costly]))
        if len(parts) == 1 and not costly and not later:
            return self._answers(parts[0])
        for part in parts:
            self._send(part)
        return None

    def finalize(self) -> None:
        """Ends what explains and decodes here."""
        if self._explainer:
            self._explainer.close()
        if self._runs_members:
            self._decoder.close()

    def _decode(self, request: Request) -> Mapping[str, NDArray[Any]]:
        return self._decoder(_files(request))

    def _parts(self, requests: list[Request]) -> Iterator[list[Request]]:
        """Requests of the same parameters, as many as their members take at once.

        Where members take one image at a time, no request waits for another's image.
        """
        alike: dict[str, list[Request]] = {}
        for request in requests:
            alike.setdefault(request.parameters(), []).append(request)
        for group in alike.values():
            asked, size = parameters(group[0], self._parameters), 1
            if isinstance(asked, RequestParameters):
                members = self._rules.answering_members(asked.member)
                size = min(self._models[member].max_batch for member in members)
            for start in range(0, len(group), size):
                yield group[start : start + size]

    def _send(self, part: list[Request]) -> None:
        """Answers requests before others of their batch."""
        senders = [request.get_response_sender() for request in part]
        for sender, response in zip(senders, self._answers(part), strict=True):
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answers(self, requests: list[Request]) -> list[Response]:
        """Answers requests together."""
        accept = [
            partial(_accepted, parameters(each, self._parameters), partial(self._read, each))
            for each in requests
        ]
        return self._respond(accept, self._rest)

    def _explains(self, request: Request) -> bool:
        """Whether a request asks for an explanation, and for nothing that it is refused for."""
        if Parameter.EXPLAIN not in request.parameters():
            return False  # Nearly all; their parameters are read once.
        asked = parameters(request, self._parameters)
        return isinstance(asked, RequestParameters) and asked.explain

    def _explain_later(self, request: Request, explainer: Explainer) -> None:
        """Answers a request for an explanation after `execute` has returned."""
        # Triton keeps what the request holds until `execute` returns, and no longer.
        sender, asked = request.get_response_sender(), parameters(request, self._parameters)
        if self._runs_members:
            files = _files(request)
            read: _Read = partial(self._decoder, files)
            images, began = len(files), time.monotonic()
        else:
            copied = {name: array.copy() for name, array in self._decoded(request).items()}
            read = partial(dict, copied)
            decoding = copied[protocol.SPENT].reshape(-1, len(Spent))
            images, began = len(decoding), float(decoding[:, Spent.BEGAN].min())
        latest = explainer.latest(began, seconds_allowed(request))

        def answer() -> None:
            if images != 1:
                response = refused(_one_image_alone()).response()
            elif time.monotonic() > latest:
                response = not_explained().response()
            else:
                accept = partial(_accepted, asked, read, latest)
                (response,) = self._respond([accept], self._beside)
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

        explainer.later(answer)

    def _answer_later(self, request: Request) -> None:
        """Answers a request of costly images after `execute` has returned."""
        # Triton keeps what the request holds until `execute` returns, and no longer.
        sender, files = request.get_response_sender(), _files(request)
        if costly_apart(request.parameters()):
            refusal = apart().response()
            sender.send(refusal, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            return
        asked = parameters(request, self._parameters)
        accept = partial(_accepted, asked, partial(self._decoder, files))

        def answer(late: bool) -> None:
            (response,) = [expired().response()] if late else self._respond([accept], self._beside)
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

        self._decoder.later(answer)

    def _rest(self, decoding: float, members: float) -> float:
        """CPU seconds of this process, less what decoding and members in it have counted."""
        return max(self._meter.lap() - decoding - members, 0.0)

    def _beside(self, _: float, members: float) -> float:
        """As `_rest`, of what is answered beside the process's passes: too little to tell apart."""
        self._meter.exclude(members)
        return 0.0

    def _respond(self, accept: Sequence[_Accept], rest: _Rest) -> list[Response]:
        """Answers requests; callers get no message of an unexpected error."""
        try:
            return self._decided([request() for request in accept], rest)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers get an answer
            failure = unexpected(self._name, error)
            return [failure.response() for _ in accept]

    def _decided(self, read: list[_Accepted | Response], rest: _Rest) -> list[Response]:
        """Runs each member once, on all images that it answers for; decides request by request."""
        began = time.monotonic()
        members = [
            member
            for request in read
            if isinstance(request, _Accepted)
            for member in self._member_requests(request)
        ]
        found = run_members(members, self._run)
        decoded = [each.decoded for each in read if isinstance(each, _Accepted)]
        ran = [result for result in found if not isinstance(result, Failure)]
        counted = (_seconds(decoded), _seconds(ran)) if self._runs_members else (0.0, 0.0)
        images = sum(each[protocol.SPENT].size for each in decoded) // len(Spent)
        own = spent(rest(*counted) / max(images, 1), began, time.monotonic())
        results = iter(found)
        return [
            self._decide(results, request, own) if isinstance(request, _Accepted) else request
            for request in read
        ]

    def _decoded(self, request: Request) -> dict[str, NDArray[Any]]:
        return {name: tensor(request, name) for name in self._inputs}

    def _member_requests(self, request: _Accepted) -> Iterator[MemberRequest]:
        pixels = request.decoded[protocol.PIXELS]
        pixels = pixels if self._batched else pixels[None]
        for member in self._rules.answering_members(request.parameters.member):
            yield MemberRequest(self._models[member], pixels)

    def _decide(
        self, results: Iterator[MemberResult], request: _Accepted, own: NDArray[np.float64]
    ) -> Response:
        asked = request.parameters
        decoding = request.decoded[protocol.SPENT].reshape(-1, len(Spent))
        spent_by = {0: decoding, self._count - 1: own}
        logits: dict[int, NDArray[np.float32]] = {}
        features: NDArray[np.float32] | None = None
        failures: list[Failure] = []
        for member in self._rules.answering_members(asked.member):
            result = next(results)
            if isinstance(result, Failure):
                failures.append(result)
            else:
                logits[member] = result[protocol.MEMBER_OUTPUT]
                spent_by[1 + member] = result[protocol.SPENT]
                features = result.get(protocol.MEMBER_FEATURES, features)
        if failures:
            return failures[0].response()
        try:
            images = len(next(iter(logits.values())))
            judgement = self._judged(images, request.decoded, features)
            decisions = decide(
                logits,
                self._rules,
                asked.threshold,
                self._set_from(asked.member),
                judgement.typical == 0,
            )
            explained = self._explained(request, decisions, spent_by)
        except RefusedError as error:
            return refused(error).response()
        except NotExplainedError as error:
            return error.failure.response()
        compute = compute_tensor(len(decoding), self._count, spent_by, self._estimated)
        tensors = self._tensors(decisions, judgement, request.decoded, compute, explained)
        return pb_utils.InferenceResponse([pb_utils.Tensor(*named) for named in tensors])

    def _judged(
        self,
        images: int,
        decoded: Mapping[str, NDArray[Any]],
        features: NDArray[np.float32] | None,
    ) -> Judgement:
        if self._judge is None:
            return Judgement.none(images)
        return self._judge(decoded[protocol.PICTURE].reshape(images, -1), features)

    def _explained(
        self, request: _Accepted, decisions: Decisions, spent_by: dict[int, NDArray[np.float64]]
    ) -> Explained:
        """The explanations that a request asks for; what they cost is added to `spent_by`."""
        if not request.parameters.explain or self._explainer is None:
            return Explained.none(len(decisions.prediction), len(self._rules.members))
        before, pixels = time.thread_time(), request.decoded[protocol.PIXELS]
        found = self._explainer.explain(
            pixels if self._batched else pixels[None], decisions, request.latest
        )
        in_passes = sum(found.seconds.values()) if self._runs_members else 0.0
        beside = max(time.thread_time() - before - in_passes, 0.0)
        self._meter.exclude(in_passes + beside)
        parts = {1 + member: seconds for member, seconds in found.seconds.items()}
        for part, seconds in (parts | {self._count - 1: beside}).items():
            spent_by[part] = spent_by[part] + [seconds, 0, 0]
            spent_by[part][:, Spent.ENDED] = time.monotonic()
        return found

    def _set_from(self, member: int | None) -> tuple[float, ...] | None:
        return self._sets.of(None if member is None else self._rules.members[member])

    def _tensors(
        self,
        decisions: Decisions,
        judgement: Judgement,
        decoded: Mapping[str, NDArray[Any]],
        compute: NDArray[np.float32],
        explained: Explained,
    ) -> list[tuple[str, NDArray[Any]]]:
        images = len(decisions.prediction)
        measures = decoded[protocol.MEASURES].reshape(images, -1)
        tensors: dict[Output, NDArray[Any]] = {
            Output.PROBABILITIES: decisions.probabilities,
            Output.MEMBER_PROBABILITIES: decisions.member_probabilities,
            Output.MEMBER_PREDICTION: decisions.member_prediction,
            Output.PREDICTION: decisions.prediction[:, None],
            Output.CONFIDENCE: decisions.confidence[:, None],
            Output.DISAGREEMENT: decisions.disagreement[:, None],
            Output.ENTROPY: decisions.entropy[:, None],
            Output.THRESHOLD: decisions.threshold[:, None],
            Output.UNCERTAINTY_LEVEL: decisions.uncertainty_level[:, None],
            Output.PREDICTION_SET: decisions.prediction_set,
            Output.TYPICALITY: judgement.typicality[:, None],
            Output.TYPICAL: judgement.typical[:, None],
            Output.TYPICALITY_VIEWS: judgement.views[:, None],
            Output.QUALITY: measures,
            Output.QUALITY_WARNINGS: judge(measures, self._quality),
            Output.COMPUTE: compute,
            Output.RELEASE: np.full((images, 1), self._release, dtype=object),
        }
        if self._explainer:
            tensors |= explained.tensors()
        return [
            (str(name), np.ascontiguousarray(array if self._batched else array[0]))
            for name, array in tensors.items()
        ]


def _accepted(
    asked: RequestParameters | Response, read: _Read, latest: float = math.inf
) -> _Accepted | Response:
    """A request's parameters and images, or the response that refuses it."""
    if not isinstance(asked, RequestParameters):
        return asked
    try:
        return _Accepted(asked, read(), latest)
    except RefusedError as error:
        return refused(error).response()


def _one_image_alone() -> RefusedError:
    text = "explain: it is for one image. Send each image in a request of its own."
    return RefusedError(Refusal.PARAMETER_INVALID, text)


def _seconds(tensors: Sequence[Mapping[str, NDArray[Any]]]) -> float:
    """What images spent in all."""
    return sum(float(each[protocol.SPENT][:, Spent.SECONDS].sum()) for each in tensors)


def _files(request: Request) -> NDArray[np.object_]:
    return tensor(request, protocol.ENCODED_IMAGE).reshape(-1)
