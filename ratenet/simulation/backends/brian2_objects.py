"""A task as Brian2 objects: a NeuronGroup of B x N units and summed Synapses, by parts.

A summed synaptic input is brought up to date before the state update of the same step and held
within it, so euler and exponential_euler agree with torch to rounding, and Brian2's rk4 would not
be the network's.
"""

import functools
from typing import Any

import numpy as np
from torch import Tensor

from ratenet.connectivity import Masked
from ratenet.equations.units import unit_text
from ratenet.simulation.backends.base import Task
from ratenet.simulation.backends.brian2_code import numbers, renamed
from ratenet.simulation.backends.brian2_functions import functions
from ratenet.simulation.backends.brian2_parts import Part, connections
from ratenet.simulation.backends.brian2_plasticity import Brian2Plasticity
from ratenet.simulation.drives import ConstantDrive
from ratenet.simulation.time_grid import TimeGrid

_OUTPUT = "ratenet_output"
_WEIGHT = "ratenet_weight"
_DRIVE = "ratenet_drive"
_TIME = "ratenet_time"
_INPUT = "ratenet_input"  # and the number of the part that it comes from
# Inputs are summed before the states move; whatever the user's preference says.
SCHEDULE = ["start", "groups", "thresholds", "synapses", "resets", "end"]


def plasticity_of(task: Task) -> Brian2Plasticity | None:
    """Return what a task's plasticity adds to group and synapses."""
    if task.plasticity is None:
        return None
    time = _time(task.grid)
    return Brian2Plasticity(task.plasticity, task.grid, output=_OUTPUT, weight=_WEIGHT, time=time)


def _time(grid: TimeGrid) -> str:
    """Return the simulation's time: Brian2's clock begins at 0."""
    return "t" if grid.first == 0 else f"{_TIME}(t)"


def make_groups(
    task: Task,
    parts: tuple[Part, ...],
    clock: Any,
    arrays: dict[str, Any],
    plasticity: Brian2Plasticity | None = None,
) -> list[Any]:
    """Return a NeuronGroup of B x n units, stimulus after stimulus, for each part.

    `arrays` are those of `timed_arrays`.
    """
    return [_make_group(task, part, len(parts), clock, arrays, plasticity) for part in parts]


def _make_group(
    task: Task,
    part: Part,
    number: int,
    clock: Any,
    arrays: dict[str, Any],
    plasticity: Brian2Plasticity | None,
) -> Any:
    import brian2  # here: its runtime takes a second to import

    model, units = part.model, part.units
    B, n = task.initial.shape[1], units.stop - units.start
    equations = _equations(task, part, number)
    if plasticity is not None:
        equations += "\n" + plasticity.group_equations()
        arrays = {**arrays, **plasticity.arrays()}
    group = brian2.NeuronGroup(
        B * n,
        equations,
        method=_exponential_euler() if task.method == "exponential_euler" else _euler(),
        clock=clock,
        dtype=np.float64,
        # All names are given: nothing is looked up in the frames of whoever calls.
        namespace={**functions(), **arrays},
        name=f"ratenet_units{part.suffix}",
    )
    values = {name: value.expand(B, n) for name, value in part.parameters.items()}
    first = task.initial[list(part.rows)][..., units]
    values |= dict(zip(model.states, first, strict=True))
    if isinstance(task.drive, ConstantDrive):
        values[model.drive] = task.drive.value[:, units]
    named = {own_name(name): numbers(each.flatten()) for name, each in values.items()}
    group.set_states(named, units=False)
    return group


def own_name(name: str) -> str:
    """Return what a name of the model is called in Brian2: generated code uses no such names.

    Under its own name a variable could hide one of NumPy, C++ or Brian2 (self, owner, double ...).
    """
    return f"model_{name}"


def _equations(task: Task, part: Part, number: int) -> str:
    model = part.model
    known = {*model.states, model.recurrent, model.drive, *part.parameters}
    named = {name: (own_name(name), unit_text(model.dimensions(name))) for name in known}
    drive, drive_unit = named[model.drive]
    names = {"t": _time(task.grid), **{name: own for name, (own, _) in named.items()}}
    lines = []
    for state in model.states:
        name, unit = named[state]
        lines.append(f"d{name}/dt = {renamed(model.brian2_expression(state), names)} : {unit}")
    output = renamed(model.brian2_output, names)
    lines.append(f"{_OUTPUT} = {output} : {unit_text(model.output_dimensions)}")
    lines += _input_equations(part, number, *named[model.recurrent])
    if isinstance(task.drive, ConstantDrive):
        lines.append(f"{drive} : {drive_unit} (constant)")
    else:
        lines.append(f"{drive} = {_DRIVE}{part.suffix}(t, i) : {drive_unit}")
    for name, unit in (named[parameter] for parameter in part.parameters):
        lines.append(f"{name} : {unit} (constant)")
    return "\n".join(lines)


def _input_equations(part: Part, number: int, name: str, unit: str) -> list[str]:
    """Return the recurrent input: one sum of Synapses, or one for each part of several."""
    if not part.suffix:
        return [f"{name} : {unit}"]
    inputs = [f"{_INPUT}{n}" for n in range(number)]
    return [f"{name} = {' + '.join(inputs)} : {unit}", *(f"{each} : {unit}" for each in inputs)]


def timed_arrays(task: Task, parts: tuple[Part, ...]) -> dict[str, Any]:
    """Return the drives and the time at the very times of the steps, as far as they are needed."""
    import brian2

    grid, model = task.grid, task.network.model
    times, step = [grid.time(n) for n in range(grid.steps)], grid.dt * brian2.second
    arrays = {}
    if not isinstance(task.drive, ConstantDrive):
        rows = np.empty((grid.steps, *task.initial.shape[1:]))  # (steps, B, N)
        for n, t in enumerate(times):  # copied at once: a function may use its tensor again
            rows[n] = numbers(task.drive.at(t))
        for part in parts:
            own, name = rows[..., part.units].reshape(grid.steps, -1), f"{_DRIVE}{part.suffix}"
            values = brian2.Quantity(own, dim=part.model.dimensions(part.model.drive))
            arrays[name] = brian2.TimedArray(values, dt=step, name=name)
    moving = task.plasticity
    uses_time = model.uses_time or (moving is not None and moving.rule.spec.uses_time)
    if grid.first != 0 and uses_time:
        values = brian2.Quantity(times, dim=brian2.second.dim)
        arrays[_TIME] = brian2.TimedArray(values, dt=step, name=_TIME)
    return arrays


def make_synapses(
    task: Task,
    parts: tuple[Part, ...],
    groups: list[Any],
    clock: Any,
    arrays: dict[str, Any],
    plasticity: Brian2Plasticity | None,
) -> list[Any]:
    """Return Synapses for each pair of connected parts, with one copy of W for each stimulus."""
    return [
        _make_synapses(task, (parts[post], groups[post]), (pre, parts[pre], groups[pre]), W, clock,
                       arrays, plasticity)
        for post, pre, W in connections(task, parts)
    ]  # fmt: skip


def _make_synapses(
    task: Task,
    target: tuple[Part, Any],
    source: tuple[int, Part, Any],
    W: Tensor | Masked,
    clock: Any,
    arrays: dict[str, Any],
    plasticity: Brian2Plasticity | None,
) -> Any:
    import brian2

    (part, group), (number, pre_part, pre_group) = target, source
    model, stimuli = part.model, task.initial.shape[1]
    dimensions = model.dimensions(model.recurrent)
    recurrent, unit = (
        unit_text(dimensions),
        unit_text(dimensions / pre_part.model.output_dimensions),
    )
    flag = " (constant)" if plasticity is None else ""
    summed = f"{_INPUT}{number}" if part.suffix else own_name(model.recurrent)
    equations = f"""{_WEIGHT} : {unit}{flag}
        {summed}_post = {_WEIGHT} * {_OUTPUT}_pre : {recurrent} (summed)"""
    if plasticity is not None:
        equations += "\n" + plasticity.synapse_equations()
    synapses = brian2.Synapses(
        pre_group,
        group,
        equations,
        clock=clock,
        dtype=np.float64,
        namespace={**functions(), **arrays},
        name=f"ratenet_synapses{part.suffix}{'_' if part.suffix else ''}{pre_part.suffix}",
    )
    if plasticity is None:
        post, pre, weights = _listed(W, only_nonzero=bool(part.suffix))
    else:
        post, pre = plasticity.pairs
    streams = np.repeat(np.arange(stimuli), len(pre))
    synapses.connect(
        i=np.tile(pre, stimuli) + streams * W.shape[1],
        j=np.tile(post, stimuli) + streams * W.shape[0],
    )
    if plasticity is not None:
        plasticity.start(group, synapses)
        return synapses
    synapses.set_states({_WEIGHT: np.tile(weights, stimuli)}, units=False)
    return synapses


def _listed(W: Tensor | Masked, *, only_nonzero: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return post, pre and weight of each synapse."""
    if isinstance(W, Masked):
        post, pre = W.mask.cpu().numpy()
        return post, pre, numbers(W.W)
    weights = numbers(W)
    if only_nonzero:  # of several parts those that there are: a convolution has few
        post, pre = np.nonzero(weights)
        return post, pre, weights[post, pre]
    post, pre = np.divmod(np.arange(weights.size), weights.shape[1])
    return post, pre, weights.ravel()


@functools.cache  # one object: Brian2 keeps the code that it made with it
def _euler() -> Any:
    """Return the Euler-Maruyama step (Ito); Brian2's own refuses noise that depends on states."""
    from brian2.stateupdaters.explicit import ExplicitStateUpdater

    return ExplicitStateUpdater(
        "x_new = x + dt * f(x,t) + g(x,t) * dW", stochastic="multiplicative"
    )


@functools.cache
def _exponential_euler() -> Any:
    """Return Brian2's exponential Euler, written so that M = 0 gives the Euler step."""
    from brian2.parsing.sympytools import sympy_to_str
    from brian2.stateupdaters.base import StateUpdateMethod
    from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system

    class ExponentialEuler(StateUpdateMethod):  # type: ignore[misc]  # brian2 is untyped
        def __call__(
            self, equations: Any, variables: Any = None, method_options: Any = None
        ) -> str:
            lines, updates = [], []
            for name, (M, B) in get_conditionally_linear_system(equations, variables).items():
                updates.append(f"{name} = _{name}")
                if M == 0:  # Brian2 then gives the number 0, which has no unit
                    lines.append(f"_{name} = {name} + dt * ({sympy_to_str(B)})")
                    continue
                lines.append(f"_rate_{name} = {sympy_to_str(M)}")
                rest = f" + {sympy_to_str(B)}" if B != 0 else ""  # as for M
                slope = f"(_rate_{name} * {name}{rest})"
                lines.append(f"_{name} = {name} + dt * exprel(dt * _rate_{name}) * {slope}")
            return "\n".join([*lines, *updates])

    return ExponentialEuler()
