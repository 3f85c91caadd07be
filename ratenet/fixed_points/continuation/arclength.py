"""The curve F(s, value) = 0 of fixed points: its points, its tangent, and Newton's corrector.

A place on it is u = (z, theta), with z the kN states over their scale and sqrt(kN), and theta from
0 at `start` to 1 at `stop`: so lengths are alike whatever the units. The corrector solves

    F(u) = 0,      c . (u - u0) = 0

for a given row c, by Newton's method on the bordered matrix [[F_z, F_theta], [c]], which is regular
at a fold, where F_z is not (Keller 1977). Where branches cross it is singular, and close to there
rounding errors are amplified; `follow` steps over such places and interpolates across them.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.certificate import certify
from ratenet.fixed_points.continuation.branch import BranchEnd
from ratenet.fixed_points.continuation.variations import AbstractVariation
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.stability import neutral_margin
from ratenet.linear_algebra import all_eigenvalues
from ratenet.network import Network

MOST_CORRECTIONS = 12
DIFFERENCE = 1e-6  # of theta; central, so its error is about 1e-10 of F's own size
NULL = 1e-10  # singular values below this are 0; the rows are scaled to entries up to about 1


class StepError(Exception):
    """A step that has to be tried again, shorter; `ending` is what to say when it cannot."""

    def __init__(self, ending: BranchEnd) -> None:
        super().__init__(ending.value)
        self.ending = ending


@dataclass(frozen=True)
class Point:
    """A place on the curve, measured."""

    u: Tensor  # (kN + 1,)
    tangent: Tensor  # (kN + 1,), of length 1
    eigenvalues: Tensor  # (kN,) complex, 1/s, by falling real part
    margin: Tensor  # (1,): an abscissa that close to 0 is taken for 0, 1/s
    state: Tensor  # (k, 1, N)
    rates: Tensor  # (1, N)
    residual: Tensor  # (1,)
    value: float
    # Smallest singular value of [F_z, F_theta], with the sign of det [[F_z, F_theta], [tangent]]:
    # it goes through 0 where branches cross, and keeps its sign at a fold (Keller 1977).
    regularity: float
    size: Tensor  # (kN,): of the rows of [F_z, F_theta], 1/s


@dataclass(frozen=True)
class Curve:
    """The equations of a network along one number.

    Parameters
    ----------
    network, drive : Network, Tensor of shape (1, N)
    variation : AbstractVariation
    start, stop : float
        The values at theta = 0 and 1.
    scale : Tensor, shape (k, 1, 1)
        Typical size of each state variable.
    tol : float
        Largest residual of a point.
    """

    network: Network
    drive: Tensor
    variation: AbstractVariation
    start: float
    stop: float
    scale: Tensor
    tol: float
    floor: Tensor | float = 0.0  # smallest size of each row

    def with_rows_of(self, point: Point) -> "Curve":
        """Return the same, with rows scaled by no less than their size at a point so far.

        Else a single equation would be divided by what becomes 0 where branches cross.
        """
        return dataclasses.replace(self, floor=torch.clamp(point.size, min=self.floor))

    def place(self, state: Tensor, theta: float) -> Tensor:
        """Return u of a state (k, 1, N)."""
        z = (state / self.scale).flatten() / state.numel() ** 0.5
        return torch.cat([z, z.new_tensor([theta])])

    def row_of_theta(self) -> Tensor:
        """Return the row c that holds theta fixed."""
        row = self.drive.new_zeros(len(self.scale) * self.network.units + 1)
        row[-1] = 1.0
        return row

    def corrected(self, guess: Tensor, row: Tensor, along: Tensor) -> Point:
        """Return the point of the curve with c . (u - guess) = 0.

        Parameters
        ----------
        guess, row, along : Tensor, shape (kN + 1,)
            u0, c, and a direction that the tangent is to agree with.

        Raises
        ------
        StepError
            If Newton's method does not converge there.
        """
        u, enough = guess, max(self.tol, 1e-12)
        for _ in range(MOST_CORRECTIONS):
            F, jacobian, *_ = self._equations(u)
            right = torch.cat([F, (row @ (u - guess))[None]])
            change = _solved(torch.cat([jacobian, row[None]]), right)
            if not torch.isfinite(change).all():
                raise StepError(BranchEnd.STEP_TOO_SMALL)
            u = u - change
            if float(change.abs().max()) <= enough * max(1.0, float(u.abs().max())):
                return self.measured(u, along)
        raise StepError(BranchEnd.STEP_TOO_SMALL)

    def corrector_matrix(self, point: Point) -> Tensor:
        """Return [[F_z, F_theta], [tangent]] at a point, (kN + 1, kN + 1)."""
        _, jacobian, *_ = self._equations(point.u)
        return torch.cat([jacobian, point.tangent[None]])

    def measured(self, u: Tensor, along: Tensor) -> Point:
        """Return the point at u, which is on the curve; `along` as for `corrected`.

        Raises
        ------
        StepError
            If its residual is above the tolerance.
        """
        _, jacobian, size, fixed = self._equations(u)
        theta = float(u[-1])
        if 0 <= theta <= 1 and not float(fixed.residual[0]) <= self.tol:
            raise StepError(BranchEnd.STEP_TOO_SMALL)
        tangent, regularity = _tangent(jacobian, along)
        eigenvalues = all_eigenvalues(fixed.jacobian(0))
        return Point(
            u=u,
            tangent=tangent,
            eigenvalues=eigenvalues[eigenvalues.real.argsort(descending=True)],
            margin=neutral_margin(fixed),
            state=fixed.state,
            rates=fixed.rates,
            residual=fixed.residual,
            value=self._value(theta),
            regularity=regularity,
            size=size,
        )

    def _equations(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, FixedPoints]:
        """Return F (kN,), [F_z, F_theta] (kN, kN + 1), both over their size (kN,), and fp at u.

        Outside of [start, stop], where the network need not exist, F goes on linearly in theta.
        """
        count = len(u) - 1
        state = (u[:-1] * count**0.5).reshape(len(self.scale), 1, -1) * self.scale
        theta = min(max(float(u[-1]), 0.0), 1.0)
        low, high = max(theta - DIFFERENCE, 0.0), min(theta + DIFFERENCE, 1.0)
        slope = (self._derivative(state, high) - self._derivative(state, low)) / (high - low)
        network, drive = self.variation(self.network, self.drive, self._value(theta))
        F = network.derivative(state, drive).flatten() + (u[-1] - theta) * slope
        if not (torch.isfinite(F).all() and torch.isfinite(slope).all()):
            raise StepError(BranchEnd.NOT_FINITE)
        fixed = certify(network, state, drive, self.tol)
        columns = (self.scale * count**0.5).expand_as(state).flatten()
        jacobian = torch.cat([fixed.jacobian(0) * columns, slope[:, None]], dim=1)
        if not torch.isfinite(jacobian).all():
            raise StepError(BranchEnd.NOT_FINITE)
        F_s = network.jacobian_blocks(state, drive).F_s.abs() * self.scale * count**0.5
        own = F_s.amax(dim=1).flatten()
        size = torch.maximum(jacobian.abs().amax(dim=1), own)
        size = size.clamp(min=torch.finfo(F.dtype).tiny).clamp(min=self.floor)  # 1/s
        return F / size, jacobian / size[:, None], size, fixed

    def _derivative(self, state: Tensor, theta: float) -> Tensor:
        network, drive = self.variation(self.network, self.drive, self._value(theta))
        return network.derivative(state, drive).flatten()

    def _value(self, theta: float) -> float:
        """Return the value at theta: exactly `stop` at 1."""
        return self.start * (1 - theta) + self.stop * theta


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """Return the solution, the shortest one where the matrix is singular, as at a branch point."""
    solution, info = torch.linalg.solve_ex(matrix, right)
    return torch.linalg.lstsq(matrix, right, driver="gelsd").solution if info else solution


def _tangent(jacobian: Tensor, along: Tensor) -> tuple[Tensor, float]:
    """Return `along` projected on the null space of (kN, kN + 1), and the signed regularity.

    The null space is a line but at branch points. The tangent's length is 1; it is NaN where the
    two are at right angles.
    """
    _, sizes, rows = torch.linalg.svd(jacobian)
    null = rows[int((sizes > NULL).sum()) :]
    tangent = (null @ along) @ null
    tangent = tangent / tangent.norm()
    sign, _ = torch.linalg.slogdet(torch.cat([jacobian, tangent[None]]))
    return tangent, float(sizes[-1]) * (-1.0 if float(sign) < 0 else 1.0)
