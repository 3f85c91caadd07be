"""Published ways to infer a rule, small: what must come out of each is known."""

import importlib

import numpy as np
import pytest
from scipy.stats import norm

from ratenet.plasticity import Euclidean
from ratenet.reproduce import FIGURES
from ratenet.reproduce.learners import drawn

lim, nayebi, portes = (
    importlib.import_module(f"ratenet.reproduce.which_rule_{name}")
    for name in ("lim", "nayebi", "portes")
)


def silent(done, total):
    assert 0 <= done <= total


def test_the_readouts_overlap_as_asked():
    learner = drawn(np.random.default_rng(0), units=30, stimuli=3, overlap=0.6)
    D, M = learner.readout.numpy(), learner.believed.numpy()
    cosines = np.sum(D * M, axis=1) / np.linalg.norm(D, axis=1) / np.linalg.norm(M, axis=1)
    np.testing.assert_allclose(cosines, 0.6)


def test_a_learner_lowers_its_loss_by_steps_of_the_size_that_is_asked_for():
    learner = drawn(np.random.default_rng(0), units=20, stimuli=4)
    before = learner.network.connectivity.dense().numpy().copy()
    losses = [
        float(learner.losses(fp.rates).mean())
        for fp in learner.course(Euclidean(), speed=0.05, steps=6, every=3)
    ]
    assert len(losses) == 3
    assert losses[2] < losses[1] < losses[0]
    moved = np.linalg.norm(learner.network.connectivity.dense().numpy() - before)
    assert 0 < moved <= 6 * 0.06 * np.linalg.norm(before)


def test_quantiles_give_back_a_change_of_input_without_any_network():
    """Rates are exp(h), h normal, which becomes h + 0.3 h^2 / (1 + h^2): that comes back."""
    h = norm.ppf(np.linspace(0.0005, 0.9995, 1000))[:, None] * np.ones(2)
    change = lambda h: 0.3 * h**2 / (1 + h**2)  # noqa: E731
    rng = np.random.default_rng(0)
    novel, familiar = np.exp(h), rng.permutation(np.exp(h + change(h)))
    _, found = lim.dependence(novel, familiar)
    expected = change(norm.ppf((np.arange(1000) + 0.625) / 1000.25))
    middle = slice(50, 950)
    np.testing.assert_allclose(found[middle, 0], expected[middle], atol=0.01)


def test_the_dependence_on_the_postsynaptic_rate_is_recovered():
    table, figure = lim.which_rule_lim(0, silent, units=150)
    first = table.groupby("rule").first()
    assert (first["correlation"].dropna() > 0.9).all()
    assert first.loc["threshold at 1", "threshold"] > first.loc["linear", "threshold"] + 0.3
    nothing = table[table["rule"] == "no learning"]
    assert nothing["change"].abs().max() < 0.15
    assert len(figure.axes) == 4


def test_drift_along_the_gradient_is_reinforcement_and_along_the_belief_supervised():
    learner = drawn(np.random.default_rng(0), units=40, stimuli=8, overlap=0.5)
    rates = learner.reached().rates
    miss, every = learner.miss(rates).numpy(), np.arange(40)
    for readout, sign in ((learner.readout, 1), (learner.believed, -1)):
        found = portes.statistic(learner, rates, -miss @ readout.numpy(), every)
        assert sign * found > 0.3


@pytest.mark.slow
def test_more_units_tell_supervised_from_reinforcement_better(monkeypatch):
    monkeypatch.setattr(portes, "OVERLAPS", (0.25,))
    table, figure = portes.which_rule_portes(0, silent, animals=6)
    accuracy = table.set_index("recorded")["accuracy"]
    assert accuracy[100] >= 0.9
    assert accuracy[100] > accuracy[2]
    assert (table["low"] <= table["accuracy"]).all()
    assert len(figure.axes) == 1


def test_trajectories_hold_each_statistic_at_the_start_and_its_changes():
    values = np.stack([np.array([[0.0, 2.0]]), np.array([[1.0, 5.0]])])
    found = nayebi.trajectories(values).reshape(len(nayebi.STATISTICS), 2)
    np.testing.assert_allclose(found[:3], [[1, 2], [1, 1], [1, 2]])  # mean, sd, mean of absolute


def test_a_forest_names_what_can_be_told_and_guesses_what_cannot():
    rng = np.random.default_rng(0)
    labels = [name for name in nayebi.KINDS for _ in range(20)]
    signal = np.repeat(np.arange(4.0), 20)[:, None]
    told = nayebi._classified(signal + 0.1 * rng.normal(size=(80, 5)), labels, 0)
    guessed = nayebi._classified(rng.normal(size=(80, 5)), labels, 0)
    assert told["accuracy"] == told["kinds"] == 1
    assert guessed["low"] < 0.25 < guessed["high"] or guessed["accuracy"] < 0.25
    assert told["gradient as gradient"] == 1


@pytest.mark.slow
def test_unsupervised_is_told_from_supervised(monkeypatch):
    monkeypatch.setattr(nayebi, "RECORDED", (20, 100))
    table, figure = nayebi.which_rule_nayebi(0, silent, networks=8)
    whole = table[table["recorded"] == 100].set_index("observable")
    assert whole["oja as oja"].max() >= 0.75
    assert set(table["observable"]) == set(nayebi.OBSERVABLES)
    assert len(figure.axes) == 2


def test_they_are_figures_of_the_command():
    assert {"which-rule-nayebi", "which-rule-portes", "which-rule-lim"} <= set(FIGURES)
