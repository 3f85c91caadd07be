"""Rates that were observed, as a least-squares problem in the coefficients.

The learning is simulated: at each row the rates are the fixed point for the row's drive, then all
weights advance by the family. Derivatives pass through the fixed points by the implicit function
theorem, not through settling,

    dy = (I - G W)^-1 G dW y        for all parameters at once; what the adjoint is the transpose of

with one solve of N equations a row. Start weights that are not known are parameters with a Gaussian
prior, and are projected out. Unobserved units are simulated like all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity import Masked
from ratenet.errors import InputError
from ratenet.fixed_points import Anderson, find_fixed_points
from ratenet.hypotheses.inference.families import Family
from ratenet.hypotheses.inference.learning import Learner
from ratenet.hypotheses.inference.recording import Recording
from ratenet.hypotheses.inference.tables import (
    FAR,
    AbstractProblem,
    Fitted,
    Places,
    Table,
    animals_of,
    block_of,
)
from ratenet.network import Network

MOST_UNKNOWN = 3000  # start weights, whose derivatives are (N^2, unknown) numbers
PRECISE = 0.01  # noise of rates over their spread, where it is not known
MOST_ITERATIONS = 200  # of a fixed point
PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class _Session:
    """One recording, with what is known of its network at the start.

    Attributes
    ----------
    network : Network
    time : ndarray, shape (T,)
    drive, rates : Tensor, shape (T, N)
        NaN where a rate was not observed.
    signals : dict of str to Tensor
    weights : Tensor, shape (N * N,)
        At the start; 0 where unknown.
    unknown : Tensor of int
        Which of them are not known.
    present : Tensor, shape (N * N,)
        1 where there is a synapse, else 0.
    ridge : float
        Variance of the noise over that of an unknown weight.
    """

    network: Network
    time: np.ndarray
    drive: Tensor
    rates: Tensor
    signals: dict[str, Tensor]
    weights: Tensor
    unknown: Tensor
    present: Tensor
    ridge: float


class ActivityProblem(AbstractProblem):
    """Residuals of observed rates, and their derivatives by the coefficients.

    Parameters
    ----------
    recordings : sequence of Recording
    family : Family
    network : Network
        Its model and parameters; its weights are those at the start, unless the first row of a
        recording holds weights.
    knows_start : bool
        Whether the network's weights are known; else those that were not observed are fitted.
    """

    def __init__(
        self, recordings: Sequence[Recording], family: Family, network: Network, knows_start: bool
    ) -> None:
        self.family, self.is_forced = family, False
        self._sessions = [_session(each, family, network, knows_start) for each in recordings]
        animals = enumerate(animals_of(recordings))
        self.places = Places.joined([_places(self._sessions[i], i, n) for i, n in animals])
        self.nuisance = sum(len(each.unknown) for each in self._sessions)
        self.most_units = max(each.network.units for each in self._sessions)

    def eased(self) -> "ActivityProblem":
        """Return a problem nearby that can be fitted from afar: units hear the observed rates.

        What rates do to the weights, and these to the rates, makes the fit from afar hopeless. Here
        plasticity and recurrent input follow from observed rates, those before learning where none
        was observed, so that the input of each unit is nearly linear in the coefficients.
        """
        return self._changed(is_forced=True)

    def pairs(self) -> np.ndarray:
        """Return y_post, y_pre and w at the start, of at most some thousands."""
        found = []
        for each in self._sessions:
            N = each.network.units
            y = torch.nan_to_num(each.rates)
            post, pre = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
            w = each.weights.expand(len(y), -1)
            found.append(torch.stack([y[:, post.ravel()], y[:, pre.ravel()], w], -1).flatten(0, 1))
        every = torch.cat(found).numpy()
        return every[:: max(1, len(every) // PAIRS)]

    def mean_units(self, theta: np.ndarray) -> dict[str, float]:
        """Return 0 for each variable of units, as at the start."""
        return dict.fromkeys(self.family.units, 0.0)

    def start(self) -> list[Tensor]:
        """Return the unknown start weights of each recording: 0."""
        return [torch.zeros(len(each.unknown), dtype=torch.float64) for each in self._sessions]

    @torch.no_grad()
    def at(self, theta: np.ndarray, others: list[Tensor]) -> Fitted:
        """Return residuals and derivatives for coefficients and unknown start weights."""
        pairs = zip(self._sessions, others, strict=True)
        parts = [self._projected(each, torch.as_tensor(theta), w) for each, w in pairs]
        residual, slopes, change = (
            np.concatenate([getattr(each, name) for each in parts])
            for name in ("residual", "slopes", "change")
        )

        def later(step: np.ndarray) -> list[Tensor]:
            return [w + p.move - p.along @ torch.as_tensor(step)
                    for w, p in zip(others, parts, strict=True)]  # fmt: skip

        table = Table(residual, slopes, change, self.places)
        return Fitted(np.asarray(theta, dtype=float), table, later)

    def _projected(self, session: _Session, theta: Tensor, start: Tensor) -> "_Projected":
        """Return what is left of one recording when the unknown start weights follow along."""
        K = len(theta)
        weights = session.weights.index_put((session.unknown,), start)
        still, _ = _rest(session, weights, session.drive)
        rates, slopes = self._simulated(session, theta, weights, still)
        seen = ~torch.isnan(session.rates)
        residual, J = (session.rates - rates)[seen], slopes[seen]
        change = (session.rates - still)[seen]
        own, other = J[:, :K], J[:, K:]
        ridge = session.ridge * torch.eye(other.shape[1], dtype=torch.float64)
        right = torch.cat([other.T @ own, (other.T @ residual - session.ridge * start)[:, None]], 1)
        solved = torch.linalg.solve(other.T @ other + ridge, right)
        along, move = solved[:, :K], solved[:, K]
        left = residual - other @ move
        return _Projected(left.numpy(), (own - other @ along).numpy(), change.numpy(), move, along)

    def _simulated(
        self, session: _Session, theta: Tensor, weights: Tensor, still: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return rates (T, N) and derivatives (T, N, P) by coefficients and start weights."""
        N, K, size = session.network.units, len(theta), len(theta) + len(session.unknown)
        post, pre = torch.arange(N).repeat_interleave(N), torch.arange(N).repeat(N)
        learner, name = Learner(self.family, post, pre, size), self.family.weight
        tangent = torch.zeros(N * N, size, dtype=torch.float64)
        tangent[session.unknown, torch.arange(K, size)] = 1
        synapses, units = learner.synapses_at_start(weights, tangent), learner.units_at_start(N)
        values = learner.values(theta)
        rates = torch.full_like(session.rates, torch.nan)
        slopes = torch.zeros(*rates.shape, size, dtype=torch.float64)
        shown = torch.where(torch.isnan(session.rates), still, session.rates)
        for row, dt in enumerate([*np.diff(session.time), 0.0]):
            W, dW = synapses[name][0].view(N, N), synapses[name][1].view(N, N, size)
            if self.is_forced:
                y, dy = shown[row], None
                rates[row], slopes[row] = W @ y, torch.einsum("ijp,j->ip", dW, y)
            else:
                y, dy = _moved(session, row, W, dW)
                rates[row], slopes[row] = y, dy
            if not torch.isfinite(rates[row]).all():  # refused, whatever comes after
                break
            signals = {each: value[row] for each, value in session.signals.items()}
            synapses, units = learner.advance(synapses, units, y, dy, values, signals, float(dt))
            value, tangent = synapses[name]
            there = session.present
            synapses = synapses | {name: (value * there, tangent * there[:, None])}
        return _responses(session, rates, slopes) if self.is_forced else (rates, slopes)


@dataclass(frozen=True, eq=False)
class _Projected:
    residual: np.ndarray
    slopes: np.ndarray
    change: np.ndarray
    move: Tensor  # (unknown,), of the start weights at these coefficients
    along: Tensor  # (unknown, K)


def _moved(session: _Session, row: int, W: Tensor, dW: Tensor) -> tuple[Tensor, Tensor]:
    """Return rates (N,) at the fixed point of a row, and their derivatives (N, P)."""
    y, gain = _rest(session, W, session.drive[row : row + 1])
    push = gain[0][:, None] * torch.einsum("ijp,j->ip", dW, y[0])
    matrix = torch.eye(len(W), dtype=torch.float64) - gain[0][:, None] * W
    return y[0], torch.linalg.solve(matrix, push)


def _responses(session: _Session, inputs: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Return rates (T, N) for recurrent inputs, and their derivatives: units by themselves."""
    if not torch.isfinite(inputs).all():
        return torch.full_like(inputs, torch.nan), slopes
    N = session.network.units
    rates, gain = _rest(session, inputs.new_zeros(N * N), session.drive + inputs)
    return rates, gain[:, :, None] * slopes


def _rest(session: _Session, weights: Tensor, drive: Tensor) -> tuple[Tensor, Tensor]:
    """Return rates and gains at the fixed points reached from rest; NaN where there is none."""
    network = session.network.changed(W=weights.view(session.network.units, -1).clone())
    fp = find_fixed_points(
        network,
        drive,
        certificate="residual",
        on_failure="return",
        max_iterations=MOST_ITERATIONS,
        solver=Anderson(),
    )
    lost = ~fp.converged
    return fp.rates.masked_fill(lost[:, None], torch.nan), fp.gain


def _session(recording: Recording, family: Family, network: Network, knows_start: bool) -> _Session:
    N = network.units
    if recording.drive is None or np.isnan(recording.drive).any():
        raise InputError.at(
            "drive",
            found="no drive" if recording.drive is None else "NaN",
            expected="the drive of all units at all times, since rates are simulated",
        )
    if recording.units != N:
        raise InputError.at("network", got=N, expected=f"the recording's {recording.units} units")
    signals = {name: np.asarray(each) for name, each in recording.signals.items()}
    for name in family.signals:
        if name not in signals or np.isnan(signals[name]).any():
            raise InputError.at(
                "signals",
                got=sorted(signals),
                expected=f"{name} at all times, which the family {family.name!r} needs",
            )
    weights = network.connectivity.dense().detach().double().cpu().numpy().copy()
    known = np.full((N, N), knows_start)
    if recording.weights is not None:
        first = recording.weights[0]
        weights = np.where(np.isnan(first), weights, first)
        known |= ~np.isnan(first)
    present = np.ones((N, N))
    if isinstance(network.connectivity, Masked):
        present = network.connectivity.pattern().double().cpu().numpy()
    unknown = np.nonzero((~known & (present > 0)).ravel())[0]
    if len(unknown) > MOST_UNKNOWN:
        raise InputError.at(
            "network",
            found=f"{len(unknown):,} unknown weights",
            expected=f"at most {MOST_UNKNOWN:,} weights unknown at the start",
            remedy="give network= with the weights before learning",
        )
    noise = recording.noise.get("rates")
    spread = float(np.nanstd(recording.rates))
    sd = PRECISE * spread if noise is None else float(np.sqrt(np.mean(np.square(noise))))
    return _Session(
        network, recording.time, torch.as_tensor(recording.drive), torch.as_tensor(recording.rates),
        {n: torch.as_tensor(v) for n, v in signals.items() if not np.isnan(v).any()},
        torch.as_tensor(np.where(known, weights, 0.0).ravel()), torch.as_tensor(unknown),
        torch.as_tensor(present.ravel()), max(sd, 1e-9) ** 2 * N,
    )  # fmt: skip


def _places(session: _Session, index: int, animal: int) -> Places:
    rows, units = (each.numpy() for each in torch.nonzero(~torch.isnan(session.rates)).T)
    block = block_of(rows, len(session.rates)) + index * FAR
    return Places(np.full(len(rows), animal), units + index * FAR, block, fold=block, row=rows)
