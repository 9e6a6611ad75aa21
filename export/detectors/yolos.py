"""Opens a YOLOS detector: a folder in the layout of the transformers library."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export import checkpoint, class_order, class_statements
from export.class_order import Background
from export.class_statements import CONFIG
from export.detector import Detector
from export.errors import CheckpointError
from export.formats import write_onnx
from export.graph import ClassesInOrder, Normalisation
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from export.torchvision_ops import ensure_declared
from pipelines.manifest import sha256_of
from pipelines.preprocessing import Preprocessing
from pipelines.protocol import DetectorOutput
from pipelines.spec import PipelineSpec

ensure_declared()

from huggingface_hub.errors import StrictDataclassError  # noqa: E402
from transformers import YolosConfig, YolosForObjectDetection  # noqa: E402

WEIGHTS = "model.safetensors"
DEMO_MARK = "second_opinion_weights"
"""Key of a configuration that says `demo` where the weights are for demonstration only."""
# Of one parameter: its key in files, and in the model.
_IN_FILES = "vit.encoder.mid_position_embeddings"
_IN_MODEL = "vit.encoder.interpolation.mid_position_embeddings"
OUTPUTS = (*DetectorOutput.of_candidates(masks=False), DetectorOutput.FEATURES)


class ServedYolos(nn.Module):
    """Wraps YOLOS into a model of raw pixels that answers with boxes.

    Input UINT8 [N, H, W, 3], RGB. Outputs, for q detection tokens: boxes FP32 [N, q, 4] as x1, y1,
    x2, y2 in pixels of the input, scores FP32 [N, q] and classes INT64 [N, q]: the most probable
    class but "no object", which is the last one, and its probability among all of them; features
    FP32 [N, hidden_size], the mean of the last layer's tokens of patches. `places` has the
    pipeline's index of each of the model's classes, where the orders differ.
    Source: `post_process_object_detection` of transformers' YolosImageProcessor.
    """

    def __init__(
        self, model: nn.Module, preprocessing: Preprocessing, places: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.normalise = Normalisation(preprocessing)
        self.model = model
        self.in_order = ClassesInOrder(places)

    def forward(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Boxes, scores, classes and features."""
        found = self.model(self.normalise(pixels), return_dict=True)
        scores, classes = found.logits.softmax(-1)[..., :-1].max(-1)
        centre, extent = found.pred_boxes[..., :2], found.pred_boxes[..., 2:]
        corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=-1)
        height, width = pixels.shape[1:3]
        return (
            corners * torch.tensor([width, height, width, height]),
            scores,
            self.in_order(classes),
            # One token of the whole image comes first, those of detections last.
            found.last_hidden_state[:, 1 : -found.logits.shape[1]].mean(dim=1),
        )


def open_checkpoint(
    path: Path, spec: PipelineSpec, options: ReadOptions = AS_THE_FILE_SAYS
) -> Detector:
    """Rebuilds a YOLOS from `config.json` and `model.safetensors`; nothing is downloaded.

    Args:
        path: the folder, or one of its two files.
        spec: a pipeline whose images have one size.
        options: how the checkpoint is read.

    Raises:
        CheckpointError: a file is missing or cannot be read, or does not fit the pipeline.
    """
    folder = path if path.is_dir() else path.parent
    config = _config(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise CheckpointError(
            f"{weights}: no such file. In the training environment save it: "
            "model.save_pretrained(folder), which writes safetensors"
        )
    model = _build(folder / CONFIG, config)
    if model.config.num_labels != len(spec.classes):
        raise CheckpointError(
            f"{folder / CONFIG}: id2label: the model tells {model.config.num_labels} classes and "
            f'"no object", which is not named; the pipeline has {len(spec.classes)}: use the '
            "right checkpoint, or correct `classes` in the YAML"
        )
    source = checkpoint.read(weights, options)
    said = class_statements.of_checkpoint(source.file)
    order = class_order.decide(spec, said, options, Background.LAST)
    loaded = source.load_into(
        model, spec.classes, preprocessing=spec.preprocessing, rename=_renamed
    )
    _fix_positions(model, _size(spec))
    places = class_order.places(order, spec.classes)
    served = ServedYolos(model, spec.preprocessing, places).eval()
    both = sha256_of(folder / CONFIG) + source.sha256
    return Detector(
        module=served,
        sha256=hashlib.sha256(both.encode()).hexdigest(),
        weights="demo" if config.get(DEMO_MARK) == "demo" else "trained",
        loaded=loaded,
        order=order,
        write=partial(write_onnx, served, _size(spec), OUTPUTS),
    )


class _Fixed(nn.Module):
    """Position embeddings of one image size, in place of their interpolation to any."""

    embeddings: torch.Tensor

    def __init__(self, embeddings: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings)

    def forward(self, *_: object) -> torch.Tensor:
        return self.embeddings


def _fix_positions(model: YolosForObjectDetection, size: tuple[int, int]) -> None:
    """Interpolates position embeddings once, in torch: a runtime's resize may round otherwise."""
    embeddings, encoder = model.vit.embeddings, model.vit.encoder
    with torch.no_grad():
        first = embeddings.interpolation(embeddings.position_embeddings, size)
        embeddings.interpolation = _Fixed(first)
        if encoder.interpolation is not None:
            encoder.interpolation = _Fixed(encoder.interpolation(size))


def _size(spec: PipelineSpec) -> tuple[int, int]:
    if spec.preprocessing.size is None:
        raise CheckpointError(
            f"{spec.name}: YOLOS takes images of one size: give preprocessing a height and a width"
        )
    return spec.preprocessing.size


def _build(path: Path, config: dict[str, Any]) -> YolosForObjectDetection:
    """The network of a configuration, with random weights."""
    try:
        return YolosForObjectDetection(YolosConfig.from_dict(config))
    except (StrictDataclassError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: is not the config of a YOLOS: {reason}") from error


def _renamed(key: str) -> str:
    return _IN_MODEL if key == _IN_FILES else key


def _config(folder: Path) -> dict[str, Any]:
    """The configuration."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such file. Give the folder that model.save_pretrained wrote"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(config, dict) or config.get("model_type") != "yolos":
        found = config.get("model_type") if isinstance(config, dict) else config
        raise CheckpointError(f"{path}: model_type: is {found!r}, not 'yolos'")
    return config
