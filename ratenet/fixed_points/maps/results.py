"""MapFixedPoints: fixed points and slow points of a map, each with its certificate."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, StaleError, counted
from ratenet.fixed_points.clusters import check_distance, clusters, in_order
from ratenet.fixed_points.maps.descent import residual_of
from ratenet.fixed_points.maps.steps import Step, jacobians
from ratenet.fixed_points.status import Status
from ratenet.linear_algebra import all_eigenvalues

if TYPE_CHECKING:
    import pandas as pd

_ROWS = ("state", "inputs", "residual", "speed", "iterations", "status", "found_from", "_radius")


@dataclass(frozen=True, eq=False, repr=False)
class MapFixedPoints:
    """States of a map h <- f(u, h), with their certificates: one row per start, or per point.

    Attributes
    ----------
    state : Tensor, shape (S, H)
        Where each start ended.
    inputs : Tensor, shape (S, M)
        The constant input u of each.
    residual : Tensor, shape (S,)
        max |f(u, h) - h| / max(1, max |h|).
    speed : Tensor, shape (S,)
        q = |f(u, h) - h|^2 / 2, which has a minimum at a slow point.
    iterations : Tensor of int, shape (S,)
        Evaluations of the map per start.
    status : Tensor of int, shape (S,)
        Codes of `Status`: settled, a fixed point, stable or not; slow point; unsettled, a minimum
        of the speed that is not slow; out of iterations; diverged: NaN or infinite, or running
        away to where the speed only tends to 0.
    found_from : Tensor of int, shape (S,)
        From how many starts each was found: 1, or more in `unique`.
    tol : float
        The tolerance that the residual was judged by.

    Examples
    --------
    >>> import ratenet as rn
    >>> found = rn.fixed_points_of(lambda u, h: torch.tanh(0.5 * h + u), [[0.3]], [0.2])
    >>> found.state, found.status  # h = tanh(h / 2 + 0.2); 0: settled
    (tensor([[0.3648]], dtype=torch.float64), tensor([0]))
    """

    state: Tensor
    inputs: Tensor
    residual: Tensor
    speed: Tensor
    iterations: Tensor
    status: Tensor
    found_from: Tensor
    tol: float
    _radius: Tensor  # (S,); NaN where it has not been computed
    _step: Step

    def __len__(self) -> int:
        return len(self.residual)

    @property
    def rates(self) -> Tensor:
        """The same as `state`, by the name that it has in `FixedPoints`."""
        return self.state

    @property
    def converged(self) -> Tensor:
        """Whether each is a fixed point, stable or not, shape (S,)."""
        return self.status == Status.SETTLED

    @property
    def slow(self) -> Tensor:
        """Whether each is a slow point, shape (S,)."""
        return self.status == Status.SLOW_POINT

    @property
    def stable(self) -> Tensor:
        """Whether each is a fixed point that is stable for the map, shape (S,)."""
        stable = torch.zeros_like(self.converged)
        rows = torch.nonzero(self.converged)[:, 0]
        stable[rows] = self.spectral_radius(rows.tolist()) < 1
        return stable

    @computation()
    def jacobian(self, sample: int) -> Tensor:
        """Return df_i / dh_j at one state, shape (H, H).

        Parameters
        ----------
        sample : int
            Its row.

        Raises
        ------
        InputError
            If there is no such sample, or its state or step is not finite.
        StaleError
            If the function has changed since, so that the certificate no longer holds.
        """
        if not -len(self) <= sample < len(self):
            raise InputError(
                f"samples: there is no sample {sample}; the samples are 0 to {len(self) - 1}.",
                argument="samples",
            )
        state, inputs = self.state[[sample]], self.inputs[[sample]]
        if not torch.isfinite(self.residual[sample]):
            raise InputError(
                f"sample {sample} has a NaN or infinite state or step: it has no Jacobian.",
                argument="samples",
            )
        value, derivative = jacobians(self._step, inputs, state)
        change = float((residual_of(value - state, state) - self.residual[sample]).abs())
        allowed = max(self.tol, 1e3 * torch.finfo(state.dtype).eps)
        if not change <= allowed * (1 + float(self.residual[sample])):
            raise StaleError(
                "These fixed points are older than the function, which has changed since; find "
                "them again."
            )
        return derivative[0]

    def eigenvalues(self, sample: int) -> Tensor:
        """Return the eigenvalues of `jacobian`, complex, shape (H,), the largest modulus first.

        Parameters
        ----------
        sample : int
            Its row.
        """
        found = all_eigenvalues(self.jacobian(sample))
        return found[found.abs().argsort(descending=True, stable=True)]

    def spectral_radius(self, samples: Sequence[int] | None = None) -> Tensor:
        """Return the largest modulus of the Jacobian's eigenvalues, shape (number of samples,).

        Below 1: a fixed point is stable for the map. Each sample costs O(H^3).

        Parameters
        ----------
        samples : sequence of int, optional
            Which samples; default all.

        Raises
        ------
        InputError
            If there is no such sample, or its state is not finite.
        StaleError
            If the function has changed since.
        """
        chosen = range(len(self)) if samples is None else [int(sample) for sample in samples]
        for sample in chosen:
            if not -len(self) <= sample < len(self) or self._radius[sample].isnan():
                self._radius[sample] = self.eigenvalues(sample)[0].abs()
        return self._radius[list(chosen)]

    def select(self, samples: Tensor) -> "MapFixedPoints":
        """Return some of the samples, given as a mask (S,) or as indices.

        Parameters
        ----------
        samples : Tensor of bool, shape (S,), or of int
            A mask, or indices.
        """
        return dataclasses.replace(self, **{name: getattr(self, name)[samples] for name in _ROWS})

    @computation()
    def unique(self, distance: float | None = None) -> "MapFixedPoints":
        """Return the distinct fixed points and slow points, each once.

        Parameters
        ----------
        distance : float, optional
            States of the same input closer than this are one point: the largest difference of an
            entry, over max(1, largest |h|). Default sqrt(tol).

        Returns
        -------
        MapFixedPoints
            One row per point; input by input, stable fixed points first, then unstable ones, then
            slow points, and among these by their states.

        Raises
        ------
        InputError
            If the distance is not a finite number above 0.
        """
        apart = check_distance(distance, self.tol)
        group = torch.unique(self.inputs, dim=0, return_inverse=True)[1]
        leaders, members = clusters(
            self.state[None], self.residual, self.converged | self.slow, group, apart
        )
        counts = torch.bincount(members[members >= 0], minlength=len(leaders))
        points = dataclasses.replace(self.select(leaders), found_from=counts)
        points.spectral_radius()
        keys = [group[leaders], points.slow, ~points.stable]
        return points.select(in_order(points.state[None], keys, apart))

    def __repr__(self) -> str:
        return f"MapFixedPoints({self._counts()}; {counted(self.state.shape[1], 'unit')})"

    def _counts(self) -> str:
        """Return how many samples there are of each status."""
        codes = self.status.tolist()
        counts = [
            counted(codes.count(code), code.words)
            if code == Status.SLOW_POINT
            else f"{codes.count(code)} {code.words}"
            for code in Status
            if code in codes
        ]
        settled = self.residual[self.converged]
        if len(settled):  # the first of the codes
            fixed = counted(len(settled), "fixed point")
            counts[0] = f"{fixed} with residual at most {float(settled.max()):.2g}"
        return ", ".join(counts) or "no points"

    def summary(self) -> str:
        """Return how many distinct points there are, and where the starts ended."""
        points = self.unique()
        fixed, slow = int(points.converged.sum()), int(points.slow.sum())
        lines = [
            f"{counted(fixed, 'fixed point')}, {int(points.stable.sum())} stable, and "
            f"{counted(slow, 'slow point')}.",
            f"Where {counted(len(self), 'start')} ended: {self._counts()}.",
        ]
        if slow:
            lines.append(
                f"Residual of the slow points: {float(points.residual[points.slow].min()):.2g} to "
                f"{float(points.residual[points.slow].max()):.2g}."
            )
        return "\n".join(lines)

    def to_pandas(self) -> "pd.DataFrame":
        """Return one row per sample: its certificate, then input_0, ... and state_0, ..."""
        import pandas as pd  # imported where it is used: it takes half a second

        columns: dict[str, object] = {
            "status": [Status(code).name.lower() for code in self.status.tolist()],
            **{name: getattr(self, name).cpu().numpy()
               for name in ("residual", "speed", "iterations", "found_from")},
        }  # fmt: skip
        for prefix, rows in (("input", self.inputs), ("state", self.state)):
            numbers = rows.cpu().numpy()
            columns |= {f"{prefix}_{index}": numbers[:, index] for index in range(rows.shape[1])}
        return pd.DataFrame(columns)
