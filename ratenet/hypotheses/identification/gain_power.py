"""Which power of the gain a reparameterized rule has: a in its left factors (I - W G) G^a e.

The change of the weights is a sum over stimuli of left factors times whatever the presynaptic
factors are,

    dW = sum_b l_b(a) r_b^T,     l_b(a) = (I - W G_b) G_b^a e_b,     r_b free,

so that a is estimated without a choice of the right factors, in which the rules differ as well. The
rates at the stimulus c then change by (I - G_c W)^-1 G_c sum_b l_b(a) (r_b . y_c). In either case
the changes in a group (the synapses of a presynaptic unit; the rates at a stimulus) are a
combination of as many columns as there are stimuli, which is projected out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

from ratenet.connectivity.computation import shielded
from ratenet.errors import InputError, UnsupportedError
from ratenet.fixed_points import FixedPoints
from ratenet.hypotheses.held_out import covariance
from ratenet.hypotheses.identification.observation import Observation
from ratenet.hypotheses.identification.prediction import lesson
from ratenet.network import Network
from ratenet.notebook import table

MEMBERS = {
    "first-order-reparameterized": -1.0,
    "gain-free-reparameterized": 0.0,
    "linearized-reparameterized": 1.0,
}
MOST = 5.0  # the power is sought from -5 to 5
GRID = 41
STEP = 1e-4  # of the power, for derivatives
LEAST = 0.02  # half an interval: so much does a step that is not quite small move the power
FLAT = 1e-3  # relative spread of the gains below which their powers are the same
Columns = Callable[[float], np.ndarray]


@dataclass(frozen=True, eq=False)
class GainPower:
    """The power of the gain in the left factors of a reparameterized rule.

    Attributes
    ----------
    value, low, high : float
        The power a and its interval.
    rule : str or None
        The one of the three shipped rules whose power is in the interval; None if none or several
        are.
    explained : float
        Variance of the changes that left factors with this power explain, of 1, corrected for the
        right factors that were fitted.
    kind : {"weights", "rates"}
    measured : int
        Changes that were compared.
    level : float
        Probability that the interval holds the power.
    """

    value: float
    low: float
    high: float
    rule: str | None
    explained: float
    kind: str
    measured: int
    level: float

    def summary(self) -> str:
        """Return what was found in a sentence or two."""
        named = f"the rule is {self.rule}" if self.rule else "none of the three rules is named"
        return (
            f"Left factors (I - W G) G^a e with a = {self.value:.3g} [{self.low:.3g}, "
            f"{self.high:.3g}]: {named}. They explain {100 * self.explained:.1f} % of the variance "
            f"of {self.measured:,} changes of {self.kind}."
        )

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        interval = f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"
        return table(self.summary(), {"a": interval, "rule": str(self.rule)})


@shielded()
def gain_power(
    network: Network,
    drive: Any,
    observed: Observation,
    *,
    error: Any = None,
    target: Any = None,
    loss: Any = None,
    level: float = 0.95,
) -> GainPower:
    """Estimate the power of the gain in the left factors (I - W G) G^a e of a rule.

    The reparameterized rules are the members a = -1 (`FirstOrderReparameterized`), 0
    (`GainFreeReparameterized`) and 1 (`LinearizedReparameterized`) of this family. Nothing is
    assumed of the right factors, so the rule need not be one of the three.

    Parameters
    ----------
    network : Network
        Before learning.
    drive : array_like, shape (B, N)
        The stimuli that were learned from, fewer than the units that were observed.
    observed : Observation
        From `observe_weights` or `observe_rates`.
    error, target, loss : optional
        What was taught, as for `identify`.
    level : float
        Probability that the interval holds the power.

    Returns
    -------
    GainPower

    Raises
    ------
    InputError
        If nothing was taught, the measurements are not of this network, or there are too few of
        them for so many stimuli.
    UnsettledError
        If no stimulus has a fixed point.
    UnsupportedError
        If a stimulus has no fixed point, a gain is not above 0, or all gains are alike, which
        leaves the power open.

    Notes
    -----
    Least squares, with the right factors projected out for each presynaptic unit (of rates: for
    each stimulus). The interval is Student's, with what the synapses of a post- or a presynaptic
    neuron have in common allowed for (Cameron, Gelbach & Miller 2011). Assumed is one small step.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> from ratenet.hypotheses import gain_power, observe_weights
    >>> generator = torch.Generator().manual_seed(0)
    >>> W, drive = torch.randn(2, 20, 20, generator=generator, dtype=torch.float64)
    >>> network, drive = rn.Network("rate", 0.1 * W), drive[:5]
    >>> fp = rn.find_fixed_points(network, drive)
    >>> rule = rn.plasticity.GainFreeReparameterized()
    >>> after = 0.1 * W + rule.update(fp, fp.rates - 0.1, 0.001)
    >>> gain_power(network, drive, observe_weights(network, after), target=[0.1] * 20).rule
    'gain-free-reparameterized'
    """
    if isinstance(level, bool) or not isinstance(level, float) or not 0 < level < 1:
        raise InputError.at("level", got=level, expected="a number between 0 and 1")
    if not isinstance(observed, Observation):
        raise InputError.at("observed", got=observed, expected="the Observation of one animal")
    taught = lesson(network, drive, error=error, target=target, loss=loss)
    if taught.error is None:
        raise InputError("error: left factors need errors; give error=, target= or loss=.",
                         argument="error")  # fmt: skip
    fp = taught.fp
    _check_gains(fp)
    known = fp.network.connectivity.dense() if observed.kind == "weights" else fp.rates
    observed.check_shape(tuple(known.shape))
    observed.check_before(known.double().cpu().numpy())
    W, G, e = (each.detach().double().cpu().numpy()
               for each in (fp.network.connectivity.dense(), fp.gain, taught.error))  # fmt: skip
    groups = _groups(observed, W, G, e)
    return _estimated(observed, groups, level)


def _check_gains(fp: FixedPoints) -> None:
    """Refuse gains of which powers do not exist, or are the same up to a factor."""
    if not fp.converged.all():
        raise UnsupportedError(
            f"drive: {fp.unsettled} of {len(fp)} stimuli have no fixed point; leave out what was "
            "not learned from, or measure again."
        )
    if not (fp.gain > 0).all():
        raise UnsupportedError(
            "gain_power: powers of the gain need gains above 0, and a unit has one that is not; "
            "use identify with candidate rules."
        )
    if float(fp.gain.std() / fp.gain.mean()) < FLAT:
        raise UnsupportedError(
            "gain_power: all gains are alike, as in a linear network, so that every power makes "
            "the same change; use larger drives."
        )


def _groups(
    observed: Observation, W: np.ndarray, G: np.ndarray, e: np.ndarray
) -> list[tuple[np.ndarray, Columns]]:
    """Return for each presynaptic unit, or stimulus, its changes and the columns (n, B) of them."""

    def left(power: float) -> np.ndarray:
        q = G**power * e
        return (q - (G * q) @ W.T).T  # (N, B)

    def chosen(power: float, rows: np.ndarray) -> np.ndarray:
        return left(power)[rows]

    def responded(power: float, some: np.ndarray) -> np.ndarray:
        return some @ left(power)

    is_weights = observed.kind == "weights"
    group, member = observed.columns, observed.rows
    if not is_weights:
        group, member = member, group
    found: list[tuple[np.ndarray, Columns]] = []
    for each in np.unique(group):
        at = np.nonzero(group == each)[0]
        if len(at) <= len(e):  # as many right factors as changes: nothing is left
            continue
        if is_weights:
            found.append((at, partial(chosen, rows=member[at])))
            continue
        respond = np.linalg.solve(np.eye(len(W)) - G[each][:, None] * W, np.diag(G[each]))
        found.append((at, partial(responded, some=respond[member[at]])))
    if not found:
        what = "synapses of a presynaptic unit" if is_weights else "units at a stimulus"
        raise InputError.at(
            "observed",
            found=f"at most {max(np.bincount(group))} {what}",
            expected=f"more than the {len(e)} stimuli, which is how many right factors are fitted",
            remedy="measure more, or let the network learn from fewer stimuli",
        )
    return found


def _estimated(
    observed: Observation, groups: list[tuple[np.ndarray, Columns]], level: float
) -> GainPower:
    used = np.concatenate([at for at, _ in groups])
    scale = np.ones(len(observed.changes))
    if isinstance(observed.noise, np.ndarray):
        scale = observed.noise / np.sqrt(np.mean(observed.noise**2))
    changes = observed.changes / scale
    weighed = [(changes[at], lambda a, at=at, own=own: own(a) / scale[at, None])
               for at, own in groups]  # fmt: skip

    def squares(power: float) -> float:
        return sum(float(np.sum(_off(own(power), d) ** 2)) for d, own in weighed)

    powers = np.linspace(-MOST, MOST, GRID)
    best = powers[np.argmin([squares(power) for power in powers])]
    width = 2 * MOST / (GRID - 1)
    ends = (max(best - width, -MOST), min(best + width, MOST))
    value = float(
        minimize_scalar(squares, bounds=ends, method="bounded", options={"xatol": 1e-9}).x
    )
    residual, slope = (np.concatenate(each) for each in zip(
        *(_linearized(own, value, d) for d, own in weighed), strict=True))  # fmt: skip
    free = len(used) - sum(own(value).shape[1] for _, own in weighed)
    axes = (observed.rows[used], observed.columns[used])
    influence = slope * residual / max(float(slope @ slope), 1e-300)
    spread = float(np.sqrt(covariance(influence[None], axes)[0, 0] * len(used) / free))
    freedom = max(min(len(np.unique(axis)) for axis in axes) - 1, 1)
    reach = max(spread * float(stdtrit(freedom, (1 + level) / 2)), LEAST)
    # At an end of what was searched the best power may be further out.
    low = -np.inf if value < width - MOST else value - reach
    high = np.inf if value > MOST - width else value + reach
    held = [name for name, power in MEMBERS.items() if low <= power <= high]
    left = float(residual @ residual) / free * len(used)
    return GainPower(
        value, low, high, held[0] if len(held) == 1 else None,
        1 - left / float(changes[used] @ changes[used]), observed.kind, len(used), level,
    )  # fmt: skip


def _linearized(own: Columns, power: float, changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals and their slope by the power, with right factors that follow along."""
    columns = own(power)
    right = np.linalg.lstsq(columns, changes, rcond=1e-10)[0]
    moved = (own(power + STEP) - own(power - STEP)) @ right / (2 * STEP)
    return _off(columns, changes), _off(columns, moved)


def _off(columns: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Return what least squares with some columns leave of changes."""
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, sizes > 1e-10 * sizes[0]]
    return changes - basis @ (basis.T @ changes)
