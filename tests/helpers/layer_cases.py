"""Small layers of every connectivity, and what tests ask of them."""

from collections.abc import Callable

import torch
from torch import Tensor

import ratenet as rn
from helpers.problems import FLOAT, random, random_weights
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Convolution,
    Dense,
    LowRank,
    Masked,
    Signed,
    Sum,
)
from ratenet.plasticity import (
    AbstractRule,
)

N, M, B = 6, 3, 5


def masked(units: int = N) -> Masked:
    mask = torch.rand(units, units, generator=torch.Generator().manual_seed(1)) < 0.5
    return Masked(random_weights(units, seed=2) * mask, mask)


def signed(units: int = N) -> Signed:
    signs = torch.tensor([1.0, 1.0, -1.0], dtype=FLOAT).repeat(units)[:units]
    return Signed(0.5 * random_weights(units, seed=3).abs() * signs, signs)


def low_rank() -> LowRank:
    return LowRank(random(N, 2, seed=4), random(N, 2, seed=5))


def layers_with_feedback() -> Block:
    parts = {
        "lower": {"lower": masked(4), "upper": Dense(random(4, 2, seed=6, scale=0.3))},
        "upper": {"lower": Dense(random(2, 4, seed=7, scale=0.3))},
    }
    return Block(parts, {"lower": 4, "upper": 2})


KINDS: dict[str, Callable[[], AbstractConnectivity]] = {
    "dense": lambda: Dense(random_weights(N, seed=8)),
    "masked": masked,
    "signed": signed,
    "low_rank": low_rank,
    "convolution": lambda: Convolution(random(2, 2, 1, 1, seed=9, scale=0.4), 1, 3),
    "sum": lambda: Sum({"random": masked(), "structure": low_rank()}),
    "block": layers_with_feedback,
}


def make_layer(kind: str = "dense", rule: AbstractRule | None = None, **options: object):
    torch.manual_seed(0)
    return rn.FixedPointLayer(M, N, rule=rule, connectivity=KINDS[kind](), **options)


def inputs(samples: int = B, seed: int = 10) -> Tensor:
    return random(samples, M, seed=seed)


def loss_of(rates: Tensor) -> Tensor:
    """Return a mean over samples of a loss that weighs each unit differently."""
    weights = torch.arange(1.0, rates.shape[-1] + 1, dtype=rates.dtype)
    return (weights * (rates - 0.3) ** 2).sum(dim=-1).mean()


def by_iteration(layer: rn.FixedPointLayer, x: Tensor, W: Tensor) -> Tensor:
    """Return the rates of the rate model by iterating the map, for autograd to unroll."""
    drive = x @ layer.read_in.weight.T + layer.read_in.bias
    rates = torch.zeros_like(drive)
    for _ in range(200):
        rates = torch.tanh(rates @ W.T + drive)
    return rates
