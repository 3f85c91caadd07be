"""Buffers of a module that stand for a network's constants, whose names hold dots."""

from collections.abc import Mapping

import torch
from torch import Tensor


def buffers(tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return a module whose buffers are copies of these tensors."""
    module = torch.nn.Module()
    for name, tensor in tensors.items():
        module.register_buffer(name.replace(".", "/"), tensor.detach().clone())
    return module


def named(buffers: torch.nn.Module) -> dict[str, Tensor]:
    """Return them by the network's names."""
    return {name.replace("/", "."): tensor for name, tensor in buffers.named_buffers()}


def are_equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same type, place, shape and values."""
    is_alike = one.dtype == other.dtype and one.device == other.device and one.shape == other.shape
    return is_alike and torch.equal(one, other)
