"""How much shared memory the backend processes of releases need, from their configs."""

from collections.abc import Iterable, Sequence
from math import ceil, prod

from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import triton_to_np_dtype

from server.releases.verified import VerifiedRelease
from server.triton.installation import Installation

_REGION_BYTES = 2**20
"""Of a new region: each instance of a model on a Python-based backend has one."""
_GROWTH = 1.1
"""Triton makes a region larger by so much more than it was asked for."""
_MIB = 2**20


def needed_mib(releases: Iterable[VerifiedRelease], installation: Installation) -> int:
    """Enough for a full batch in every process at a time, one image of the largest in it.

    A region never shrinks, so under load this is what is used in the end. Models on native
    backends have no region.
    """
    total = sum(
        _instances(config) * _region_bytes(config, release)
        for release in releases
        for config in release.configs.values()
        if installation.has_processes(config.backend)
    )
    return ceil(total / _MIB)


def _instances(config: pb.ModelConfig) -> int:
    return sum(group.count for group in config.instance_group) or 1


def _region_bytes(config: pb.ModelConfig, release: VerifiedRelease) -> int:
    spec = release.spec
    batch: int = max(1, config.max_batch_size)
    tensors = batch * _tensor_bytes([*config.input, *config.output])
    if config.name == release.decision:
        # It hands its inputs to each member, through the same region.
        tensors += len(spec.answering_members) * batch * _tensor_bytes(config.input)
    images = sum(spec.limits.bytes for tensor in config.input if tensor.data_type == pb.TYPE_STRING)
    return _REGION_BYTES + ceil(_GROWTH * (tensors + images))


def _tensor_bytes(tensors: Sequence[pb.ModelInput | pb.ModelOutput]) -> int:
    """Of one image; texts and dimensions that vary count as nothing."""
    total = 0
    for tensor in tensors:
        if tensor.data_type != pb.TYPE_STRING:
            dtype = triton_to_np_dtype(pb.DataType.Name(tensor.data_type).removeprefix("TYPE_"))
            total += prod(max(0, size) for size in tensor.dims) * int(dtype().itemsize)
    return total
