"""Parameter values as a model gives them, and the numbers, one per unit, that follow from them.

A value is a quantity ("10*ms", 0.5), a list of them (one per unit), a distribution from which one
is drawn for each unit ("normal(10*ms, 2*ms)"), or a table of these by population.
"""

import ast
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratenet.equations import expressions
from ratenet.equations.arrays import is_tensor, real_numbers
from ratenet.equations.quantities import parse_quantity, quantity_of
from ratenet.equations.shown import show
from ratenet.equations.units import (
    Dimension,
    Quantity,
    get_dimensions,
    get_unit,
    second,
)
from ratenet.errors import InputError, ModelError, show_any

Plain = str | float | tuple[str | float, ...]


@dataclass(frozen=True)
class ByPopulation:
    """Values of one parameter by population, in the order in which the model names them."""

    values: tuple[tuple[str, Plain], ...]

    def __str__(self) -> str:
        return show(dict(self.values))


ParameterText = Plain | ByPopulation


def _lognormal(generator: np.random.Generator, mean: float, sd: float, size: int) -> Any:
    """Draw positive numbers of a given mean and standard deviation (not those of the log)."""
    variance = math.log1p((sd / mean) ** 2)
    return generator.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), size)


def _gamma(generator: np.random.Generator, mean: float, sd: float, size: int) -> Any:
    """Draw positive numbers of a given mean and standard deviation, of shape (mean/sd)^2."""
    return generator.gamma((mean / sd) ** 2, sd**2 / mean, size)


_ABOVE_ZERO = "(mean, sd) of the values themselves, both above 0"
_DRAW: dict[str, Callable[[np.random.Generator, float, float, int], Any]] = {
    "normal": lambda generator, mean, sd, size: generator.normal(mean, sd, size),
    "uniform": lambda generator, low, high, size: generator.uniform(low, high, size),
    "lognormal": _lognormal,
    "gamma": _gamma,
}
_NEEDED: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "normal": ("(mean, sd) with sd of at least 0", lambda mean, sd: sd >= 0),
    "uniform": ("(low, high) with low below high", lambda low, high: low < high),
    "lognormal": (_ABOVE_ZERO, lambda mean, sd: mean > 0 and sd > 0),
    "gamma": (_ABOVE_ZERO, lambda mean, sd: mean > 0 and sd > 0),
}


@dataclass(frozen=True)
class Distribution:
    """A distribution that gives one number per unit; its two arguments are SI values."""

    kind: str
    first: float
    second: float
    dimensions: Dimension

    def draw(self, generator: np.random.Generator, size: int) -> Any:
        """Return `size` numbers in SI units."""
        return _DRAW[self.kind](generator, self.first, self.second, size)


@dataclass(frozen=True)
class Parameter:
    """A parameter as it was read: for all units alike (None), or by population.

    Attributes
    ----------
    name : str
    entries : mapping of str or None to Quantity or Distribution
    """

    name: str
    entries: Mapping[str | None, Quantity | Distribution]

    @property
    def dimensions(self) -> Dimension:
        """Physical dimensions of the values."""
        return _dimensions(next(iter(self.entries.values())))

    def __str__(self) -> str:
        return ", ".join(str(entry) for entry in self.entries.values())

    def values(self, populations: Mapping[str, slice], units: int, seed: int) -> Any:
        """Return the SI values: a number where all units share it, else an array (N,).

        Parameters
        ----------
        populations : mapping of str to slice
            Where each population's units are.
        units : int
            N.
        seed : int
            Seed of the draws; each parameter has a stream of its own, whatever others there are.

        Raises
        ------
        ModelError
            If a list has another length, or a time constant is not above 0.
        """
        generator = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        where = f"parameters, {self.name}"
        if None in self.entries:
            result = _numbers(self.entries[None], units, generator, where)
        else:
            result = np.empty(units)
            for population, entry in self.entries.items():
                place = populations[str(population)]
                size = place.stop - place.start
                result[place] = _numbers(entry, size, generator, f"{where}, {population}")
        check_time_constant(Quantity(result, dim=self.dimensions), where)
        return result


def _numbers(
    entry: Quantity | Distribution, size: int, generator: np.random.Generator, where: str
) -> Any:
    if isinstance(entry, Distribution):
        return entry.draw(generator, size)
    values = np.asarray(entry, dtype=np.float64)
    if values.ndim and len(values) != size:
        raise ModelError(
            f"{where}: expected one value, or one for each of the N = {size} units, got the shape "
            f"{values.shape}."
        )
    return values


def read_parameter(name: str, value: ParameterText, populations: tuple[str, ...]) -> Parameter:
    """Return a parameter from its strings; a ModelError says what does not fit."""
    where = f"parameters, {name}"
    if not isinstance(value, ByPopulation):
        return Parameter(name, {None: _checked(_entry(value, where), where)})
    given = [population for population, _ in value.values]
    if not given or set(given) != set(populations):
        raise ModelError(
            f"{where}: expected a value for each population "
            f"({', '.join(populations) or 'the model has none'}), got values for "
            f"{', '.join(map(show_any, given)) or 'none'}."
        )
    entries: dict[str | None, Quantity | Distribution] = {
        population: _checked(_entry(text, f"{where}, {population}"), where)
        for population, text in value.values
    }
    if len({_dimensions(entry) for entry in entries.values()}) > 1:
        raise ModelError(f"{where}: the populations' values have different units.")
    return Parameter(name, entries)


def _entry(value: Plain, where: str) -> Quantity | Distribution:
    if isinstance(value, tuple):
        return _list(value, where)
    if isinstance(value, str):
        entry = _distribution(value, where) or parse_quantity(value, where)
    else:
        entry = Quantity(_as_float(value))
    if isinstance(entry, Quantity) and not np.isfinite(float(entry)):
        raise ModelError.at(where, got=value, expected="a finite value")
    return entry


def _list(values: tuple[str | float, ...], where: str) -> Quantity:
    if not values:
        raise ModelError(f"{where}: expected one value, or one per unit, got an empty list.")
    entries = []
    for value in values:
        entry = _entry(value, where)
        if isinstance(entry, Distribution):
            raise ModelError(
                f"{where}: a list contains quantities; write the distribution {show_any(value)} "
                "without a list."
            )
        entries.append(entry)
    dimensions = {get_dimensions(entry) for entry in entries}
    if len(dimensions) > 1:
        raise ModelError(f"{where}: the values have different units.")
    return Quantity(np.array([float(entry) for entry in entries]), dim=dimensions.pop())


def _distribution(text: str, where: str) -> Distribution | None:
    """Return the distribution that a string stands for; None where it is not a call of one."""
    node = expressions.parse_limited(text, where, expressions.QUANTITY)
    match node:
        case ast.Call(func=ast.Name(id=kind), args=arguments, keywords=[]) if kind in _DRAW:
            pass
        case _:
            return None
    sentence, is_allowed = _NEEDED[kind]
    numbers = [quantity_of(argument, where, text) for argument in arguments]
    if len(numbers) != 2 or get_dimensions(numbers[0]) != get_dimensions(numbers[1]):
        hint = expressions.likely_mistake(text)
        raise ModelError(
            f"{where}: {kind} takes two quantities of the same unit, {sentence}, got "
            f"{show_any(text)}{hint and '; '}{hint}."
        )
    first, last = map(float, numbers)
    if not is_allowed(first, last):
        raise ModelError.at(where, got=text, expected=f"{kind}{sentence}")
    return Distribution(kind, first, last, get_dimensions(numbers[0]))


def _checked(entry: Quantity | Distribution, where: str) -> Quantity | Distribution:
    if isinstance(entry, Quantity):
        check_time_constant(entry, where)
    return entry


def check_time_constant(value: Quantity, where: str) -> None:
    """Refuse a parameter in seconds that is not above zero: time constants divide."""
    if get_dimensions(value) == second.dim and not np.all(np.asarray(value) > 0):
        raise ModelError(f"{where}: expected a time constant above 0, got {_lowest(value)}.")


def _lowest(value: Quantity) -> str:
    lowest = Quantity(np.min(np.asarray(value)), dim=value.dim)
    return str(lowest)


def _dimensions(entry: Quantity | Distribution) -> Dimension:
    return entry.dimensions if isinstance(entry, Distribution) else get_dimensions(entry)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above 1.8e308
        return math.inf


def as_text(value: Any, where: str) -> ParameterText:
    """Return what was given for a parameter in Python (or read from a file) as its text.

    Parameters
    ----------
    value : number, str, Quantity, array_like, or mapping from populations to these
    where : str
        What an error begins with.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if isinstance(value, ByPopulation):
        return value
    if isinstance(value, Mapping):
        return ByPopulation(tuple((str(p), _plain(v, where)) for p, v in value.items()))
    return _plain(value, where)


def _plain(value: Any, where: str) -> Plain:
    entries = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(entry, str | int | float) for entry in entries):
        try:
            value = real_numbers(value, where)
        except InputError as error:
            raise ModelError(str(error)) from None
    if is_tensor(value):
        value = value.detach().cpu().double().numpy()
    if isinstance(value, Quantity | np.ndarray):
        unit = _unit_factor(get_dimensions(value)) if isinstance(value, Quantity) else ""
        numbers = np.asarray(value, dtype=np.float64)
        if numbers.ndim > 1:
            raise ModelError(
                f"{where}: expected a number or an array (N,), got the shape {numbers.shape}."
            )
        if numbers.ndim:
            return tuple(f"{number!r}{unit}" for number in numbers.tolist())
        return f"{float(numbers)!r}{unit}"
    for entry in entries:
        if isinstance(entry, bool):
            expected = (
                'a number, a quantity such as "10*ms", a distribution, a list of numbers or '
                "quantities, or a table of these by population"
            )
            raise ModelError.at(where, got=entry, expected=expected)
    return tuple(value) if isinstance(value, list | tuple) else value


def _unit_factor(dimensions: Dimension) -> str:
    return "" if dimensions.is_dimensionless else f"*{get_unit(dimensions)!r}"
