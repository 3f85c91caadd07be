"""Results as data: FixedPoints, states with their certificates."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.units import unit_text
from ratenet.errors import StaleError, counted
from ratenet.fixed_points.dataset import as_dataset
from ratenet.fixed_points.eigenvalues import (
    abscissa_at,
    eigenvalues_at,
    jacobian_at,
    spectral_radius_at,
)
from ratenet.fixed_points.status import Status, at_rest, judge
from ratenet.network import Component, Network
from ratenet.notebook import lines, table
from ratenet.simulation import Trajectory as Trajectory
from ratenet.simulation.datasets import write_netcdf

if TYPE_CHECKING:
    import xarray


# What FixedPoints holds of each sample, besides the state.
_ROWS = ("rates", "gain", "drive", "residual", "absolute_residual", "iterations", "status",
         "examined", "solver")  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoints:
    """Fixed points of a network, one row per stimulus: rates, gains, residuals and status.

    Attributes
    ----------
    network : Network
        The network that they were computed with.
    state : Tensor, shape (k, B, N)
        The k state variables of each unit, SI units.
    rates : Tensor, shape (B, N)
        The transmitted variable y.
    gain : Tensor, shape (B, N)
        Slope dy/dI of each unit's steady-state response to its total input (f' for a simple rate
        unit), -rho_s F_s^{-1} F_I; NaN where it is undefined, since F_s is singular.
    drive : Tensor, shape (B, N)
        External input x of each stimulus, in the unit of the model's drive.
    residual : Tensor, shape (B,)
        Largest entry of each unit's Newton step |F_s^{-1} F|, over max(1, largest |s_k|).
    absolute_residual : Tensor, shape (B,)
        The same, not divided: in SI units of the state.
    iterations : Tensor of int, shape (B,)
        Number of products W y used for each stimulus; 0 if the state was only measured.
    status : Tensor of int, shape (B,)
        Codes of `Status`.
    tol : float
        The tolerance that the residual was judged by.
    version : tuple of int
        The network's version at that time (`Network.version`).
    examined : Tensor of bool, shape (B,)
        Whether it is known that the state is stable (settled) or not (unstable).
    solver : Tensor of int, shape (B,)
        Which of `solvers` settled each sample; -1: none.
    solvers : tuple of str
        Names of the solvers that were tried; `solver` says which one settled a stimulus.
    notes : tuple of str
        What a user should know of how they were found, one sentence each.
    mean_response : Tensor or None, shape (N, N)
        W (I - G_mean W)^{-1}, where a solver made it: the preconditioner of further solves.
    adjoint : Tensor or None, shape (B, N)
        dL/dx of each sample, where it was simulated and so is not to be solved for.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.0, 0.4], [0.4, 0.0]])
    >>> fp = rn.find_fixed_points(network, [[0.5, -0.2], [0.1, 0.0]])
    >>> fp
    FixedPoints(rate: 2 samples of 2 units; 2 settled, residual at most 4.3e-10)
    >>> fp.converged, fp.rates.shape
    (tensor([True, True]), torch.Size([2, 2]))
    """

    network: Network
    state: Tensor
    rates: Tensor
    gain: Tensor
    drive: Tensor
    residual: Tensor
    absolute_residual: Tensor
    iterations: Tensor
    status: Tensor
    tol: float
    version: tuple[int, ...]
    examined: Tensor
    solver: Tensor
    solvers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mean_response: Tensor | None = None
    adjoint: Tensor | None = None

    @property
    def converged(self) -> Tensor:
        """Whether each sample is settled or neutral, shape (B,)."""
        return at_rest(self.status)

    @property
    def unsettled(self) -> int:
        """Number of stimuli that did not settle; plasticity rules exclude them."""
        return int((~self.converged).sum())

    def __len__(self) -> int:
        return len(self.residual)

    def __repr__(self) -> str:
        codes = self.status.tolist()
        counts = ", ".join(f"{codes.count(s)} {s.words}" for s in Status if s in codes)
        settled = self.residual[self.converged]
        at_most = f", residual at most {float(settled.max()):.2g}" if len(settled) else ""
        samples, units = counted(len(self), "sample"), counted(self.rates.shape[1], "unit")
        return f"FixedPoints({self.network.model.name}: {samples} of {units}; {counts}{at_most})"

    def _repr_html_(self) -> str:
        low, high = (float(end) for end in self.rates.detach().aminmax())
        unit = unit_text(self.network.model.output_dimensions)
        rows = {
            "rates": f"{low:.4g} to {high:.4g} ({unit})",
            "tolerance of the residual": f"{self.tol:g}",
            "solver": ", ".join(self.solvers) or "none: a measured state",
            "certificate": lines(self.summary()),
        }
        return table(
            repr(self), {**rows, **({"notes": " ".join(self.notes)} if self.notes else {})}
        )

    def plot(
        self, ax: Any = None, *, stimuli: Any = None, units: Any = None, populations: Any = None
    ) -> Any:
        """Draw the rates of the units: lines for up to 5 stimuli, a map of more.

        Stimuli that did not settle are marked by crosses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.
        stimuli, units : int or sequence of int, optional
            Which of them; default all.
        populations : str or sequence of str, optional
            Which populations.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is no such stimulus, unit or population.

        Examples
        --------
        >>> import ratenet as rn
        >>> rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0]).plot().get_ylabel()
        'rate $y$ (dimensionless)'
        """
        from ratenet.report.pictures import plot_fixed_points

        return plot_fixed_points(self, ax, stimuli, units, populations)

    def check_current(self) -> None:
        """Refuse to be used with a network that changed after these fixed points were found.

        Raises
        ------
        StaleError
        """
        if self.version != self.network.version:
            raise StaleError(
                "These fixed points are older than the network's weights or parameters, which have "
                "changed since; find the fixed points again."
            )

    def select(self, samples: Tensor) -> "FixedPoints":
        """Return some of the samples, given as a mask (B,) or as indices.

        Parameters
        ----------
        samples : Tensor of bool, shape (B,), or of int
            A mask, or indices.
        """
        rows = {name: getattr(self, name)[samples] for name in _ROWS}
        adjoint = None if self.adjoint is None else self.adjoint[samples]
        return dataclasses.replace(self, state=self.state[:, samples], adjoint=adjoint, **rows)

    def replaced(self, samples: Tensor, others: "FixedPoints") -> "FixedPoints":
        """Return the same with other states for some of the samples, given as indices.

        Parameters
        ----------
        samples : Tensor of int
            Indices.
        others : FixedPoints
            One row for each index.
        """
        rows = {
            name: getattr(self, name).index_copy(0, samples, getattr(others, name))
            for name in _ROWS
        }
        state = self.state.index_copy(1, samples, others.state)
        return dataclasses.replace(self, state=state, **rows)

    def within(self, part: Component) -> "FixedPoints":
        """Return what belongs to one of ``network.components``, with its own drive.

        Parameters
        ----------
        part : Component
            One of ``network.components``.
        """
        return dataclasses.replace(
            self,
            network=part.network,
            state=part.states_of(self.state),
            rates=part.of(self.rates),
            gain=part.of(self.gain),
            drive=part.of(self.drive) + part.input(self.rates),
            version=part.network.version,
            mean_response=None,
            adjoint=None if self.adjoint is None else part.of(self.adjoint),
        )

    def with_tolerance(self, tol: float) -> "FixedPoints":
        """Return the same states judged by another tolerance (``math.inf``: all finite ones).

        A state that is known to be unstable or neutral stays so.

        Parameters
        ----------
        tol : float
            Largest relative residual of a settled sample, dimensionless.
        """
        status = judge(self.residual, tol, self.status == Status.SINGULAR)
        kept = (self.status == Status.UNSTABLE) | (self.status == Status.NEUTRAL)
        kept &= status == Status.SETTLED
        return dataclasses.replace(self, tol=tol, status=torch.where(kept, self.status, status))

    def to_xarray(self) -> "xarray.Dataset":
        """Return all of it as an xarray Dataset with dimensions stimulus and unit.

        Returns
        -------
        xarray.Dataset
            rates, gain, drive and the state variables by name, each with its unit in the
            attributes; residual, converged, status (in words) and iterations of each stimulus.

        Examples
        --------
        >>> import ratenet as rn
        >>> fp = rn.find_fixed_points(rn.Network("linear", [[0.5]]), [[1.0], [2.0]])
        >>> fp.to_xarray()["rates"].values.round(6)
        array([[2.],
               [4.]])
        """
        return as_dataset(self)

    def save(self, path: Path | str) -> None:
        """Write `to_xarray` as a netCDF file, whole or not at all; `xarray.open_dataset` reads it.

        Parameters
        ----------
        path : path
            A netCDF file, replaced if it is there.

        Raises
        ------
        InputError
            If a variable is larger than the format's 4 GiB, or the path is not that of a file.
        RunFolderError
            If the file cannot be written.
        """
        write_netcdf(self.to_xarray(), path, "save some of the stimuli (select)")

    def summary(self) -> str:
        """Return what became of the samples, by which solver, and what should be known of it.

        One line for each status that occurs: how many samples, and its sentence.
        """
        codes = self.status.tolist()
        samples = counted(len(codes), "sample")
        said = [
            f"{codes.count(s)} of {samples} {s.words}: {s.sentence}" for s in Status if s in codes
        ]
        used = [(self.solver == index).sum().item() for index in range(len(self.solvers))]
        by = [f"{n} by {name}" for n, name in zip(used, self.solvers, strict=True) if n]
        if by:
            said.append(f"Solved: {', '.join(by)}.")
        return "\n".join([*said, *self.notes])

    @computation()
    def abscissa(self, samples: Sequence[int] | None = None) -> Tensor:
        """Return the largest real part of the Jacobian's eigenvalues, in 1/s.

        Parameters
        ----------
        samples : sequence of int, optional
            Which samples; default all. Each costs O((k N)^3) up to k N = 512, and above some
            hundreds of products with W (Arnoldi iteration, on the CPU, no matrix).

        Returns
        -------
        Tensor, shape (number of samples,)
            Below 0: the fixed point is stable for the dynamics, time constants included.

        Raises
        ------
        InputError
            If there is no such sample, or its state is not finite.
        ConvergenceError
            If the Arnoldi iteration finds no eigenvalue.
        """
        if self.network.components:  # the eigenvalues are those of the components
            self.check_current()
            parts = [self.within(part) for part in self.network.components]
            return torch.stack([part.abscissa(samples) for part in parts]).amax(dim=0)
        found = [abscissa_at(self, sample) for sample in self._chosen(samples)]
        return self.residual.new_tensor(found)

    @computation()
    def spectral_radius(self, samples: Sequence[int] | None = None) -> Tensor:
        """Return the largest modulus of the eigenvalues of G W, G = diag(gain); dimensionless.

        G W is the Jacobian of the map y <- g(W y + x) in which all units go to the state that they
        settle at for the present input at once, g being that static response. For the model
        "rate" it is y <- f(W y + x), the step of a `torch.nn.RNN`.

        Parameters
        ----------
        samples : sequence of int, optional
            Which samples; default all. Each costs O(N^3) up to N = 512, and above some hundreds
            of products with W (Arnoldi iteration, on the CPU, no matrix).

        Returns
        -------
        Tensor, shape (number of samples,)
            Below 1: the fixed point is stable for the map. That differs from `abscissa`, which
            is about the dynamics in continuous time.

        Raises
        ------
        InputError
            If there is no such sample, or it has no gain.
        ConvergenceError
            If the Arnoldi iteration finds no eigenvalue.

        Examples
        --------
        Inhibition of itself by -2 is stable in continuous time and not as a map, whose steps
        overshoot.

        >>> import ratenet as rn
        >>> fp = rn.find_fixed_points(rn.Network("linear", [[-2.0]]), [1.0])
        >>> fp.abscissa(), fp.spectral_radius()
        (tensor([-300.], dtype=torch.float64), tensor([2.], dtype=torch.float64))
        """
        found = [spectral_radius_at(self, sample) for sample in self._chosen(samples)]
        return self.residual.new_tensor(found)

    @computation()
    def eigenvalues(self, sample: int) -> Tensor:
        """Return the eigenvalues of one sample's Jacobian, shape (k N,), in 1/s, rightmost first.

        Complex; those of `jacobian`, at O((k N)^3).

        Parameters
        ----------
        sample : int
            Its row.
        """
        return eigenvalues_at(self, sample)

    @computation()
    def jacobian(self, sample: int) -> Tensor:
        """Return J = blockdiag(F_s) + F_I W rho_s of one sample, shape (k N, k N), in 1/s.

        Parameters
        ----------
        sample : int
            Its row.
        """
        return jacobian_at(self, sample)

    def _chosen(self, samples: Sequence[int] | None) -> Sequence[int]:
        return range(len(self)) if samples is None else [int(sample) for sample in samples]
