"""Dynamics: what a model's functions say of all units, for states (k, B, N).

A function of a model may be a number, or the same for all units or stimuli: here it gets a shape.

Where populations have models of their own, a state variable that a unit lacks stays 0: it has F =
0, no input and no output, and on the diagonal of F_s the unit's own fastest rate, so that F_s can
be inverted and no eigenvalue of J that it adds is among the slow ones.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.joint import Group
from ratenet.equations.torch_model import translate
from ratenet.linear_algebra import solve_units
from ratenet.network.linearization import JacobianBlocks, UnitResponse

Constants = Mapping[str, Any]  # parameter values by name: numbers, or tensors () or (N,)

Method = Literal["euler", "exponential_euler"]  # of a step that evaluates the equations once


class Point(NamedTuple):
    """Where the equations are evaluated."""

    state: Tensor  # (k, B, N)
    recurrent: Tensor  # (B, N): W y
    drive: Tensor  # (B, N)
    t: float  # s

    def within(self, group: Group) -> "Point":
        """Return the same for the units of a group, with their own state variables."""
        units = group.units
        own = self.state[_rows(group)][..., units]
        return Point(own, self.recurrent[:, units], self.drive[:, units], self.t)


class Dynamics:
    """The dynamics of units that share one model.

    Parameters
    ----------
    model : ModelSpec
    """

    def __init__(self, model: ModelSpec) -> None:
        self._model = model
        self._functions = translate(model)
        states, output = list(model.states), str(model.output_expression)
        # The one that is the output as it is; most often there is one.
        self._transmitted = states.index(output) if output in states else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Be stored as the model: functions are made again."""
        return Dynamics, (self._model,)

    def output(self, state: Tensor, constants: Constants) -> Tensor:
        """Return the transmitted rates y = rho(s), shape (B, N)."""
        if self._transmitted is not None:
            return state[self._transmitted]
        named = {**constants, **self._named(state)}
        return _expanded(self._functions.output(named)[0], state[0])

    def derivative(self, at: Point, constants: Constants) -> Tensor:
        """Return F, shape (k, B, N)."""
        return _stacked(self._functions.right_hand_sides(self._values(at, constants)), at.state[0])

    def step(self, at: Point, constants: Constants, dt: float, method: Method) -> Tensor:
        """Return the state after a step of length dt, shape (k, B, N)."""
        values = {**self._values(at, constants), "dt": dt}
        return _stacked(getattr(self._functions, method)(values), at.state[0])

    def noise_strengths(self, at: Point, constants: Constants) -> Tensor:
        """Return what the white noises are multiplied by, shape (k, J, B, N)."""
        rows = self._functions.noise_strengths(self._values(at, constants))
        shape = (len(self._model.states), len(self._model.noises))
        return _stacked(rows, at.state[0]).unflatten(0, shape)

    def own_rates(self, at: Point, constants: Constants) -> Tensor:
        """Return M of F_k = M s_k + B, shape (k, B, N)."""
        return _stacked(self._functions.own_rates(self._values(at, constants)), at.state[0])

    def unit_response(self, at: Point, constants: Constants) -> UnitResponse:
        """Return each unit's Newton step at fixed recurrent input, and its response to input."""
        k, like = len(self._model.states), at.state[0]
        rows = self._functions.response_parts(self._values(at, constants))
        F_s = _stacked(rows[: k * k], like).unflatten(0, (k, k))
        rho_s = _stacked(rows[k * k + 2 * k :], like)
        if k == 1:
            step, response = (_stacked([row], like) for row in rows[1:3])
        else:
            F_and_F_I = _stacked(rows[k * k : k * k + 2 * k], like).unflatten(0, (2, k))
            step, response = -solve_units(F_s, F_and_F_I.transpose(0, 1)).transpose(0, 1)
        return UnitResponse(step, F_s, response, rho_s)

    def jacobian_blocks(self, at: Point, constants: Constants) -> JacobianBlocks:
        """Return the blocks of the Jacobian."""
        k = len(self._model.states)
        everything = _stacked(self._functions.blocks(self._values(at, constants)), at.state[0])
        F_s = everything[: k * k].unflatten(0, (k, k))
        return JacobianBlocks(F_s, everything[k * k : k * k + k], everything[k * k + k :])

    def _named(self, state: Tensor) -> dict[str, Tensor]:
        return {name: state[row] for row, name in enumerate(self._model.states)}

    def _values(self, at: Point, constants: Constants) -> dict[str, Any]:
        roles = {self._model.recurrent: at.recurrent, self._model.drive: at.drive}
        return {**constants, **self._named(at.state), **roles, "t": at.t}


class JointDynamics:
    """The same for populations that have a model each.

    Parameters
    ----------
    model : JointSpec
    """

    def __init__(self, model: JointSpec) -> None:
        self._model = model
        self._parts = [(group, Dynamics(group.model)) for group in model.groups]

    def __reduce__(self) -> tuple[Any, ...]:
        """Be stored as the model."""
        return JointDynamics, (self._model,)

    def output(self, state: Tensor, constants: Constants) -> Tensor:
        """Return the transmitted rates of all units, (B, N)."""
        rows = [
            part.output(state[_rows(group)][..., group.units], _of(group, constants))
            for group, part in self._parts
        ]
        return torch.cat(rows, dim=1)

    def derivative(self, at: Point, constants: Constants) -> Tensor:
        """Return F, shape (k, B, N)."""
        return self._joined(at, constants, Dynamics.derivative)

    def step(self, at: Point, constants: Constants, dt: float, method: Method) -> Tensor:
        """Return the state after a step of length dt; what a unit lacks stays as it is."""
        after = at.state.clone(memory_format=torch.contiguous_format)
        for group, part in self._parts:
            found = part.step(at.within(group), _of(group, constants), dt, method)
            after[_rows(group), :, group.units] = found
        return after

    def noise_strengths(self, at: Point, constants: Constants) -> Tensor:
        """Return none: joint models have no noise."""
        return at.state.new_zeros(len(at.state), 0, *at.state.shape[1:])

    def own_rates(self, at: Point, constants: Constants) -> Tensor:
        """Return M of F_k = M s_k + B, shape (k, B, N)."""
        return self._joined(at, constants, Dynamics.own_rates)

    def unit_response(self, at: Point, constants: Constants) -> UnitResponse:
        """Return each unit's Newton step at fixed recurrent input, and its response to input."""
        found = [part.unit_response(at.within(g), _of(g, constants)) for g, part in self._parts]
        step, response, rho_s = (
            self._padded([getattr(each, name) for each in found], at.state)
            for name in ("step", "response", "rho_s")
        )
        return UnitResponse(step, self._own([each.F_s for each in found], at), response, rho_s)

    def jacobian_blocks(self, at: Point, constants: Constants) -> JacobianBlocks:
        """Return the blocks of the Jacobian."""
        found = [part.jacobian_blocks(at.within(g), _of(g, constants)) for g, part in self._parts]
        F_I, rho_s = (
            self._padded([getattr(each, name) for each in found], at.state)
            for name in ("F_I", "rho_s")
        )
        return JacobianBlocks(self._own([each.F_s for each in found], at), F_I, rho_s)

    def _joined(
        self,
        at: Point,
        constants: Constants,
        method: Callable[[Dynamics, Point, Constants], Tensor],
    ) -> Tensor:
        found = [method(part, at.within(g), _of(g, constants)) for g, part in self._parts]
        return self._padded(found, at.state)

    def _padded(self, found: list[Tensor], like: Tensor) -> Tensor:
        """Return values (k of the group, B, n) of the groups as those of all units (k, B, N)."""
        whole = torch.zeros_like(like, memory_format=torch.contiguous_format)
        for (group, _), values in zip(self._parts, found, strict=True):
            whole[_rows(group), :, group.units] = values
        return whole

    def _own(self, found: list[Tensor], at: Point) -> Tensor:
        """Return F_s (k, k, B, N) of all units from those of the groups."""
        k, like = len(at.state), at.state
        whole = like.new_zeros(k, *like.shape)
        for (group, _), F_s in zip(self._parts, found, strict=True):
            fastest = F_s.diagonal().amin(dim=-1)  # (B, n); the diagonal is the last dimension
            for row in range(k):
                whole[row, row, :, group.units] = fastest
            for row, own in zip(group.rows, F_s, strict=True):
                whole[row, list(group.rows), :, group.units] = own
        return whole


def dynamics_of(model: ModelSpec | JointSpec) -> Dynamics | JointDynamics:
    """Return the dynamics of a model, or of several."""
    return JointDynamics(model) if isinstance(model, JointSpec) else Dynamics(model)


def _rows(group: Group) -> slice | list[int]:
    """Return which state variables a group has; a slice, which copies nothing, where it can be."""
    rows = group.rows
    is_run = rows == tuple(range(rows[0], rows[-1] + 1))
    return slice(rows[0], rows[-1] + 1) if is_run else list(rows)


def _of(group: Group, constants: Constants) -> dict[str, Any]:
    """Return a group's own parameters by its model's names, of its units."""
    found = {}
    for own, joint in group.names.items():
        value = constants[joint]
        is_row = isinstance(value, Tensor) and value.ndim > 0
        found[own] = value[group.units] if is_row else value
    return found


def _stacked(rows: list[Any], like: Tensor) -> Tensor:
    if len(rows) == 1:
        return _expanded(rows[0], like)[None]
    return torch.stack([_expanded(row, like) for row in rows])


def _expanded(value: Any, like: Tensor) -> Tensor:
    """Give a number, a scalar or a row (N,) the shape (B, N)."""
    if not isinstance(value, Tensor):
        value = torch.full((), value, dtype=like.dtype, device=like.device)
    return value if value.shape == like.shape else value.expand(like.shape)
