"""PlasticityLag: a simulated change of weights beside that of the rule at fixed points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ratenet.fixed_points import FixedPoints
from ratenet.notebook import frame, table
from ratenet.validation import check_positive

PARTS = ("from_rates", "from_variables", "from_weights")


@dataclass(frozen=True, eq=False)
class PlasticityLag:
    """Changes of weights over a showing of a stimulus, simulated and at fixed points, at Q speeds.

    S is B with weights of their own for each stimulus, and 1 with shared weights.

    Attributes
    ----------
    speeds, plasticity_speeds : Tensor, shape (Q,)
        Speeds s of the stimulus and p of plasticity, as they were given.
    change : Tensor, shape (Q, S, N, N)
        The simulated change of the weights over the showing.
    at_fixed_points : Tensor, shape (Q, S, N, N)
        What the rule at fixed points predicts, `PlasticitySpec.rule`: the integral of dw/dt at
        y*(x(t)), with the weights at their initial values.
    from_rates, from_variables, from_weights : Tensor, shape (Q, S, N, N)
        The difference of the two to first order: as the rates trail their fixed points; as
        variables of units and synapses trail their rest, or move away from it if they are slow; and
        as the weights, and with them the fixed points, move during the showing.
    rates_lag, rates_predicted : Tensor, shape (Q, B)
        Root mean square of y - y* over that of y*, in the course of the showing: measured, and
        to first order.
    fixed_points : FixedPoints
        y*(x(t)) at T times of the showing, T B rows, the first B at its beginning.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.2, 0.1], [0.1, 0.2]], parameters={"tau": 0.01})
    >>> found = rn.measure_plasticity_lag(
    ...     network, [[1.0, 0.0], [0.0, 1.0]], 0.5, 1e-3, "oja", speeds=[1.0]
    ... )
    >>> found.change.shape  # one speed, one stimulus, two units
    torch.Size([1, 1, 2, 2])
    """

    speeds: Tensor
    plasticity_speeds: Tensor
    change: Tensor
    at_fixed_points: Tensor
    from_rates: Tensor
    from_variables: Tensor
    from_weights: Tensor
    rates_lag: Tensor
    rates_predicted: Tensor
    fixed_points: FixedPoints

    @property
    def difference(self) -> Tensor:
        """The simulated change minus that at fixed points, shape (Q, S, N, N)."""
        return self.change - self.at_fixed_points

    @property
    def predicted(self) -> Tensor:
        """The difference to first order, shape (Q, S, N, N)."""
        return self.from_rates + self.from_variables + self.from_weights

    @property
    def relative_difference(self) -> Tensor:
        """|difference| over |change at fixed points|, Frobenius norms, shape (Q, S)."""
        return self._relative(self.difference)

    @property
    def relative_predicted(self) -> Tensor:
        """The predicted difference over the change at fixed points, shape (Q, S)."""
        return self._relative(self.predicted)

    @property
    def relative_remaining(self) -> Tensor:
        """What is left of the difference without the predicted one, likewise, shape (Q, S)."""
        return self._relative(self.difference - self.predicted)

    def _relative(self, matrices: Tensor) -> Tensor:
        return _size(matrices) / _size(self.at_fixed_points)

    def tolerated(self, tolerance: float = 0.05) -> Tensor:
        """Return the largest speed of the stimulus at which the predicted difference is tolerable.

        Parameters
        ----------
        tolerance : float
            Largest difference over the change at fixed points.

        Returns
        -------
        Tensor, shape (Q, S)
            The speed, with the ratio of the two speeds of this row kept.
        """
        tolerance = check_positive(tolerance, "tolerance")
        return self.speeds[:, None] * tolerance / self.relative_predicted

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row for each speed and each matrix of weights; differences are relative."""
        Q, S = self.relative_difference.shape
        lags = {"rates_lag": self.rates_lag, "rates_predicted": self.rates_predicted}
        columns = {
            "speed": self.speeds[:, None].expand(Q, S),
            "plasticity_speed": self.plasticity_speeds[:, None].expand(Q, S),
            "stream": torch.arange(S).expand(Q, S),
            "difference": self.relative_difference,
            "predicted": self.relative_predicted,
            "remaining": self.relative_remaining,
            **{name: self._relative(getattr(self, name)) for name in PARTS},
            **{n: v if v.shape[1] == S else v.mean(dim=1, keepdim=True) for n, v in lags.items()},
        }
        return pd.DataFrame({n: column.flatten().cpu().numpy() for n, column in columns.items()})

    def __repr__(self) -> str:
        Q, S, N, _ = self.change.shape
        return f"PlasticityLag(speeds={Q}, streams={S}, units={N}; {next(self._lines())})"

    def _repr_html_(self) -> str:
        return table(repr(self), {"differences": frame(self.to_dataframe())})

    def plot(self, ax: Any = None) -> Any:
        """Draw the differences against speed: measured, predicted, and left; medians over streams.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_plasticity_lag

        return plot_plasticity_lag(self, ax)

    def summary(self) -> str:
        """Return the difference, its prediction and the lag of the rates, a line for each speed."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for q, (speed, plasticity) in enumerate(
            zip(self.speeds.tolist(), self.plasticity_speeds.tolist(), strict=True)
        ):
            yield (
                f"speed {speed:g}, plasticity {plasticity:g}: the change of weights differs by "
                f"{_percent(self.relative_difference[q])} from that at fixed points, predicted "
                f"{_percent(self.relative_predicted[q])}, remaining "
                f"{_percent(self.relative_remaining[q])}; rates trail by "
                f"{_percent(self.rates_lag[q])}."
            )


def _size(matrices: Tensor) -> Tensor:
    return matrices.flatten(-2).norm(dim=-1)


def _percent(values: Tensor) -> str:
    return f"{100 * float(values.median()):.3g} %"
