"""sweep_fixed_points: where the dynamics settle while a parameter goes up and then down again.

At each value the dynamics start at the state reached at the value before, displaced by a tiny
random amount, so that they leave a state that has become unstable as a real network would.
"""

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, counted
from ratenet.fixed_points.certificate import check_tolerance, default_tolerance
from ratenet.fixed_points.continuation.variations import (
    AbstractVariation,
    Varied,
    as_values,
    as_variation,
    one_drive,
    seeded,
)
from ratenet.fixed_points.find import find_fixed_points
from ratenet.fixed_points.results import FixedPoints
from ratenet.fixed_points.solvers.base import AbstractSolver
from ratenet.fixed_points.solvers.relaxation import Relaxation
from ratenet.fixed_points.status import Status, at_rest
from ratenet.network import Network
from ratenet.notebook import frame, table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SweepDirection:
    """Where the dynamics were at each value, in the order of `Sweep.values`.

    Attributes
    ----------
    states : Tensor, shape (k, P, N)
    rates : Tensor, shape (P, N)
    residual : Tensor, shape (P,)
    status : Tensor of int, shape (P,)
        Codes of `Status`; at values that are not settled the state is the slowest one that the
        dynamics passed through, and no fixed point.
    """

    states: Tensor
    rates: Tensor
    residual: Tensor
    status: Tensor
    _abscissa: Tensor

    @property
    def converged(self) -> Tensor:
        """Whether the dynamics settled, shape (P,)."""
        return at_rest(self.status)

    @property
    def stable(self) -> Tensor:
        """Whether they rest on a stable fixed point, shape (P,); a neutral one is not."""
        return self.status == Status.SETTLED

    def abscissa(self) -> Tensor:
        """Return the largest real part of the Jacobian's eigenvalues, shape (P,), in 1/s.

        NaN where the dynamics did not settle.
        """
        return self._abscissa

    def __repr__(self) -> str:
        names = [Status(code).words for code in self.status.tolist()]
        counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        return f"SweepDirection of {counted(len(names), 'value')}: {counts}"


@dataclass(frozen=True, eq=False)
class Sweep:
    """An upward and a downward sweep.

    Attributes
    ----------
    label : str
        What was varied, with its unit.
    values : Tensor, shape (P,)
        Rising, SI units.
    up, down : SweepDirection
        Both in the order of `values`, so that they can be compared; `down` was done second, and
        from the last value to the first.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])
    >>> sweep = rn.sweep_fixed_points(network, [1.0], rn.DriveScale(), [-1, 0, 1])
    >>> sweep.values, sweep.differs()  # hysteresis at 0
    (tensor([-1.,  0.,  1.], dtype=torch.float64), tensor([False,  True, False]))
    """

    label: str
    values: Tensor
    up: SweepDirection
    down: SweepDirection

    def __repr__(self) -> str:
        ends = f"{float(self.values[0]):g} to {float(self.values[-1]):g}"
        return (
            f"Sweep of {counted(len(self.values), 'value')} of {self.label}, {ends}; settles at "
            f"different rates up and down at {int(self.differs().sum())}.\n  up:   {self.up}\n"
            f"  down: {self.down}"
        )

    def _repr_html_(self) -> str:
        return table(repr(self), {"values": frame(self.to_pandas())})

    def plot(self, ax: Any = None, *, unit: int = 0) -> Any:
        """Draw the rate of one unit on the way up and on the way down.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.
        unit : int
            Whose rate is drawn.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is no such unit.

        Examples
        --------
        >>> import ratenet as rn
        >>> network = rn.Network("rate", [[2.0]])
        >>> sweep = rn.sweep_fixed_points(network, [1.0], rn.DriveScale(), [-0.8, 0.0, 0.8])
        >>> sweep.plot().get_xlabel()
        'scale of the drive'
        """
        from ratenet.report.pictures import plot_sweep

        return plot_sweep(self, ax, unit)

    def differs(self, distance: float = 1e-3) -> Tensor:
        """Return where the two settle at different rates, shape (P,): the hysteresis.

        Parameters
        ----------
        distance : float
            Largest difference of a rate, over max(1, largest rate), that is still the same.
        """
        apart = (self.up.rates - self.down.rates).abs().amax(dim=1)
        size = torch.maximum(self.up.rates.abs(), self.down.rates.abs()).amax(dim=1).clamp(min=1)
        return (apart > distance * size) & self.up.converged & self.down.converged

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per value and direction: direction, value, stable, ..., rate_0 ..."""
        import pandas as pd  # imported where it is used: it takes half a second

        tables = []
        for name, part in (("up", self.up), ("down", self.down)):
            columns = {
                "direction": name,
                "value": self.values.cpu().numpy(),
                "converged": part.converged.cpu().numpy(),
                "stable": part.stable.cpu().numpy(),
                "abscissa": part.abscissa().cpu().numpy(),
                "residual": part.residual.cpu().numpy(),
            }
            rates = pd.DataFrame(part.rates.cpu().numpy()).add_prefix("rate_")
            tables.append(pd.concat([pd.DataFrame(columns), rates], axis=1))
        return pd.concat(tables, ignore_index=True)


@computation()
@torch.no_grad()
def sweep_fixed_points(
    network: Network,
    drive: Any,
    parameter: str | AbstractVariation | Varied,
    values: Any,
    *,
    initial: Any = None,
    tol: float | None = None,
    dynamics: AbstractSolver | None = None,
    nudge: float = 1e-6,
    seed: int = 0,
) -> Sweep:
    """Follow the dynamics along rising values of a parameter, and back.

    Parameters
    ----------
    network : Network
        The network whose fixed points are sought; it stays as it is.
    drive : array_like, shape (N,)
        One drive.
    parameter : str, AbstractVariation or callable
        What varies, as for `continue_fixed_points`.
    values : array_like or Quantity, shape (P,)
        At least two, rising.
    initial : mapping or array_like, optional
        The state before the first value, as for `Network.as_state`; default zero.
    tol : float, optional
        Largest residual of a state at rest; default as of `find_fixed_points`.
    dynamics : AbstractSolver, optional
        What follows the dynamics; default ``Relaxation()``.
    nudge : float
        Size of the random perturbation added before each parameter value, so that the state leaves
        a fixed point that has become unstable: its standard deviation, over max(1, largest |s_k|).
    seed : int
        Seed of the displacements.

    Returns
    -------
    Sweep
        Rates, residual, status and abscissa at each value in both directions. What did not settle
        is in `status`, not left out.

    Raises
    ------
    InputError
        If the parameter, the values or an option do not fit.

    Notes
    -----
    2 P runs of the dynamics, one after the other; O((k N)^3) for the abscissa at each value.
    Close to a fold the dynamics are slow, as 1 over the root of the distance.

    Examples
    --------
    >>> from ratenet.fixed_points.continuation.variations import DriveScale
    >>> network = Network("rate", [[2.0]])  # bistable between the folds at -0.53 and 0.53
    >>> sweep = sweep_fixed_points(network, [1.0], DriveScale(), [-1, 0, 1])
    >>> sweep.up.rates[1], sweep.down.rates[1], sweep.differs()
    (tensor([-0.9575], dtype=torch.float64), tensor([0.9575], dtype=torch.float64), \
tensor([False,  True, False]))
    """
    drive, variation = one_drive(network, drive), as_variation(parameter)
    array = as_values(values, "values", variation.dimensions(network))
    if array.ndim != 1 or len(array) < 2 or not (np.diff(array) > 0).all():
        raise InputError.at(
            "values", got=values, expected="at least two numbers (P,), each above the one before"
        )
    tol = default_tolerance(network.dtype) if tol is None else tol
    check_tolerance(tol, network.dtype)
    if not (isinstance(nudge, Real) and 0 <= nudge < 1):
        raise InputError.at("nudge", got=nudge, expected="a number of at least 0 and below 1")
    follow = _Follow(network, drive, variation, tol, dynamics or Relaxation(), nudge)
    generator = seeded(seed)
    state = network.as_state(initial, 1)
    rising = follow(array, state, generator)
    falling = follow(array[::-1], rising[-1].state, generator)
    return Sweep(
        label=variation.label(network),
        values=state.new_tensor(array.tolist()),
        up=_direction(rising),
        down=_direction(falling[::-1]),
    )


@dataclass(frozen=True)
class _Follow:
    """The dynamics along values."""

    network: Network
    drive: Tensor
    variation: AbstractVariation
    tol: float
    dynamics: AbstractSolver
    nudge: float

    def __call__(
        self, values: np.ndarray, state: Tensor, generator: torch.Generator
    ) -> list[FixedPoints]:
        """Return where they are at each value, beginning at a state (k, 1, N)."""
        passed = []
        for value in values.tolist():
            network, drive = self.variation(self.network, self.drive, value)
            noise = torch.randn(state.shape, generator=generator, dtype=torch.float64).to(state)
            size = state.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1.0)
            found = find_fixed_points(
                network,
                drive,
                tol=self.tol,
                solver=self.dynamics,
                initial=state + self.nudge * size * noise,
                on_failure="return",
            )
            passed.append(found)
            state = found.state if torch.isfinite(found.state).all() else state
        return passed


def _direction(passed: list[FixedPoints]) -> SweepDirection:
    abscissa = [
        found.abscissa() if bool(found.converged[0]) else found.residual.new_full((1,), torch.nan)
        for found in passed
    ]
    return SweepDirection(
        states=torch.cat([found.state for found in passed], dim=1),
        rates=torch.cat([found.rates for found in passed]),
        residual=torch.cat([found.residual for found in passed]),
        status=torch.cat([found.status for found in passed]),
        _abscissa=torch.cat(abscissa),
    )
