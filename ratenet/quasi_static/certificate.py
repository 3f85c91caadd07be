"""The certificate of a state while its drive changes: how far it is from the joint fixed point.

A layer's residual compares it with where it would settle at its present input. In a stack that
input lags, too: five layers may each be within 9 % of their own fixed point, and the last one 43 %
from where all of them would settle together. So the fixed point of the whole network at the present
drive is solved for, bottom-up where layers settle one after another, and each population is
compared with its part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError, counted
from ratenet.fixed_points import FixedPoints, Status, find_fixed_points
from ratenet.fixed_points.certificate import check_solvable, unit_step
from ratenet.fixed_points.status import at_rest
from ratenet.network import Network
from ratenet.network.residual import relative_size
from ratenet.notebook import lines, table


@dataclass(frozen=True, eq=False)
class Standing:
    """Where some units stand, one entry per stimulus.

    Attributes
    ----------
    residual : Tensor, shape (B,)
        Largest Newton step of a unit at its present input, as in `FixedPoints.residual`.
    lag : Tensor, shape (B,)
        |y - y*| / |y*|, with y* the joint fixed point of the present drive; NaN where none was
        found.
    status : Tensor of int, shape (B,)
        Codes of `Status`: SETTLED where the lag is at most the tolerance, UNSETTLED where it is
        above; where no joint fixed point was found, why.

    Examples
    --------
    >>> import ratenet as rn
    >>> stack = rn.Stack(rn.FixedPointLayer(3, 4), rn.FixedPointLayer(4, 2))
    >>> network, drive = stack.network(), stack.drive(torch.ones(1, 3))
    >>> state = rn.find_fixed_points(network, drive).state
    >>> found = rn.certify_state(network, drive, state)
    >>> bool(found.whole.lag < 1e-4)
    True
    """

    residual: Tensor
    lag: Tensor
    status: Tensor

    @property
    def settled(self) -> Tensor:
        """Whether the units are settled, shape (B,)."""
        return at_rest(self.status)


@dataclass(frozen=True, eq=False)
class JointCertificate:
    """How far states are from the joint fixed point of their present drive.

    Attributes
    ----------
    whole : Standing
        All units together; settled means that every population is.
    populations : dict of str to Standing
        Each population, as the layers of a stack; empty where the network has none.
    fixed_points : FixedPoints
        The joint fixed point at the present drive.
    tol : float
        Largest relative lag of a settled state.

    Examples
    --------
    >>> import ratenet as rn
    >>> stack = rn.Stack(rn.FixedPointLayer(3, 4), rn.FixedPointLayer(4, 2))
    >>> network, drive = stack.network(), stack.drive(torch.ones(1, 3))
    >>> state = rn.find_fixed_points(network, drive).state
    >>> found = rn.certify_state(network, drive, state)
    >>> list(found.populations), found.whole.status  # 0: settled
    (['layer1', 'layer2'], tensor([0]))
    """

    whole: Standing
    populations: Mapping[str, Standing]
    fixed_points: FixedPoints
    tol: float

    @property
    def settled(self) -> Tensor:
        """Whether each stimulus is settled as a whole, shape (B,)."""
        return self.whole.settled

    def __repr__(self) -> str:
        return f"JointCertificate({self.summary().splitlines()[0]})"

    def _repr_html_(self) -> str:
        return table(repr(self), {"summary": lines(self.summary())})

    def summary(self) -> str:
        """Return how many stimuli are settled and the median lag; so for each population."""
        rows = {"all units": self.whole, **self.populations}
        return "\n".join(
            f"{name}: {int(row.settled.sum())} of {counted(len(row.lag), 'stimulus')} settled, lag "
            f"{_percent(row.lag)}, residual at most {_largest(row.residual)}"
            for name, row in rows.items()
        )


@computation()
@torch.no_grad()
def certify_state(
    network: Network,
    drive: Any,
    state: Any,
    *,
    tol: float = 1e-3,
    rest_tol: float | None = None,
    certificate: Literal["full", "residual"] = "full",
) -> JointCertificate:
    """Measure how far a state is from the joint fixed point of its present drive.

    Parameters
    ----------
    network : Network
        The network that the states belong to, for instance `Stack.network` of a stack.
    drive : array_like, shape (N,) or (B, N)
        The drive at the time of the state.
    state : mapping or array_like
        As for `Network.as_state`; for instance ``trajectory.final``.
    tol : float
        Largest relative lag of a settled population, dimensionless.
    rest_tol : float, optional
        Largest residual of the joint fixed point, as `tol` of `find_fixed_points`.
    certificate : {"full", "residual"}
        Whether the joint fixed point must be stable, as for `find_fixed_points`.

    Returns
    -------
    JointCertificate

    Raises
    ------
    InputError
        If shapes, units or tolerances do not fit.
    UnsupportedError
        If the equations depend on t.

    Notes
    -----
    The solver starts from the state itself, so that of several fixed points it finds the one that
    the state is near. `fixed_points_at` measures the residual alone, at the cost of one product.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])  # y* = 2 x
    >>> found = certify_state(network, [[1.0], [1.0]], [[2.0], [1.5]])
    >>> found.settled, found.whole.lag
    (tensor([ True, False]), tensor([0.0000, 0.2500], dtype=torch.float64))
    """
    if not isinstance(network, Network):
        raise InputError.at("network", got=network, expected="rn.Network(model, W)")
    check_solvable(network)
    if not (isinstance(tol, Real) and tol > 0):
        raise InputError.at("tol", got=tol, expected="a number above 0")
    drive = network.as_drive(drive)
    state = network.as_state(state, len(drive), finite=False)
    start = torch.where(torch.isfinite(state).all(dim=2, keepdim=True), state, 0.0)
    fp = find_fixed_points(
        network, drive, initial=start, tol=rest_tol, certificate=certificate, on_failure="return"
    )
    step = unit_step(network, state, drive).step
    distance = (network.output(state) - fp.rates).masked_fill(~fp.converged[:, None], torch.nan)

    def standing(units: slice) -> Standing:
        size = fp.rates[:, units].norm(dim=1).clamp(min=torch.finfo(fp.rates.dtype).tiny)
        lag = distance[:, units].norm(dim=1) / size
        status = torch.where(lag <= tol, int(Status.SETTLED), int(Status.UNSETTLED))
        return Standing(
            residual=relative_size(step[..., units], state[..., units]),
            lag=lag,
            status=torch.where(fp.converged, status, fp.status),
        )

    parts = {name: standing(units) for name, units in network.populations.items()}
    whole = standing(slice(None))
    if parts:
        settled = torch.stack([part.settled for part in parts.values()]).all(dim=0)
        status = torch.where(settled, int(Status.SETTLED), int(Status.UNSETTLED))
        whole = Standing(whole.residual, whole.lag, torch.where(fp.converged, status, fp.status))
    return JointCertificate(whole, parts, fp, float(tol))


def _percent(values: Tensor) -> str:
    known = values[values.isfinite()]
    return f"{100 * float(known.median()):.3g} %" if len(known) else "unknown"


def _largest(values: Tensor) -> str:
    return f"{float(values.max()):.2g}" if len(values) else "unknown"
