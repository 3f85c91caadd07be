"""Identifying rules: predictions and statistics against independent answers, truth and chance."""

import numpy as np
import pandas as pd
import pytest
import torch
from brian2 import Hz, mV
from helpers.problems import PROBLEMS, random, random_weights
from helpers.rules import TIGHT, euclidean, settled
from scipy.stats import binomtest, chi2, ks_2samp, kstest, norm, pearsonr

import ratenet as rn
from ratenet import plasticity
from ratenet.errors import InputError, UnknownNameError, UnsettledError, UnsupportedError
from ratenet.hypotheses import Observation, identify, observe_rates, observe_weights
from ratenet.hypotheses.evidence import (
    Candidates,
    weigh,
)
from ratenet.hypotheses.held_out import fits, held_out
from ratenet.hypotheses.identification.identify import candidates_for
from ratenet.hypotheses.identification.prediction import (
    Lesson,
    lesson,
    named_rules,
    predict_rates,
    predict_weights,
)

RULES = [
    "euclidean",
    "linearized-reparameterized",
    "gain-free-reparameterized",
    "feedback-alignment",
    "hebb",
]
N, B = 24, 8


def scene() -> tuple[rn.Network, torch.Tensor, torch.Tensor]:
    """Return a network before learning, its drive, and targets."""
    network = rn.Network("rate", random_weights(N, seed=31))
    return network, random(B, N, seed=32), random(B, N, seed=33, scale=0.3)


def learned(rule: plasticity.AbstractRule, steps: int = 5, size: float = 0.1):
    """Return the network after several steps of a rule; W changes by about `size` of itself."""
    network, drive, target = scene()
    before = network.connectivity.dense().clone()
    fp = rn.find_fixed_points(network, drive)
    first = rule.update(fp, fp.rates - target, 1.0)
    rate = size / steps * float(before.norm() / first.norm())
    for _ in range(steps):
        fp = rn.find_fixed_points(network, drive)
        network.connectivity.add_(rule.update(fp, fp.rates - target, rate))
    return network, rate * steps


def measured(network: rn.Network, noise: float, seed: int):
    """Return noisy weights after learning, and the noise in their unit."""
    before, after = scene()[0].connectivity.dense(), network.connectivity.dense()
    sd = noise * float((after - before).pow(2).mean().sqrt())
    return after + sd * random(N, N, seed=seed), sd


def synapses(after: torch.Tensor, number: int) -> pd.DataFrame:
    """Return a table of some synapses."""
    before = scene()[0].connectivity.dense()
    chosen = np.random.default_rng(0).permutation(N * N)[:number]
    post, pre = np.divmod(chosen, N)
    return pd.DataFrame(
        {"post": post, "pre": pre, "before": before[post, pre], "after": after[post, pre]}
    )


# --- Predictions ------------------------------------------------------------------------------
def test_predicted_changes_of_weights_are_the_gradient_in_closed_form():
    problem = PROBLEMS["tanh"]
    fp, error = settled(problem), random(4, 12, seed=40)
    (found,) = predict_weights(Lesson(fp, error), named_rules(["euclidean"]))
    torch.testing.assert_close(found, -euclidean(fp, error), rtol=1e-8, atol=1e-12)


def test_a_step_that_is_not_proportional_is_predicted_to_first_order():
    problem = PROBLEMS["linear"]
    fp, error = settled(problem), random(4, 12, seed=41)
    exact, first = predict_weights(
        Lesson(fp, error), named_rules(["reparameterized", "linearized-reparameterized"])
    )
    torch.testing.assert_close(exact, first, rtol=1e-5, atol=1e-7)  # a linear network


def test_constrained_weights_change_as_their_connectivity_lets_them():
    mask = random(12, 12, seed=42) > 0
    network = rn.Network("rate", rn.connectivity.Masked(mask * random_weights(12, 43), mask))
    fp = rn.find_fixed_points(network, random(4, 12, seed=44))
    (found,) = predict_weights(Lesson(fp), named_rules(["hebb"]))
    hebb = fp.rates.T @ fp.rates / len(fp)
    torch.testing.assert_close(found, hebb * mask, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["tanh", "voltage", "threshold_linear", "adaptation", "rotation"])
def test_predicted_changes_of_rates_are_those_of_the_fixed_points(name):
    problem = PROBLEMS[name]
    fp = settled(problem)
    units = problem.W.shape[0]
    changes = torch.stack([random(units, units, seed=seed) for seed in (45, 46)])
    found, h = predict_rates(fp, changes), 1e-5
    for change, predicted in zip(changes, found, strict=True):
        up, down = (
            rn.find_fixed_points(
                fp.network.changed(W=problem.W + sign * h * change), problem.drive,
                initial=fp.state, tol=TIGHT,
            ).rates
            for sign in (1, -1)
        )  # fmt: skip
        torch.testing.assert_close(predicted, (up - down) / (2 * h), rtol=1e-5, atol=1e-6)


def test_predicted_rates_are_missing_where_nothing_settled():
    fp = settled(PROBLEMS["tanh"])
    fp.status[1] = int(rn.Status.UNSETTLED)
    found = predict_rates(fp, random(1, 12, 12, seed=47))[0]
    assert torch.isnan(found[1]).all()
    assert torch.isfinite(found[[0, 2, 3]]).all()


# --- Statistics -------------------------------------------------------------------------------
def data(seed: int, signal: float = 0.0, entries: int = 120):
    """Return three predictions and changes, of which a part is the first prediction."""
    rng = np.random.default_rng(seed)
    predictions = rng.normal(0.5, 1.0, (3, entries))
    return predictions, signal * predictions[0] + rng.standard_normal(entries)


def weighed(predictions, changes, **options):
    names = ("a", "b", "c")[: len(predictions)]
    groups = np.arange(len(changes))
    candidates = Candidates("weights", names, np.asarray(predictions), groups)
    return weigh(candidates, changes, **{"noise": None, "level": 0.05, "seed": 0, **options})


def test_fit_and_alignment_are_least_squares():
    predictions, changes = data(1, signal=0.7)
    table = weighed(predictions, changes).table
    rates = [np.linalg.lstsq(p[:, None], changes, rcond=None)[0][0] for p in predictions]
    cosines = [p @ changes / np.linalg.norm(p) / np.linalg.norm(changes) for p in predictions]
    np.testing.assert_allclose(table["learning_rate"][:3], np.maximum(rates, 0))
    np.testing.assert_allclose(table["alignment"][:3], cosines)


def expected_likelihood(changes, models, train_of, blocks, noise):
    """Return the log-likelihoods from each block, judged by fits to what it shares nothing with."""
    found = np.zeros(len(models))
    for k, model in enumerate(models):
        for test in blocks:
            train = train_of(test)
            solved = np.linalg.lstsq(model[:, train].T, changes[train], rcond=None)[0]
            rate = np.maximum(solved, 0) if len(model) == 1 else solved
            left = changes - rate @ model
            sd = max(noise, np.sqrt(np.mean(left[train] ** 2)))
            found[k] += norm.logpdf(left[test], 0, sd).sum()
    return found


def test_held_out_likelihood_of_single_neurons_is_that_of_the_normal_distribution():
    """Five neurons in five folds: every split is the same one."""
    predictions, changes = data(2, signal=0.7, entries=20)
    neuron = np.arange(20) // 4
    models = [*predictions[:, None], predictions[:2], np.empty((0, 20))]
    found = held_out(changes, models, [neuron], 0.5, np.random.default_rng(5))
    blocks = [neuron == index for index in range(5)]
    expected = expected_likelihood(changes, models, np.logical_not, blocks, 0.5)
    np.testing.assert_allclose(found, expected)


def test_no_neuron_of_a_synapse_that_is_held_out_is_in_the_fit():
    predictions, changes = data(3, signal=0.7, entries=25)
    post, pre = np.divmod(np.arange(25), 5)
    models = [*predictions[:, None], predictions[:2], np.empty((0, 25))]
    found = held_out(changes, models, [post, pre], 0.5, np.random.default_rng(5))
    blocks = np.eye(25, dtype=bool)

    def others(test):
        return (post != post[test]) & (pre != pre[test])

    np.testing.assert_allclose(found, expected_likelihood(changes, models, others, blocks, 0.5))


def test_the_answer_is_that_of_the_data_and_not_of_a_seed():
    predictions, changes = data(4, signal=0.2, entries=150)
    predictions[1] = 0.8 * predictions[0] + 0.6 * predictions[1]
    found = [weighed(predictions, changes, seed=seed).table["posterior"]["a"] for seed in range(8)]
    assert max(found) - min(found) < 0.1


def by_neurons(rng, signal: float):
    """Return a prediction and changes, half of whose variance rows and columns have in common."""
    rows, columns = rng.standard_normal((2, N))
    common = rows[:, None] + columns
    noise = common / common.std() + rng.standard_normal((N, N))
    prediction = np.outer(*rng.uniform(0, 2, (2, N))) - 1  # of rates that have one sign
    return prediction, signal * prediction + noise


def test_intervals_hold_the_truth_where_neurons_have_effects_of_their_own():
    hits, alone = 0, 0
    places = tuple(np.divmod(np.arange(N * N), N))
    for seed in range(120):
        rng = np.random.default_rng([6, seed])
        prediction, changes = by_neurons(rng, 2.0)
        P, d = prediction.reshape(1, -1), changes.ravel()
        row = fits(d, P, places, rng)
        hits += row["learning_rate_low"][0] < 2.0 < row["learning_rate_high"][0]
        row = fits(d, P, [np.arange(N * N)], rng)
        alone += row["learning_rate_low"][0] < 2.0 < row["learning_rate_high"][0]
    assert abs(hits / 120 - 0.95) < 0.06
    assert alone / 120 < 0.75  # were synapses taken as independent


def test_effects_of_neurons_are_no_evidence_for_a_rule():
    small = {True: 0, False: 0}
    places = tuple(np.divmod(np.arange(N * N), N))
    for seed in range(60):
        prediction, changes = by_neurons(np.random.default_rng([7, seed]), 0.0)
        given = (prediction.reshape(1, -1), np.arange(N * N))
        for relabelled in (True, False):
            more = {"whole": prediction[None], "places": places} if relabelled else {}
            candidates = Candidates("weights", ("a",), *given, **more)
            found = weigh(candidates, changes.ravel(), None, 0.05, 0)
            small[relabelled] += found.table["p_value"]["a"] <= 0.05
    assert binomtest(small[True], 60, 0.05, alternative="greater").pvalue > 0.01
    assert small[False] > 8  # were synapses taken as independent


def test_changes_count_by_the_inverse_of_their_noise():
    predictions, changes = data(12, signal=1.0)
    noise = np.where(np.arange(120) < 60, 0.5, 50.0)
    changes[60:] += 50 * np.random.default_rng(13).standard_normal(60)
    row = weighed(predictions, changes, noise=noise).table.loc["a"]
    weights = 1 / noise**2
    expected = (weights * predictions[0]) @ changes / (weights @ predictions[0] ** 2)
    assert row.learning_rate == pytest.approx(expected)
    alike = weighed(predictions, changes, noise=np.full(120, 0.7))
    pd.testing.assert_frame_equal(alike.table, weighed(predictions, changes, noise=0.7).table)


def test_p_values_of_shuffling_are_those_of_a_correlation():
    for seed in range(3, 7):
        predictions, changes = data(seed, signal=0.15)
        found = weighed(predictions[:1], changes).table["p_value"]["a"]
        exact = pearsonr(changes, predictions[0], alternative="greater").pvalue
        spread = 4 * np.sqrt(exact * (1 - exact) / 999)
        assert found > exact - spread - 0.002  # not below; above where signs are the better chance


def test_p_values_are_uniform_without_a_signal():
    """One rule without a mean, for which both kinds of chance are the same."""
    rng = np.random.default_rng(8)
    values = [
        weighed(rng.standard_normal((1, 40)), rng.standard_normal(40), seed=seed)
        .table["p_value"]["a"]
        for seed in range(150)
    ]  # fmt: skip
    assert kstest(values, "uniform").pvalue > 0.01


def test_intervals_of_the_bootstrap_hold_the_truth():
    hits = 0
    for seed in range(60):
        predictions, changes = data(seed + 100, signal=2.0)
        row = weighed(predictions, changes, seed=seed).table.loc["a"]
        hits += row.learning_rate_low < 2.0 < row.learning_rate_high
    assert binomtest(hits, 60, 0.95).pvalue > 0.01


def test_what_cannot_be_told_apart_is_not_named():
    predictions, changes = data(9, signal=3.0)
    twins = [predictions[0], 2 * predictions[0] * (1 + 1e-13)]
    found = weighed(twins, changes)
    assert found.rule is None
    np.testing.assert_allclose(found.table["posterior"], [0.5, 0.5, 0], atol=1e-6)
    assert found.confidence < 0.5 + 1e-6
    assert "cannot be told apart" in found.summary()
    assert weighed(predictions, changes).rule == "a"


def test_a_rule_that_predicts_nothing_is_never_named():
    predictions, changes = data(10, signal=3.0)
    found = weighed([np.zeros(120), predictions[0]], changes)
    assert found.rule == "b"
    assert found.table["p_value"]["a"] == 1.0
    assert found.table["wins"]["a"] == 0.0


def test_what_a_rule_leaves_is_judged_by_the_noise():
    rng = np.random.default_rng(11)
    prediction, other = rng.standard_normal((2, 200))
    noise = rng.standard_normal(200)
    right = weighed([prediction], 3 * prediction + noise, noise=1.0)
    left = 3 * prediction + noise
    left = left - prediction * (prediction @ left) / (prediction @ prediction)
    assert right.misfit == pytest.approx(chi2.sf(left @ left, 199))
    assert right.misfit > 0.001
    assert "more than noise" not in right.summary()
    wrong = weighed([prediction], 3 * (prediction + other) + noise, noise=1.0)
    assert wrong.rule is None
    assert wrong.best == "a"
    assert wrong.misfit < 1e-10
    assert wrong.explained == pytest.approx(0.5, abs=0.15)
    assert "best of those offered, and it does not fit" in wrong.summary()
    assert "not among the candidates" in wrong.summary()
    untested = weighed([prediction], 3 * prediction + noise)
    assert (untested.misfit, untested.explained, untested.fits) == (None, None, None)
    assert untested.rule == "a"
    assert "Fit untested" in untested.summary()


# --- Ground truth -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", RULES)
def test_the_rule_is_found_after_several_steps(name):
    network, rate = learned(named_rules([name])[name], size=0.02)
    after, sd = measured(network, 0.1, seed=50)
    before, drive, target = scene()
    observed = observe_weights(before, after, noise=sd)
    found = identify(before, drive, observed, RULES, target=target)
    assert found.rule == name
    assert found.confidence > 0.99
    row = found.table.loc[name]
    assert row.learning_rate == pytest.approx(rate, rel=0.05)
    assert row.alignment == pytest.approx(found.ceiling, abs=0.005)
    assert found.residual == pytest.approx(sd, rel=0.15)


@pytest.mark.parametrize("name", RULES)
def test_the_rule_is_found_from_some_synapses_and_from_rates_alone(name):
    network, _ = learned(named_rules([name])[name], size=0.02)
    after, sd = measured(network, 0.1, seed=51)
    before, drive, target = scene()
    some = observe_weights(before, synapses(after, 60), noise=sd)
    assert identify(before, drive, some, RULES, target=target).rule == name
    old, new = (rn.find_fixed_points(which, drive).rates for which in (before, network))
    new = new + 0.1 * float((new - old).pow(2).mean().sqrt()) * random(B, N, seed=52)
    new[:, 20:] = torch.nan  # not recorded
    rates = observe_rates(before, old, new)
    found = identify(before, drive, rates, RULES, target=target)
    assert found.rule == name
    assert found.measured == 20 * B


def test_chance_for_rates_is_that_of_solved_random_networks():
    before, drive, target = scene()
    taught = lesson(before, drive, target=target)
    fp, names = taught.fp, ("euclidean",)
    changes = predict_weights(taught, named_rules(names))
    rows, columns = np.indices((B, N)).reshape(2, -1)
    rates = fp.rates.numpy().ravel()
    everything = Observation("rates", rates, rows, columns, rates, (B, N))
    candidates = candidates_for(taught, names, changes, everything, 0.05, seed=0)
    unit = candidates.predictions[0] / np.linalg.norm(candidates.predictions[0])
    solved = []
    for seed in range(80):
        W = before.connectivity.dense() + 1e-4 * random(N, N, seed=3000 + seed)
        new = rn.find_fixed_points(before.changed(W=W), drive, initial=fp.state).rates
        made = (new - fp.rates).numpy().ravel()
        solved.append(made @ unit / np.linalg.norm(made))
    assert ks_2samp(solved, candidates.chance[:, 0]).pvalue > 0.01
    assert np.std(solved) > 1.3 / np.sqrt(B * N)  # wider than of changes that are independent


def false_positives(observe, experiments: int) -> int:
    """Return in how many experiments without a signal a rule is named, at a level of 20 %."""
    before, drive, target = scene()
    named = 0
    for seed in range(experiments):
        observed = observe(before, drive, random(N, N, seed=1000 + seed))
        found = identify(before, drive, observed, RULES, target=target, level=0.2, seed=seed)
        named += found.rule is not None
    return named


def by_weights(before, drive, change):
    return observe_weights(before, synapses(before.connectivity.dense() + 0.01 * change, 60))


def by_growing_weights(before, drive, change):
    """Without a rule, yet all synapses grow on average."""
    table = synapses(before.connectivity.dense() + 0.01 * (change + 1), 60)
    return observe_weights(before, table)


def by_rates(before, drive, change):
    old = rn.find_fixed_points(before, drive).rates
    W = before.connectivity.dense() + 0.001 * change
    return observe_rates(before, old, rn.find_fixed_points(before.changed(W=W), drive).rates)


@pytest.mark.parametrize("observe", [by_weights, by_growing_weights, by_rates])
def test_random_changes_are_seldom_named(observe):
    named = false_positives(observe, 30)
    assert binomtest(named, 30, 0.2, alternative="greater").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("observe", [by_weights, by_growing_weights, by_rates])
def test_random_changes_are_named_at_most_at_the_stated_level(observe):
    named = false_positives(observe, 300)
    assert binomtest(named, 300, 0.2, alternative="greater").pvalue > 0.01


def scaled(before, drive):
    W = before.connectivity.dense()
    return observe_weights(before, 0.97 * W + 0.002 + 0.002 * random(N, N, seed=60))


def regressed(before, drive):
    """Weights that did not change, measured twice with an error."""
    W = before.connectivity.dense()
    error = 0.3 * W.std() * random(2 * N, N, seed=61)
    post, pre = np.divmod(np.arange(N * N), N)
    values = {"before": (W + error[:N])[post, pre], "after": (W + error[N:])[post, pre]}
    return observe_weights(before, pd.DataFrame({"post": post, "pre": pre} | values))


def louder(before, drive):
    rates = rn.find_fixed_points(before, drive).rates
    return observe_rates(before, rates, 1.05 * rates + 0.02 * random(B, N, seed=62))


def scaled_in_rates(before, drive):
    new = rn.find_fixed_points(before.changed(W=1.05 * before.connectivity.dense()), drive).rates
    return observe_rates(before, rn.find_fixed_points(before, drive).rates, new)


@pytest.mark.parametrize("drift", [scaled, regressed, louder, scaled_in_rates])
def test_a_drift_is_named_by_no_rule(drift):
    before, drive, target = scene()
    found = identify(before, drive, drift(before, drive), RULES, target=target)
    assert found.rule is None
    if drift is not regressed:
        assert found.table["posterior"]["drift"] > 0.9
    if found.table["p_value"][found.best] <= 0.05:
        assert "a drift without a rule" in found.summary()


@pytest.mark.parametrize("noise_is_known", [True, False])
def test_a_rule_with_a_decay_beside_it_is_not_all(noise_is_known):
    """Oja's rule is Hebb's and a decay, which its own name alone explains."""
    network, _ = learned(plasticity.Oja(), size=0.02)
    after, sd = measured(network, 0.2, seed=53)
    before, drive, target = scene()
    observed = observe_weights(before, after, noise=sd if noise_is_known else None)
    found = identify(before, drive, observed, RULES, target=target)
    assert (found.rule, found.best, found.fits) == (None, "hebb", False)
    assert found.alone < 0.98
    assert "does not fit alone" in found.summary()
    both = identify(before, drive, observed, [*RULES, "oja"], target=target)
    assert (both.rule, both.alone) == ("oja", 1.0)


def test_rules_of_ones_own_and_losses_are_taken():
    @plasticity.rule(metric="none")
    def presynaptic(fp, error, learning_rate):
        return -learning_rate * error.T @ fp.rates / len(fp)

    before, drive, target = scene()
    fp = rn.find_fixed_points(before, drive)
    after = before.connectivity.dense() + presynaptic.update(fp, fp.rates - target, 0.01)
    observed = observe_weights(before, after)
    candidates = [presynaptic, plasticity.Hebb(), plasticity.FeedbackAlignment(seed=4)]
    by_target = identify(before, drive, observed, candidates, target=target)
    by_error = identify(before, drive, observed, candidates, error=fp.rates - target)
    by_loss = identify(
        before, drive, observed, candidates, loss=lambda y: ((y - target) ** 2).sum(dim=1) / 2
    )
    assert by_target.rule == "presynaptic"
    assert list(by_target.table.index) == [
        "presynaptic", "hebb", "feedback-alignment(seed=4)", "drift", "none",
    ]  # fmt: skip
    for other in (by_error, by_loss):
        pd.testing.assert_frame_equal(by_target.table, other.table, rtol=1e-6)
    assert identify(before, drive, observed, ["hebb", "oja"]).table.notna().loc["hebb"].all()


def without_fixed_points(monkeypatch, unsettled: int) -> None:
    """Let the first stimuli have no fixed point."""

    def find(*arguments, **options):
        fp = rn.find_fixed_points(*arguments, **options)
        fp.status[:unsettled] = int(rn.Status.UNSETTLED)
        return fp

    monkeypatch.setattr("ratenet.hypotheses.identification.prediction.find_fixed_points", find)


def test_unsettled_stimuli_are_left_out_and_told(monkeypatch):
    before, drive, target = scene()
    old = rn.find_fixed_points(before, drive)
    taught = old.select(torch.arange(3, B))  # the rule learns from the settled stimuli alone
    delta = plasticity.Euclidean().update(taught, taught.rates - target[3:], 1e-3)
    later = before.changed(W=before.connectivity.dense() + delta)
    new = rn.find_fixed_points(later, drive).rates
    new[:3] = 5.0  # what is measured there must not matter
    observed = observe_rates(before, old.rates, new)
    without_fixed_points(monkeypatch, 3)
    found = identify(before, drive, observed, RULES, target=target)
    assert (found.unsettled, found.measured) == (3, (B - 3) * N)
    assert found.rule == "euclidean"
    assert "no fixed point: 3 stimuli" in found.summary()
    without_fixed_points(monkeypatch, B)
    with pytest.raises(UnsettledError, match="None of the stimuli"):
        identify(before, drive, observed, RULES, target=target)


# --- Mistakes ---------------------------------------------------------------------------------
def broken(**changes) -> pd.DataFrame:
    table = synapses(scene()[0].connectivity.dense() + 0.1, 40)
    return table.assign(**changes)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (broken().drop(columns=["pre", "after"]), "synapses: expected the columns post, pre, bef"),
        (broken(post=N), f"whole numbers from 0 to {N - 1}"),
        (broken(pre=0.5), "whole numbers from 0"),
        (broken(after="strong"), r"column after, row 0: expected a number, got 'strong'"),
        (broken(post=float("nan")), r"column post, row 0: expected a number, got 'nan'"),
        (broken(after=float("inf")), "infinite"),
        (broken(post=0, pre=1), "synapses: expected each synapse once, got post 0, pre 1 twice"),
        (broken().head(9), "expected at least 10, .*, got 9 measured changes"),
    ],
)
def test_mistakes_in_tables_are_one_sentence(table, sentence):
    with pytest.raises(InputError, match=sentence):
        observe_weights(scene()[0], table)


def test_other_mistakes_are_one_sentence():
    before, drive, target = scene()
    W = before.connectivity.dense()
    with pytest.raises(InputError, match=r"after: expected .*, got \(24, 23\)"):
        observe_weights(before, W[:, 1:])
    with pytest.raises(InputError, match="after: expected numbers without a unit, got values in V"):
        observe_weights(before, W.numpy() * mV)
    with pytest.raises(InputError, match="noise: expected numbers without a unit, got 3. Hz"):
        observe_weights(before, W + 0.1, noise=3 * Hz)
    with pytest.raises(InputError, match="noise: expected .*, got -1"):
        observe_weights(before, W + 0.1, noise=-1.0)
    with pytest.raises(InputError, match="nothing has changed"):
        observe_weights(before, W)
    with pytest.raises(InputError, match="rates: expected at least 5, .*, got 4 recorded units"):
        few = torch.where(torch.arange(N) < 4, drive, torch.nan)
        observe_rates(before, few, few + 0.1)
    with pytest.raises(InputError, match=r"rates after: .*\(7, 24\)"):
        observe_rates(before, drive, drive[1:])
    observed = observe_weights(before, W + 0.01 * random(N, N, seed=60))
    with pytest.raises(InputError, match="rule euclidean: it needs errors"):
        identify(before, drive, observed, ["euclidean"])
    with pytest.raises(InputError, match=r"target: .*\(7, 24\)"):
        identify(before, drive, observed, ["euclidean"], target=target[1:])
    with pytest.raises(InputError, match="error: expected one of the two, got error and target"):
        identify(before, drive, observed, ["euclidean"], target=target, error=target)
    with pytest.raises(UnknownNameError, match="Unknown rule 'eucld'"):
        identify(before, drive, observed, ["eucld"])
    with pytest.raises(InputError, match="each once"):
        identify(before, drive, observed, ["hebb", "hebb"])
    with pytest.raises(InputError, match="level: expected .*, got 0"):
        identify(before, drive, observed, ["hebb"], level=0)
    with pytest.raises(UnsupportedError, match="gains differ"):
        identify(before, drive, observed, ["reparameterized"], target=target)


def test_measurements_of_another_network_are_refused():
    before, drive, _ = scene()
    table = broken(after=1.0)
    swapped = table.rename(columns={"post": "pre", "pre": "post"})
    with pytest.raises(InputError, match="the order of post and pre"):
        identify(before, drive, observe_weights(before, swapped), ["hebb", "oja"])
    rates = rn.find_fixed_points(before, drive).rates
    shifted = observe_rates(before, rates.roll(1, 0), rates.roll(1, 0) + 0.1)
    with pytest.raises(InputError, match="differ from its fixed points"):
        identify(before, drive, shifted, ["hebb", "oja"])
    more = observe_rates(before, rates.repeat(2, 1), rates.repeat(2, 1) + 0.1)
    with pytest.raises(InputError, match=r"expected shape \(8, 24\), .*, got \(16, 24\)"):
        identify(before, drive, more, ["hebb"])
