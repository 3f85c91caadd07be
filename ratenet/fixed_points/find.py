"""find_fixed_points: solve for the fixed points of a network and certify them."""

import dataclasses
from typing import Any, Literal

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import ConvergenceError, InputError, counted
from ratenet.fixed_points.certificate import (
    certify,
    check_solvable,
    check_tolerance,
    default_tolerance,
)
from ratenet.fixed_points.detached import detached
from ratenet.fixed_points.diagnosis import diagnosed
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.solvers.automatic import Automatic
from ratenet.fixed_points.solvers.base import AbstractSolver, Reached
from ratenet.fixed_points.solvers.in_turn import solve_in_turn
from ratenet.fixed_points.solvers.relaxation import Relaxation
from ratenet.fixed_points.stability import examined
from ratenet.fixed_points.status import Status
from ratenet.network import Network
from ratenet.network.residual import relative_size
from ratenet.validation import check_whole

GOAL = 0.95  # of the tolerance: the certificate's own product may round differently


@computation()
@detached
def find_fixed_points(
    network: Network,
    drive: Any,
    *,
    tol: float | None = None,
    solver: AbstractSolver | None = None,
    initial: Any = None,
    max_iterations: int | None = None,
    certificate: Literal["full", "residual"] = "full",
    on_failure: Literal["raise", "return"] = "raise",
) -> FixedPoints:
    """Solve for the stable fixed point of each stimulus; report residual, stability and cause.

    Parameters
    ----------
    network : Network
        The network whose fixed points are sought; it stays as it is.
    drive : array_like, shape (N,) or (B, N)
        External input x with one stimulus per row, or a mapping from population names to values; in
        the unit of the model's drive.
    tol : float, optional
        A stimulus counts as settled if its relative residual (dimensionless; see
        `FixedPoints.residual`) is at most this. Default 1e-9 in float64, 1e-5 in float32.
    solver : AbstractSolver, optional
        Default `Automatic`: preconditioned Anderson acceleration; then the dynamics themselves for
        stimuli that do not settle, or settle at an unstable fixed point.
    initial : mapping or array_like, optional
        Initial state, as for `Network.as_state`; default zero. `predict_state` gives a good one
        after a small change of the drive.
    max_iterations : int, optional
        Most evaluations of the recurrent input per stimulus; default the solver's own.
    certificate : {"full", "residual"}
        "full": the stability of settled stimuli is examined, and the dynamics of the others are
        followed for a while to find the cause. "residual": neither, so a settled stimulus is a root
        of the equations that may be unstable; for loops where time matters.
    on_failure : {"raise", "return"}
        "raise": ConvergenceError, with the partial result as ``error.result``. "return": return all
        rows; check `FixedPoints.converged`.

    Returns
    -------
    FixedPoints
        Rates, gains, residuals, status and solver, one row per stimulus.

    Raises
    ------
    ConvergenceError
        If a stimulus did not settle; the partial result is its `result`.
    InputError
        If shapes, units or options do not match, or an input is not finite.
    UnsupportedError
        If the equations depend on t.

    Notes
    -----
    An iteration takes one product with W, two with the preconditioner; memory is O(B N). Examining
    stability takes some products with a single vector where feedback is weak, else 16 to 80 with
    the batch; the bound on the feedback is kept with the network until its weights change. No call
    depends on earlier ones; solvers of your own, such as ``Automatic(MeanGain())``, keep their
    preconditioner for the next call with the same weights.

    A state that the dynamics neither leave nor return to, as on a line attractor, has the status
    neutral and counts as converged: it is at rest, and stable in all other directions.

    Examples
    --------
    >>> network = Network("linear", [[0.5]])
    >>> find_fixed_points(network, [1.0]).rates
    tensor([[2.]], dtype=torch.float64)
    """
    check_solvable(network)
    for name, value, allowed in (
        ("on_failure", on_failure, ("raise", "return")),
        ("certificate", certificate, ("full", "residual")),
    ):
        if value not in allowed:
            expected = f"{allowed[0]!r} or {allowed[1]!r}"
            raise InputError.at(name, got=value, expected=expected)
    tol = default_tolerance(network.dtype) if tol is None else tol
    check_tolerance(tol, network.dtype)
    solver = Automatic() if solver is None else solver
    if not isinstance(solver, AbstractSolver):
        raise InputError.at("solver", got=solver, expected="a solver object such as Anderson()")
    limit = solver.max_iterations if max_iterations is None else max_iterations
    limit = check_whole(limit, "max_iterations")
    drive = network.as_drive(drive)
    state = network.as_state(initial, 1 if initial is None else len(drive))
    state = state.expand(-1, len(drive), -1)  # from zero, all share one
    reached = solver.solve(network, state, drive, GOAL * tol, int(limit))
    found = _certified(network, reached, drive, tol)
    if certificate == "full":
        found = examined(found)
        if isinstance(solver, Automatic):
            found = _followed(found, state, int(limit))
        found = diagnosed(found, state)
    if network.components and found.unsettled:
        found = dataclasses.replace(found, notes=(*found.notes, *_places_of(found)))
    if on_failure == "raise" and found.unsettled:
        raise ConvergenceError(_complaint(found, int(limit)), found)
    return found


def _certified(network: Network, reached: Reached, drive: Tensor, tol: float) -> FixedPoints:
    """Return the certificate of what a solver reached."""
    found = certify(network, reached.state, drive, tol)
    note = reached.preconditioner.note
    return dataclasses.replace(
        found,
        status=found.status.masked_fill(
            found.status == Status.UNSETTLED, int(Status.OUT_OF_ITERATIONS)
        ),
        iterations=reached.iterations,
        solver=reached.solver,
        solvers=reached.names,
        notes=(note,) if note else (),
        mean_response=reached.preconditioner.matrix,
    )


def _followed(found: FixedPoints, start: Tensor, limit: int) -> FixedPoints:
    """Follow the dynamics from the start where the solver found an unstable fixed point."""
    repelled = torch.nonzero(found.status == Status.UNSTABLE)[:, 0]
    if len(repelled) == 0:
        return found
    dynamics, drive = Relaxation(), found.drive[repelled]
    allowed = min(limit, dynamics.max_iterations)
    given = (found.network, start[:, repelled], drive, GOAL * found.tol, allowed)
    is_one = not found.network.components
    reached = dynamics.solve(*given) if is_one else solve_in_turn(Relaxation, *given)
    reached = reached._replace(
        iterations=reached.iterations + found.iterations[repelled],
        solver=torch.where(reached.converged, len(found.solvers) - 1, -1),
    )
    return found.replaced(repelled, examined(_certified(found.network, reached, drive, found.tol)))


def _places_of(found: FixedPoints) -> tuple[str, ...]:
    """Return a sentence that names the populations, such as layers, that are not at rest."""
    network, counts = found.network, {}
    step = network.unit_response(found.state, found.drive).step
    for name, units in network.populations.items():
        residual = relative_size(step[..., units], found.state[..., units])
        counts[name] = int((~(residual <= found.tol)).sum())
    moving = ", ".join(
        f"{name} in {count} of {counted(len(found), 'sample')}"
        for name, count in counts.items()
        if count
    )
    return (f"Not at rest: {moving}.",) if moving else ()


def _complaint(found: FixedPoints, limit: int) -> str:
    return (
        f"{found.unsettled} of {counted(len(found), 'sample')} did not reach a stable fixed point "
        f"within {counted(limit, 'iteration')} (largest residual "
        f"{float(found.residual.max()):.2g}, tol {found.tol:g}).\n{found.summary()}\n"
        "The partial result is this error's `result`; on_failure='return' returns it."
    )
