"""find_all_fixed_points: from many starts to the distinct fixed points of each drive.

Each start goes two ways: to a solver, which finds roots, stable or not, and along the dynamics,
which show its basin. Where both ways end is clustered.
"""

import dataclasses
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError
from ratenet.fixed_points.certificate import (
    certify,
    check_solvable,
    check_tolerance,
    default_tolerance,
)
from ratenet.fixed_points.clusters import check_distance, clusters, in_order
from ratenet.fixed_points.continuation.variations import seeded
from ratenet.fixed_points.find import find_fixed_points
from ratenet.fixed_points.fixed_point_set import FixedPointSet
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.solvers.anderson import Anderson
from ratenet.fixed_points.solvers.base import AbstractSolver, Fallback
from ratenet.fixed_points.solvers.newton_krylov import NewtonKrylov
from ratenet.fixed_points.solvers.relaxation import Relaxation
from ratenet.fixed_points.stability import neutral_margin
from ratenet.network import Network

ROOTS = Fallback((NewtonKrylov(max_iterations=500), Anderson()))


@computation()
@torch.no_grad()
def find_all_fixed_points(
    network: Network,
    drive: Any,
    *,
    starts: Any = 100,
    span: tuple[float, float] = (-1.0, 1.0),
    tol: float | None = None,
    seed: int = 0,
    distance: float | None = None,
    solver: AbstractSolver | None = None,
    dynamics: AbstractSolver | None = None,
) -> FixedPointSet:
    """Return the fixed points of each drive that many starts lead to, and their basins.

    Parameters
    ----------
    network : Network
        The network whose fixed points are sought; it stays as it is.
    drive : array_like, shape (N,) or (B, N)
        One drive, or several, for each of which the same starts are taken.
    starts : int, mapping or array_like
        How many random starts, every state variable of every unit drawn uniformly from `span`;
        or the states, (S, N) for a single state variable, (k, S, N), or (S, N) by name.
    span : pair of float
        Range of the random initial states, in their SI unit. The default is for tanh networks,
        whose rates lie within [-1, 1]; for rates in Hz give, for example, ``(0, 100)``.
    tol : float, optional
        Largest residual; default as of `find_fixed_points`.
    seed : int
        Seed of the random starts, which are the same on every device.
    distance : float, optional
        States closer than this are one fixed point: the largest difference of an entry, over
        max(1, largest |s_k|). Default sqrt(tol).
    solver : AbstractSolver, optional
        What finds the roots, stable or not; default Newton-Krylov, then Anderson acceleration.
    dynamics : AbstractSolver, optional
        What follows the dynamics; default ``Relaxation()``.

    Returns
    -------
    FixedPointSet
        Distinct fixed points with their certificates, how many starts led to each, and how many
        to none. It may hold no fixed point at all.

    Raises
    ------
    InputError
        If the drive, starts, span, distance or tol do not fit.

    Notes
    -----
    No number of starts proves that there are no further fixed points. A continuum (a line
    attractor) comes out as many points. `Relaxation` follows the dynamics in steps that are
    controlled for stability: a start very close to the border of a basin may be told to the
    other side. About as much as two `find_fixed_points` with B = S, and O(S C k N) to compare;
    O((k N)^3) for the abscissa of each fixed point.

    References
    ----------
    Sussillo and Barak 2013, Neural Comput. 25:626 (fixed points from many starts).

    Examples
    --------
    >>> network = Network("rate", [[2.0]])  # r = tanh(2 r)
    >>> found = find_all_fixed_points(network, [0.0], starts=20)
    >>> found.rates[found.stable]
    tensor([[-0.9575],
            [ 0.9575]], dtype=torch.float64)
    """
    check_solvable(network)
    drives = network.as_drive(drive)
    tol = default_tolerance(network.dtype) if tol is None else tol
    check_tolerance(tol, network.dtype)
    apart = check_distance(distance, tol)
    states = _starts(network, starts, span, seed)  # (k, S, N)
    group = torch.arange(len(drives), device=drives.device).repeat_interleave(states.shape[1])
    states = states.repeat(1, len(drives), 1)
    ways = (solver or ROOTS, dynamics or Relaxation())
    everything = _both_ways(network, drives[group], states, tol, ways)
    both = group.repeat(2)
    leaders, members = clusters(
        everything.state, everything.residual, everything.converged, both, apart
    )
    points, stimulus = everything.select(leaders), both[leaders]
    abscissa, margin = points.abscissa(), neutral_margin(points)
    order = in_order(points.state, [stimulus, ~(abscissa < -margin)], apart)
    place = torch.cat([order.argsort(), order.new_tensor([-1])])  # the last: of no cluster
    solved, reached = place[members].split(states.shape[1])
    found = FixedPointSet(
        points=points.select(order),
        _abscissa=abscissa[order],
        _margin=margin[order],
        stimulus=stimulus[order],
        drives=drives,
        starts=states,
        solved=solved,
        reached=reached,
    )
    stable = torch.cat([found.stable, torch.tensor([False], device=order.device)])
    return dataclasses.replace(found, reached=torch.where(stable[reached], reached, -1))


def _both_ways(
    network: Network,
    drives: Tensor,
    states: Tensor,
    tol: float,
    solvers: tuple[AbstractSolver, AbstractSolver],
) -> FixedPoints:
    """Return what the solver, then what the dynamics come to from each start: 2 S samples."""
    found = [
        find_fixed_points(
            network, drives, tol=tol, solver=solver, initial=states, certificate="residual",
            on_failure="return",
        )
        for solver in solvers
    ]  # fmt: skip
    states = torch.cat([part.state for part in found], dim=1)
    iterations = torch.cat([part.iterations for part in found])
    ends = certify(network, states, torch.cat([drives, drives]), tol)
    return dataclasses.replace(ends, iterations=iterations)


def _starts(network: Network, starts: Any, span: tuple[float, float], seed: int) -> Tensor:
    """Return the states to begin from, (k, S, N)."""
    if isinstance(starts, Mapping):
        return network.as_state(starts, max(map(_rows, starts.values()), default=1))
    if starts is not None and not isinstance(starts, (Real, str)):
        return network.as_state(starts, _rows(starts))
    if isinstance(starts, bool) or not isinstance(starts, Integral) or starts < 1:
        raise InputError.at(
            "starts", got=starts, expected="a whole number of at least 1, or states"
        )
    try:
        low, high = (float(end) for end in span)
    except (TypeError, ValueError):
        raise InputError.at("span", got=span, expected="two numbers (lowest, highest)") from None
    if not -float("inf") < low < high < float("inf"):
        raise InputError.at("span", got=span, expected="a finite range (lowest, highest)")
    generator = seeded(seed)
    shape = (len(network.model.states), int(starts), network.units)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (low + (high - low) * uniform).to(dtype=network.dtype, device=network.device)


def _rows(states: Any) -> int:
    """Return S of states (S, N) or (k, S, N); 1 of (N,)."""
    try:
        shape = np.shape(states)
    except ValueError:  # rows of different lengths
        raise InputError.at("starts", got=states, expected="an array of numbers") from None
    if len(shape) > 1 and shape[-2] == 0:
        raise InputError.at("starts", got=shape, expected="the shape of at least one start")
    return int(shape[-2]) if len(shape) > 1 else 1
