"""Says in one line why a state dict does not fit a network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import torch

from export import architectures

Shapes = Mapping[str, tuple[int, ...]]
_SHOWN = 3
_SAME_NETWORK = 0.9
_FOREIGN = 0.5
_STATISTICS = (".running_mean", ".running_var")
# A key of each network that is not built here, and what has it.
_TELLTALES = {
    "layer1.0.conv1.weight": "a ResNet",
    "trunk_output.block1.block1-0.f.a.0.weight": "torchvision's RegNet (timm's has others)",
    "encoder.layers.encoder_layer_0.ln_1.weight": "torchvision's ViT (timm's has others)",
    "vit.embeddings.cls_token": "a ViT or YOLOS of transformers",
    "features.denseblock1.denselayer1.conv1.weight": "a DenseNet",
    "features.0.0.weight": "torchvision's MobileNet, EfficientNet or ConvNeXt (timm's have others)",
    "stages.0.blocks.0.conv_dw.weight": "a ConvNeXt",
    "layers.0.blocks.0.attn.relative_position_bias_table": "a Swin transformer",
    "Mixed_5b.branch1x1.conv.weight": "an Inception",
    "roi_heads.box_predictor.cls_score.weight": "torchvision's Faster or Mask R-CNN",
}


@dataclass(frozen=True)
class KeyFit:
    """The keys and shapes of a state dict beside those of a network."""

    found: Shapes
    expected: Shapes
    beside: tuple[str, ...]
    """Further keys in the same state dict, outside of the network's."""
    architecture: str | None
    """The network's name in the YAML, where it has one."""
    classes: int
    """Of the pipeline."""

    @cached_property
    def missing(self) -> list[str]:
        """Keys of the network that are not there."""
        return [key for key in self.expected if key not in self.found]

    @cached_property
    def unexpected(self) -> list[str]:
        """Keys that the network does not have."""
        return [*(key for key in self.found if key not in self.expected), *self.beside]

    @cached_property
    def reshaped(self) -> list[str]:
        """Keys of another shape than the network's."""
        both = (key for key in self.expected if key in self.found)
        return [key for key in both if self.found[key] != self.expected[key]]

    def problem(self) -> str | None:
        """Why the state dict does not fit, in one line; None where it does."""
        if not (self.missing or self.unexpected or self.reshaped):
            return None
        cause = (
            self._other_network()
            or self._other_outputs()
            or self._other_widths()
            or self._parts_only()
            or "its keys are those of another network, or of a changed one"
        )
        listed = [
            _listing("missing", [f"{key} {list(self.expected[key])}" for key in self.missing]),
            _listing(
                "unexpected", [f"{key} {list(self.found.get(key, ()))}" for key in self.unexpected]
            ),
            _listing(
                "of another shape",
                [
                    f"{key}: expected {list(self.expected[key])}, found {list(self.found[key])}"
                    for key in self.reshaped
                ],
            ),
        ]
        details = "; ".join(filter(None, listed))
        return f"does not fit the architecture in the YAML: {cause} ({details})"

    def _other_network(self) -> str | None:
        if len(self.missing) < _FOREIGN * len(self.expected):
            return None
        endings = {key[start:] for key in self.found for start in _starts(key)}
        looks = _known(endings) or next((_TELLTALES[k] for k in _TELLTALES if k in endings), None)
        if looks is None:
            return None
        here = f"the YAML says {self.architecture}" if self.architecture else "this is another one"
        return f"looks like the keys of {looks}, {here}"

    def _other_outputs(self) -> str | None:
        """A last layer that is missing, or has another number of outputs."""
        last = list(self.expected)[-1].rpartition(".")[0]
        own = [key for key in self.expected if key.startswith(f"{last}.")]
        if not self.reshaped and not self.unexpected and self.missing == own:
            return f"it has no head ({last}): a backbone alone decides nothing"
        if self.missing or self.unexpected or any(map(self._differs_within, self.reshaped)):
            return None
        first = self.reshaped[0]
        outputs, wanted = self.found[first][0], self.expected[first][0]
        if not set(self.reshaped) <= set(own):
            layer = first.rpartition(".")[0]
            return f"{layer} has {outputs} outputs, not {wanted}: it learnt other classes"
        head = f"the head ({last}) has {outputs} outputs"
        if wanted == self.classes:
            advice = ": write `one_logit: true` for this member" if outputs == 1 else ""
            return f"{head}, the pipeline has {self.classes} classes{advice}"
        advice = ": leave that out for this member" if outputs == self.classes else ""
        return f"{head}, the YAML says `one_logit: true`{advice}"

    def _differs_within(self, key: str) -> bool:
        """Whether more than the number of outputs differs."""
        return not self.found[key] or self.found[key][1:] != self.expected[key][1:]

    def _other_widths(self) -> str | None:
        if self.missing or self.unexpected:
            return None
        if all(key.endswith("pos_embed") for key in self.reshaped):
            return "its position embeddings are for images of another size"
        return "it has the same layers in other widths: another size of this architecture"

    def _parts_only(self) -> str | None:
        if self.reshaped:
            return None
        if not self.unexpected and all(key.endswith(_STATISTICS) for key in self.missing):
            return (
                "the statistics of batch normalisation are missing, as from an average of the "
                "parameters alone: save the buffers too"
            )
        if not self.missing:
            return (
                "the whole network is there, and more: save the state dict of the network alone, "
                "so that it is clear what is served"
            )
        return None


def _known(endings: set[str]) -> str | None:
    """The classifier that has these keys, whatever stands before them."""
    for name in sorted(architectures.ARCHITECTURES):
        keys = _keys_of(name)
        if len(keys & endings) >= _SAME_NETWORK * len(keys):
            return name
    return None


@cache
def _keys_of(architecture: str) -> frozenset[str]:
    with torch.device("meta"):
        return frozenset(architectures.build(architecture, 1).state_dict())


def _starts(key: str) -> Iterable[int]:
    """Where the parts of a key's path begin."""
    return (0, *(place + 1 for place, letter in enumerate(key) if letter == "."))


def _listing(title: str, entries: list[str]) -> str:
    if not entries:
        return ""
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"{len(entries)} {title}: {', '.join(entries[:_SHOWN])}{more}"
