"""How a function or a torch module becomes a step of rows: inputs (S, M), states (S, H) -> (S, H).

The state of a module of several layers, or of an LSTM, is laid side by side in a row: the hidden
states of its layers, then their cell states.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ratenet.errors import InputError, UnsupportedError, shorten
from ratenet.fixed_points.certificate import check_solvable
from ratenet.network import Network

Step = Callable[[Tensor, Tensor], Tensor]

MIXES = (
    "its result for the first row depends on the other rows, or on chance (call .eval() on a "
    "module with dropout)"
)


def joined(state: Any) -> Any:
    """Return a state as rows: a pair (h, c) side by side, layers (L, S, H) as (S, L H)."""
    if isinstance(state, tuple | list) and len(state) == 2 and isinstance(state[0], Tensor):
        return torch.cat([joined(part) for part in state], dim=-1)
    if isinstance(state, Tensor) and state.ndim == 3:
        return state.transpose(0, 1).flatten(1)
    return state


def as_step(function: Any, inputs: Tensor, states: Tensor) -> Step:
    """Return the step that a function takes, called in the way that it can be called.

    Parameters
    ----------
    function : callable
        See `fixed_points_of`.
    inputs : Tensor, shape (S, M)
    states : Tensor, shape (S, H)
        What it is tried on.

    Raises
    ------
    InputError
        If it cannot be called, or does not return a state for each row by itself.
    """
    returned, raised = [], []
    for way in _ways(function, states.shape[1]):

        def step(u: Tensor, h: Tensor, way: Step = way) -> Tensor:
            return way(u.clone(), h.clone())  # a function may write into what it is given

        try:
            with torch.no_grad():
                found, alone = step(inputs, states), step(inputs[:1], states[:1])
        except Exception as error:  # whatever a user's function raises
            said = shorten(str(error)).rstrip(".")
            raised.append(f"it raised {type(error).__name__}: {said}")
            continue
        complaint = _complaint(found, states)
        if not complaint and _agree(found, alone):
            return step
        returned.append(complaint or MIXES)
        if not complaint:
            break
    rows, units = states.shape
    raise InputError(
        f"function: expected a map of inputs {tuple(inputs.shape)} and states {(rows, units)} to "
        f"states of the same shape, row by row; {(returned + raised)[0]}.",
        argument="function",
        got=function,
        expected="a map (input, h) -> h",
    )


def jacobians(step: Step, inputs: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(u, h), shape (S, H), and its derivative df_i / dh_j, shape (S, H, H).

    Rows are independent, so H copies of each give a row of the matrix each, in one pass of
    ordinary automatic differentiation: nothing is asked of the function but that it has one.
    """
    rows, units = states.shape
    with torch.enable_grad():
        copies = states.detach().repeat_interleave(units, dim=0).requires_grad_()
        found = step(inputs.repeat_interleave(units, dim=0), copies)
        if not found.requires_grad:
            raise InputError(
                "function: its result has no derivative with respect to h; compute with torch "
                "operations on h itself, without detach(), numpy() or no_grad().",
                argument="function",
            )
        seeds = torch.eye(units, dtype=found.dtype, device=found.device).repeat(rows, 1)
        (derivative,) = torch.autograd.grad(found, copies, seeds, materialize_grads=True)
    return found.detach()[::units], derivative.view(rows, units, units)


def _ways(function: Any, units: int) -> list[Step]:
    """Return the ways to call a function, the likeliest first."""
    if isinstance(function, Network):
        return [_network_step(function, units)]
    if isinstance(function, torch.nn.RNNBase):
        return [_module_step(function, units)]
    if isinstance(function, torch.nn.RNNCellBase):
        return [_cell_step(function, units)]
    return [
        lambda u, h: _state_of(function(u, h)),
        # A module like nn.GRU with batch_first, as FixedPointFinder calls it.
        lambda u, h: joined(_state_of(function(u[:, None], h[None]))),
        torch.func.vmap(lambda u, h: _state_of(function(u, h))),
    ]


def _state_of(result: Any) -> Any:
    """Return the new state of (output, state), or of a state alone."""
    return result[1] if isinstance(result, tuple | list) and len(result) == 2 else result


def _network_step(network: Network, units: int) -> Step:
    """Return the step of each unit to where its present input would let it settle, by Newton.

    For one linear decay, as in the model "rate", that is y <- f(W y + x). Its fixed points are the
    network's, and |f(u, h) - h| is the residual of `FixedPoints`.
    """
    check_solvable(network)
    k, N = len(network.model.states), network.units
    _check_width(units, k * N)

    def step(x: Tensor, h: Tensor) -> Tensor:
        state = h.unflatten(1, (k, N)).transpose(0, 1)
        return h + network.unit_response(state, x).step.transpose(0, 1).flatten(1)

    return step


def _module_step(rnn: torch.nn.RNNBase, units: int) -> Step:
    """Return one step in time of torch.nn.RNN, GRU or LSTM."""
    if rnn.bidirectional:
        raise UnsupportedError(
            "function: expected an RNN in one direction, got a bidirectional one, which is not a "
            "map from one time to the next; pass one with bidirectional=False."
        )
    sizes = [rnn.num_layers * (rnn.proj_size or rnn.hidden_size)]
    if rnn.mode == "LSTM":
        sizes.append(rnn.num_layers * rnn.hidden_size)
    _check_width(units, sum(sizes))
    time = 1 if rnn.batch_first else 0

    def step(u: Tensor, h: Tensor) -> Tensor:
        parts = [
            part.unflatten(1, (rnn.num_layers, -1)).transpose(0, 1).contiguous()
            for part in h.split(sizes, dim=1)
        ]
        # cuDNN has no derivative of a module in eval mode.
        with torch.backends.cudnn.flags(enabled=False):
            new = rnn(u.unsqueeze(time), parts[0] if len(parts) == 1 else tuple(parts))[1]
        state: Tensor = joined(new)
        return state

    return step


def _cell_step(cell: torch.nn.RNNCellBase, units: int) -> Step:
    """Return one step of torch.nn.RNNCell, GRUCell or LSTMCell."""
    size = cell.hidden_size
    if not isinstance(cell, torch.nn.LSTMCell):
        _check_width(units, size)
        return cell
    _check_width(units, 2 * size)
    return lambda u, h: joined(cell(u, h.split(size, dim=1)))


def _check_width(units: int, expected: int) -> None:
    """Refuse states that are not the module's."""
    if units != expected:
        raise InputError.at(
            "h0", got=units, expected=f"rows of {expected} numbers, the whole state"
        )


def _complaint(found: Any, states: Tensor) -> str:
    """Return what is wrong with what a function returned for these states."""
    if not isinstance(found, Tensor):
        return f"it returned {type(found).__name__}"
    if found.shape != states.shape:
        return f"it returned shape {tuple(found.shape)}"
    if found.dtype != states.dtype:
        return f"it returned {found.dtype} for {states.dtype}"
    return ""


def _agree(found: Tensor, alone: Tensor) -> bool:
    """Return whether the first row is the same by itself."""
    close = 1e3 * torch.finfo(found.dtype).eps
    return alone.shape == found[:1].shape and torch.allclose(
        found[:1], alone, rtol=close, atol=close, equal_nan=True
    )
