"""Triton backend `detection`: runs a detector; answers boxes, masks and a picture of them.

Inputs: UINT8 `protocol.PIXELS` [H, W, 3], FP64 `protocol.GEOMETRY` [6], FP32 `protocol.MEASURES`
[7], FP64 `protocol.SPENT` [3], BYTES `protocol.ENCODED_IMAGE` [1], one image a request. Outputs:
`protocol.Detected`.
Config parameters: `protocol.PIPELINE_PARAMETER`, the served spec, and the launcher's `release`,
`measured` and `staged`.
Request parameters: `protocol.Parameter`; each request of a batch keeps its own, and is refused
alone. The encoded image is read only where a picture is asked for.
"""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils

from inference.candidates import Candidates
from inference.detections import Tensors, find, located
from inference.drawing import draw, photograph
from inference.errors import RefusedError
from inference.quality import judge
from inference.resize import Geometry
from inference.rules import DecodeRules, DetectionRules, QualityRules
from inference.typicality import Judgement
from pipelines import protocol
from pipelines.derived import parts
from pipelines.protocol import ConfigOverride, Detected, DetectorOutput, Parameter, Spent
from server.backends.compute import Meter, compute_tensor, spent
from server.backends.config import parameters_of, spec_of
from server.backends.decoding import Decoder
from server.backends.failure import Failure, Response, refused, unexpected
from server.backends.members import (
    MemberRequest,
    MemberResult,
    models_of,
    run_in_triton,
    run_members,
)
from server.backends.parameters import ParameterRules, RequestParameters
from server.backends.reference import featured_member, judge_of
from server.backends.request import Array, Request, parameters, tensor


class TritonPythonModel:
    """One instance; it keeps no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the spec from the config's parameters."""
        config = json.loads(args["model_config"])
        given = parameters_of(config)
        spec = spec_of(given)
        self._name = args["model_name"]
        self._rules = DetectionRules.from_spec(spec)
        self._quality = QualityRules.from_spec(spec)
        flags = (Parameter.VISUALIZATION, Parameter.POLYGONS)
        self._parameters = ParameterRules(
            members=self._rules.members,
            bounds=self._rules.bounds,
            flags=flags if self._rules.masks else flags[:1],
        )
        self._release = (given.get(ConfigOverride.RELEASE) or spec["release"]).encode()
        self._judge = judge_of(spec, given, args)
        measured = json.loads(given.get(ConfigOverride.MEASURED, "[]"))
        staged = given.get(ConfigOverride.STAGED)
        self._models = models_of(spec, featured_member(spec, self._judge), measured, staged)
        self._count = len(parts(self._rules.members))
        self._estimated = {1 + n for n, model in enumerate(self._models) if not model.measured}
        self._meter = Meter()
        self._decoder = Decoder(DecodeRules.from_spec(spec))

    def execute(self, requests: list[Request]) -> list[Response]:
        """Runs the member on all images, then answers request by request."""
        self._meter.begin()
        began = time.monotonic()
        read = [parameters(request, self._parameters) for request in requests]
        accepted = [
            MemberRequest(self._models[self._member(asked)], tensor(request, protocol.PIXELS))
            for request, asked in zip(requests, read, strict=True)
            if isinstance(asked, RequestParameters)
        ]
        results = iter(run_members(accepted, run_in_triton))
        calling = spent(self._meter.lap() / max(len(accepted), 1), began, time.monotonic())
        return [
            self._respond(request, asked, next(results), calling)
            if isinstance(asked, RequestParameters)
            else asked
            for request, asked in zip(requests, read, strict=True)
        ]

    def finalize(self) -> None:
        """Ends what decodes for pictures."""
        self._decoder.close()

    def _member(self, asked: RequestParameters) -> int:
        return self._rules.default_member if asked.member is None else asked.member

    def _respond(
        self, request: Request, asked: RequestParameters, result: MemberResult, calling: Array
    ) -> Response:
        """Decides on one image; `calling` is its share of the calls, as `protocol.SPENT`."""
        if isinstance(result, Failure):
            return result.response()
        try:
            tensors = self._answer(request, asked, result, calling)
        except RefusedError as error:
            return refused(error).response()
        except Exception as error:  # noqa: BLE001 - the batch's other requests are answered
            return unexpected(self._name, error).response()
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, array[None]) for name, array in tensors.items()]
        )

    def _answer(
        self,
        request: Request,
        asked: RequestParameters,
        outputs: dict[str, Array],
        calling: Array,
    ) -> Tensors:
        rules = self._rules
        geometry = Geometry.of(tensor(request, protocol.GEOMETRY)[0])
        member = rules.members[self._member(asked)]
        candidates = Candidates.of(outputs, member=member, classes=len(rules.classes))
        threshold = rules.threshold if asked.threshold is None else asked.threshold
        found = find(candidates, geometry, threshold)
        frame = (geometry.height, geometry.width)
        measures = tensor(request, protocol.MEASURES)[0]
        judgement = Judgement.none(1)
        if self._judge is not None:
            features = outputs.get(DetectorOutput.FEATURES)
            judgement = self._judge(tensor(request, protocol.PICTURE), features)
        picture, elsewhere = b"", 0.0
        if asked.visualization:
            encoded = tensor(request, protocol.ENCODED_IMAGE)[0, 0]
            photo, elsewhere = self._decoder.read(photograph, encoded)
            picture = draw(encoded, found, rules.classes, lambda _: photo)
        answer = located(found, frame, polygons=asked.polygons)
        own = calling.copy()
        own[:, Spent.SECONDS] += self._meter.lap() + elsewhere
        own[:, Spent.ENDED] = time.monotonic()
        spent_by = {
            0: tensor(request, protocol.SPENT).reshape(1, -1),
            1 + self._member(asked): outputs[protocol.SPENT],
            self._count - 1: own,
        }
        return answer | {
            Detected.IMAGE_SIZE: np.array(frame, dtype=np.int32),
            Detected.THRESHOLD: np.array([threshold], dtype=np.float32),
            Detected.VISUALIZATION: np.array([picture], dtype=np.object_),
            Detected.TYPICALITY: judgement.typicality,
            Detected.TYPICAL: judgement.typical,
            Detected.TYPICALITY_VIEWS: judgement.views,
            Detected.QUALITY: measures,
            Detected.QUALITY_WARNINGS: judge(measures, self._quality),
            Detected.COMPUTE: compute_tensor(1, self._count, spent_by, self._estimated)[0],
            Detected.RELEASE: np.array([self._release], dtype=np.object_),
        }
