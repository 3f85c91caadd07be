"""FixedPointLayer: a read-in and a recurrent network that settles, as one layer of torch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Dense, random_weights
from ratenet.equations import ModelSpec
from ratenet.errors import InputError
from ratenet.fixed_points import AbstractSolver
from ratenet.layers.base import (
    RADIUS,
    AbstractFixedPointLayer,
    check_counts,
    check_inputs,
    new_seed,
)
from ratenet.layers.core import FixedPointCore, OnUnsettled
from ratenet.layers.saving import has_bias
from ratenet.network import Network
from ratenet.plasticity import AbstractRule


class FixedPointLayer(AbstractFixedPointLayer):
    """Linear input weights, then a recurrent rate network solved to its fixed point.

        drive = R x + b,      rates = y* = f(W y* + drive)  (or what the model says)

    The gradients to the read-in and to x are exact, those of the recurrent weights are what the
    rule says: see `FixedPointCore`, which the arguments from `rule` on belong to.

    Parameters
    ----------
    in_features : int
        M.
    units : int
        N.
    model : ModelSpec or str
        As for `Network`, as are `parameters` and `populations`.
    rule : AbstractRule, optional
        Default `Euclidean`.
    parameters : mapping of str to value, optional
        Such as ``{"tau": 20*ms}``.
    populations : mapping of str to int, optional
        Sizes or names of populations, as for `Network`.
    connectivity : AbstractConnectivity, optional
        Recurrent weights; default `Dense` with normal weights of spectral radius 0.5, as expected
        for large N.
    bias : bool
        Whether each unit's drive has a constant, b.
    step_size, tol, solver, max_iterations, on_unsettled : optional
        See `FixedPointCore`.
    dtype, device : optional
        Default: those of the connectivity, or torch's own.

    Attributes
    ----------
    read_in : torch.nn.Linear
        With torch's own initial weights.
    core : FixedPointCore

    Raises
    ------
    InputError
        If an argument does not fit; from forward, if shapes do not fit.

    Notes
    -----
    What is drawn at random comes from torch's global generator: `torch.manual_seed` fixes it.

    Examples
    --------
    >>> import ratenet as rn
    >>> layer = FixedPointLayer(3, 5, rule=rn.plasticity.LinearizedReparameterized())
    >>> layer(torch.ones(4, 3)).sum().backward()
    >>> layer.core.recurrent["W"].grad.shape, layer.last.unsettled
    (torch.Size([5, 5]), 0)
    """

    saved_as = "fixed-point"

    def __init__(
        self,
        in_features: int,
        units: int,
        model: ModelSpec | str = "rate",
        rule: AbstractRule | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        populations: Mapping[str, int] | None = None,
        connectivity: AbstractConnectivity | None = None,
        bias: bool = True,
        step_size: float | None = None,
        tol: float | None = None,
        solver: AbstractSolver | None = None,
        max_iterations: int = 2000,
        on_unsettled: OnUnsettled = "mask",
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        check_counts(in_features=in_features, units=units)
        seed = new_seed()
        if connectivity is None:
            dtype = torch.get_default_dtype() if dtype is None else dtype
            W = random_weights(units, radius=RADIUS, seed=seed, exact=False, dtype=dtype)
            connectivity = Dense(W.to(device or torch.get_default_device()))
        check_units(connectivity, units)
        network = Network(
            model, connectivity, parameters, populations=populations, seed=seed,
            dtype=dtype, device=device,
        )  # fmt: skip
        self.read_in = torch.nn.Linear(
            in_features, units, bias=bias, dtype=network.dtype, device=network.device
        )
        self.core = FixedPointCore(
            network, rule, step_size=step_size, tol=tol, solver=solver,
            max_iterations=max_iterations, on_unsettled=on_unsettled,
        )  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the class, those of the core left out."""
        return {
            "in_features": self.read_in.in_features,
            "units": self.core.units,
            "bias": has_bias(self.read_in),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the rates at the fixed points.

        Parameters
        ----------
        x : Tensor, shape (..., M)
            Inputs, one row per sample.

        Returns
        -------
        Tensor, shape (..., N)
        """
        check_inputs(self, x, self.read_in.in_features)
        rates: Tensor = self.core(self.read_in(x))
        return rates


def check_units(connectivity: AbstractConnectivity, units: int) -> None:
    """Refuse a connectivity of another number of units than the layer's."""
    if not isinstance(connectivity, AbstractConnectivity):
        raise InputError.at(
            "connectivity",
            got=connectivity,
            found=type(connectivity).__name__,
            expected="a connectivity, such as Dense(W)",
        )
    if connectivity.shape != (units, units):
        raise InputError.at(
            "connectivity", got=connectivity.shape, expected=f"shape ({units}, {units})"
        )
