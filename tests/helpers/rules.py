"""What the tests of plasticity rules share: settled problems, a loss, and its gradient."""

import torch
from torch import Tensor

import ratenet as rn
from helpers.problems import FLOAT, Problem, chosen_rates, random, random_weights, tanh_problem

TIGHT = 1e-13


def settled(problem: Problem) -> rn.FixedPoints:
    return rn.find_fixed_points(problem.network(), problem.drive, tol=TIGHT)


class ReadOut:
    """Softmax cross-entropy of a fixed linear read-out: the loss of each sample's rates."""

    def __init__(self, samples: int, units: int) -> None:
        self.weights = random(3, units, seed=71)
        self.labels = torch.arange(samples) % 3

    def losses(self, rates: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(
            rates @ self.weights.T, self.labels, reduction="none"
        )

    def error(self, rates: Tensor) -> Tensor:
        """Return e = dL_b/dy_b, written out: (softmax - one-hot) times the read-out."""
        surplus = torch.softmax(rates @ self.weights.T, dim=1)
        surplus[torch.arange(len(rates)), self.labels] -= 1
        return surplus @ self.weights


def symmetric() -> Problem:
    """A tanh network with symmetric weights, for which equilibrium propagation is a gradient."""
    W = random_weights(12, seed=41, scale=0.35)
    return tanh_problem("symmetric", (W + W.T) / 2**0.5, chosen_rates(4, 12, seed=42))


def euclidean(fp: rn.FixedPoints, error: Tensor) -> Tensor:
    """Return the gradient of the mean loss, by a dense solve for each sample."""
    W, total = fp.network.connectivity.dense(), torch.zeros_like(fp.network.connectivity.dense())
    identity = torch.eye(len(W), dtype=FLOAT)
    for g, y, e in zip(fp.gain, fp.rates, error, strict=True):
        total += torch.outer(g * torch.linalg.solve(identity - W.T * g, e), y)
    return total / len(error)


def adding_unit(weights: Tensor) -> rn.Network:
    """Return linear units that take a pattern, and a last one that adds them by weights (M,)."""
    M = len(weights)
    W = torch.zeros(M + 1, M + 1, dtype=FLOAT)
    W[M, :M] = weights
    return rn.Network("linear", W)


def shown(network: rn.Network, patterns: Tensor) -> rn.FixedPoints:
    """Return the fixed points of `adding_unit` for patterns (B, M)."""
    weights = network.connectivity.dense()[-1, :-1]
    drive = torch.cat([patterns, torch.zeros(len(patterns), 1, dtype=FLOAT)], dim=1)
    rates = torch.cat([patterns, (patterns @ weights)[:, None]], dim=1)
    return rn.fixed_points_at(network, drive, rates, tol=TIGHT)
