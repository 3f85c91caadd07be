"""FixedPointSet: the distinct fixed points of each drive, and how many starts came to them."""

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ratenet.errors import InputError, counted
from ratenet.fixed_points.results import FixedPoints
from ratenet.notebook import frame, table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class FixedPointSet:
    """Distinct fixed points of each drive, stable ones first, and how the starts came to them.

    Attributes
    ----------
    points : FixedPoints
        One sample per fixed point, C of them: rates, residual, gain ... ; drive by drive, and
        within stable and unstable ones they are sorted by their states, unit by unit.
    stimulus : Tensor of int, shape (C,)
        Which drive each fixed point belongs to; `of` gives those of one.
    drives : Tensor, shape (B, N)
        The drives, one per row.
    starts : Tensor, shape (k, S, N)
        The states that were begun from; of several drives, those of the first, of the second ...
    solved : Tensor of int, shape (S,)
        Which fixed point the solver found from each start; -1: none.
    reached : Tensor of int, shape (S,)
        Stable fixed point that the dynamics reach from each start; -1: none (they oscillate,
        diverge, need longer, or stay on an unstable one that they began at).

    Examples
    --------
    >>> import ratenet as rn
    >>> found = rn.find_all_fixed_points(rn.Network("rate", [[2.0]]), [0.0], starts=20)
    >>> len(found), found.stable
    (3, tensor([ True,  True, False]))
    """

    points: FixedPoints
    _abscissa: Tensor
    _margin: Tensor  # (C,): an abscissa that close to 0 is taken for 0
    stimulus: Tensor
    drives: Tensor
    starts: Tensor
    solved: Tensor
    reached: Tensor

    def __len__(self) -> int:
        return len(self.points)

    @property
    def rates(self) -> Tensor:
        """The transmitted variable y of each fixed point, shape (C, N)."""
        return self.points.rates

    @property
    def residual(self) -> Tensor:
        """Residual of each fixed point, shape (C,)."""
        return self.points.residual

    @property
    def stable(self) -> Tensor:
        """Whether each fixed point is stable for the dynamics, shape (C,); a neutral one is not."""
        return self._abscissa < -self._margin

    @property
    def stability(self) -> tuple[str, ...]:
        """The word for each fixed point: stable, neutral (as on a line attractor) or unstable."""
        neutral = self._abscissa.abs() <= self._margin
        pairs = zip(self.stable.tolist(), neutral.tolist(), strict=True)
        return tuple(
            "stable" if stable else "neutral" if at_border else "unstable"
            for stable, at_border in pairs
        )

    def abscissa(self) -> Tensor:
        """Return the largest real part of the Jacobian's eigenvalues, shape (C,), in 1/s."""
        return self._abscissa

    def spectral_radius(self) -> Tensor:
        """Return the spectral radius of each fixed point, shape (C,): as a map stable below 1.

        The largest modulus of the eigenvalues of G W; see `FixedPoints.spectral_radius`.
        """
        return self.points.spectral_radius()

    def of(self, stimulus: int) -> "FixedPointSet":
        """Return the fixed points of one of the drives, with its starts.

        Parameters
        ----------
        stimulus : int
            Row of `drives`.

        Raises
        ------
        InputError
            If there is no such drive.
        """
        B = len(self.drives)
        if (
            isinstance(stimulus, bool)
            or not isinstance(stimulus, Integral)
            or (not 0 <= stimulus < B)
        ):
            expected = f"a whole number from 0 to {B - 1}"
            raise InputError.at("stimulus", got=stimulus, expected=expected)
        chosen = torch.nonzero(self.stimulus == int(stimulus))[:, 0]
        before = int((self.stimulus < int(stimulus)).sum())
        starts, solved, reached = (
            values.chunk(B, dim=axis)[int(stimulus)]
            for values, axis in ((self.starts, 1), (self.solved, 0), (self.reached, 0))
        )
        return FixedPointSet(
            self.points.select(chosen),
            self._abscissa[chosen],
            self._margin[chosen],
            torch.zeros_like(chosen),
            self.drives[[int(stimulus)]],
            starts,
            torch.where(solved < 0, -1, solved - before),
            torch.where(reached < 0, -1, reached - before),
        )

    @property
    def found_from(self) -> Tensor:
        """From how many starts the solver found each fixed point, shape (C,)."""
        return _counts(self.solved, len(self))

    @property
    def basin(self) -> Tensor:
        """Number of starts from which the dynamics reach each fixed point, shape (C,)."""
        return _counts(self.reached, len(self))

    @property
    def unsolved(self) -> int:
        """From how many starts the solver found nothing."""
        return int((self.solved < 0).sum())

    @property
    def unreached(self) -> int:
        """Number of starts from which the dynamics reach no stable fixed point."""
        return int((self.reached < 0).sum())

    def __repr__(self) -> str:
        return f"FixedPointSet of {self.summary()}"

    def _repr_html_(self) -> str:
        return table(self.summary(), {"fixed points": frame(self.to_pandas())})

    def plot(self, ax: Any = None) -> Any:
        """Draw the phase plane of two units with one state variable each, else eigenvalues.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        UnsupportedError
            If there are more than 2,000 state variables.

        Examples
        --------
        >>> import ratenet as rn
        >>> found = rn.find_all_fixed_points(rn.Network("rate", [[2.0]]), [0.0], starts=10)
        >>> found.plot().get_xlabel()
        'real part of the eigenvalues (1/s)'
        """
        from ratenet.report.pictures import plot_set

        return plot_set(self, ax)

    def summary(self) -> str:
        """Return a line on the fixed points and one on the starts that led to none."""
        stable, starts, drives = int(self.stable.sum()), len(self.solved), len(self.drives)
        of = f" of {drives} drives" if drives > 1 else ""
        return (
            f"{counted(len(self), 'fixed point')}{of}, {stable} stable, from "
            f"{counted(starts, 'start')}.\n"
            f"The solver found none from {self.unsolved} of them; the dynamics reach no stable "
            f"one from {self.unreached}."
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per fixed point, with columns for its attributes, rate_0, rate_1 ...

        With several drives the first column, stimulus, says which drive it belongs to.
        """
        import pandas as pd  # imported where it is used: it takes half a second

        several = {"stimulus": self.stimulus} if len(self.drives) > 1 else {}
        columns = {
            **several,
            "stable": self.stable,
            "abscissa": self.abscissa(),
            "residual": self.residual,
            "found_from": self.found_from,
            "basin": self.basin,
        }
        table = pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()})
        rates = pd.DataFrame(self.rates.cpu().numpy(), index=table.index)
        return pd.concat([table, rates.add_prefix("rate_")], axis=1)


def _counts(members: Tensor, clusters: int) -> Tensor:
    return torch.bincount(members[members >= 0], minlength=clusters)
