"""What a ModelSpec and a PlasticitySpec have in common: fields that are the keys of a file."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from ratenet.equations import shown
from ratenet.equations.names import check_name
from ratenet.equations.parameters import ByPopulation, Parameter, ParameterText, as_text
from ratenet.equations.units import unit_text
from ratenet.errors import ModelError
from ratenet.validation import validated


class TableSpec:
    """Base of the frozen dataclasses that a file of equations becomes; hashable.

    The fields are those of a table; ``_parts`` is what reading them gave.
    """

    name: str
    title: str
    source: str
    equations: str
    functions: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, ParameterText], ...]
    _parts: Any

    def _take(self, layout: type[Any], tables: tuple[str, ...]) -> None:
        """Check the fields against the layout of a file, and hold the tables as tuples."""
        given = {each.name: getattr(self, each.name) for each in dataclasses.fields(layout)}
        given["equations"] = _equations_text(given["equations"])
        given |= {key: _as_mapping(given[key]) for key in tables}
        table = vars(validated(layout, given, error=ModelError))
        for key in tables:
            for name in table[key]:
                check_name(name, key)
        values = table["parameters"].items()
        table["parameters"] = {n: as_text(v, f"parameters, {n}") for n, v in values}
        table |= {key: tuple(table[key].items()) for key in tables}
        table["title"] = table["title"] or table["name"]
        for key, value in table.items():
            object.__setattr__(self, key, value)

    def _fields(self) -> dict[str, Any]:
        names = (each.name for each in dataclasses.fields(self) if each.init)  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        """Be stored as the texts that it was made of."""
        return partial(type(self), **self._fields()), ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: nothing can change it."""
        return self

    @property
    def heading(self) -> str:
        """Name, title and source in one line."""
        return shown.heading(self.name, self.title, self.source)

    @property
    def lines(self) -> list[str]:
        """Equations, functions and parameters, a line each."""
        return shown.lines(self.equations, self.functions, self.parameters)

    @property
    def defaults(self) -> Mapping[str, Parameter]:
        """Default parameters by name; `Parameter.values` gives the numbers for some units."""
        return MappingProxyType(self._parts.parameters)

    @property
    def unused_parameters(self) -> tuple[str, ...]:
        """Names of the parameters that nothing uses."""
        return self._parts.unused

    def to_table(self) -> dict[str, Any]:
        """Return it in the layout of its file, for a run's record."""
        table = self._fields()
        table |= {k: dict(v) for k, v in table.items() if isinstance(v, tuple)}
        table["parameters"] = {name: _for_table(value) for name, value in self.parameters}
        return table


def _equations_text(equations: Any) -> Any:
    """Return Brian2's equations as text with base units (str() of them writes s for second)."""
    from brian2.equations.equations import DIFFERENTIAL_EQUATION, Equations

    if not isinstance(equations, Equations):
        return equations
    lines = []
    for name, equation in equations.items():
        left = f"d{name}/dt" if equation.type == DIFFERENTIAL_EQUATION else name
        right = "" if equation.expr is None else f" = {equation.expr}"
        flags = f" ({', '.join(equation.flags)})" if equation.flags else ""
        lines.append(f"{left}{right} : {unit_text(equation.dim)}{flags}")
    return "\n".join(lines)


def _as_mapping(given: Any) -> Any:
    """Return pairs as a mapping; anything else as it is, to be refused by its type."""
    is_pairs = isinstance(given, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in given)
    return dict(given) if is_pairs else given


def _for_table(value: ParameterText) -> Any:
    if isinstance(value, ByPopulation):
        return {population: _for_table(entry) for population, entry in value.values}
    return list(value) if isinstance(value, tuple) else value
