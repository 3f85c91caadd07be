"""Lag and QuasiStatic: how far rates trail a moving fixed point, predicted and measured."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.status import at_rest


@dataclass(frozen=True, eq=False)
class Lag:
    """How far the dynamics lag behind a moving fixed point, to first order, one row per stimulus.

    Attributes
    ----------
    state : Tensor, shape (k, B, N)
        s - s*, in the SI units of the state.
    rates : Tensor, shape (B, N)
        y - y*.
    velocity : Tensor, shape (B, N)
        dy*/dt, in the unit of the rates per second.
    residual : Tensor, shape (B,)
        The larger relative residual of the two linear solves, |J v - b| / |b|.
    """

    state: Tensor
    rates: Tensor
    velocity: Tensor
    residual: Tensor

    def __repr__(self) -> str:
        B, N = self.rates.shape
        largest = float(self.rates.norm(dim=1).max()) if B else 0.0
        return f"Lag(stimuli={B}, units={N}, largest |y - y*| {largest:.3g})"


@dataclass(frozen=True, eq=False)
class QuasiStatic:
    """A simulation beside the fixed points that its drive moves, at T recorded times.

    Attributes
    ----------
    t : Tensor, shape (T,)
        Times in seconds.
    rates : Tensor, shape (T, B, N)
        Rates y of the simulation.
    fixed_points : FixedPoints
        y*(x(t)) of all times, T B rows, the first B at t[0].
    lag, predicted : Tensor, shape (T, B, N)
        y - y* as measured and as predicted. NaN where no fixed point was found.
    corrected : FixedPoints
        The states of the simulation minus the predicted lag, T B rows, measured as by
        `fixed_points_at`, for a rule to act on. Where that would not lower the residual, the state
        is unchanged.
    solve_residual : Tensor, shape (T, B)
        Relative residual of the linear solves of the prediction.

    References
    ----------
    Tikhonov 1952; Fenichel 1979, J. Differ. Equ. 31:53 (slow manifolds).
    """

    t: Tensor
    rates: Tensor
    fixed_points: FixedPoints
    lag: Tensor
    predicted: Tensor
    corrected: FixedPoints
    solve_residual: Tensor

    @property
    def status(self) -> Tensor:
        """Codes of `Status` of the moving fixed point, shape (T, B)."""
        return self.fixed_points.status.view(self.rates.shape[:2])

    @property
    def relative_lag(self) -> Tensor:
        """|y - y*| / |y*| of each time and stimulus, shape (T, B)."""
        return self.lag.norm(dim=2) / self._size

    @property
    def relative_predicted(self) -> Tensor:
        """The predicted lag over |y*|, shape (T, B)."""
        return self.predicted.norm(dim=2) / self._size

    @property
    def relative_corrected(self) -> Tensor:
        """Error of the corrected rates over |y*|, shape (T, B)."""
        missing = self.lag.isnan().any(dim=2)
        left = (self.corrected.rates - self.fixed_points.rates).norm(dim=1).view_as(self._size)
        return left.masked_fill(missing, torch.nan) / self._size

    @property
    def error(self) -> Tensor:
        """|predicted - measured lag| / |measured lag|, shape (T, B): 0.1 is 10 %."""
        return (self.predicted - self.lag).norm(dim=2) / self.lag.norm(dim=2)

    def __repr__(self) -> str:
        T, B, N = self.rates.shape
        return f"QuasiStatic(times={T}, stimuli={B}, units={N}; {self.summary().splitlines()[0]})"

    @property
    def _size(self) -> Tensor:
        return self.fixed_points.rates.view(self.rates.shape).norm(dim=2)

    def summary(self) -> str:
        """Return the lag, its prediction and the fixed points not found, one line each."""
        found = at_rest(self.status)
        lines = [
            f"lag: median {_percent(self.relative_lag[found])} of the rates, predicted "
            f"{_percent(self.relative_predicted[found])}, remaining after correction "
            f"{_percent(self.relative_corrected[found])}."
        ]
        missing = int((~found).sum())
        if missing:
            lines.append(f"{missing} of {found.numel()} moving fixed points were not found:")
            lines.append(self.fixed_points.summary())
        return "\n".join(lines)


def _percent(values: Tensor) -> str:
    return f"{100 * float(values.median()):.3g} %" if len(values) else "unknown"
