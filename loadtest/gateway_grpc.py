"""A gRPC client of the gateway for gevent's greenlets.

`grpc.experimental.gevent.init_gevent()` must have been called. No call is ever cancelled, and none
has a time limit: Triton 2.51 may crash where one is (docs/decisions/0012).
"""

from collections.abc import Sequence

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from loadtest.photos import Photo
from loadtest.prediction import Prediction, UnusableAnswerError
from loadtest.reply import Reply, seconds
from loadtest.target import Target
from pipelines import protocol
from pipelines.protocol import Detected, Output

_REFUSED, _UNAVAILABLE = "StatusCode.RESOURCE_EXHAUSTED", "StatusCode.UNAVAILABLE"


class GatewayGrpc:
    """One sender's channel."""

    def __init__(self, target: Target, classes: Sequence[str]) -> None:
        self._target = target
        self._classes = classes
        self._client = triton.InferenceServerClient(target.grpc)

    def close(self) -> None:
        """Ends the channel, now: a client that goes with the interpreter waits for ever."""
        self._client.close()
        del self._client

    def ask(self, photo: Photo) -> Reply:
        """Sends the image's bytes as the ensemble's one tensor."""
        tensor = triton.InferInput(protocol.ENCODED_IMAGE, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[photo.data]], dtype=np.object_))
        try:
            result = self._client.infer(
                self._target.pipeline, [tensor], headers=self._target.headers
            )
            return Reply((self._prediction(result),))
        except InferenceServerException as error:
            status = str(error.status())
            return Reply(
                fault=status,
                refused=status == _REFUSED,
                repeatable=status in {_REFUSED, _UNAVAILABLE},
                retry_after=_retry_after(error),
            )
        except UnusableAnswerError as error:
            return Reply(fault=str(error))

    def _prediction(self, result: triton.InferResult) -> Prediction:
        if result.get_response().model_name != self._target.pipeline:
            raise UnusableAnswerError("the answer is of another pipeline")
        indices, scores = result.as_numpy(Output.PREDICTION), result.as_numpy(Output.CONFIDENCE)
        if indices is None:
            indices, scores = result.as_numpy(Detected.CLASSES), result.as_numpy(Detected.SCORES)
        if indices is None or scores is None:
            raise UnusableAnswerError("the answer has no prediction")
        return Prediction.of_indices(
            indices.ravel().tolist(), scores.ravel().tolist(), self._classes
        )


def _retry_after(error: InferenceServerException) -> float | None:
    # tritonclient passes on status and message only; what it was made from has the metadata.
    origin = error.__context__
    if not isinstance(origin, grpc.RpcError):
        return None
    return seconds(dict(origin.trailing_metadata() or ()).get("retry-after"))
