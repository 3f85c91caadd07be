"""infer: the coefficients of a family of rules, from what was recorded while a network learned."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ratenet.connectivity.computation import computation
from ratenet.equations import plasticity_names
from ratenet.errors import DivergenceError, InputError, UnknownNameError, UnsettledError, counted
from ratenet.hypotheses.inference.analysis import Fits, analysed
from ratenet.hypotheses.inference.families import Family, read_family
from ratenet.hypotheses.inference.from_activity import ActivityProblem
from ratenet.hypotheses.inference.from_weights import WeightsProblem
from ratenet.hypotheses.inference.recording import Recording
from ratenet.hypotheses.inference.results import Inferred
from ratenet.hypotheses.inference.tables import AbstractProblem, Fitted, fit
from ratenet.network import Network
from ratenet.validation import check_seed, check_whole

EXTRA = (0.5, 1.0, 1.5, 2.0)  # variances of noise that is added, over that of the rates
REPEATS = 5  # of each
DEGREE = 2  # of the polynomial in the variance
HELD = 0.8  # of the time; the rest says when to stop
WORSE = 4.0  # squares held out, over those of the fit from which simulated learning began
TAKEN = (
    "Plasticity and recurrent input were taken from the observed rates, since learning that is "
    "simulated does not follow these data; unobserved rates are those before learning."
)
BIASED = "With rates that were not observed the estimate is then biased."
RANDOM = 0.3  # of the whole change, what a start at random makes of it
SPREAD = 0.5  # of the logarithm of a parameter, between starts


@computation()
def infer(
    recording: Recording | Sequence[Recording],
    family: Any,
    *,
    free: Sequence[str] | None = None,
    network: Network | None = None,
    model: Any = "rate",
    starts: int = 3,
    against: Sequence[str] | None = None,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Inferred:
    """Infer the coefficients of a plasticity rule from recordings of a network that learns.

    Parameters
    ----------
    recording : Recording or sequence of Recording
        Several are animals or sessions with the same rule.
    family : str, Path, mapping or PlasticitySpec
        ``"taylor(a, b, c)"``: dw/dt is the sum of theta_ijk y_pre^i y_post^j w^k with powers up to
        a, b and c; ``"taylor(a, b, c, signal)"`` has each term times a signal of the recording,
        too. Or a plasticity rule in time, of which parameters are estimated.
    free : sequence of str, optional
        The parameters of a rule that are estimated; default all that are one number.
    network : Network, optional
        Where only activity was observed: the network before learning. Weights in the first row of
        a recording take precedence; without a network, those that are not there are estimated.
    model : str, Path, mapping or ModelSpec
        The model of the units where no network is given.
    starts : int
        Fits of a rule's parameters, or to activity: the first from the parameters' values, or no
        plasticity, the others at random.
    against : sequence of str, optional
        Named rules in time that held-out predictions are compared with; default all, of which each
        has its speed fitted.
    level : float
        Probability that an interval holds its coefficient.
    seed : int
        Seed of the folds and resamples.
    progress : callable, optional
        Called with a sentence before each part of the work.

    Returns
    -------
    Inferred
        With `estimates`, a table of name, value, low, high and identifiable, `held_out` and
        `report`.

    Raises
    ------
    InputError
        If the family cannot be read, has more coefficients than there are data, or needs signals
        that were not recorded; or neither weights at two times nor rates with their drive are
        there.
    UnknownNameError
        If there is no such rule or parameter.
    UnsupportedError
        If the rule names t, or sums over the synapses of a unit.
    DivergenceError
        If the weights become infinite from every start.
    UnsettledError
        If a drive has no fixed point with the weights of any start.

    Notes
    -----
    From a start of its own each synapse is simulated with the rates that were observed, and
    compared with its weights wherever those were observed: measured weights stand on one side only,
    so their errors do not flatten the dependence on w. Where a rate is missing, the synapse starts
    anew. Equations of units begin at zero and take the unit's mean for missing rates. With
    ``noise={"rates": sd}`` the recording says how noisy the rates are, and the estimate is followed
    back to rates without noise, by adding more (SIMEX; Cook & Stefanski 1994).

    Where no synapse was observed twice, the learning is simulated: rates are the fixed points for
    each row's drive, weights advance from row to row, and derivatives pass through the fixed points
    by the implicit function theorem. Of several starts that one counts whose fit, stopped early,
    predicts the last fifth of the time best. Unobserved units are simulated like the others.

    Terms are left out one by one, each time the one that explains least; as few remain as predict
    synapses of held-out postsynaptic units (blocks of time, of rates) within one standard error of
    the best number. Of these, terms are left out whose interval in this fit holds 0, at a level
    that allows for the number of terms. The intervals that are returned are those of the fit with
    all terms, by a bootstrap over synapses, blocks of time and animals.

    References
    ----------
    Brunton, Proctor & Kutz 2016 (sparse equations); Mehta et al. 2024 (rules from activity).

    Examples
    --------
    >>> import numpy as np, ratenet as rn
    >>> rng = np.random.default_rng(0)
    >>> y, w = rng.random((40, 6)), np.zeros((40, 6, 6))
    >>> for t in range(39):  # Hebb with a decay
    ...     w[t + 1] = w[t] + 0.1 * (np.outer(y[t], y[t]) - 0.5 * w[t])
    >>> seen = np.where(rng.random(w.shape) < 0.3, w + 0.001 * rng.normal(size=w.shape), np.nan)
    >>> recording = rn.hypotheses.Recording(time=0.1 * np.arange(40), rates=y, weights=seen)
    >>> found = rn.hypotheses.infer(recording, "taylor(1, 1, 1)")
    >>> found.estimates[found.estimates["kept"]][["name", "value"]].round(2)
               name  value
    1             w   -0.5
    6  y_post*y_pre    1.0
    """
    recordings = _recordings(recording)
    if not isinstance(level, float) or not 0 < level < 1:
        raise InputError.at("level", got=level, expected="a number between 0 and 1")
    named = _named(against)
    say = progress or (lambda _: None)
    rng = np.random.default_rng(check_seed(seed))
    wanted = read_family(family, free, recordings[0].units)
    tries = check_whole(starts, "starts")
    problem = _problem(recordings, wanted, network, model)
    _check_size(problem, wanted)
    say(f"Fitting {counted(len(wanted.free), 'coefficient')}")

    def refit(other: Family) -> tuple[AbstractProblem, Fitted]:
        its = problem.of(other)
        return its, fit(its, other.start)

    if isinstance(problem, ActivityProblem):
        problem, found = _stopped_early(problem, tries, rng)
        fits = Fits(problem, found, (1.0,), ([found],))
        by = "activity"
        notes = [TAKEN, *([BIASED] if _misses_rates(recordings) else [])] * problem.is_forced
    else:
        found = _best(problem, 1 if wanted.is_linear else tries, rng)
        fits = _extrapolated(problem, found, recordings, rng, say)
        by, notes = "weights", []
    return analysed(fits, refit, against=named, by=by, level=level, rng=rng, say=say, notes=notes)


def _recordings(given: Any) -> list[Recording]:
    if isinstance(given, Recording):
        return [given]
    found = list(given) if isinstance(given, Iterable) else []
    if not found or not all(isinstance(each, Recording) for each in found):
        raise InputError.at("recording", got=given, expected="one or more of type Recording")
    return found


def _problem(
    recordings: list[Recording], family: Family, network: Network | None, model: Any
) -> "WeightsProblem | ActivityProblem":
    """Return what is compared: weights where all recordings have some twice, else rates."""
    if all(_has_weights(each) for each in recordings):
        return WeightsProblem(recordings, family)
    for each in recordings:
        if each.rates is None or each.drive is None:
            raise InputError(
                "recording: no synapse was observed twice, and without rates and the drive at all "
                "times nothing can be simulated; give weights at two times or more, or both.",
                argument="recording",
            )
    if network is not None and not isinstance(network, Network):
        raise InputError.at("network", got=network, expected="a Network, as before learning")
    N = recordings[0].units
    known = network is not None
    start = Network(model, np.zeros((N, N))) if network is None else network
    return ActivityProblem(recordings, family, start, known)


def _has_weights(recording: Recording) -> bool:
    """Return whether a synapse was observed twice, and rates at all."""
    if recording.weights is None or recording.rates is None:
        return False
    return bool(((~np.isnan(recording.weights)).sum(axis=0) >= 2).any())


def _misses_rates(recordings: list[Recording]) -> bool:
    return any(bool(np.isnan(each.rates).any()) for each in recordings if each.rates is not None)


def _check_size(problem: "WeightsProblem | ActivityProblem", family: Family) -> None:
    """Refuse a family with more coefficients than there are data."""
    is_weights = isinstance(problem, WeightsProblem)
    size = len(problem.places.row) - (problem.nuisance if is_weights else 0)
    what = "changes of weights between known rates" if is_weights else "observed rates"
    if size <= len(family.free):
        raise InputError(
            "family: expected fewer coefficients than data, got "
            f"{counted(len(family.free), 'coefficient')} for {size} {what}; give a "
            "smaller family or more data.",
            argument="family",
            got=family.name,
        )


def _stopped_early(
    problem: ActivityProblem, starts: int, rng: np.random.Generator
) -> tuple[ActivityProblem, Fitted]:
    """Return the best of several fits that were stopped by the last fifth of the time.

    Each begins with the rates that were observed; the best continues with simulated learning unless
    that loses the data, as where a network has several fixed points.
    """
    rows = problem.places.row
    held = rows >= HELD * (rows.max() + 1)
    eased, family = problem.eased(), problem.family
    found: list[Fitted] = []
    for _ in range(starts):
        theta = family.start
        if found and family.is_linear:  # each term up to what the change amounts to
            table = found[0].table
            size = np.linalg.norm(table.slopes, axis=0)
            scale = np.linalg.norm(table.change) / np.where(size > 0, size, np.inf)
            theta = RANDOM * scale * rng.normal(size=len(theta)) / np.sqrt(len(theta))
        elif found:
            theta = theta * np.exp(SPREAD * rng.normal(size=len(theta)))
        with suppress(DivergenceError):
            found.append(fit(eased, theta, held=held))
    if not found:
        raise UnsettledError(
            "infer: no start has rates at all drives; give network= with the weights before "
            "learning, or a smaller drive."
        )
    best = min(found, key=lambda each: each.table.squared(held))
    with suppress(DivergenceError):
        free = fit(problem, best.theta, best.others, held)
        if free.table.squared(held) <= WORSE * best.table.squared(held):
            return problem, fit(problem, free.theta, free.others)
    return eased, fit(eased, best.theta, best.others)


def _named(against: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of rules in time; default all."""
    every = tuple(plasticity_names())
    if against is None:
        return every
    names = (against,) if isinstance(against, str) else tuple(against)
    for name in names:
        if name not in every:
            raise UnknownNameError.among("plasticity rule", name, every)
    return names


def _extrapolated(
    problem: WeightsProblem,
    found: Fitted,
    recordings: Sequence[Recording],
    rng: np.random.Generator,
    say: Callable[[str], None],
) -> Fits:
    """Return fits that extrapolate to rates without noise, where their noise is known (SIMEX).

    The estimate is a smooth function of the variance of the noise. With noise added it moves on,
    and is followed back to where there is none.
    """
    sd = [float(np.sqrt(np.mean(np.square(each.noise.get("rates", 0.0))))) for each in recordings]
    if not any(sd):
        return Fits(problem, found, (1.0,), ([found],))
    say("Correcting for the noise of the rates")

    def noisier(extra: float) -> Fitted:
        more = problem.with_noisy_rates([np.sqrt(extra) * each for each in sd], rng)
        return fit(more, found.theta, found.others, iterations=1)  # it is near, and nearly linear

    noisy = [[noisier(extra) for _ in range(REPEATS)] for extra in EXTRA]
    at = np.vander([0.0, *EXTRA], DEGREE + 1)
    weights = tuple(map(float, np.vander([-1.0], DEGREE + 1)[0] @ np.linalg.pinv(at)))
    return Fits(problem, found, weights, ([found], *noisy))


def _best(problem: WeightsProblem, starts: int, rng: np.random.Generator) -> Fitted:
    """Return the best fit from several starts."""
    family = problem.family
    found: list[Fitted] = []
    failed: DivergenceError | None = None
    for number in range(starts):
        factor = np.exp(SPREAD * rng.normal(size=len(family.start))) if number else 1.0
        try:
            found.append(fit(problem, family.start * factor))
        except DivergenceError as error:
            failed = error
    if failed is not None and not found:
        raise failed
    return min(found, key=lambda each: each.table.squares)
