"""Mask R-CNN as Triton serves it: pixels in, boxes, scores, classes and small masks out."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

from export.detectors.rcnn_parts import ImageList, MaskRCNN, resize_boxes
from export.errors import ConversionError
from export.graph import ClassesInOrder
from export.quiet import quiet
from pipelines.protocol import MEMBER_INPUT, DetectorOutput

OPSET = 17
"""The newest that the exporter by tracing writes; the newer exporter cannot follow this graph."""
_TRACED_HEIGHT, _TRACED_WIDTH = 240, 320
_MOST = 255
_OF_CANDIDATES = DetectorOutput.of_candidates(masks=True)


class ServedMaskRcnn(nn.Module):
    """Wraps a Mask R-CNN into one of raw pixels, for one image of any size.

    Input UINT8 [H, W, 3], RGB. Outputs, sorted by score, for n detections (n may be 0): boxes FP32
    [n, 4] in pixels of the input, scores FP32 [n], classes INT64 [n] without the background,
    masks FP32 [n, 28, 28], the probabilities of the detected class over its box, and features FP32
    [4 * channels], the mean of each map of the feature pyramid's four stages. `places` has the
    pipeline's index of each of the model's classes, where the orders differ.
    """

    def __init__(self, model: MaskRCNN, places: Sequence[int] = ()) -> None:
        super().__init__()
        self.model = model
        self.in_order = ClassesInOrder(places)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes, scores, classes, masks and features."""
        model = self.model
        image = model.transform.normalize(pixels.permute(2, 0, 1).float() / _MOST)
        height, width = pixels.shape[:2]
        size = _resized(height, width, model.transform.min_size[-1], model.transform.max_size)
        resized = functional.interpolate(image[None], size, mode="bilinear", align_corners=False)
        batch = model.transform.batch_images([resized[0]], model.transform.size_divisible)
        images = ImageList(batch, [tuple(resized.shape[-2:])])
        maps = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, maps)
        (found,), _ = model.roi_heads(maps, proposals, images.image_sizes)
        boxes = resize_boxes(found["boxes"], images.image_sizes[0], [height, width])
        classes = self.in_order(found["labels"] - 1)
        # The pyramid's last map is a smaller copy of the one before.
        pooled = torch.cat([each[0].mean(dim=(1, 2)) for each in [*maps.values()][:-1]])
        return boxes, found["scores"], classes, found["masks"][:, 0], pooled


def write(served: ServedMaskRcnn, path: Path) -> int:
    """Writes the ONNX file; returns its opset.

    Raises:
        ConversionError: the exporter failed, or fixed the image's size.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (_TRACED_HEIGHT, _TRACED_WIDTH, 3)
    example = torch.randint(0, _MOST + 1, shape, generator=generator, dtype=torch.uint8)
    try:
        with quiet():
            torch.onnx.export(
                served,
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[MEMBER_INPUT],
                output_names=[*map(str, _OF_CANDIDATES), str(DetectorOutput.FEATURES)],
                dynamic_axes={
                    MEMBER_INPUT: {0: "height", 1: "width"},
                    **{str(name): {0: "detections"} for name in _OF_CANDIDATES},
                },
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConversionError(f"cannot be written as onnx: {reason}") from error
    model = onnx.load(path)
    *size, _ = model.graph.input[0].type.tensor_type.shape.dim
    if not all(dim.dim_param for dim in size):
        raise ConversionError("the exporter fixed the image's size")
    opset: int = model.opset_import[0].version
    return opset


def _resized(height: int, width: int, min_size: int, max_size: int) -> list[int]:
    """Height and width after torchvision's resize.

    In double precision, as torchvision computes them outside a graph. Within a graph it takes
    single precision, by which a side comes out a pixel shorter now and then.
    """
    if not torch.onnx.is_in_onnx_export():
        scale = min(min_size / min(height, width), max_size / max(height, width))
        return [int(height * scale), int(width * scale)]
    sides = torch.stack([torch.as_tensor(height), torch.as_tensor(width)]).double()
    # Vectors: the exporter makes single precision of a number that stands alone.
    limits = torch.tensor([min_size, max_size], dtype=torch.float64)
    traced = (limits / torch.stack([sides.amin(), sides.amax()])).amin()
    rows, columns = (sides * traced).long()
    return [rows, columns]
