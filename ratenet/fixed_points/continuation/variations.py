"""What is varied along a continuation or a sweep: one number, and what it does to a network.

A variation is applied to a network and its drive and returns both anew; it changes neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import (
    DIMENSIONLESS,
    Dimension,
    Quantity,
    unit_text,
)
from ratenet.errors import InputError
from ratenet.fixed_points.certificate import check_solvable
from ratenet.network import Network
from ratenet.network.coerce import check_unit
from ratenet.network.parameters import Known
from ratenet.validation import check_seed

Varied = Callable[[Network, Tensor, float], tuple[Network, Tensor]]


class AbstractVariation(ABC):
    """One number that a network and its drive depend on.

    Examples
    --------
    One of your own, a factor of the weights of the first unit alone:

    >>> import ratenet as rn
    >>> class FirstUnit(AbstractVariation):
    ...     def __call__(self, network, drive, value):
    ...         W = network.connectivity.dense().clone()
    ...         W[:, 0] *= value
    ...         return network.changed(W=W), drive
    ...
    ...     def label(self, network):
    ...         return "factor of the first unit's weights"
    >>> network = rn.Network("linear", [[0.5, 0.0], [0.5, 0.0]])
    >>> rn.sweep_fixed_points(network, [1.0, 0.0], FirstUnit(), [0.0, 1.0]).up.rates[:, 0]
    tensor([1.0000, 2.0000], dtype=torch.float64)
    """

    @abstractmethod
    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return the network and the drive (1, N) at a value, in SI units."""

    @abstractmethod
    def label(self, network: Network) -> str:
        """Return what an axis of this number is called.

        Parameters
        ----------
        network : Network
            The network that is varied.
        """

    def dimensions(self, network: Network) -> Dimension:
        """Return the physical dimensions of the number; a plain one unless said otherwise.

        Parameters
        ----------
        network : Network
            The network that is varied.
        """
        return DIMENSIONLESS


@dataclass(frozen=True)
class ModelParameter(AbstractVariation):
    """A parameter of the model, with one value for all units.

    Parameters
    ----------
    name : str
        A name in the model's [parameters], such as ``"tau"``.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("adaptation", [[0.0]])
    >>> sweep = rn.sweep_fixed_points(network, [0.5], ModelParameter("b"), [0.0, 1.0])
    >>> sweep.up.rates[0, 0] > sweep.up.rates[1, 0]  # more adaptation, a lower rate
    tensor(True)
    """

    name: str

    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return the network with this parameter at a value."""
        return network.changed(parameters={self.name: Known(value)}), drive

    def label(self, network: Network) -> str:
        """Return the name and its unit."""
        unit = unit_text(self.dimensions(network))
        return self.name if unit == "1" else f"{self.name} ({unit})"

    def dimensions(self, network: Network) -> Dimension:
        """Return the parameter's dimensions, and refuse one that is not a single number.

        Raises
        ------
        InputError
            If the model has no such parameter, or it has a value for each unit.
        """
        names = network.parameters
        if self.name not in names:
            raise InputError(
                f"parameter: model {network.model.name!r} has no parameter {self.name!r}; it has "
                f"{', '.join(names) or 'none'}. For the drive or W give rn.DriveScale(), "
                "rn.DriveShift(direction) or rn.WeightScale().",
                argument="parameter",
            )
        if names[self.name].ndim:
            raise InputError.at(
                "parameter",
                found=f"{self.name!r}, which has a value for each unit",
                expected="a parameter with a single value",
                remedy="give a function (network, drive, value) -> (network, drive)",
            )
        return network.model.dimensions(self.name)


@dataclass(frozen=True)
class DriveScale(AbstractVariation):
    """A factor of the drive: x -> value x.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])
    >>> sweep = rn.sweep_fixed_points(network, [1.0], DriveScale(), [-0.8, 0.0, 0.8])
    >>> sweep.up.rates[:, 0]
    tensor([-0.9924, -0.9575,  0.9924], dtype=torch.float64)
    """

    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return the drive, scaled."""
        return network, value * drive

    def label(self, network: Network) -> str:
        """Return the words for it."""
        return "scale of the drive"


@dataclass(frozen=True, eq=False)
class DriveShift(AbstractVariation):
    """An amount of a second drive, added to the first: x -> x + value direction.

    Parameters
    ----------
    direction : array_like, shape (N,)
        Drive that is added, multiplied by the value; in the unit of the model's drive.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> sweep = rn.sweep_fixed_points(network, [1.0], DriveShift([1.0]), [0.0, 1.0])
    >>> sweep.up.rates[:, 0]
    tensor([2.0000, 4.0000], dtype=torch.float64)
    """

    direction: Any

    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return the drive, shifted."""
        return network, drive + value * network.as_drive(self.direction)

    def label(self, network: Network) -> str:
        """Return the words for it."""
        return "shift of the drive"


@dataclass(frozen=True)
class WeightScale(AbstractVariation):
    """A factor of the recurrent weights: W -> value W, as a dense matrix.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[1.0]])
    >>> sweep = rn.sweep_fixed_points(network, [1.0], WeightScale(), [0.0, 0.5])
    >>> sweep.up.rates[:, 0]
    tensor([1.0000, 2.0000], dtype=torch.float64)
    """

    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return the network with scaled weights."""
        W = value * network.connectivity.dense()
        return network.changed(W=W), drive

    def label(self, network: Network) -> str:
        """Return the words for it."""
        return "scale of W"


@dataclass(frozen=True)
class CustomVariation(AbstractVariation):
    """A function of the user's: (network, drive, value) -> (network, drive).

    Parameters
    ----------
    function : callable
    """

    function: Varied

    def __call__(self, network: Network, drive: Tensor, value: float) -> tuple[Network, Tensor]:
        """Return what the function returns, checked."""
        result = self.function(network, drive, value)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Network)):
            raise InputError.at(
                "parameter",
                got=type(result).__name__,
                expected="a function that returns the pair (network, drive)",
            )
        return result[0], result[0].as_drive(result[1])

    def label(self, network: Network) -> str:
        """Return the function's name."""
        return getattr(self.function, "__name__", "value")


def as_variation(parameter: Any) -> AbstractVariation:
    """Return the variation that a user means by a parameter's name, an object or a function."""
    if isinstance(parameter, AbstractVariation):
        return parameter
    if isinstance(parameter, str):
        return ModelParameter(parameter)
    if callable(parameter):
        return CustomVariation(parameter)
    raise InputError.at(
        "parameter",
        got=parameter,
        expected="a parameter name, a variation such as rn.DriveScale(), or a callable "
        "(network, drive, value) -> (network, drive)",
    )


def one_drive(network: Network, drive: Any) -> Tensor:
    """Return a single drive as (1, N); refuse several, and models without fixed points."""
    check_solvable(network)
    tensor = network.as_drive(drive)
    if len(tensor) != 1:
        raise InputError.at("drive", found=f"{len(tensor)} drives", expected="one drive (N,)")
    return tensor


def seeded(seed: int) -> torch.Generator:
    """Return a generator on the CPU, so that draws are the same on every device."""
    return torch.Generator().manual_seed(check_seed(seed))


def as_values(values: Any, where: str, dimensions: Dimension) -> np.ndarray:
    """Return values of the varied number in SI units, their unit and finiteness checked.

    Parameters
    ----------
    values : array_like or Quantity
    where : str
        The argument that they were given as.
    dimensions : Dimension
        A Quantity must have these; plain numbers are taken as they are.
    """
    found = real_numbers(values, where)
    if isinstance(found, Quantity):
        check_unit(found, dimensions, where)
    if isinstance(found, Tensor):
        found = found.detach().cpu().double().numpy()
    array = np.asarray(found)
    if not np.isfinite(array).all():
        raise InputError.at(where, got=values, expected="finite numbers")
    return array
