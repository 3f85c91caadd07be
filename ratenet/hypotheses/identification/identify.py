"""Which plasticity rule made the changes of weights, or of rates, that were measured."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity.computation import shielded
from ratenet.errors import InputError, RatenetError
from ratenet.hypotheses.chance import BLOCK, draws_needed
from ratenet.hypotheses.evidence import Candidates, Identification, weigh
from ratenet.hypotheses.identification.animals import GroupIdentification, over_animals
from ratenet.hypotheses.identification.observation import Observation, Observations, of_animal
from ratenet.hypotheses.identification.observe import Networks, one_network
from ratenet.hypotheses.identification.prediction import (
    ROWS,
    Lesson,
    Rules,
    lesson,
    named_rules,
    predict_rates,
    predict_weights,
)
from ratenet.validation import check_seed


@overload
def identify(
    network: Networks,
    drive: Any,
    observed: Observation,
    rules: Rules,
    *,
    error: Any = ...,
    target: Any = ...,
    loss: Any = ...,
    level: float = ...,
    seed: int = ...,
) -> Identification: ...
@overload
def identify(
    network: Networks,
    drive: Any,
    observed: Sequence[Observation],
    rules: Rules,
    *,
    error: Any = ...,
    target: Any = ...,
    loss: Any = ...,
    level: float = ...,
    seed: int = ...,
) -> GroupIdentification: ...
@shielded()
def identify(
    network: Networks,
    drive: Any,
    observed: Observation | Sequence[Observation],
    rules: Rules,
    *,
    error: Any = None,
    target: Any = None,
    loss: Any = None,
    level: float = 0.05,
    seed: int = 0,
) -> Identification | GroupIdentification:
    """Say which of some rules made the changes that were measured, and how surely.

    Parameters
    ----------
    network : Network
        Before learning.
    drive : array_like, shape (B, N)
        The stimuli that were learned from.
    observed : Observation, or sequence of Observation
        From `observe_weights` or `observe_rates`; several are animals and sessions. Network, drive,
        error, target and loss are then the same for all, or mappings of animals, or of (animal,
        session), to what is theirs.
    rules : sequence of str, AbstractRule or mapping; or mapping of names to rules
        The candidates.
    error : array_like, shape (B, N), optional
        dL/dy of each stimulus at its fixed point before learning.
    target : array_like, shape (B, N), optional
        In place of the error: rates that were taught, with L = |y - target|^2 / 2.
    loss : callable, optional
        From rates (B, N) to each sample's loss (B,), in torch; alone it gives the error too.
    level : float
        Largest probability of naming a rule where there was none.
    seed : int
        Seed of the folds and of what is drawn at random.

    Returns
    -------
    Identification or GroupIdentification
        The latter of several observations.

    Raises
    ------
    InputError
        If shapes, units or names do not fit, the measurements before are not of this network, or
        several observations are of fewer than two animals.
    UnsettledError
        If no stimulus has a fixed point.
    UnsupportedError, SingularError
        If a rule is not defined for this network.

    Notes
    -----
    Predicted is one small step from the network before. Rates are compared to first order. The
    posterior has equal priors of all rules, of random changes and of a drift (an offset, all
    weights scaled and, for rates, a gain that changes, in any mixture), and likelihoods on
    held-out neurons, the mean over many splits. The confidence is at most the share of draws that
    a rule wins, in which neurons are resampled. Chance is the changes shuffled, the changes with
    random signs, predictions with neurons that changed places and, for rates, random changes of
    all weights; p-values are those of the chance that does best, times the number of rules. With
    the noise given, no rule is named that does not fit; without it the fit is untested, and a rule
    that is not among the candidates may be mistaken for one that it resembles.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> from ratenet.hypotheses import identify, observe_weights
    >>> generator = torch.Generator().manual_seed(0)
    >>> W, drive = torch.randn(2, 20, 20, generator=generator, dtype=torch.float64)
    >>> network = rn.Network("rate", 0.1 * W)
    >>> fp = rn.find_fixed_points(network, drive)
    >>> after = 0.1 * W + rn.plasticity.Euclidean().update(fp, fp.rates - 0.1, 0.01)
    >>> observed = observe_weights(network, after)
    >>> identify(network, drive, observed, ["euclidean", "hebb", "oja"], target=[0.1] * 20).rule
    'euclidean'
    """
    check_level(level)
    check_seed(seed)
    candidates_by_name = named_rules(rules)
    if not isinstance(observed, Observation):
        given = {"error": error, "target": target, "loss": loss}
        ask = _asking(network, drive, candidates_by_name, given, level, seed)
        return over_animals(_several(observed), ask, level, seed)
    own = partial(of_animal, animal=observed.animal, session=observed.session)
    taught = lesson(
        one_network(own(network, where="network")),
        own(drive, where="drive"),
        error=own(error, where="error"),
        target=own(target, where="target"),
        loss=own(loss, where="loss"),
    )
    fp = taught.fp
    known = fp.network.connectivity.dense() if observed.kind == "weights" else fp.rates
    observed.check_shape(tuple(known.shape))
    if observed.kind == "rates":
        observed = observed.select(fp.converged.cpu().numpy()[observed.rows])
    observed.check_before(known.double().cpu().numpy())
    changes = predict_weights(taught, candidates_by_name)
    names = tuple(candidates_by_name)
    candidates = candidates_for(taught, names, changes, observed, level, seed)
    return weigh(candidates, observed.changes, observed.noise, level, seed)


def _asking(
    network: Networks, drive: Any, rules: Rules, given: dict[str, Any], level: float, seed: int
) -> Callable[[Observation], Identification]:
    """Return what identifies the rule of one animal in one session."""

    def ask(each: Observation) -> Identification:
        try:
            return identify(network, drive, each, rules, level=level, seed=seed, **given)
        except RatenetError as error:
            raise error.within(each.place) from None

    return ask


def _several(observed: Any) -> Observations:
    if isinstance(observed, Observations):
        return observed
    if not isinstance(observed, Sequence) or isinstance(observed, str):
        raise InputError.at(
            "observed", got=observed, expected="what observe_weights or observe_rates returns"
        )
    return Observations(tuple(observed))


def candidates_for(
    taught: Lesson,
    names: tuple[str, ...],
    changes: Tensor,
    observed: Observation,
    level: float,
    seed: int,
) -> Candidates:
    """Return the predictions for what was measured, from changes of all weights (K, N, N)."""
    rows, columns = observed.rows, observed.columns
    fp, W = taught.fp, taught.fp.network.connectivity.dense()
    is_weights = observed.kind == "weights"
    # Weights scaled or decayed; so they seem, too, where large ones were measured too large.
    every = torch.cat([changes, W[None].to(changes)])
    *predicted, scaled = (every if is_weights else predict_rates(fp, every)).double().cpu().numpy()
    whole = np.stack(predicted)
    predictions = whole[:, rows, columns]
    drift = [np.ones(len(rows)), scaled[rows, columns]]
    if not is_weights:
        drift.append(observed.before)  # a gain that drifts
    (post, row), (pre, column) = (np.unique(each, return_inverse=True) for each in (rows, columns))
    return Candidates(
        kind=observed.kind,
        names=names,
        predictions=predictions,
        groups=columns,
        chance=None
        if is_weights
        else _random_weight_changes(taught, predictions, observed, level, seed),
        unsettled=fp.unsettled,
        whole=whole[:, post[:, None], pre],
        places=(row, column),
        drift=np.stack(drift),
    )


def _random_weight_changes(
    taught: Lesson, predictions: np.ndarray, observed: Observation, level: float, seed: int
) -> np.ndarray:
    """Return alignments (draws, K) of the rate changes that random changes of all weights make.

    These are alike for units and stimuli that are alike, so they align with a prediction more
    easily than changes of each rate by itself.
    """
    fp, draws = taught.fp, draws_needed(len(predictions), level)
    length = np.linalg.norm(predictions, axis=1)
    unit = predictions / np.where(length > 0, length, 1.0)[:, None]
    generator = torch.Generator().manual_seed(seed)
    some, found = max(1, min(ROWS // len(fp), BLOCK // fp.network.units**2)), []
    for begin in range(0, draws, some):
        shape = (min(some, draws - begin), fp.network.units, fp.network.units)
        normal = torch.randn(shape, generator=generator, dtype=torch.float64).to(fp.rates)
        made = predict_rates(fp, normal).double().cpu().numpy()
        made = made[:, observed.rows, observed.columns]
        found.append(made @ unit.T / np.linalg.norm(made, axis=1, keepdims=True))
    return np.concatenate(found)


def check_level(level: float) -> None:
    """Refuse a level that is not a probability below a half."""
    if not isinstance(level, Real) or not 0.001 <= level <= 0.5:
        raise InputError.at("level", got=level, expected="a number from 0.001 to 0.5")
