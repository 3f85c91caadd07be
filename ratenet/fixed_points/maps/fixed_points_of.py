"""fixed_points_of: from many starts to the fixed points and slow points of any recurrent map."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import InputError, UnsupportedError
from ratenet.fixed_points.certificate import check_tolerance, default_tolerance
from ratenet.fixed_points.maps.descent import Descended, descend, distance_to_root
from ratenet.fixed_points.maps.results import MapFixedPoints
from ratenet.fixed_points.maps.steps import as_step, joined
from ratenet.fixed_points.status import Status, judge
from ratenet.network import Network
from ratenet.network.coerce import as_tensor

NEAR = 0.01  # Newton's step at a fixed point, over max(1, max |h|)
GOAL = 0.95  # of the tolerance: a larger batch may round differently
FLOATS = (torch.float32, torch.float64)


@computation()
@torch.no_grad()
def fixed_points_of(
    function: Any,
    h0: Any,
    inputs: Any,
    *,
    tol: float | None = None,
    max_iterations: int = 300,
    slow: float = 0.1,
) -> MapFixedPoints:
    """Return the fixed points and slow points of a map h <- f(input, h) that starts lead to.

    Parameters
    ----------
    function : callable, torch.nn.Module or Network
        One step of an RNN in discrete time, of torch operations. `torch.nn.RNN`, `GRU` and `LSTM`
        in one direction, of any number of layers; `RNNCell`, `GRUCell`, `LSTMCell`; a function of
        rows, inputs (S, M) and states (S, H), or of one input (M,) and one state (H,), that
        returns the new state, or a pair (output, state); or a module that FixedPointFinder
        accepts: inputs (S, 1, M) and states (1, S, H) to a pair (outputs, states (1, S, H)). Of a
        `Network`: the map y <- g(W y + x) of `FixedPoints.spectral_radius`, for its slow points;
        the inputs are drives.
    h0 : array_like, shape (S, H) or (H,)
        States to begin from, such as those of trajectories with some noise. Of several layers:
        side by side, or as torch has them, (layers, S, H). Of an LSTM: hidden and cell states side
        by side, (S, 2 H), or a pair (h, c).
    inputs : array_like, shape (M,), (S, M) or (S, 1, M)
        The constant input, one for all starts or one for each.
    tol : float, optional
        Largest residual of a fixed point. Default 1e-9 in float64, 1e-5 in float32.
    max_iterations : int
        Most Jacobians per start.
    slow : float
        Largest residual of a slow point: a state where the speed has a minimum above 0.

    Returns
    -------
    MapFixedPoints
        One row per start; `MapFixedPoints.unique` gives the distinct points, with their stability.

    Raises
    ------
    InputError
        If shapes or options do not fit, h0 or the inputs are not finite, or the function cannot be
        called, returns another shape, mixes rows, or has no derivative.
    UnsupportedError
        If the module is bidirectional, or computes in half precision.

    Notes
    -----
    Levenberg-Marquardt descent on the speed q = |f(u, h) - h|^2 / 2 with the exact Jacobian: near
    a fixed point it is Newton's method and finds stable points and saddles alike; elsewhere it
    ends in other minima of q, the slow points of Sussillo and Barak. An iteration takes O(S H^2)
    calls of a row and O(S H^3). No number of starts proves that there are no further points.

    A residual within the tolerance is not taken for a fixed point where Newton's step says that no
    root is near: far out, where a gate closes, the speed may only tend to 0. Begin from states
    that the RNN visits; those of a GRU lie in [-1, 1].

    Stability is that of the map: the spectral radius of df/dh is below 1. The function is kept and
    its weights are not copied; a Jacobian that is asked for after they changed is an error.

    References
    ----------
    Sussillo and Barak 2013, Neural Comput. 25:626. Golub and Sussillo 2018, J. Open Source
    Softw. 3:1003 (FixedPointFinder).

    Examples
    --------
    >>> def step(u, h):
    ...     return torch.tanh(2 * h + u)
    >>> starts = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    >>> found = fixed_points_of(step, starts, [0.0]).unique()
    >>> found
    MapFixedPoints(3 fixed points with residual at most ...; 1 unit)
    >>> found.state[found.stable]
    tensor([[-0.9575],
            [ 0.9575]], dtype=torch.float64)
    """
    if isinstance(function, Network):
        inputs = function.as_drive(inputs)
    elif not callable(function):
        raise InputError.at("function", got=function, expected="a function (input, h) -> h")
    dtype, device = _numbers_of(function, h0)
    states = as_rows(h0, "h0", dtype, device)
    given = as_rows(inputs, "inputs", dtype, device)
    starts = max(len(states), len(given))
    if len(given) not in (1, starts) or len(states) not in (1, starts):
        expected = f"shape (M,) or (S, M) with S = {len(states)} starts"
        raise InputError.at("inputs", got=tuple(given.shape), expected=expected)
    tol = default_tolerance(dtype) if tol is None else tol
    check_tolerance(tol, dtype)
    if (
        isinstance(max_iterations, bool)
        or not isinstance(max_iterations, Integral)
        or (max_iterations < 1)
    ):
        expected = "a whole number of at least 1"
        raise InputError.at("max_iterations", got=max_iterations, expected=expected)
    if not isinstance(slow, Real) or not 0 <= float(slow) < float("inf"):
        raise InputError.at("slow", got=slow, expected="a finite number of at least 0")
    states, given = states.expand(starts, -1), given.expand(starts, -1)
    step = as_step(function, given, states)
    ended = descend(step, given, states, GOAL * tol, int(max_iterations))
    status = _status(ended, states, tol, float(slow))
    settled = torch.nonzero(status == Status.SETTLED)[:, 0]
    distance = distance_to_root(step, given[settled], ended.state[settled], tol)
    status[settled[~(distance <= NEAR)]] = Status.DIVERGED
    return MapFixedPoints(
        state=ended.state,
        inputs=given.clone(),
        residual=ended.residual,
        speed=0.5 * ended.F.square().sum(dim=1),
        iterations=ended.iterations,
        status=status,
        found_from=torch.ones_like(ended.iterations),
        tol=float(tol),
        _radius=torch.full_like(ended.residual, torch.nan),
        _step=step,
    )


def _status(ended: Descended, start: Tensor, tol: float, slow: float) -> Tensor:
    """Return the codes of where the starts ended, (S,)."""
    none = torch.zeros_like(ended.stopped)
    status = judge(ended.residual, tol, none, otherwise=Status.OUT_OF_ITERATIONS)
    is_open = status == Status.OUT_OF_ITERATIONS
    size, first = (h.abs().amax(dim=1).clamp(min=1.0) for h in (ended.state, start))
    status[is_open & (size > 2 * first)] = Status.DIVERGED
    status[is_open & ended.stopped] = Status.UNSETTLED
    status[is_open & ended.is_minimum & (ended.residual <= slow)] = Status.SLOW_POINT
    return status


def _numbers_of(function: Any, h0: Any) -> tuple[torch.dtype, torch.device]:
    """Return dtype and device of a network's or module's weights, else those of the starts."""
    if isinstance(function, Network):
        return function.dtype, function.device
    like = next(function.parameters(), None) if isinstance(function, torch.nn.Module) else None
    if like is None:
        like = h0[0] if isinstance(h0, tuple) and len(h0) else h0
    if not isinstance(like, Tensor):
        single = str(getattr(like, "dtype", "")) == "float32"
        return (torch.float32 if single else torch.float64), torch.device("cpu")
    dtype = like.dtype if like.dtype.is_floating_point else torch.float64
    if dtype not in FLOATS:
        raise UnsupportedError(
            f"Fixed points are found in float32 or float64, and the function has {dtype}; convert "
            "it, as by module.float()."
        )
    return dtype, like.device


def as_rows(values: Any, where: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return states or inputs as rows (S, H)."""
    if (
        where == "h0"
        and isinstance(values, tuple)
        and len(values) == 2
        and all(isinstance(part, Tensor | np.ndarray) for part in values)
    ):
        parts = [as_rows(part, where, dtype, device) for part in values]
        if len(parts[0]) != len(parts[1]):
            raise InputError.at("h0", got=[tuple(part.shape) for part in parts],
                                expected="a pair (h, c) of as many rows")  # fmt: skip
        return torch.cat(parts, dim=1)
    tensor = as_tensor(real_numbers(values, where), DIMENSIONLESS, where, dtype, device)
    shape = tuple(tensor.shape)
    if tensor.ndim == 3:
        tensor = joined(tensor) if where == "h0" else tensor.flatten(1)
        if where != "h0" and shape[1] != 1:
            raise InputError.at(where, got=shape, expected="shape (M,), (S, M) or (S, 1, M)")
    if tensor.ndim == 1:
        tensor = tensor[None]
    if tensor.ndim != 2 or 0 in (len(tensor), tensor.shape[1] if where == "h0" else 1):
        letter = "H" if where == "h0" else "M"
        expected = f"shape ({letter},) or (S, {letter}), at least one row"
        raise InputError.at(where, got=shape, expected=expected)
    return tensor.detach()
