"""Lag and QuasiStatic: how far rates trail a moving fixed point, predicted and measured."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints
from ratenet.fixed_points.status import at_rest
from ratenet.network.populations import check_known
from ratenet.notebook import lines, table


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

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> fp = rn.find_fixed_points(network, [1.0])
    >>> lag = rn.predict_lag(fp, [1.0])  # x rises by 1 per second: -(1 - W)^-1 tau dy*/dt
    >>> lag.rates, lag.velocity
    (tensor([[-0.0400]], dtype=torch.float64), tensor([[2.]], dtype=torch.float64))
    """

    state: Tensor
    rates: Tensor
    velocity: Tensor
    residual: Tensor

    def __repr__(self) -> str:
        B, N = self.rates.shape
        largest = float(self.rates.norm(dim=1).max()) if B else 0.0
        return f"Lag(stimuli={B}, units={N}, largest |y - y*| {largest:.3g})"

    def _repr_html_(self) -> str:
        sizes = self.rates.norm(dim=1)
        if not len(sizes):
            return table(repr(self), {})
        rows = {
            "|y - y*|, median": f"{float(sizes.median()):.3g}",
            "residual of the solves, largest": f"{float(self.residual.max()):.2g}",
        }
        return table(repr(self), rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the lag of each unit, for at most 5 stimuli, evenly chosen.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_lag

        return plot_lag(self, ax)


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
    units : slice or None
        The units that the relative lags and the error are of, as `within` chooses them; None: all.

    References
    ----------
    Tikhonov 1952; Fenichel 1979, J. Differ. Equ. 31:53 (slow manifolds).

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> def rising(t):
    ...     return [t]
    >>> run = rn.simulate(network, rising, duration=0.5, dt=0.001)
    >>> found = rn.measure_lag(run, rising, records=[500])
    >>> found.lag, found.predicted
    (tensor([[[-0.0400]]], dtype=torch.float64), tensor([[[-0.0400]]], dtype=torch.float64))
    """

    t: Tensor
    rates: Tensor
    fixed_points: FixedPoints
    lag: Tensor
    predicted: Tensor
    corrected: FixedPoints
    solve_residual: Tensor
    units: slice | None = None

    def within(self, population: str) -> "QuasiStatic":
        """Return the same of one population, such as a layer of a stack.

        Parameters
        ----------
        population : str
            One of the network's populations.

        Raises
        ------
        InputError
            If the network has no such population.
        """
        places = self.fixed_points.network.populations
        check_known(population, places, "population")
        return dataclasses.replace(self, units=places[population])

    @property
    def status(self) -> Tensor:
        """Codes of `Status` of the moving fixed point, shape (T, B)."""
        return self.fixed_points.status.view(self.rates.shape[:2])

    @property
    def relative_lag(self) -> Tensor:
        """|y - y*| / |y*| of each time and stimulus, of all units or `units`, shape (T, B)."""
        return self._norm(self.lag) / self._size

    @property
    def relative_predicted(self) -> Tensor:
        """The predicted lag over |y*|, shape (T, B)."""
        return self._norm(self.predicted) / self._size

    @property
    def relative_corrected(self) -> Tensor:
        """Error of the corrected rates over |y*|, shape (T, B)."""
        missing = self.lag.isnan().any(dim=2)
        left = (self.corrected.rates - self.fixed_points.rates).view(self.rates.shape)
        return self._norm(left).masked_fill(missing, torch.nan) / self._size

    @property
    def error(self) -> Tensor:
        """|predicted - measured lag| / |measured lag|, shape (T, B): 0.1 is 10 %."""
        return self._norm(self.predicted - self.lag) / self._norm(self.lag)

    def __repr__(self) -> str:
        T, B, N = self.rates.shape
        return f"QuasiStatic(times={T}, stimuli={B}, units={N}; {self.summary().splitlines()[0]})"

    def _repr_html_(self) -> str:
        return table(repr(self), {"summary": lines(self.summary())})

    def plot(self, ax: Any = None) -> Any:
        """Draw measured, predicted and remaining lag over time, in % of the rates.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_quasi_static

        return plot_quasi_static(self, ax)

    @property
    def _size(self) -> Tensor:
        return self._norm(self.fixed_points.rates.view(self.rates.shape))

    def _norm(self, values: Tensor) -> Tensor:
        """Return the norm over the units that are looked at, (T, B)."""
        chosen = values if self.units is None else values[..., self.units]
        return chosen.norm(dim=2)

    def _line(self, found: Tensor) -> str:
        return (
            f"median {_percent(self.relative_lag[found])} of the rates, predicted "
            f"{_percent(self.relative_predicted[found])}, remaining after correction "
            f"{_percent(self.relative_corrected[found])}."
        )

    def summary(self) -> str:
        """Return the lag, its prediction and the fixed points not found, one line each.

        Where layers settle one after another, each has a line of its own.
        """
        found, network = at_rest(self.status), self.fixed_points.network
        lines = [f"lag: {self._line(found)}"]
        if network.components and self.units is None:
            lines += [f"{name}: {self.within(name)._line(found)}" for name in network.populations]
        missing = int((~found).sum())
        if missing:
            lines.append(f"{missing} of {found.numel()} moving fixed points were not found:")
            lines.append(self.fixed_points.summary())
        return "\n".join(lines)


def _percent(values: Tensor) -> str:
    return f"{100 * float(values.nanmedian()):.3g} %" if len(values) else "unknown"
