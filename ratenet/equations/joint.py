"""JointSpec: populations with a model each, as the model of one network.

Units keep the equations of their own model. What two models call by the same name and mean alike (a
state variable of one unit, a parameter of one unit) is one name of the joint model; names that
clash get their model's behind them. A unit has the state variables of its own model only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import sympy

from ratenet.equations.parameters import Parameter, ParameterText
from ratenet.equations.populations import Sizes
from ratenet.equations.spec import ModelSpec
from ratenet.equations.statements import Statement
from ratenet.equations.units import DIMENSIONLESS, Dimension, second
from ratenet.errors import ModelError
from ratenet.notebook import formula, table


class Group(NamedTuple):
    """Populations that follow one another and have one model.

    Attributes
    ----------
    model : ModelSpec
    units : slice
    rows : tuple of int
        Which of the joint state variables are its own, in the order of its model.
    names : mapping of str to str
        Its model's names of parameters -> the joint ones.
    """

    model: ModelSpec
    units: slice
    rows: tuple[int, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class JointSpec:
    """The models of several populations as one; `Network` takes it in place of a ModelSpec.

    Parameters
    ----------
    models : mapping of str to ModelSpec, or tuple of (name, ModelSpec)
        By population, in the order of the units.
    sizes : mapping of str to int, or tuple of (name, size)
        Numbers of units of the same populations.

    Raises
    ------
    ModelError
        If populations and sizes do not go together, or a model has noise.

    Examples
    --------
    >>> from ratenet import load_model
    >>> models = {"lower": load_model("rate"), "upper": load_model("adaptation")}
    >>> both = JointSpec(models, {"lower": 3, "upper": 2})
    >>> both.name, both.states
    ('rate + adaptation', ('r', 'a'))
    """

    models: tuple[tuple[str, ModelSpec], ...]
    sizes: Sizes
    _names: dict[ModelSpec, dict[str, str]] = field(init=False, repr=False, compare=False)
    _dimensions: dict[str, Dimension] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("models", "sizes"):
            given = getattr(self, name)
            pairs = given.items() if isinstance(given, Mapping) else given
            object.__setattr__(self, name, tuple(pairs))
        if not self.models or [n for n, _ in self.models] != [n for n, _ in self.sizes]:
            raise ModelError("populations: expected a model and a size for each, in one order.")
        for population, model in self.models:
            if model.noises:
                raise ModelError(
                    f"populations, {population}: model {model.name!r} has noise, which populations "
                    "with different models cannot have; use model.without_noise()."
                )
        names, dimensions = _joint_names(self._models)
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_dimensions", dimensions)

    def __str__(self) -> str:
        return "\n".join([self.heading, *self.lines])

    def _repr_html_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        rows: dict[str, str] = {"equations": formula(equations_latex(self))}
        rows |= {f"population {name}": str(size) for name, size in self.sizes}
        return table(self.title, rows)

    def _repr_latex_(self) -> str:
        from ratenet.equations.latex import equations_latex  # it needs this class

        return f"$${equations_latex(self)}$$"

    def plot(self, ax: Any = None) -> Any:
        """Draw the rate at rest of each population's units without synapses, against their drive.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_model

        return plot_model(self, ax)

    @property
    def name(self) -> str:
        """The models' names, each once."""
        return " + ".join(dict.fromkeys(model.name for model in self._models))

    @property
    def title(self) -> str:
        """The models' titles, each once."""
        return " + ".join(dict.fromkeys(model.title for model in self._models))

    @property
    def source(self) -> str:
        """The models' sources, each once."""
        return "; ".join(dict.fromkeys(model.source for model in self._models if model.source))

    @property
    def equations(self) -> str:
        """The equations of each population, under its name."""
        return "\n".join(f"# {name}\n{model.equations.strip()}" for name, model in self.models)

    @property
    def heading(self) -> str:
        """Name and title in one line."""
        return f"{self.name}: {self.title}"

    @property
    def lines(self) -> list[str]:
        """The models' lines, under the names of the populations."""
        return [line for name, model in self.models for line in (f"{name}:", *model.lines)]

    @property
    def populations(self) -> Sizes:
        """Names and sizes of the populations."""
        return self.sizes

    @property
    def groups(self) -> tuple[Group, ...]:
        """The units by model, in their order."""
        found: list[Group] = []
        sizes, states = dict(self.sizes), self.states
        for population, model in self.models:
            start, names = found[-1].units.stop if found else 0, self._names[model]
            place = slice(start, start + int(sizes[population]))
            if found and found[-1].model == model:
                place = slice(found.pop().units.start, place.stop)
            rows = tuple(states.index(names[state]) for state in model.states)
            own = {name: names[name] for name in model.defaults}
            found.append(Group(model, place, rows, own))
        return tuple(found)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state variables of all models."""
        every = (self._names[model][state] for model in self._models for state in model.states)
        return tuple(dict.fromkeys(every))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The equations of all models, one by one, each model's once."""
        return tuple(each for model in dict.fromkeys(self._models) for each in model.statements)

    @property
    def functions(self) -> tuple[tuple[str, str], ...]:
        """The functions of all models, each once."""
        return tuple(dict.fromkeys(each for model in self._models for each in model.functions))

    @property
    def parameters(self) -> tuple[tuple[str, ParameterText], ...]:
        """Names and values of all models' parameters, each name once."""
        found: dict[str, ParameterText] = {}
        for model in self._models:
            for name, value in model.parameters:
                found.setdefault(self._names[model][name], value)
        return tuple(found.items())

    @property
    def noises(self) -> tuple[str, ...]:
        """None: noise is refused."""
        return ()

    @property
    def uses_time(self) -> bool:
        """Whether equations name t explicitly."""
        return any(model.uses_time for model in self._models)

    @property
    def output(self) -> str:
        """What the weights transmit, of the first population."""
        return self._first.output

    @property
    def recurrent(self) -> str:
        """What the first population calls the recurrent input."""
        return self._first.recurrent

    @property
    def drive(self) -> str:
        """What the first population calls the drive."""
        return self._first.drive

    @property
    def output_dimensions(self) -> Dimension:
        """Physical dimensions of the transmitted variable; none where models differ."""
        return _common(model.output_dimensions for model in self._models)

    @property
    def weight_dimensions(self) -> Dimension:
        """Physical dimensions of W; none where models differ, for which numbers are SI."""
        return _common(model.weight_dimensions for model in self._models)

    @property
    def own_rates(self) -> tuple[sympy.Expr, ...]:
        """M of F_k = M s_k + B, of all models; UnsupportedError where there is none."""
        return tuple(rate for model in self._models for rate in model.own_rates)

    @property
    def defaults(self) -> Mapping[str, Parameter]:
        """Default parameters by name; units of a model without one hold another's, unused."""
        found: dict[str, dict[str | None, Any]] = {}
        for population, model in self.models:
            for name, parameter in model.defaults.items():
                entry = next(iter(parameter.entries.values()))
                found.setdefault(self._names[model][name], {})[population] = entry
        return MappingProxyType({n: Parameter(n, self._entries(v)) for n, v in found.items()})

    def _entries(self, given: dict[str | None, Any]) -> Mapping[str | None, Any]:
        """Return a parameter's values by population, or the one that all have."""
        first = next(iter(given.values()))
        if len({str(value) for value in given.values()}) == 1:
            return {None: first}
        return {population: given.get(population, first) for population, _ in self.sizes}

    def dimensions(self, name: str) -> Dimension:
        """Return the physical dimensions of a state variable, role or parameter."""
        if name in (self.recurrent, self.drive):
            return _common(
                model.dimensions(model.recurrent if name == self.recurrent else model.drive)
                for model in self._models
            )
        return second.dim if name == "t" else self._dimensions[name]

    def joint_name(self, model: ModelSpec, name: str) -> str:
        """Return what a state variable or parameter of one of the models is called here."""
        return self._names[model][name]

    def within(self, populations: list[str]) -> "JointSpec | ModelSpec":
        """Return the model of some populations: that of their own if they share it."""
        models = [(name, model) for name, model in self.models if name in populations]
        if len({model for _, model in models}) == 1:
            return models[0][1]
        return JointSpec(tuple(models), tuple((n, s) for n, s in self.sizes if n in populations))

    def to_table(self) -> dict[str, Any]:
        """Return it as plain data, of tables in the layout of model files."""
        models = {name: model.to_table() for name, model in self.models}
        return {"models": models, "sizes": dict(self.sizes)}

    @property
    def _models(self) -> list[ModelSpec]:
        return [model for _, model in self.models]

    @property
    def _first(self) -> ModelSpec:
        return self.models[0][1]


def _common(dimensions: Iterator[Dimension]) -> Dimension:
    """Return what all of them are; dimensionless where they differ."""
    found = list(dimensions)
    return found[0] if all(each == found[0] for each in found) else DIMENSIONLESS


def _joint_names(
    models: list[ModelSpec],
) -> tuple[dict[ModelSpec, dict[str, str]], dict[str, Dimension]]:
    """Return each model's names of states and parameters here, and their dimensions."""
    distinct = list(dict.fromkeys(models))
    meanings: dict[str, set[Any]] = {"t": {"time"}}
    for model in distinct:
        for role in (model.recurrent, model.drive):
            meanings.setdefault(role, set()).add("role")
        for name in (*model.states, *model.defaults):
            meaning = (name in model.states, model.dimensions(name))
            meanings.setdefault(name, set()).add(meaning)
    names: dict[ModelSpec, dict[str, str]] = {}
    dimensions: dict[str, Dimension] = {}
    for number, model in enumerate(distinct, start=1):
        is_alone = [each.name for each in distinct].count(model.name) == 1
        label = model.name if is_alone else f"{model.name}{number}"
        names[model] = {
            name: name if len(meanings[name]) == 1 else f"{name}_{label}"
            for name in (*model.states, *model.defaults)
        }
        dimensions |= {joint: model.dimensions(name) for name, joint in names[model].items()}
    return names, dimensions
