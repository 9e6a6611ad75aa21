"""MLServer's custom runtime: encoded photos in, probabilities out, in KServe's protocol."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from lab.bench.ensemble import Ensemble
from lab.bench.plan import Plan


class Classifier(MLModel):
    """One worker with the models."""

    async def load(self) -> bool:
        """Opens them."""
        self._ensemble = Ensemble(Plan.of_environment(), threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Of the photos in the request's tensor `image`."""
        photos = [bytes(each) for each in payload.inputs[0].data]
        probabilities = self._ensemble.probabilities(
            [self._ensemble.decode(each) for each in photos]
        )
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("probabilities", probabilities)],
        )
