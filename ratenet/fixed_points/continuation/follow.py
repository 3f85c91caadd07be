"""continue_fixed_points: a fixed point followed along a parameter, round folds, by arclength.

    predict    u + h t                       t: the tangent, h: the length of the step
    correct    F(u) = 0, t . (u - u0) = 0    Newton, see `curve`
    accept     if it converged and the tangent turned by less than 11 degrees; else halve h
               (by less than 90 degrees in the shortest steps: gains may have kinks)

Special points within a step are located by `locate`.
"""

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.units import DIMENSIONLESS, get_dimensions, hertz
from ratenet.errors import InputError, RatenetWarning
from ratenet.fixed_points.certificate import check_tolerance, default_tolerance
from ratenet.fixed_points.continuation.arclength import Curve, Point, StepError
from ratenet.fixed_points.continuation.branch import Branch, BranchEnd, SpecialKind, SpecialPoint
from ratenet.fixed_points.continuation.locate import Special, Way
from ratenet.fixed_points.continuation.variations import (
    AbstractVariation,
    Varied,
    as_values,
    as_variation,
    one_drive,
)
from ratenet.fixed_points.find import find_fixed_points
from ratenet.fixed_points.results import FixedPoints
from ratenet.network import Network
from ratenet.network.scales import typical_state
from ratenet.validation import check_whole

STRAIGHT = 0.98  # cosine of the largest angle between the tangents of neighbours


@computation()
@torch.no_grad()
def continue_fixed_points(
    network: Network,
    drive: Any,
    parameter: str | AbstractVariation | Varied,
    *,
    start: Any,
    stop: Any,
    initial: Any = None,
    tol: float | None = None,
    step: float = 0.01,
    max_step: float = 0.04,
    min_step: float = 1e-6,
    max_points: int = 2000,
) -> Branch:
    """Return the branch of fixed points that begins at a parameter's first value.

    Parameters
    ----------
    network : Network
        In float64.
    drive : array_like, shape (N,)
        One drive.
    parameter : str, AbstractVariation or callable
        What varies: the name of a parameter of the model, ``rn.DriveScale()``,
        ``rn.DriveShift(direction)``, ``rn.WeightScale()``, or any function
        ``(network, drive, value) -> (network, drive)``.
    start, stop : float or Quantity
        The first and the last value; the branch ends where it leaves the range between them.
    initial : mapping or array_like, optional
        Where to look for the first fixed point, as for `Network.as_state`; default zero. A fixed
        point of `find_all_fixed_points` stays as it is.
    tol : float, optional
        Largest residual of a point; default as of `find_fixed_points`.
    step, max_step, min_step : float
        The first, longest and shortest step along the curve. Lengths are in the space of the
        parameter, as a share of stop - start, and the root mean square over units of the states,
        each over the largest |s_k| at the start, but at least 1 for rates (plain or in Hz), and
        the model's largest parameter of that unit for others.
    max_points : int
        Most points, special points not counted.

    Returns
    -------
    Branch
        Values, rates, abscissa, folds and Hopf points, and how it ended.

    Raises
    ------
    ConvergenceError
        If there is no fixed point at `start`.
    InputError
        If the parameter, its range or an option does not fit.

    Warns
    -----
    RatenetWarning
        If the branch ended within the range, with the reason; it is `Branch.ended` too.

    Notes
    -----
    Folds and Hopf points are as exact as `tol` and rounding allow, far below 1e-6 of the range
    for a smooth model. Two crossings within one step that undo each other are not seen: lower
    max_step. The branches that cross this one at a branch point are not followed; begin there
    with another `initial`. Dense matrices: O((k N)^3) time and O((k N)^2) memory a correction,
    about five corrections a point, so for up to some hundreds of units.

    References
    ----------
    Keller 1977, in Rabinowitz (ed.), Applications of Bifurcation Theory, p. 359.
    Kuznetsov 2004, Elements of Applied Bifurcation Theory, 3rd ed., chapter 10.

    Examples
    --------
    >>> from ratenet.fixed_points.continuation.variations import DriveScale
    >>> network = Network("rate", [[2.0]])  # a unit that excites itself: two folds
    >>> branch = continue_fixed_points(network, [1.0], DriveScale(), start=-1, stop=1)
    >>> [(point.kind.value, round(point.value, 6)) for point in branch.special]
    [('fold', 0.53284), ('fold', -0.53284)]
    """
    _check_steps(network, step, max_step, min_step, max_points)
    tol = default_tolerance(network.dtype) if tol is None else tol
    check_tolerance(tol, network.dtype)
    drive, variation = one_drive(network, drive), as_variation(parameter)
    first, last = _ends(start, stop, network, variation)
    variation(network, drive, last)  # refuses now what would end the branch later
    at_first, drive_there = variation(network, drive, first)
    found = find_fixed_points(
        at_first, drive_there, tol=tol, initial=initial, certificate="residual"
    )
    curve = Curve(network, drive, variation, first, last, _scale(found), tol)
    walk = _Walk(curve, max_step, min_step, max_points)
    ended = walk.go(found.state, step)
    branch = _branch(walk.passed, variation.label(network), ended)
    if not ended.complete:
        warnings.warn(
            f"At {branch.label} = {float(branch.values[-1]):g}, before {last:g}: {ended.value}",
            RatenetWarning,
            stacklevel=3,
        )
    return branch


@dataclass
class _Walk:
    """The way along a curve."""

    curve: Curve
    max_step: float
    min_step: float
    max_points: int

    def __post_init__(self) -> None:
        self.passed: list[tuple[Point, SpecialKind | None]] = []

    def go(self, state: Tensor, step: float) -> BranchEnd:
        """Walk from a state at `start` until an end; what is passed is in `passed`."""
        row = self.curve.row_of_theta()
        try:
            here = self.curve.corrected(self.curve.place(state, 0.0), row, row)
        except StepError as failure:
            return failure.ending
        self.passed.append((here, None))
        self.curve = self.curve.with_rows_of(here)
        for _ in range(self.max_points - 1):
            while True:
                try:
                    there, special = self._step(here, step)
                    break
                except StepError as failure:
                    step /= 2
                    if step < self.min_step:
                        return failure.ending
            self.passed += [(found.point, found.kind) for found in special]
            self.passed.append((there, None))
            self.curve = self.curve.with_rows_of(there)
            theta = float(there.u[-1])
            if theta in (0.0, 1.0):
                return BranchEnd.AT_STOP if theta else BranchEnd.AT_START
            turned = float(here.tangent @ there.tangent)
            here, step = there, min(self.max_step, step * (1.5 if turned > 0.995 else 1.0))
        return BranchEnd.FULL

    def _step(self, here: Point, step: float) -> tuple[Point, list[Special]]:
        """Return the next point, and the special points on the way to it."""
        there = self.curve.corrected(here.u + step * here.tangent, here.tangent, here.tangent)
        ahead = float(there.tangent @ here.tangent)
        far = float((there.u - here.u).norm()) > 1.5 * step  # on another branch
        shortest = step <= 100 * self.min_step
        if not (ahead >= 0 if shortest else ahead >= STRAIGHT and not far):  # refuses NaN
            raise StepError(BranchEnd.STEP_TOO_SMALL)
        if not 0 < float(there.u[-1]) < 1:
            there = self._at_the_end(here, there)
        return there, Way(self.curve, here, 0.1 * self.max_step).special(there)

    def _at_the_end(self, here: Point, beyond: Point) -> Point:
        """Return the point with theta = 0 or 1 between one within and one beyond."""
        end = 1.0 if float(beyond.u[-1]) >= 1 else 0.0
        share = (end - here.u[-1]) / (beyond.u[-1] - here.u[-1])
        guess = here.u + share * (beyond.u - here.u)
        guess[-1] = end
        there = self.curve.corrected(guess, self.curve.row_of_theta(), here.tangent)
        there.u[-1] = end  # but for rounding it is
        if not 0 < float((there.u - here.u) @ here.tangent) <= 2 * self.max_step:
            raise StepError(BranchEnd.STEP_TOO_SMALL)
        return there


def _frequency(point: Point) -> float:
    """Return |Im| / (2 pi) of the complex eigenvalue nearest to the imaginary axis, in Hz."""
    paired = point.eigenvalues[point.eigenvalues.imag != 0]
    return float(paired[paired.real.abs().argmin()].imag.abs()) / (2 * torch.pi)


def _branch(passed: list[tuple[Point, SpecialKind | None]], label: str, ended: BranchEnd) -> Branch:
    points = [point for point, _ in passed]
    special = tuple(
        SpecialPoint(
            kind,
            point.value,
            point.rates[0],
            _frequency(point) if kind is SpecialKind.HOPF else float("nan"),
            index,
        )
        for index, (point, kind) in enumerate(passed)
        if kind is not None
    )
    rates = torch.cat([point.rates for point in points])
    return Branch(
        label=label,
        values=rates.new_tensor([point.value for point in points]),
        states=torch.cat([point.state for point in points], dim=1),
        rates=rates,
        residual=torch.cat([point.residual for point in points]),
        _abscissa=torch.stack([point.eigenvalues[0].real for point in points]),
        _margin=torch.cat([point.margin for point in points]),
        special=special,
        ended=ended,
    )


def _ends(
    start: Any, stop: Any, network: Network, variation: AbstractVariation
) -> tuple[float, float]:
    dimensions = variation.dimensions(network)
    ends = []
    for name, value in (("start", start), ("stop", stop)):
        array = as_values(value, name, dimensions)
        if array.ndim:
            raise InputError.at(name, got=array.shape, expected="one number, not an array")
        ends.append(float(array))
    if ends[0] == ends[1]:
        raise InputError.at("stop", got=ends[1], expected="a value other than that of start")
    return ends[0], ends[1]


def _scale(start: FixedPoints) -> Tensor:
    """Return how large each state variable is, (k, 1, 1): at the start, or by its unit.

    1 for rates, as plain numbers or in Hz; amperes and volts are sized by the model's parameters.
    """
    model, sizes = start.network.model, typical_state(start.network.model)
    least = [
        1.0 if model.dimensions(name) in (DIMENSIONLESS, get_dimensions(hertz)) else sizes[name]
        for name in model.states
    ]
    largest = start.state.abs().amax(dim=(1, 2), keepdim=True)
    return torch.maximum(largest, largest.new_tensor(least)[:, None, None])


def _check_steps(
    network: Network, step: float, max_step: float, min_step: float, max_points: int
) -> None:
    if network.dtype != torch.float64:
        raise InputError.at(
            "network",
            got=network.dtype,
            expected="float64 for continuation",
            remedy="make it with dtype=torch.float64",
        )
    for name, value in (("step", step), ("max_step", max_step), ("min_step", min_step)):
        if not (isinstance(value, Real) and 1e-12 <= value <= 1):
            raise InputError.at(name, got=value, expected="a number from 1e-12 to 1")
    if not min_step <= step <= max_step:
        raise InputError.at(
            "step",
            got=step,
            expected=f"a number from min_step = {min_step:g} to max_step = {max_step:g}",
        )
    check_whole(max_points, "max_points", least=2)
