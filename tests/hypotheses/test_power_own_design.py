"""Power for one's own design: network, stimuli, errors of every kind, animals, other truths."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.problems import random, random_weights

import ratenet as rn
from ratenet import plasticity
from ratenet.errors import InputError
from ratenet.hypotheses import identify, observe_weights, power
from ratenet.hypotheses.identification.prediction import lesson, named_rules
from ratenet.hypotheses.identification.simulated import Experiment, Places, Setting, _errors
from ratenet.report.identification import confusion_figure, power_figure

RULES = ["euclidean", "hebb"]
N, B = 12, 6
SMALL = {"units": N, "stimuli": B, "experiments": 6}


@cache
def scene():
    network = rn.Network("rate", random_weights(N, seed=1))
    return network, random(B, N, seed=2), random(B, N, seed=3, scale=0.3)


def experiment(**given) -> Experiment:
    """Return one experiment of the scene."""
    network, drive, target = scene()
    setting = Setting(**{
        "rules": named_rules(RULES), "others": {}, "kind": "weights", "model": "rate",
        "radius": 0.5, "network": network, "drive": drive, "target": target, "steps": 1,
        "change": 0.01, "weight_error": 0.0, "correlation": 0.0, **given,
    })  # fmt: skip
    return Experiment.drawn(setting, N, B, [0, N, B, 0])


def accuracy(found, truth: str, column: str = "share") -> float:
    (value,) = found.accuracy.loc[found.accuracy["truth"] == truth, column]
    return value


def test_changes_are_those_of_the_network_stimuli_and_targets_that_are_given():
    network, drive, target = scene()
    fp = rn.find_fixed_points(network, drive)
    expected = plasticity.Euclidean().update(fp, fp.rates - target, 1.0)
    true = experiment().true["euclidean"]
    np.testing.assert_allclose(true, expected.numpy(), rtol=1e-6, atol=1e-9)
    found = power(RULES, network=network, drive=drive, target=target, experiments=3)
    assert found.designs()[0] == {
        "units": N, "stimuli": B, "observed": N * N, "noise": 0.1, "animals": 1,
    }  # fmt: skip
    assert accuracy(found, "any rule") == 1.0


def test_several_steps_learn_at_the_fixed_points_of_each():
    network, drive, target = scene()
    W, total, rate = network.connectivity.dense(), torch.zeros(N, N, dtype=torch.float64), None
    for _ in range(5):
        fp = rn.find_fixed_points(network.changed(W=W + total), drive)
        delta = plasticity.Euclidean().update(fp, fp.rates - target, 1.0)
        rate = rate or 0.5 * float(W.norm() / delta.norm())
        total = total + rate / 5 * delta
    true = experiment(steps=5, change=0.5).true["euclidean"]
    np.testing.assert_allclose(true, total.numpy(), rtol=1e-5, atol=1e-8)
    first = experiment().true["euclidean"]
    assert (true * first).sum() / np.linalg.norm(true) / np.linalg.norm(first) < 0.999  # has turned


def test_rates_are_those_of_the_network_that_has_learned():
    network, drive, target = scene()
    fp = rn.find_fixed_points(network, drive)
    delta = plasticity.Euclidean().update(fp, fp.rates - target, 1.0)
    W = network.connectivity.dense()
    after = W + 0.2 * W.norm() / delta.norm() * delta
    later = rn.find_fixed_points(network.changed(W=after), drive)
    true = experiment(kind="rates", change=0.2).true["euclidean"]
    np.testing.assert_allclose(true, (later.rates - fp.rates).numpy(), rtol=1e-4, atol=1e-6)


def test_weights_are_known_with_the_error_that_is_given():
    network, drive, target = scene()
    made = experiment(weight_error=0.3)
    W = network.connectivity.dense()
    off = made.known.fp.network.connectivity.dense() - W
    assert abs(float(off.norm() / W.norm()) - 0.3) < 0.06
    np.testing.assert_array_equal(made.true["hebb"], experiment().true["hebb"])
    again = lesson(made.known.fp.network, drive, target=target)
    torch.testing.assert_close(made.known.fp.rates, again.fp.rates)
    mask = torch.rand(N, N, generator=torch.Generator().manual_seed(0)) < 0.3
    sparse = rn.Network("rate", rn.connectivity.Masked(W * mask, mask))
    known = experiment(network=sparse, weight_error=0.3).known.fp.network.connectivity
    assert not known.dense()[~mask].any()


def test_an_error_of_the_weights_costs_power():
    network, drive, target = scene()
    rules = ["euclidean", "linearized-reparameterized", "gain-free-reparameterized"]
    own = {"network": network, "drive": drive, "target": target, "noise": 0.3, "experiments": 8}
    exact, wrong = (power(rules, weight_error=error, **own) for error in (0.0, 0.9))
    assert accuracy(exact, "any rule") > accuracy(wrong, "any rule")


def test_errors_have_variance_one_and_the_correlation_that_is_given():
    places = Places(*np.divmod(np.arange(40 * 40), 40))
    drawn = np.array([
        _errors(places, 0.6, np.random.default_rng(seed)).reshape(40, 40) for seed in range(400)
    ])  # fmt: skip
    np.testing.assert_allclose(drawn.var(), 1, atol=0.02)
    pairs = {(0, 1): 0.3, (1, 0): 0.3, (1, 1): 0.0}  # same post, same pre, neither
    for (row, column), expected in pairs.items():
        other = np.roll(drawn, (row, column), axis=(1, 2))
        np.testing.assert_allclose(np.mean(drawn * other), expected, atol=0.03)


def test_sparse_networks_are_measured_where_they_have_synapses():
    mask = torch.rand(N, N, generator=torch.Generator().manual_seed(0)) < 0.5
    network = rn.Network("rate", rn.connectivity.Masked(mask * random_weights(N, 1), mask))
    found = power(RULES, network=network, stimuli=B, experiments=2)
    assert found.designs()[0]["observed"] == int(mask.sum())
    with pytest.raises(InputError, match=f"observed: expected at most the {int(mask.sum())} syn"):
        power(RULES, network=network, observed=N * N)


def test_animals_together_are_judged_by_all_and_told_by_their_number():
    few = {**SMALL, "experiments": 3}
    found = power(RULES, animals=[1, 3, 7], noise=1.0, **few)
    rows = found.accuracy[found.accuracy["truth"] == "any rule"].set_index("animals")
    assert list(rows.index) == [1, 3, 7]
    assert rows.loc[3, "share"] == 0.0  # three allow no p-value below 1/8
    assert rows.loc[7, "share"] == 1.0
    alone = power(RULES, noise=1.0, **few)
    one = found.table[found.table["animals"] == 1]
    assert one["count"].tolist() == alone.table["count"].tolist()
    assert found.summary().splitlines()[2].startswith("7 animals, 12 units")
    axis = power_figure(found.accuracy, level=0.05, title="").axes[0]
    assert axis.get_xlabel() == "animals"


def fixed_point(W, x):
    y = np.zeros_like(x)
    for _ in range(2000):
        y = 0.5 * y + 0.5 * np.tanh(y @ W.T + x)
    return y


def euclidean(W, x, aim):
    """Return the gradient's direction for y = tanh(W y + x) and |y - aim|^2 / 2, by hand."""
    change = np.zeros_like(W)
    for y, target in zip(fixed_point(W, x), aim, strict=True):
        g = 1 - y**2
        change -= np.outer(g * np.linalg.solve(np.eye(len(W)) - W.T * g, y - target), y) / len(x)
    return change


@pytest.mark.slow
def test_power_is_what_identify_finds_in_experiments_simulated_apart():
    """Two steps, an error in W, correlated errors: all by NumPy, and asked of identify."""
    network, drive, target = scene()
    W, x, aim = (part.numpy() for part in (network.connectivity.dense(), drive, target))
    design = {"steps": 2, "change": 0.5, "weight_error": 0.3, "correlation": 0.4, "noise": 3.0}
    found = power(RULES, network=network, drive=drive, target=target, experiments=60, **design)
    first = euclidean(W, x, aim)
    rate = 0.25 * np.linalg.norm(W) / np.linalg.norm(first)
    change = rate * first + rate * euclidean(W + rate * first, x, aim)
    size, named = design["noise"] * np.sqrt(np.mean(change**2)), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        own, post, pre = (rng.standard_normal(shape) for shape in ((N, N), (N, 1), (1, N)))
        error = size * (np.sqrt(0.6) * own + np.sqrt(0.2) * (post + pre))
        known = W + 0.3 * np.sqrt(np.mean(W**2)) * rng.standard_normal((N, N))
        before = rn.Network("rate", known)
        observed = observe_weights(before, known + change + error, noise=size)
        named += identify(before, x, observed, RULES, target=aim, seed=seed).rule == "euclidean"
    share = accuracy(found, "euclidean")
    assert abs(named / 60 - share) < 3 * np.sqrt(2 * 0.25 / 60)
    assert 0.1 < share < 0.9


def offset(fp, error):
    """Return the same growth of all weights."""
    return np.ones((N, N))


def drawn(fp, error, rng):
    return rng.standard_normal((N, N))


def delta(fp, error, learning_rate):
    """Return a change as functions of rules do."""
    return -learning_rate * error.T @ fp.rates


def test_functions_have_the_parameters_of_rules():
    target = scene()[2]
    made = experiment(others={"delta": delta})
    fp = made.known.fp
    expected = -(fp.rates - target).T @ fp.rates
    np.testing.assert_allclose(made.true["delta"], expected.numpy())
    again = experiment(others={"drawn": drawn}).true["drawn"]
    np.testing.assert_array_equal(again, experiment(others={"drawn": drawn}).true["drawn"])


def test_other_truths_are_rules_or_functions_and_their_names_are_wrong():
    found = power(RULES, others=["oja", offset, drawn], **SMALL)
    assert found.others == ("oja", "offset", "drawn")
    table = found.table
    assert set(table["named"]) == {*RULES, "none"}
    assert (table.groupby("truth")["count"].sum() == 6).all()
    is_wrong = (table["truth"] != table["named"]) & (table["named"] != "none")
    assert (table["wrong"] == table["count"].where(is_wrong, 0)).all()
    assert accuracy(found, "drawn") == 1.0 - accuracy(found, "drawn", "wrong") / 6
    assert accuracy(found, "any rule", "experiments") == 12
    assert (
        f"a rule named in {table.loc[table['truth'].isin(found.others), 'wrong'].sum()} of 18"
        in (found.summary())
    )
    shares = found.confusion()
    assert shares.shape == (6, 3)
    figure = confusion_figure(shares, title="")
    assert len(figure.axes[0].texts) == 18
    named = power(RULES, others={"mine": offset, "his": "oja"}, **SMALL)
    assert named.others == ("mine", "his")
    pd.testing.assert_series_equal(
        named.table.loc[named.table["truth"] == "mine", "count"].reset_index(drop=True),
        table.loc[table["truth"] == "offset", "count"].reset_index(drop=True),
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": 3}, "network: expected a network, got 3"),
        ({"network": scene()[0]}, "units: expected none beside network or drive, which"),
        ({"network": scene()[0], "units": None, "model": "rate"}, "model: expected none beside"),
        ({"drive": scene()[1], "units": None}, "stimuli: expected none beside drive, which"),
        ({"drive": np.zeros((2, 2, 2))}, r"drive: expected shape \(B, N\), .*got \(2, 2, 2\)"),
        ({"target": np.zeros((2, N))}, r"target: expected shape .*\(6, 12\)"),
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"change": 0.0}, "change: expected a number above 0 and at most 1"),
        ({"weight_error": -0.1}, "weight_error: expected a number from 0 to below 1, got -0.1"),
        ({"weight_error": float("nan")}, "weight_error: expected .*, got nan"),
        ({"correlation": 1.0}, "correlation: expected a number from 0 to below 1, got 1.0"),
        ({"animals": []}, r"animals: expected one value, or one or more in a list, got \[\]"),
        ({"drive": [[1, 2], [3]]}, r"drive: expected shape \(B, N\), one row per stimulus, got"),
        ({"others": [3]}, "others: rule: expected a rule"),
        (
            {"network": rn.Network("rate", torch.zeros(N, N)), "units": None, "weight_error": 0.1},
            "weight_error: it is relative to the size of W, and all weights .* are 0",
        ),
        ({"animals": [2, 0]}, "animals: expected a whole number of at least 1, got 0"),
        ({"noise": 0}, "noise: expected a finite number above 0, got 0"),
        ({"others": ["hebb"]}, "others: expected names that are not among the rules.*got 'hebb'"),
        ({"others": [offset, offset]}, "others: expected names .*each once, got 'offset'"),
        ({"others": [lambda fp: fp]}, "others: expected a rule, or a function of .fp, error. and"),
        ({"others": [lambda fp, error, more: fp]}, "others: expected .* of rng or learning_rate"),
        ({"others": {"f": lambda fp, e: 0 * fp.rates}}, r"others, f: .*\(12, 12\) finite numbers"),
        ({"others": {"f": lambda fp, e: "big"}}, "others, f: expected .*, got 'big'"),
        ({"others": {"f": lambda fp, e: np.full((N, N), np.nan)}}, "got NaN or infinite entries"),
        ({"others": {"f": lambda fp, e: np.zeros((N, N))}}, "f changes nothing .* has no scale"),
        ({"units": 10**7}, "units: a design of 10,000,000 units, .* GB are free; choose fewer"),
        ({"stimuli": 10**11}, "units: a design of 12 units, 100,000,000,000 stimuli .* need"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(changes, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        power(RULES, **{**SMALL, **changes})
    assert "\n" not in str(error.value)
