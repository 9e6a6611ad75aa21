"""Members that a decision step runs itself, for networks that are small beside the way to others.

Only inside Triton: it needs pb_utils.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from inference.decode import decode, in_turn
from inference.recipe import Recipe
from pipelines import protocol
from pipelines.protocol import Delta
from server.backends.engine import CPU, Engine, Opening, options
from server.backends.members import Call, Reply
from server.backends.session import Session


class Decoding:
    """Decodes the images of a request, as the backend `image_decode` does."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Reads the recipe from a config's parameters."""
        self._recipe = Recipe.from_json(parameters["preprocessing"], parameters["limits"])
        # The recipe's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def __call__(self, files: NDArray[np.object_]) -> NDArray[np.uint8]:
        """The pixels of a request's images, UINT8 [N, H, W, 3], of `protocol.ENCODED_IMAGE` [N, 1].

        Raises:
            RefusedError: one of the images is refused.
        """
        files = files.reshape(-1)
        images = in_turn((decode(file, self._recipe) for file in files), len(files))
        if len(images) == 1:
            return images[0].pixels[None]
        return np.stack([image.pixels for image in images])


class InProcess:
    """Sessions of all members, opened from the artefacts that the launcher vouched for."""

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, str],
        processes: int,
        rest: Callable[[], bool],
    ) -> None:
        """Opens them; raises what their engine says where it cannot.

        Args:
            folder: the decision model's, beside those of the members.
            parameters: of its config.
            processes: that do the same beside this one, itself among them.
            rest: whether all others rest.
        """
        artefacts: dict[str, Any] = json.loads(parameters[Delta.ARTEFACTS])
        models: dict[str, Any] = json.loads(parameters["models"])
        self._sessions = {
            model["name"]: Session(
                model["name"],
                _opening(folder.parent / model["name"] / artefacts[member]["version"], model),
                model["threads"],
                processes,
                rest,
            )
            for member, model in models.items()
        }

    def answer(self, calls: Sequence[Call], outputs: Sequence[str]) -> list[Reply]:
        """Runs one call after the other: this process has one core's share."""
        replies: list[Reply] = []
        for model, pixels in calls:
            found = self._sessions[model.name].run(outputs, {protocol.MEMBER_INPUT: pixels})
            replies.append(
                dict(zip(outputs, found, strict=True)) if isinstance(found, list) else found
            )
        return replies


def _opening(folder: Path, model: Mapping[str, Any]) -> Opening:
    path = folder / model["artefact"]

    def with_onnxruntime(threads: int, *, alone: bool) -> Engine:
        made = options(threads, spinning=alone)
        engine: Engine = onnxruntime.InferenceSession(path, made, [CPU])
        return engine

    def with_openvino(threads: int, *, alone: bool) -> Engine:
        # Few profiles want it, and it takes a moment to load.
        from server.backends.openvino_engine import opened  # noqa: PLC0415

        return opened(path, model["tolerance"], threads)

    return with_openvino if "acceleration" in model else with_onnxruntime
