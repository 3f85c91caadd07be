"""find_fixed_points: from a network and drives to certified fixed points."""

from numbers import Integral
from typing import Any, Literal

import torch

from ratenet.errors import ConvergenceError, InputError
from ratenet.fixed_points.anderson import Anderson
from ratenet.fixed_points.certificate import (
    certify,
    check_autonomous,
    check_tolerance,
    default_tolerance,
)
from ratenet.fixed_points.relaxation import Relaxation
from ratenet.fixed_points.solver import AbstractSolver, Fallback
from ratenet.network import Network
from ratenet.results import FixedPoints

DEFAULT_SOLVER = Fallback((Anderson(), Relaxation()))


@torch.no_grad()
def find_fixed_points(
    network: Network,
    drive: Any,
    *,
    tol: float | None = None,
    solver: AbstractSolver | None = None,
    initial: Any = None,
    max_iterations: int | None = None,
    on_failure: Literal["raise", "return"] = "raise",
) -> FixedPoints:
    """Return the fixed point of each drive, with its certificate.

    Parameters
    ----------
    network : Network
    drive : array_like, shape (N,) or (B, N)
        External input x, one row a stimulus.
    tol : float, optional
        Largest residual of a settled sample (see `FixedPoints.residual`). Default 1e-9 in
        float64, 1e-5 in float32.
    solver : AbstractSolver, optional
        Default: Anderson acceleration; the dynamics themselves for what it leaves.
    initial : mapping or array_like, optional
        Where to begin, as for `Network.as_state`; default zero.
    max_iterations : int, optional
        Most evaluations of the recurrent input a sample; default the solver's own.
    on_failure : {"raise", "return"}
        What to do where samples do not converge.

    Returns
    -------
    FixedPoints
        Rates, gains, residuals, status, one row a stimulus.

    Raises
    ------
    ConvergenceError
        If a sample did not converge; the partial result is its `result`.
    InputError
        If shapes, units or options do not fit, or an input is not finite.

    Notes
    -----
    One product with W an iteration; memory O(B N). A fixed point that is found need not be
    stable for the dynamics: `FixedPoints.abscissa` tells.

    Examples
    --------
    >>> network = Network("linear", [[0.5]])
    >>> find_fixed_points(network, [1.0]).rates
    tensor([[2.0000]], dtype=torch.float64)
    """
    check_autonomous(network)
    if on_failure not in ("raise", "return"):
        raise InputError(f"on_failure: {on_failure!r} is neither 'raise' nor 'return'.")
    tol = default_tolerance(network.dtype) if tol is None else tol
    check_tolerance(tol, network.dtype)
    solver = DEFAULT_SOLVER if solver is None else solver
    if not isinstance(solver, AbstractSolver):
        raise InputError(f"solver: {solver!r} is no solver; give an object such as Anderson().")
    limit = solver.max_iterations if max_iterations is None else max_iterations
    if not isinstance(limit, Integral) or limit < 1:
        raise InputError(f"max_iterations: {limit!r} is no whole number of at least 1.")
    drive = network.as_drive(drive)
    state = network.as_state(initial, len(drive))
    reached = solver.solve(network, state, drive, tol, limit)
    found = certify(network, reached.state, drive, tol, reached.iterations)
    if on_failure == "raise" and found.unsettled:
        raise ConvergenceError(
            f"{found.unsettled} of {len(found)} samples have no fixed point within {limit} "
            f"iterations (largest residual {float(found.residual.max()):.2g}, asked for "
            f"{tol:g}).\n{found.summary()}\nThe partial result is this error's `result`; "
            "on_failure='return' returns it.",
            found,
        )
    return found
