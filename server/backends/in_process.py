"""Members that a decision step runs itself, for networks that are small beside the way to others.

Only inside Triton: it needs pb_utils.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines import wire
from pipelines.wire import Delta
from server.backends.image_decode.decode import decode, in_turn
from server.backends.image_decode.recipe import Recipe
from server.backends.members import Call, Reply
from server.backends.request import Request, tensor
from server.backends.session import Session


class Decoding:
    """Decodes the images of a request, as the backend `image_decode` does."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Reads the recipe from a config's parameters."""
        self._recipe = Recipe.from_json(parameters["preprocessing"], parameters["limits"])
        # The recipe's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def __call__(self, request: Request) -> NDArray[np.uint8]:
        """The pixels of a request's images, UINT8 [N, H, W, 3].

        Raises:
            RefusedError: one of the images is refused.
        """
        files = tensor(request, wire.ENCODED_IMAGE).reshape(-1)
        images = in_turn((decode(file, self._recipe) for file in files), len(files))
        if len(images) == 1:
            return images[0].pixels[None]
        return np.stack([image.pixels for image in images])


class InProcess:
    """Sessions of all members, opened from the artefacts that the launcher vouched for."""

    def __init__(self, folder: Path, parameters: Mapping[str, str], processes: int) -> None:
        """Opens them; raises what ONNX Runtime says where it cannot.

        Args:
            folder: the decision model's, beside those of the members.
            parameters: of its config.
            processes: that do the same beside this one, itself among them.
        """
        artefacts: dict[str, Any] = json.loads(parameters[Delta.ARTEFACTS])
        models: dict[str, Any] = json.loads(parameters["models"])
        self._sessions = {
            model["name"]: Session(
                model["name"],
                folder.parent / model["name"] / artefacts[member]["version"] / model["artefact"],
                model["threads"],
                processes,
            )
            for member, model in models.items()
        }

    def answer(self, calls: Sequence[Call], outputs: Sequence[str]) -> list[Reply]:
        """Runs one call after the other: this process has one core's share."""
        replies: list[Reply] = []
        for model, pixels in calls:
            found = self._sessions[model.name].run(outputs, {wire.MEMBER_INPUT: pixels})
            replies.append(
                dict(zip(outputs, found, strict=True)) if isinstance(found, list) else found
            )
        return replies
