"""Training: what is learned from, the same numbers again, how a run stops."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import (
    DivergenceError,
    InputError,
    UnsettledError,
)
from ratenet.training import network_run
from ratenet.training.classifier import random_classifier
from ratenet.training.presentation import Slow, Static


def classifier(seed: int = 0):
    return random_classifier(
        "rate", units=30, inputs=784, classes=10, tau=None, seed=seed, device=torch.device("cpu")
    )


def test_error_is_the_gradient_of_each_loss(generator):
    network = classifier()
    rates = torch.randn(5, 30, generator=generator).requires_grad_()
    labels = torch.tensor([0, 3, 3, 9, 5])
    network.losses(rates, labels).sum().backward()
    assert torch.allclose(network.error(rates.detach(), labels), rates.grad, atol=1e-7)


def test_random_weights_have_their_sizes():
    network = random_classifier(
        "rate", units=400, inputs=784, classes=10, tau=None, seed=1, device=torch.device("cpu")
    )
    W = network.network.connectivity.W
    assert math.isclose(float(W.std()) * math.sqrt(400), 0.5, rel_tol=0.02)
    assert math.isclose(float(network.read_in.std()) * math.sqrt(784), 1.0, rel_tol=0.02)
    assert math.isclose(float(network.read_out.std()) * math.sqrt(400), 1.0, rel_tol=0.05)


@pytest.mark.parametrize("presentation", ["static", "slow"])
def test_learning_beats_the_frozen_control(presentation, tmp_path):
    config = rn.TrainingConfig(units=60, epochs=3, presentation=presentation, threads=1)
    result = rn.train(config, out=tmp_path)
    assert result.summary["control_accuracy"] < 0.2
    assert result.summary["test_accuracy"] > 0.4
    assert result.metrics["train_loss"].iloc[-5:].mean() < result.metrics["train_loss"].iloc[0]


def test_no_test_image_is_trained_on(few_digits, tmp_path, monkeypatch):
    shown = []
    original = network_run.take_step

    def spying_step(run):
        drive = run.classifier.drive

        class Spy:
            def __getattr__(self, name):
                return getattr(classifier_, name)

            def drive(self, pixels):
                shown.append(pixels)
                return drive(pixels)

        classifier_ = run.classifier
        run.classifier = Spy()
        try:
            return original(run)
        finally:
            run.classifier = classifier_

    monkeypatch.setattr(network_run, "take_step", spying_step)
    rn.train(small(epochs=2), out=tmp_path)
    trained_on = {row.numpy().tobytes() for row in torch.cat(shown)}
    assert len(trained_on) == len(few_digits.train)
    assert not trained_on & {row.numpy().tobytes() for row in few_digits.test.pixels}


@pytest.mark.parametrize("presentation", ["static", "slow"])
def test_same_seed_same_numbers(presentation, few_digits, tmp_path):
    first = rn.train(small(presentation=presentation), out=tmp_path / "a")
    second = rn.train(small(presentation=presentation), out=tmp_path / "b")
    other = rn.train(small(presentation=presentation, seed=1), out=tmp_path / "c")
    pd.testing.assert_frame_equal(first.metrics, second.metrics)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_few_units_are_drawn_as_well(few_digits, tmp_path, pictures):
    rn.train(small(units=3), out=tmp_path)
    assert (tmp_path / "figures" / "digits.png").exists()


RATE_IN_HERTZ = """
name = "hertz"
title = "A model without time constants"
source = "a test"
equations = "dr/dt = k * (-r + tanh(I_rec + I_ext)) : 1"
output = "r"
recurrent = "I_rec"
drive = "I_ext"
[parameters]
k = "100*hertz"
"""


def test_a_model_without_time_constants_trains_static(few_digits, tmp_path):
    model = tmp_path / "hertz.toml"
    model.write_text(RATE_IN_HERTZ)
    result = rn.train(small(model=str(model)), out=tmp_path / "static")
    assert result.summary["status"] == "done"
    with pytest.raises(InputError, match="no parameter with the unit of time.*'static'"):
        rn.train(small(model=str(model), presentation="slow"), out=tmp_path / "slow")


def test_a_model_with_a_unit_at_its_output_is_refused(few_digits, tmp_path):
    model = tmp_path / "unit.toml"
    text = RATE_IN_HERTZ.replace(
        "k * (-r + tanh(I_rec + I_ext)) : 1", "k*(-r + k*(I_rec + I_ext)) : Hz"
    )
    model.write_text(text)
    with pytest.raises(InputError, match="the output r has a unit"):
        rn.train(small(model=str(model)), out=tmp_path / "run")


UNSTABLE = {"presentation": "slow", "hold": 0.001, "fade": 0.0}  # nothing settles in 1 ms


def test_unsettled_majority_stops_the_run(few_digits, tmp_path):
    with pytest.raises(UnsettledError, match="stopped at step 1 of 4.*100 of 100 samples"):
        rn.train(small(**UNSTABLE), out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert "step 1" in summary["reason"]
    assert summary["steps"] == 0
    assert summary["unsettled_samples"] == 100
    assert summary["unsettled_share"] == 1.0
    assert 0 <= summary["test_accuracy"] <= 1
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_unsettled_samples_can_be_included(few_digits, tmp_path):
    result = rn.train(small(**UNSTABLE, unsettled="include"), out=tmp_path)
    assert result.summary["unsettled_samples"] == 400
    assert result.summary["unsettled_share"] == 1.0
    assert (result.metrics["settled"] == 0).all()


def test_divergence_stops_at_the_last_good_state(few_digits, tmp_path):
    config = small(model="linear", rule="euclidean", learning_rate=1e30, presentation="slow")
    with pytest.raises((DivergenceError, UnsettledError), match="Training stopped at step"):
        rn.train(config, out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "stopped"
    folder = rn.training.run_folder.RunFolder(tmp_path)
    saved = folder.read_checkpoint(folder.checkpoint_file, "cpu")
    assert all(torch.isfinite(tensor).all() for tensor in saved.tensors.values())


def test_slow_carries_its_state_over():
    network = classifier().network
    slow = Slow(hold=0.02, fade=0.01)
    drive = torch.ones(2, 30)
    once = slow.show(network, drive).rates
    twice = slow.show(network, drive).rates
    assert not torch.equal(once, twice)
    again = Slow(hold=0.02, fade=0.01)
    again.load_state_dict(slow.state_dict())
    assert torch.equal(again.show(network, -drive).rates, slow.show(network, -drive).rates)


def test_slow_with_long_holds_reaches_the_static_fixed_points():
    network = classifier().network
    drive = torch.linspace(-1, 1, 60).view(2, 30)
    slow = Slow(hold=0.5, fade=0.05).show(network, drive)
    static = Static().show(network, drive)
    assert slow.converged.all()
    assert torch.allclose(slow.rates, static.rates, atol=2e-4)


def test_slow_steps_follow_the_shortest_time_constant():
    network = rn.Network("adaptation", torch.zeros(3, 3))  # 10 and 100 ms
    assert Slow(hold=0.2, fade=0.05).time_step(network) == pytest.approx(0.001)


@pytest.mark.parametrize("model", ["voltage", "linear", "threshold_linear", "adaptation"])
def test_every_shipped_model_trains(model, few_digits, tmp_path):
    config = small(model=model, learning_rate=0.05, rule="linearized-reparameterized")
    result = rn.train(config, out=tmp_path)
    assert result.summary["unsettled_samples"] == 0
    assert result.summary["steps"] == 4


@pytest.mark.parametrize("rule", list(rn.plasticity.RULES))
def test_every_rule_trains_a_linear_network(rule, few_digits, tmp_path):
    result = rn.train(small(model="linear", rule=rule, learning_rate=0.005), out=tmp_path)
    assert result.summary["status"] == "done"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0, got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate: expected a finite number above 0, got nan"),
        ({"epochs": 0}, "epochs: expected a whole number from 1 to 1000000, got 0"),
        ({"units": -3}, "units: expected a whole number from 1 to 1000000, got -3"),
        ({"batch_size": 0}, "batch_size: expected a whole number from 1 to 1000000, got 0"),
        ({"threads": 0}, "threads: expected a whole number from 1 to 4096, got 0"),
        ({"seed": -1}, "seed: expected a whole number from 0 to .*, got -1"),
        ({"seed": 2**64}, "seed: expected a whole number from 0 to .*, got 18446744073709551616"),
        ({"epochs": 10**12}, "epochs: expected a whole number .* to 1000000, got 1000000000000"),
        ({"threads": 10**6}, "threads: expected a whole number from 1 to 4096, got 1000000"),
        ({"epochs": 2.5}, "epochs: expected a whole number .*, got 2.5"),
        ({"device": "meta"}, "device: 'meta' is unknown or not available here"),
        ({"presentation": "fast"}, "presentation: expected one of slow, static, got 'fast'"),
        ({"unsettled": "maybe"}, "unsettled: expected one of leave-out, include, got 'maybe'"),
        ({"tau": -0.01}, "tau: expected a finite time above 0, got -0.01"),
        ({"hold": 0.0, "fade": 0.0}, "hold, fade: cannot both be 0"),
        ({"device": "abacus"}, "device: 'abacus' is unknown or not available here"),
        ({"hold": 0.1, "presentation": "static"}, "hold: has no effect on static presentation"),
        ({"fade": 0.1, "presentation": "static"}, "fade: has no effect on static presentation"),
        ({"hold": "0.1*mV"}, "hold: expected a time, such as 10.ms, got 100. uV"),
        ({"hold": "soon"}, "hold: unknown unit 'soon'"),
        ({"epochs": 3, "evaluate_every": 4}, "evaluate_every: expected at most .*, 3, got 4"),
        (
            {"rule": "frozen", "recurrent_learning_rate": 0.1},
            "recurrent_learning_rate: has no effect, since rule 'frozen'",
        ),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        rn.TrainingConfig(**options)


def test_numbers_of_numpy_and_times_as_strings_are_taken():
    config = rn.TrainingConfig(units=np.int64(5), learning_rate=np.float32(0.5), hold="100*ms")
    assert (config.units, config.learning_rate, config.hold) == (5, 0.5, 0.1)
    assert (type(config.units), type(config.learning_rate)) == (int, float)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"units": 10**6}, "units: weights and gradients of 1,000,000 units need .* GB of memory"),
        ({"hold": 1e9}, "hold: expected less than .* s, got 1000000000"),
    ],
)
def test_what_would_not_fit_or_never_end_is_refused_before_anything_is_written(
    options, sentence, tmp_path
):
    with pytest.raises(InputError, match=sentence):
        rn.train(rn.TrainingConfig(**{"units": 5, **options}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.full_mnist
@pytest.mark.parametrize(
    ("rule", "learning_rate", "least"),
    [("linearized-reparameterized", 0.25, 0.865), ("gain-free-reparameterized", 0.1, 0.81)],
)
def test_full_mnist_accuracy(rule, learning_rate, least, full_mnist_root, tmp_path):
    config = rn.TrainingConfig(
        data="mnist", data_root=str(full_mnist_root), presentation="static", batch_size=512,
        epochs=3, rule=rule, learning_rate=learning_rate,
    )  # fmt: skip
    assert rn.train(config, out=tmp_path).summary["test_accuracy"] >= least


@pytest.mark.slow
def test_demo_reaches_its_accuracy(tmp_path):
    assert rn.train(out=tmp_path).summary["test_accuracy"] >= 0.855
