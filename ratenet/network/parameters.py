"""The door for parameter values: numbers, quantities, strings, arrays, or these by population."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.arrays import real_numbers
from ratenet.equations.parameters import check_time_constant, read_parameter
from ratenet.equations.units import Quantity, second
from ratenet.errors import InputError, RatenetWarning, counted
from ratenet.network.coerce import expand_to
from ratenet.network.populations import check_known

LONG = 1.0  # s: a plain number above it is hardly meant as a time constant in seconds


class Known(NamedTuple):
    """Values that come from a network, and so are known to be in SI units."""

    values: Any


@dataclass(frozen=True)
class ParameterDoor:
    """Turns what is given for a model's parameters into SI tensors, shape () or (N,).

    Attributes
    ----------
    model : ModelSpec or JointSpec
    populations : mapping of str to slice
    units : int
        N.
    seed : int
        Seed of the values drawn from distributions.
    tensor : callable
        (value, name, where) -> the value as a tensor, its unit checked.
    """

    model: ModelSpec | JointSpec
    populations: Mapping[str, slice]
    units: int
    seed: int
    tensor: Callable[[Any, str, str], Tensor]

    def values(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the values of all parameters, the model's own where none is given."""
        for name in given:
            if name not in self.model.defaults:
                available = ", ".join(self.model.defaults) or "none"
                raise InputError(
                    f"parameters: model {self.model.name!r} has no parameter {name!r}; "
                    f"available: {available}.",
                    argument="parameters",
                    got=name,
                    expected=available,
                )
        return {
            name: self._given(name, given[name]) if name in given else self._drawn(name)
            for name in self.model.defaults
        }

    def _given(self, name: str, value: Any) -> Tensor:
        if isinstance(value, Mapping):
            return self._by_population(name, value)
        if isinstance(value, str):
            return self._drawn(name, value)
        where = f"parameters, {name}"
        return self._checked(name, self._numbers(name, value, where), where)

    def _numbers(self, name: str, value: Any, where: str) -> Tensor:
        """Return numbers as a tensor; warn of time constants that are in seconds by mistake."""
        if isinstance(value, Known):
            return self.tensor(value.values, name, where)
        value = real_numbers(value, where)
        tensor = self.tensor(value, name, where)
        if not isinstance(value, Quantity):
            self._warn_of_seconds(name, tensor, where)
        return tensor

    def _warn_of_seconds(self, name: str, tensor: Tensor, where: str) -> None:
        longest = float(tensor.detach().max()) if tensor.numel() else 0.0
        if self.model.dimensions(name) == second.dim and longest > LONG:
            warnings.warn(
                f"{where}: a plain number is in seconds, so that this is a time constant of "
                f"{longest:g} s; for milliseconds write {longest:g}*ms, else {longest:g}*second.",
                RatenetWarning,
                stacklevel=2,
            )

    def _checked(self, name: str, tensor: Tensor, where: str) -> Tensor:
        if tuple(tensor.shape) not in ((), (self.units,)):
            raise InputError.at(
                where,
                got=tuple(tensor.shape),
                expected=f"one value, or shape (N,) with N = {counted(self.units, 'unit')}",
            )
        quantity = Quantity(tensor.detach().double().cpu().numpy(), dim=self.model.dimensions(name))
        try:
            check_time_constant(quantity, where)
        except ValueError as error:
            raise InputError(str(error)) from None
        return tensor

    def _drawn(self, name: str, text: str | None = None) -> Tensor:
        """Return the values of a default, or of a string in the language of model files."""
        where = f"parameters, {name}"
        try:
            parameter = self.model.defaults[name]
            if text is not None:
                parameter = read_parameter(name, text, tuple(self.populations))
            values = parameter.values(self.populations, self.units, self.seed)
        except ValueError as error:
            raise InputError(str(error)) from None
        tensor = self.tensor(Quantity(values, dim=parameter.dimensions), name, where)
        if text is not None and parameter.dimensions.is_dimensionless:
            self._warn_of_seconds(name, tensor, where)
        return tensor

    def _by_population(self, name: str, given: Mapping[str, Any]) -> Tensor:
        where = f"parameters, {name}"
        for population in given:
            check_known(population, self.populations, where)
        values = self._drawn(name).expand(self.units).clone()
        for population, value in given.items():
            place, there = self.populations[population], f"{where}, {population}"
            if isinstance(value, str):
                part = self._drawn(name, value)
                part = part[place] if part.ndim else part  # drawn for all units
            else:
                part = self._numbers(name, value, there)
            values[place] = expand_to(part, values[place].shape, there)
        return self._checked(name, values, where)
