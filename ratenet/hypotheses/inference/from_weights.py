"""Weights that were observed, as a least-squares problem in the coefficients.

Each synapse is simulated from a start of its own, with the rates that were observed, and compared
with its weights wherever those are known:

    w_obs(t) - w(t; theta, w_0) = measurement error

Measured weights are only compared, never put into the equations, so that their errors do not
flatten the dependence on w. Where a rate is missing the synapse starts anew: what happened
meanwhile is not known. The starts w_0 are projected out, group by group.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError
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

PAIRS = 20_000  # of rates and weights that a picture shows


@dataclass(frozen=True, eq=False)
class _Session:
    """One recording's synapses that were seen at least twice, between known rates.

    Attributes
    ----------
    steps : ndarray, shape (T - 1,)
        Seconds from each row to the next.
    rates : Tensor, shape (T, N)
        Missing ones are the unit's mean.
    signals : dict of str to Tensor, shape (T,) or (T, N)
    post, pre : Tensor of int, shape (S,)
    group : Tensor of int, shape (T, S)
        To which start each synapse belongs at each row; -1 where none is compared.
    begins : tuple of Tensor of int
        At each row, the synapses that start there.
    rows, columns : ndarray of int, shape (M,)
        Row and synapse of each weight that is compared.
    weights : Tensor, shape (M,)
    """

    steps: np.ndarray
    rates: Tensor
    signals: dict[str, Tensor]
    post: Tensor
    pre: Tensor
    group: Tensor
    begins: tuple[Tensor, ...]
    rows: np.ndarray
    columns: np.ndarray
    weights: Tensor


class WeightsProblem(AbstractProblem):
    """Residuals of observed weights, and their derivatives by the coefficients.

    Parameters
    ----------
    recordings : sequence of Recording
    family : Family
    """

    def __init__(self, recordings: Sequence[Recording], family: Family) -> None:
        self.family = family
        self._sessions: list[_Session] = []
        places, groups = [], 0
        for index, animal in enumerate(animals_of(recordings)):
            session, groups = _session(recordings[index], family, groups)
            self._sessions.append(session)
            places.append(_places(session, index, animal))
        self.places = Places.joined(places)
        self.nuisance = groups
        self.most_units = max(each.rates.shape[1] for each in self._sessions)
        self._first = self._first_weights()

    def __len__(self) -> int:
        return sum(len(each.rows) for each in self._sessions)

    def with_noisy_rates(
        self, extra: Sequence[np.ndarray], rng: np.random.Generator
    ) -> "WeightsProblem":
        """Return the same with more noise in the rates, of some sd for each recording."""
        noisy = [
            replace(
                each, rates=each.rates + torch.as_tensor(sd * rng.normal(size=each.rates.shape))
            )
            for each, sd in zip(self._sessions, extra, strict=True)
        ]
        return self._changed(_sessions=noisy)

    def pairs(self) -> np.ndarray:
        """Return y_post, y_pre and w where weights are compared, of at most some thousands."""
        found = []
        for each in self._sessions:
            rows, at = torch.from_numpy(each.rows), torch.from_numpy(each.columns)
            post, pre = each.rates[rows, each.post[at]], each.rates[rows, each.pre[at]]
            found.append(torch.stack([post, pre, each.weights], dim=1))
        every = torch.cat(found).numpy()
        return every[:: max(1, len(every) // PAIRS)]

    @torch.no_grad()
    def mean_units(self, theta: np.ndarray) -> dict[str, float]:
        """Return the mean over rows and units of each variable of units, in the first recording."""
        session, none = self._sessions[0], torch.zeros(0, dtype=torch.long)
        learner = Learner(self.family, none, none, len(theta))
        units = learner.units_at_start(session.rates.shape[1])
        synapses = learner.synapses_at_start(
            torch.zeros(0).double(), torch.zeros(0, len(theta)).double()
        )
        total = dict.fromkeys(units, 0.0)
        for row, dt in enumerate(session.steps if units else ()):
            signals = {n: signal[row] for n, signal in session.signals.items()}
            synapses, units = learner.advance(
                synapses, units, session.rates[row], None, learner.values(torch.as_tensor(theta)),
                signals, float(dt),
            )  # fmt: skip
            total = {
                n: total[n] + float(value.mean()) / len(session.steps)
                for n, (value, _) in units.items()
            }
        return total

    def start(self) -> Tensor:
        """Return the starts of all groups: the first weight that was seen of each."""
        return self._first

    @torch.no_grad()
    def at(self, theta: np.ndarray, starts: Tensor) -> Fitted:
        """Return residuals and derivatives for coefficients and starts."""
        parts = [self._of_session(each, torch.as_tensor(theta), starts) for each in self._sessions]
        residual, slopes, own, group, change = (
            torch.cat(each) for each in zip(*parts, strict=True)
        )
        products = torch.cat([slopes, residual[:, None], change[:, None]], dim=1) * own[:, None]
        sums = slopes.new_zeros(self.nuisance, products.shape[1]).index_add_(0, group, products)
        size = slopes.new_zeros(self.nuisance).index_add_(0, group, own**2).clamp(min=1e-300)
        along = sums / size[:, None]
        K = len(theta)
        table = Table(
            (residual - own * along[group, K]).numpy(),
            (slopes - own[:, None] * along[group, :K]).numpy(),
            (change - own * along[group, K + 1]).numpy(),
            self.places,
        )

        def later(step: np.ndarray) -> Tensor:
            return starts + along[:, K] - along[:, :K] @ torch.as_tensor(step)

        return Fitted(np.asarray(theta, dtype=float), table, later)

    def _of_session(self, session: _Session, theta: Tensor, starts: Tensor) -> tuple[Tensor, ...]:
        K = len(theta)
        learner = Learner(self.family, session.post, session.pre, K + 1)
        values = learner.values(theta)
        S, T = len(session.post), len(session.rates)
        fresh = torch.zeros(S, K + 1, dtype=torch.float64)
        fresh[:, K] = 1
        weights = _starts_of(session.group[0], starts, torch.zeros(S, dtype=torch.float64))
        synapses = learner.synapses_at_start(weights, fresh)
        units = learner.units_at_start(session.rates.shape[1])
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        ends = np.searchsorted(session.rows, np.arange(T + 1))
        name = self.family.weight
        for row in range(T):
            new = session.begins[row]
            if row and len(new):
                synapses = {n: (v.clone(), d.clone()) for n, (v, d) in synapses.items()}
                for value, tangent in synapses.values():
                    value[new], tangent[new] = 0.0, 0.0
                value, tangent = synapses[name]
                value[new] = _starts_of(session.group[row, new], starts, value[new])
                tangent[new] = fresh[new]
            seen = slice(ends[row], ends[row + 1])
            at = torch.from_numpy(session.columns[seen])
            value, tangent = synapses[name]
            found.append((session.weights[seen] - value[at], tangent[at], session.group[row, at]))
            if row < T - 1:
                signals = {n: signal[row] for n, signal in session.signals.items()}
                synapses, units = learner.advance(
                    synapses, units, session.rates[row], None, values, signals,
                    float(session.steps[row]),
                )  # fmt: skip
        residual, tangent, group = (torch.cat(each) for each in zip(*found, strict=True))
        change = session.weights - self._first[group]
        return residual, tangent[:, :K], tangent[:, K], group, change

    def _first_weights(self) -> Tensor:
        first = torch.zeros(self.nuisance, dtype=torch.float64)
        for session in self._sessions:
            group = session.group[torch.from_numpy(session.rows), torch.from_numpy(session.columns)]
            # Backwards, so that the first one of each group is what stays.
            first[group.flip(0)] = session.weights.flip(0)
        return first


def _starts_of(group: Tensor, starts: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(group >= 0, starts[group.clamp(min=0)], otherwise)


def _session(recording: Recording, family: Family, groups: int) -> tuple[_Session, int]:
    """Return what of a recording is compared, its groups numbered from `groups`."""
    time, rates, W = (np.asarray(each, dtype=float) for each in
                      (recording.time, recording.rates, recording.weights))  # fmt: skip
    signals = {name: np.asarray(each, dtype=float) for name, each in recording.signals.items()}
    missing = [name for name in family.signals if name not in signals]
    if missing:
        raise InputError.at(
            "signals",
            got=sorted(signals),
            expected=f"{', '.join(missing)}, which the family {family.name!r} needs",
        )
    known = _known(rates, [signals[name] for name in family.signals])  # (T, N)
    complete = {n: v for n, v in signals.items() if n in family.signals or not np.isnan(v).any()}
    T = len(time)
    post, pre = np.nonzero((~np.isnan(W)).sum(axis=0) >= 2)
    both = known[:, post] & known[:, pre]  # (T, S)
    part = np.zeros((T, len(post)), dtype=np.int64)
    part[1:] = np.cumsum(~both[:-1], axis=0)
    rows, columns = np.nonzero(~np.isnan(W[:, post, pre]))
    key = columns * T + part[rows, columns]
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    kept = counts[inverse] >= 2  # a group that was seen once says nothing
    rows, columns, key = rows[kept], columns[kept], key[kept]
    unique, inverse = np.unique(key, return_inverse=True)
    group = np.full((T, len(post)), -1, dtype=np.int64)
    whole = np.arange(len(post)) * T + part
    place = np.searchsorted(unique, whole).clip(max=max(len(unique) - 1, 0))
    if len(unique):
        group = np.where(unique[place] == whole, place + groups, -1)
    starts = np.vstack([np.zeros((1, len(post)), dtype=bool), part[1:] != part[:-1]])
    mean = np.nan_to_num(np.nanmean(np.where(known.any(axis=0), rates, 0.0), axis=0))
    session = _Session(
        np.diff(time),
        torch.from_numpy(np.where(np.isnan(rates), mean, rates)),
        {name: torch.from_numpy(np.nan_to_num(value)) for name, value in complete.items()},
        torch.from_numpy(post),
        torch.from_numpy(pre),
        torch.from_numpy(group),
        tuple(torch.from_numpy(np.nonzero(each)[0]) for each in starts),
        rows,
        columns,
        torch.from_numpy(W[rows, post[columns], pre[columns]]),
    )
    return session, groups + len(unique)


def _known(rates: np.ndarray, signals: Sequence[np.ndarray]) -> np.ndarray:
    """Return at which rows all that a unit brings to the rule is known, (T, N)."""
    known = ~np.isnan(rates)
    for value in signals:
        there = ~np.isnan(value)
        known = known & (there[:, None] if there.ndim == 1 else there)
    return known


def _places(session: _Session, index: int, animal: int) -> Places:
    T, N = session.rates.shape
    far = index * FAR
    post, pre = session.post.numpy()[session.columns], session.pre.numpy()[session.columns]
    return Places(
        animal=np.full(len(post), animal),
        synapse=post * N + pre + far,
        block=block_of(session.rows, T) + far,
        fold=post + far,
        row=session.rows,
    )
