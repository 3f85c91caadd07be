"""FeedbackLayers: layers of units that drive each other both ways, and so settle as one network."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity import Block, Dense
from ratenet.equations import ModelSpec
from ratenet.errors import InputError
from ratenet.fixed_points import AbstractSolver
from ratenet.layers.base import RADIUS, AbstractFixedPointLayer, check_counts, check_inputs
from ratenet.layers.core import FixedPointCore, OnUnsettled
from ratenet.layers.saving import has_bias
from ratenet.network import Network
from ratenet.plasticity import AbstractRule


class FeedbackLayers(AbstractFixedPointLayer):
    """Inputs (..., M) to the rates (..., N_L) of the last of L layers with feedback between them.

    Each layer is connected to itself and, both ways, to its neighbours; the first one alone is
    driven, by R x + b. All of them settle together, at a fixed point of one network whose weights
    are a `Block`; the gradients are those of `FixedPointCore`, which the arguments from `rule` on
    belong to.

    Parameters
    ----------
    in_features : int
        M.
    units : sequence of int
        N_1 to N_L, from the driven layer on; at least two.
    model : ModelSpec or str
        Model of all units.
    rule : AbstractRule, optional
        Default `Euclidean`.
    parameters : mapping of str to value, optional
        Overrides of the model's defaults.
    bias : bool
        Whether each driven unit has a constant, b.
    step_size, tol, solver, max_iterations, on_unsettled : optional
        See `FixedPointCore`.

    Attributes
    ----------
    read_in : torch.nn.Linear
    core : FixedPointCore
        The recurrent network of all units; its weights have names such as
        ``recurrent["layer2_from_layer1/W"]``.

    Raises
    ------
    InputError
        If an argument does not fit; from forward, if shapes do not fit.

    Notes
    -----
    Initial weights are Gaussian. Those to the next layer have the standard deviation 1 / sqrt(pre),
    so that it is driven about as strongly as the first one drives; those within a layer and back,
    sqrt(c) and c / sqrt(pre), are such that W has a spectral radius of about 0.5: the eigenvalues
    of a random matrix whose variances differ by block fill a disc, whose squared radius is the
    largest eigenvalue of the matrix of the blocks' variances times their numbers of columns.

    References
    ----------
    Aljadeff, Stern and Sharpee 2015, Phys. Rev. Lett. 114:088101 (the radius).

    Examples
    --------
    >>> layers = FeedbackLayers(3, [5, 4])
    >>> layers(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """

    saved_as = "feedback"

    def __init__(
        self,
        in_features: int,
        units: Sequence[int],
        model: ModelSpec | str = "rate",
        rule: AbstractRule | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        bias: bool = True,
        step_size: float | None = None,
        tol: float | None = None,
        solver: AbstractSolver | None = None,
        max_iterations: int = 2000,
        on_unsettled: OnUnsettled = "mask",
    ) -> None:
        super().__init__()
        check_counts(in_features=in_features)
        if isinstance(units, int | str) or len(units) < 2:
            raise InputError.at("units", got=units, expected="the sizes of at least two layers")
        check_counts(**{f"units[{index}]": number for index, number in enumerate(units)})
        self.units = tuple(units)
        network = Network(model, _random_blocks(self.units), parameters)
        self.read_in = torch.nn.Linear(in_features, self.units[0], bias=bias)
        self.core = FixedPointCore(
            network, rule, step_size=step_size, tol=tol, solver=solver,
            max_iterations=max_iterations, on_unsettled=on_unsettled,
        )  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the class, those of the core left out."""
        return {
            "in_features": self.read_in.in_features,
            "units": list(self.units),
            "bias": has_bias(self.read_in),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer's rates at the fixed points.

        Parameters
        ----------
        x : Tensor, shape (..., M)
            Inputs, one row per sample.

        Returns
        -------
        Tensor, shape (..., N_L)
        """
        check_inputs(self, x, self.read_in.in_features)
        drive = torch.nn.functional.pad(self.read_in(x), (0, sum(self.units[1:])))
        rates: Tensor = self.core(drive)
        return rates[..., -self.units[-1] :]


def _random_blocks(units: Sequence[int]) -> Block:
    """Return the initial weights, from torch's global generator."""
    # s^2 within and a b between neighbours are c each; the variances' largest eigenvalue is then
    # that of a tridiagonal matrix, c (1 + 2 cos(pi / (L + 1))).
    c = RADIUS**2 / (1 + 2 * math.cos(math.pi / (len(units) + 1)))
    strengths = {0: math.sqrt(c), 1: 1.0, -1: c}  # by how many layers up
    names = [f"layer{index + 1}" for index in range(len(units))]
    blocks = {
        post: {
            pre: Dense(strengths[i - j] / math.sqrt(units[j]) * torch.randn(units[i], units[j]))
            for j, pre in enumerate(names)
            if abs(i - j) <= 1
        }
        for i, post in enumerate(names)
    }
    return Block(blocks, dict(zip(names, units, strict=True)))
