"""A branch of fixed points along a parameter, as data: points, special points, how it ended."""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ratenet.notebook import frame, table

if TYPE_CHECKING:
    import pandas as pd


class SpecialKind(enum.Enum):
    """Where the number of fixed points, or their stability, changes along a branch.

    Examples
    --------
    >>> [kind.name for kind in SpecialKind]
    ['FOLD', 'HOPF', 'BRANCH', 'KINK']
    """

    FOLD = "fold"  # the branch turns back: two fixed points merge and vanish
    HOPF = "Hopf"  # a complex pair of eigenvalues crosses the imaginary axis
    BRANCH = "branch point"  # other branches cross this one, as at a pitchfork
    KINK = "kink"  # an eigenvalue jumps across the axis, where a gain is not smooth


class BranchEnd(enum.Enum):
    """Why a branch has no further points; the value is a sentence.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])  # r = tanh(2 r + x): an S with two folds
    >>> branch = rn.continue_fixed_points(
    ...     network, [1.0], rn.DriveScale(), start=-1.0, stop=1.0, initial=[-1.0]
    ... )
    >>> branch.ended.name
    'AT_STOP'
    """

    AT_STOP = "The branch reached `stop`."
    AT_START = "The branch turned and came back to `start`."
    FULL = "The branch has `max_points` points and continues; raise max_points."
    STEP_TOO_SMALL = (
        "The corrector did not converge even with the smallest step: the branch ends here, or "
        "turns more sharply than min_step resolves; lower min_step, or start on its other side."
    )
    NOT_FINITE = (
        "The equations gave NaN or infinite values ahead even with the smallest step; choose "
        "another range of the parameter."
    )

    @property
    def complete(self) -> bool:
        """Whether the branch was followed until it left the range."""
        return self in (BranchEnd.AT_STOP, BranchEnd.AT_START)


@dataclass(frozen=True, eq=False)
class SpecialPoint:
    """A fold, Hopf, branch or kink point.

    Attributes
    ----------
    kind : SpecialKind
        Fold, Hopf, branch point or kink.
    value : float
        Value of the varied parameter, SI units.
    rates : Tensor, shape (N,)
        Rates y there, in the unit of the model's output.
    frequency : float
        Frequency of the oscillation that emerges at a Hopf point, |Im| / (2 pi), in Hz; else NaN.
    index : int
        Its place in the arrays of the branch.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])  # r = tanh(2 r + x): an S with two folds
    >>> branch = rn.continue_fixed_points(
    ...     network, [1.0], rn.DriveScale(), start=-1.0, stop=1.0, initial=[-1.0]
    ... )
    >>> [round(point.value, 3) for point in branch.of_kind(SpecialKind.FOLD)]
    [0.533, -0.533]
    """

    kind: SpecialKind
    value: float
    rates: Tensor
    frequency: float
    index: int

    def __repr__(self) -> str:
        hertz = f", {self.frequency:.4g} Hz" if self.kind is SpecialKind.HOPF else ""
        return f"SpecialPoint({self.kind.value} at {self.value:.6g}{hertz})"


@dataclass(frozen=True, eq=False)
class Branch:
    """Fixed points along a parameter, in the order of the curve, special points among them.

    Attributes
    ----------
    label : str
        What was varied, with its unit.
    values : Tensor, shape (P,)
        Values of the varied parameter, SI units; they run backwards between two folds.
    states : Tensor, shape (k, P, N)
        State variables of each point, SI units.
    rates : Tensor, shape (P, N)
        Rates y of each point, in the unit of the model's output.
    residual : Tensor, shape (P,)
        As of `FixedPoints`; at most the tolerance.
    special : tuple of SpecialPoint
        Folds, Hopf, branch and kink points, in the order of the curve.
    ended : BranchEnd
        Why there are no further points.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[2.0]])  # r = tanh(2 r + x): an S with two folds
    >>> branch = rn.continue_fixed_points(
    ...     network, [1.0], rn.DriveScale(), start=-1.0, stop=1.0, initial=[-1.0]
    ... )
    >>> [point.kind.name for point in branch.special]
    ['FOLD', 'FOLD']
    >>> branch.rates.shape == (len(branch.values), 1)
    True
    """

    label: str
    values: Tensor
    states: Tensor
    rates: Tensor
    residual: Tensor
    _abscissa: Tensor
    _margin: Tensor  # (P,): an abscissa that close to 0 is taken for 0
    special: tuple[SpecialPoint, ...]
    ended: BranchEnd

    @property
    def stable(self) -> Tensor:
        """Whether each point is stable for the dynamics, shape (P,); a neutral one is not."""
        return self._abscissa < -self._margin

    def abscissa(self) -> Tensor:
        """Return the largest real part of the Jacobian's eigenvalues at each point, (P,), in 1/s.

        It is 0 but for rounding at a special point where stability changes.
        """
        return self._abscissa

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        ends = f"{float(self.values[0]):g} to {float(self.values[-1]):g}"
        named = [f"{point.kind.value} at {point.value:.6g}" for point in self.special[:6]]
        more = f" and {len(self.special) - 6} more" if len(self.special) > 6 else ""
        return (
            f"Branch of {len(self)} fixed points along {self.label}, {ends}: "
            f"{', '.join(named) + more or 'no special points'}. {self.ended.value}"
        )

    def _repr_html_(self) -> str:
        return table(repr(self), {"points": frame(self.to_pandas())})

    def plot(self, ax: Any = None, *, unit: int = 0) -> Any:
        """Draw a bifurcation diagram: the rate of one unit along the branch.

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
        >>> network = rn.Network("rate", [[1.0]])
        >>> branch = rn.continue_fixed_points(network, [0.1], rn.WeightScale(), start=0.5, stop=2.0)
        >>> branch.plot().get_xlabel()
        'scale of W'
        """
        from ratenet.report.pictures import plot_branch

        return plot_branch(self, ax, unit)

    def of_kind(self, kind: SpecialKind) -> tuple[SpecialPoint, ...]:
        """Return the special points of one kind, in the order of the branch.

        Parameters
        ----------
        kind : SpecialKind
            Such as ``SpecialKind.FOLD``.
        """
        return tuple(point for point in self.special if point.kind is kind)

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per point: value, abscissa, residual, stable, special, rate_0 ..."""
        import pandas as pd  # imported where it is used: it takes half a second

        columns = {
            "value": self.values.cpu().numpy(),
            "abscissa": self._abscissa.cpu().numpy(),
            "residual": self.residual.cpu().numpy(),
            "stable": self.stable.cpu().numpy(),
        }
        table = pd.DataFrame(columns)
        table["special"] = ""
        for point in self.special:
            table.loc[point.index, "special"] = point.kind.value
        rates = pd.DataFrame(self.rates.cpu().numpy())
        return pd.concat([table, rates.add_prefix("rate_")], axis=1)
