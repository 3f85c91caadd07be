"""A branch of fixed points along one number, as data: points, special points, how it ended."""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd


class SpecialKind(enum.Enum):
    """Where the number of fixed points, or their stability, changes along a branch."""

    FOLD = "fold"  # the branch turns back: two fixed points meet and vanish
    HOPF = "Hopf"  # a complex pair of eigenvalues crosses the imaginary axis
    BRANCH = "branch point"  # other branches cross this one, as at a pitchfork
    KINK = "kink"  # an eigenvalue jumps across the axis, where a gain is not smooth


class BranchEnd(enum.Enum):
    """Why a branch has no further points; the value is a sentence."""

    AT_STOP = "The branch reached `stop`."
    AT_START = "The branch turned and came back to `start`."
    FULL = "The branch has `max_points` points and goes on; raise max_points."
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
    value : float
        Of the varied number, in SI units.
    rates : Tensor, shape (N,)
    frequency : float
        Of the oscillation that is born at a Hopf point, |Im| / (2 pi), in Hz; else NaN.
    index : int
        Its place in the arrays of the branch.
    """

    kind: SpecialKind
    value: float
    rates: Tensor
    frequency: float
    index: int


@dataclass(frozen=True, eq=False)
class Branch:
    """Fixed points along one number, in the order of the curve, special points among them.

    Attributes
    ----------
    label : str
        What was varied, with its unit.
    values : Tensor, shape (P,)
        Of the varied number, SI units; it runs backwards between two folds.
    states : Tensor, shape (k, P, N)
    rates : Tensor, shape (P, N)
    residual : Tensor, shape (P,)
        As of `FixedPoints`; at most the tolerance.
    abscissa : Tensor, shape (P,)
        Largest real part of the Jacobian's eigenvalues, 1/s; 0 but for rounding at a special
        point where stability changes.
    special : tuple of SpecialPoint
    ended : BranchEnd
        Why there are no further points.
    """

    label: str
    values: Tensor
    states: Tensor
    rates: Tensor
    residual: Tensor
    abscissa: Tensor
    special: tuple[SpecialPoint, ...]
    ended: BranchEnd

    @property
    def stable(self) -> Tensor:
        """Whether each point is stable for the dynamics, shape (P,)."""
        return self.abscissa < 0

    def __len__(self) -> int:
        return len(self.values)

    def of_kind(self, kind: SpecialKind) -> tuple[SpecialPoint, ...]:
        """Return the special points of one kind, in the order of the branch."""
        return tuple(point for point in self.special if point.kind is kind)

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row a point: value, abscissa, residual, stable, special, rate_0, rate_1 ..."""
        import pandas as pd  # imported where it is used: it takes half a second

        columns = {
            "value": self.values.cpu().numpy(),
            "abscissa": self.abscissa.cpu().numpy(),
            "residual": self.residual.cpu().numpy(),
            "stable": self.stable.cpu().numpy(),
        }
        table = pd.DataFrame(columns)
        table["special"] = ""
        for point in self.special:
            table.loc[point.index, "special"] = point.kind.value
        rates = pd.DataFrame(self.rates.cpu().numpy())
        return pd.concat([table, rates.add_prefix("rate_")], axis=1)
