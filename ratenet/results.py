"""Results as data: Trajectory, FixedPoints and the Status of a sample."""

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ratenet.errors import InputError, StaleError
from ratenet.network import Network

if TYPE_CHECKING:
    import xarray


class Status(enum.IntEnum):
    """What became of a sample; `sentence` gives the likely cause and the remedy."""

    SETTLED = 0
    UNSETTLED = 1
    DIVERGED = 2
    SINGULAR = 3

    @property
    def sentence(self) -> str:
        """One sentence: what it means, the likely cause, what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.SETTLED: "The residual is at most the tolerance.",
    Status.UNSETTLED: (
        "The residual is above the tolerance: the state still moves, or oscillates; simulate "
        "longer, raise max_iterations, or lower the recurrent weights."
    ),
    Status.DIVERGED: (
        "The state became NaN or infinite: the dynamics are unstable, or dt is too large; "
        "lower the recurrent weights, dt or the learning rate."
    ),
    Status.SINGULAR: (
        "A unit's own dynamics have no isolated fixed point (F_s is singular), so it has no "
        "static gain; give every state variable a decay."
    ),
}


@dataclass(frozen=True)
class Trajectory:
    """States and rates over time.

    Attributes
    ----------
    t : Tensor, shape (T,)
        Times in seconds; t[0] = 0 is the initial state.
    rates : Tensor, shape (T, B, N)
        The transmitted variable y.
    states : dict of str to Tensor, each (T, B, N)
        State variables by name, in SI units.
    """

    t: Tensor
    rates: Tensor
    states: dict[str, Tensor]

    @property
    def final(self) -> dict[str, Tensor]:
        """The last state by name, each (B, N): fit as `initial` of the next simulation."""
        return {name: values[-1] for name, values in self.states.items()}

    def to_xarray(self) -> "xarray.Dataset":
        """Return rates and states as an xarray Dataset with dimensions t, stimulus and unit."""
        import xarray  # imported where it is used: it takes half a second

        arrays = {"rates": self.rates, **self.states}
        dimensions = ("t", "stimulus", "unit")
        return xarray.Dataset(
            {name: (dimensions, values.detach().cpu().numpy()) for name, values in arrays.items()},
            coords={"t": ("t", self.t.cpu().numpy(), {"units": "s"})},
        )


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """States of a network, one a sample, each with its certificate.

    Attributes
    ----------
    network : Network
        The network that they were computed with.
    state : Tensor, shape (k, B, N)
    rates : Tensor, shape (B, N)
        The transmitted variable y.
    gain : Tensor, shape (B, N)
        Static gain dy/dI = -rho_s F_s^{-1} F_I; NaN where F_s is singular.
    drive : Tensor, shape (B, N)
    residual : Tensor, shape (B,)
        Largest entry of each unit's Newton step |F_s^{-1} F|, over max(1, largest |s_k|).
    iterations : Tensor of int, shape (B,)
        Evaluations of the recurrent input; 0 for a measured state.
    status : Tensor of int, shape (B,)
        Codes of `Status`.
    tol : float
        The tolerance that the residual was judged by.
    version : tuple of int
        The weights' version at that time.
    """

    network: Network
    state: Tensor
    rates: Tensor
    gain: Tensor
    drive: Tensor
    residual: Tensor
    iterations: Tensor
    status: Tensor
    tol: float
    version: tuple[int, ...]

    @property
    def converged(self) -> Tensor:
        """Whether each sample is settled, shape (B,)."""
        return self.status == Status.SETTLED

    @property
    def unsettled(self) -> int:
        """How many samples did not converge, and are left out by a plasticity rule."""
        return int((~self.converged).sum())

    def __len__(self) -> int:
        return len(self.residual)

    def check_current(self) -> None:
        """Refuse to be used with weights that changed after these fixed points were found.

        Raises
        ------
        StaleError
        """
        if self.version != self.network.connectivity.version:
            raise StaleError(
                "These fixed points are older than the network's weights, which have changed "
                "since; find the fixed points again."
            )

    def select(self, samples: Tensor) -> "FixedPoints":
        """Return some of the samples, given as a mask (B,) or as indices."""
        return dataclasses.replace(
            self,
            state=self.state[:, samples],
            rates=self.rates[samples],
            gain=self.gain[samples],
            drive=self.drive[samples],
            residual=self.residual[samples],
            iterations=self.iterations[samples],
            status=self.status[samples],
        )

    def with_tolerance(self, tol: float) -> "FixedPoints":
        """Return the same states judged by another tolerance (``math.inf``: all finite ones)."""
        return dataclasses.replace(
            self, tol=tol, status=judge(self.residual, tol, self.status == Status.SINGULAR)
        )

    def summary(self) -> str:
        """Return one line for each status that occurs: how many samples, and its sentence."""
        codes = self.status.tolist()
        lines = [
            f"{codes.count(status)} of {len(codes)} samples {status.name.lower()}: "
            f"{status.sentence}"
            for status in Status
            if status in codes
        ]
        return "\n".join(lines)

    def abscissa(self, samples: Sequence[int] | None = None) -> Tensor:
        """Return the largest real part of the Jacobian's eigenvalues, in 1/s.

        Parameters
        ----------
        samples : sequence of int, optional
            Which samples; default all. Each costs O((k N)^3).

        Returns
        -------
        Tensor, shape (number of samples,)
            Below 0: the fixed point is stable for the dynamics, time constants included.

        Raises
        ------
        InputError
            If there is no such sample, or its state is not finite.
        """
        chosen = range(len(self)) if samples is None else [int(sample) for sample in samples]
        result = self.residual.new_empty(len(chosen))
        for index, sample in enumerate(chosen):
            result[index] = _abscissa(self.jacobian(sample))
        return result

    def jacobian(self, sample: int) -> Tensor:
        """Return J = blockdiag(F_s) + F_I W rho_s of one sample, shape (k N, k N), in 1/s."""
        self.check_current()
        if not -len(self) <= sample < len(self):
            raise InputError(f"samples: there is no sample {sample}; there are {len(self)}.")
        one = [sample]
        state, drive = self.state[:, one], self.drive[one]
        if not torch.isfinite(state).all():
            raise InputError(f"sample {sample} has a NaN or infinite state: it has no Jacobian.")
        blocks = self.network.jacobian_blocks(state, drive)
        W, k = self.network.connectivity.dense(), len(state)
        rows = [
            torch.cat(
                [
                    torch.diag(blocks.F_s[i, j, 0])
                    + blocks.F_I[i, 0][:, None] * W * blocks.rho_s[j, 0]
                    for j in range(k)
                ],
                dim=1,
            )
            for i in range(k)
        ]
        return torch.cat(rows)


def judge(residual: Tensor, tol: float, singular: Tensor) -> Tensor:
    """Return the status codes (B,) that follow from residuals and singular units."""
    status = torch.full_like(residual, Status.UNSETTLED, dtype=torch.int64)
    status[residual <= tol] = Status.SETTLED
    status[~torch.isfinite(residual)] = Status.DIVERGED
    status[singular] = Status.SINGULAR
    return status


def _abscissa(jacobian: Tensor) -> Tensor:
    return torch.linalg.eigvals(jacobian).real.max()
