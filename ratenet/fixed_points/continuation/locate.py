"""Special points between two neighbours on a curve of fixed points, and where exactly they lie.

Along the way from one point to the next, at length h along the first one's tangent, each kind has a
test function that changes sign:

    fold      the tangent's component along the parameter
    branch    `Point.regularity`: the smallest singular value of [F_z, F_theta], signed
    others    the real part of an eigenvalue of the Jacobian; these are sorted, so continuous

Folds and Hopf points are found by Brent's method. Where branches cross, the corrector's matrix is
singular, and rounding errors would lead it astray; there the smooth curve is interpolated from
points at a distance, to a degree at which the error is that of rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import BarycentricInterpolator
from scipy.optimize import brentq

from ratenet.fixed_points.continuation.arclength import Curve, Point, StepError
from ratenet.fixed_points.continuation.branch import BranchEnd, SpecialKind

SAME_PLACE = 1e-7  # of arclength: two test functions that are 0 here mean the same point
JUMP = 1e-6  # of the largest eigenvalue: a real part that is not as small as this has jumped
NARROW = 1e-12  # of arclength: a test function that has not come near 0 within this has jumped
SAFE = 1e-4  # regularity from which on rounding errors stay below 1e-11
APART = 1e-3  # regularity of the points that are interpolated between
AROUND, BESIDE = np.array([-3, -2, -1, 1, 2, 3]), np.arange(1, 8)

Test = Callable[[Point], float]


class Special(NamedTuple):
    """A special point, and how far along the step it lies."""

    point: Point
    kind: SpecialKind
    length: float


class _Stop(NamedTuple):
    """A point on the way, and how far along it lies."""

    length: float
    point: Point


class _NearCrossingError(Exception):
    """Branches cross close to a length."""

    def __init__(self, length: float) -> None:
        super().__init__(length)
        self.length = length


@dataclass(frozen=True)
class Way:
    """The curve beside a step.

    Parameters
    ----------
    curve : Curve
    begin : Point
    reach : float
        Largest arclength between the points that are interpolated.
    """

    curve: Curve
    begin: Point
    reach: float

    def special(self, end: Point) -> list[Special]:
        """Return the special points up to `end`, sorted along the way.

        Raises
        ------
        StepError
            If the way is to be looked at in shorter steps.
        """
        whole = float((end.u - self.begin.u) @ self.begin.tangent)
        found = self._between(_Stop(0.0, self.begin), _Stop(whole, end))
        return sorted(found, key=lambda special: special.length)

    def _at(self, length: float) -> Point:
        row = self.begin.tangent
        return self.curve.corrected(self.begin.u + length * row, row, row)

    def _between(self, low: _Stop, high: _Stop) -> list[Special]:
        if high.length <= low.length:
            return []
        if low.point.regularity * high.point.regularity < 0:
            crossing, before, after = self._crossing(low, high)
            return [*self._between(low, before), crossing, *self._between(after, high)]
        found: list[Special] = []
        if _along_theta(low.point) * _along_theta(high.point) < 0:
            stop = self._root(_along_theta, low, high)
            found.append(Special(stop.point, SpecialKind.FOLD, stop.length))
        counts = sorted(_unstable(stop.point) for stop in (low, high))
        for index in range(*counts):
            stop = self._root(partial(_real_part, index), low, high)
            if all(abs(stop.length - other.length) > SAME_PLACE for other in found):
                found.append(Special(stop.point, _kind(stop.point, index), stop.length))
        return found

    def _root(self, test: Test, low: _Stop, high: _Stop) -> _Stop:
        """Return where a test function changes sign."""

        def value(length: float) -> float:
            try:
                point = self._at(length)
            except StepError:
                raise _NearCrossingError(length) from None
            if abs(point.regularity) < SAFE:
                raise _NearCrossingError(length)
            return test(point)

        try:
            length = brentq(value, low.length, high.length, xtol=1e-13, rtol=1e-12)
            return _Stop(length, self._at(length))
        except _NearCrossingError as near:  # branches cross twice in one place, by symmetry
            nodes = self._nodes(near.length, self.reach / 4, low, high)
            return self._interpolated([test(node.point) for node in nodes], nodes, near.length)
        except ValueError:  # the ends are roots but for rounding: the same sign twice
            raise StepError(BranchEnd.STEP_TOO_SMALL) from None

    def _crossing(self, low: _Stop, high: _Stop) -> tuple[Special, _Stop, _Stop]:
        """Return where `regularity` changes sign, and trusted points before and after it."""
        while (
            max(abs(low.point.regularity), abs(high.point.regularity)) > 10 * APART
            or high.length - low.length > self.reach / 3
        ):
            if high.length - low.length < NARROW:
                return Special(high.point, SpecialKind.KINK, high.length), low, high
            middle = (low.length + high.length) / 2
            stop = _Stop(middle, self._at(middle))
            if low.point.regularity * stop.point.regularity > 0:
                low = stop
            else:
                high = stop
        rise = (high.point.regularity - low.point.regularity) / (high.length - low.length)
        centre = low.length - low.point.regularity / rise
        apart = min(APART / abs(rise), self.reach / 3)
        nodes = self._nodes(centre, apart, low, high)
        stop = self._interpolated(self._bordered(nodes), nodes, centre)
        before = [node for node in nodes if low.length < node.length < stop.length]
        after = [node for node in nodes if stop.length < node.length < high.length]
        crossing = Special(stop.point, SpecialKind.BRANCH, stop.length)
        return crossing, (before or [low])[-1], (after or [high])[0]

    def _nodes(self, centre: float, apart: float, low: _Stop, high: _Stop) -> list[_Stop]:
        lengths = _lengths(centre, apart, low, high)
        return [_Stop(length, self._at(length)) for length in lengths]

    def _bordered(self, nodes: list[_Stop]) -> list[float]:
        """Return a smooth function that is 0 where the matrix of the corrector is singular.

        It is g in [[M, b], [c, 0]] (v, g) = (0, 1), for fixed b and c that make this regular
        (Govaerts 2000); the smallest singular value has kinks where it meets the next one.
        """
        matrices = [self.curve.corrector_matrix(node.point) for node in nodes]
        nearest = min(range(len(nodes)), key=lambda n: abs(nodes[n].point.regularity))
        left, _, right = torch.linalg.svd(matrices[nearest])
        last = torch.cat([right[-1], right.new_zeros(1)])[None]
        unit = torch.zeros_like(last[0])
        unit[-1] = 1.0
        return [
            float(
                torch.linalg.solve(torch.cat([torch.cat([M, left[:, -1:]], dim=1), last]), unit)[-1]
            )
            for M in matrices
        ]

    def _interpolated(self, values: list[float], nodes: list[_Stop], centre: float) -> _Stop:
        """Return the root, near a length, of the smooth function that has these values."""
        lengths = [node.length for node in nodes]
        value = BarycentricInterpolator(lengths, values)
        place = BarycentricInterpolator(lengths, [node.point.u.cpu().numpy() for node in nodes])
        window = 2 * (lengths[1] - lengths[0])
        if float(value(centre - window)) * float(value(centre + window)) > 0:
            raise StepError(BranchEnd.STEP_TOO_SMALL)
        length = brentq(lambda h: float(value(h)), centre - window, centre + window, xtol=1e-14)
        u = self.begin.u.new_tensor(place(length))
        return _Stop(length, self.curve.measured(u, self.begin.tangent))


def _lengths(centre: float, apart: float, low: _Stop, high: _Stop) -> list[float]:
    """Return where to interpolate: around `centre`, or beside it at an end of the range.

    Beyond the ends the network need not exist, and the curve is another one.
    """
    theta = float(low.point.u[-1])
    rise = (float(high.point.u[-1]) - theta) / (high.length - low.length)
    room = [low.length + (end - theta) / rise - centre for end in (0.0, 1.0)] if rise else [-1, 1]
    if min(-min(room), max(room)) > 4 * apart:
        return (centre + apart * AROUND).tolist()
    return (centre + apart * (BESIDE if max(room) > -min(room) else -BESIDE[::-1])).tolist()


def _along_theta(point: Point) -> float:
    return float(point.tangent[-1])


def _unstable(point: Point) -> int:
    return int((point.eigenvalues.real > 0).sum())


def _real_part(index: int, point: Point) -> float:
    return float(point.eigenvalues[index].real)


def _kind(point: Point, index: int) -> SpecialKind:
    """Tell what the eigenvalue of this index does where its real part changes sign."""
    largest = JUMP * float(point.eigenvalues.abs().max())
    eigenvalue = point.eigenvalues[index]
    if abs(float(eigenvalue.real)) > largest:
        return SpecialKind.KINK
    return SpecialKind.HOPF if abs(float(eigenvalue.imag)) > largest else SpecialKind.BRANCH
