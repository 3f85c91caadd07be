"""Dynamics: what a model's functions say of all units, for states (k, B, N).

A function of a model may be a number, or the same for all units or stimuli; here it gets its shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.equations import ModelSpec
from ratenet.equations.torch_model import translate
from ratenet.linear_algebra import solve_units
from ratenet.network.linearization import JacobianBlocks, UnitResponse

Constants = Mapping[str, Any]  # parameter values by name: numbers, or tensors () or (N,)


@dataclass(frozen=True)
class Point:
    """Where the equations are evaluated."""

    state: Tensor  # (k, B, N)
    recurrent: Tensor  # (B, N): W y
    drive: Tensor  # (B, N)
    t: float  # s


class Dynamics:
    """The dynamics of units that share one model.

    Parameters
    ----------
    model : ModelSpec
    """

    def __init__(self, model: ModelSpec) -> None:
        self._model = model
        self._functions = translate(model)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be stored as the model: functions are made again."""
        return Dynamics, (self._model,)

    def output(self, state: Tensor, constants: Constants) -> Tensor:
        """Return the transmitted rates y = rho(s), shape (B, N)."""
        named = {**constants, **self._named(state)}
        return _expanded(self._functions.output(named)[0], state[0])

    def derivative(self, at: Point, constants: Constants) -> Tensor:
        """Return F, shape (k, B, N)."""
        return _stacked(self._functions.right_hand_sides(self._values(at, constants)), at.state[0])

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
        return dict(zip(self._model.states, state, strict=True))

    def _values(self, at: Point, constants: Constants) -> dict[str, Any]:
        roles = {self._model.recurrent: at.recurrent, self._model.drive: at.drive}
        return {**constants, **self._named(at.state), **roles, "t": at.t}


def _stacked(rows: list[Any], like: Tensor) -> Tensor:
    if len(rows) == 1:
        return _expanded(rows[0], like)[None]
    return torch.stack([_expanded(row, like) for row in rows])


def _expanded(value: Any, like: Tensor) -> Tensor:
    """Give a number, a scalar or a row (N,) the shape (B, N)."""
    if not isinstance(value, Tensor):
        value = torch.full((), value, dtype=like.dtype, device=like.device)
    return value if value.shape == like.shape else value.expand(like.shape)
