"""A pipeline whose network measures how red a photo is, and releases of it that differ as asked.

The answers follow from the colours, so that a candidate is worse by exactly what it is made for.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export import releases
from export.repository import ModelRepository
from lab.service.scratch import Scratch
from pipelines import protocol
from pipelines.load import load_definition
from pipelines.manifest import CLASS_MAP_FILENAME, FILENAME, Manifest, sha256_of
from pipelines.release import current_path

NAME, MEMBER = "oral_cancer", "redness"
SIDE = 32
"""Pixels of a side that the network sees."""
_STEEP = 40 / 255
"""Of the logit, for each step of a colour."""
RED = (_STEEP, -_STEEP, 0.0), -10.0
"""Weights of red, green and blue, and the bias: a photo is positive from red - green = 64 on."""
SHUFFLED = (-_STEEP, _STEEP, 0.0), 10.0
BLUE_BLIND = (_STEEP, 0.0, -_STEEP), -10.0
"""Compares red with blue: misses what is red and bluish, and finds some that RED misses."""
_CHAIN, _WIDTH = 4, 512
"""Products of matrices of a slow network."""


@dataclass
class World:
    """A scratch model repository; `ids` has the releases by the words that describe them."""

    place: Scratch
    ids: dict[str, str] = field(default_factory=dict)

    def make(
        self,
        what: str,
        *,
        threshold: float = 0.5,
        network: onnx.ModelProto | None = None,
        instances: int = 1,
    ) -> None:
        """Makes a release; one without a network of its own has that of the first."""
        self._specs(threshold, instances)
        whole = load_definition(NAME, self.place.specs)
        repository = ModelRepository(self.place.repository)
        repository.write_configs(whole, f"{NAME}.yaml")
        version = 1
        if network is not None:
            version = repository.next_version([protocol.member_model(NAME, MEMBER)])
            self._publish(network, version)
        made = releases.make(whole, repository, {MEMBER: version})
        (release,) = [*made.made, *made.unstaged]
        self.ids[what] = release.identity

    def serve(self, what: str) -> None:
        """Lets a release be the one that a launcher starts with; its facts are the YAML's."""
        current_path(NAME, "default", self.place.repository).write_text(f"{self.ids[what]}\n")
        self._specs(0.5, 1)
        whole = load_definition(NAME, self.place.specs)
        ModelRepository(self.place.repository).write_configs(whole, f"{NAME}.yaml")

    def artefact(self, what: str) -> Path:
        """The file of a release's network."""
        path = current_path(NAME, "default", self.place.repository).with_name(
            f"{self.ids[what]}.json"
        )
        version = json.loads(path.read_text())["members"][MEMBER]["version"]
        model = self.place.repository / protocol.member_model(NAME, MEMBER)
        return model / str(version) / "model.onnx"

    def _specs(self, threshold: float, instances: int) -> None:
        def edit(facts: dict[str, Any]) -> None:
            facts["members"] = {
                MEMBER: {
                    "architecture": "mobilenetv3_small_100",
                    "format": "onnx",
                    "one_logit": True,
                    "weight": 1,
                    "instances": instances,
                    "threads": 1,
                }
            }
            facts["profiles"], facts["typicality"], facts["quality"] = {}, None, {}
            facts.pop("explanation", None)
            facts["threshold"]["default"] = threshold
            facts["preprocessing"] |= {"height": SIDE, "width": SIDE}

        self.place.facts(NAME, edit)

    def _publish(self, network: onnx.ModelProto, version: int) -> None:
        spec = load_definition(NAME, self.place.specs).resolve("default")
        folder = self.place.repository / protocol.member_model(NAME, MEMBER) / str(version)
        folder.mkdir(parents=True)
        artefact = folder / spec.members[MEMBER].format.filename
        onnx.save(network, artefact)
        class_map = folder / CLASS_MAP_FILENAME
        class_map.write_text(json.dumps(spec.class_map()))
        manifest = Manifest(
            pipeline=NAME,
            member=MEMBER,
            version=version,
            artefact=artefact.name,
            artefact_sha256=sha256_of(artefact),
            class_map_sha256=sha256_of(class_map),
            checkpoint_sha256=hashlib.sha256(b"made of colours").hexdigest(),
            member_hash=spec.member_hash(MEMBER),
            weights="demo",
            parity_error=0.0,
            opset=17,
            libraries={},
            created=datetime.now(UTC),
        )
        (folder / FILENAME).write_text(manifest.model_dump_json())


def network(
    colours: tuple[Sequence[float], float] = RED, *, slow: bool = False, mebibytes: int = 0
) -> onnx.ModelProto:
    """UINT8 [N, H, W, 3] to one logit [N, 1]: a weighted sum of the mean colours.

    Args:
        colours: weights of red, green and blue, and the bias.
        slow: whether it also multiplies large matrices, whose product changes no answer.
        mebibytes: of weights that are never used.
    """
    weights, bias = colours
    constants: dict[str, NDArray[Any]] = {
        "weights": np.array([[each] for each in weights], np.float32),
        "bias": np.array([bias], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["INPUT__0"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logit0"]),
    ]
    logit = "logit0"
    if slow:
        # Of the photo, so that nothing of it can be worked out before.
        constants["ones"] = np.ones((_WIDTH, _WIDTH), np.float32)
        constants["square"] = np.full((_WIDTH, _WIDTH), 1 / _WIDTH, np.float32)
        constants["nothing"] = np.zeros(1, np.float32)
        nodes += [
            helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["ones", "mean"], ["m0"]),
            *(
                helper.make_node("MatMul", [f"m{step}", "square"], [f"m{step + 1}"])
                for step in range(_CHAIN)
            ),
            helper.make_node("ReduceMean", [f"m{_CHAIN}"], ["last"], keepdims=0),
            helper.make_node("Mul", ["last", "nothing"], ["zero"]),
            helper.make_node("Add", [logit, "zero"], ["logit1"]),
        ]
        logit = "logit1"
    if mebibytes:
        constants["unused"] = np.zeros((mebibytes, 2**18), np.float32)
        nodes += [
            helper.make_node("ReduceMax", ["unused"], ["most"], keepdims=0),
            helper.make_node("Add", [logit, "most"], ["logit2"]),
        ]
        logit = "logit2"
    nodes.append(helper.make_node("Identity", [logit], ["OUTPUT__0"]))
    graph = helper.make_graph(
        nodes,
        "redness",
        [helper.make_tensor_value_info("INPUT__0", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("OUTPUT__0", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
