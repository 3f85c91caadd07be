"""The power of the gain in a reparameterized rule, from changes of weights or of rates."""

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.hypotheses import gain_power, observe_rates, observe_weights
from ratenet.plasticity import rule_named

UNITS, STIMULI = 24, 6
POWERS = {
    "first-order-reparameterized": -1,
    "gain-free-reparameterized": 0,
    "linearized-reparameterized": 1,
}


class Lesson:
    """A random network that learned a little by a rule."""

    def __init__(self, rule: str, seed: int, size: float = 0.01, model: str = "rate") -> None:
        self.rng = np.random.default_rng(seed)
        W, teacher = 0.5 * self.rng.standard_normal((2, UNITS, UNITS)) / UNITS**0.5
        self.drive = torch.as_tensor(self.rng.standard_normal((STIMULI, UNITS)))
        self.network = rn.Network(model, W)
        taught = rn.Network(model, teacher)
        self.target = rn.find_fixed_points(taught, self.drive).rates
        self.fp = rn.find_fixed_points(self.network, self.drive)
        delta = rule_named(rule).update(self.fp, self.fp.rates - self.target, 1.0).numpy()
        self.change = size * np.linalg.norm(W) / np.linalg.norm(delta) * delta
        self.after = W + self.change

    def weights(self, noise: float = 0.0, share: float = 1.0):
        error = noise * self.change.std() * self.rng.standard_normal(self.change.shape)
        seen = np.where(self.rng.random(error.shape) < share, self.after + error, np.nan)
        return observe_weights(self.network, seen)

    def rates(self, noise: float):
        later = rn.find_fixed_points(self.network.changed(W=self.after), self.drive).rates.numpy()
        error = noise * (later - self.fp.rates.numpy()).std()
        return observe_rates(
            self.network, self.fp.rates, later + error * self.rng.standard_normal(later.shape)
        )

    def found(self, observed, **more):
        return gain_power(self.network, self.drive, observed, target=self.target, **more)


@pytest.mark.parametrize(("rule", "power"), POWERS.items())
@pytest.mark.parametrize("seed", range(4))
def test_sign_and_power_come_back_and_name_the_rule(rule, power, seed):
    lesson = Lesson(rule, seed)
    exact = lesson.found(lesson.weights())
    assert exact.value == pytest.approx(power, abs=1e-4)
    assert exact.rule == rule
    assert exact.explained == pytest.approx(1)
    noisy = lesson.found(lesson.weights(noise=0.2, share=0.7))
    assert noisy.low <= power <= noisy.high
    assert noisy.high - noisy.low < 0.8
    assert noisy.rule == rule
    assert rule in str(noisy)


@pytest.mark.parametrize(("rule", "power"), POWERS.items())
def test_from_rates_alone(rule, power):
    lesson = Lesson(rule, 5, size=0.003)
    found = lesson.found(lesson.rates(noise=0.05))
    assert (found.kind, found.rule) == ("rates", rule)
    assert found.low <= power <= found.high


def test_another_rule_of_the_family_is_not_taken_for_a_shipped_one():
    lesson = Lesson("euclidean", 0)
    left = lesson.fp.gain * (lesson.fp.rates - lesson.target)
    left = left**1 * lesson.fp.gain**1  # a = 2, with the right factors of Hebb's rule
    left = left - (lesson.fp.gain * left) @ lesson.network.connectivity.W.T
    change = -(left.T @ lesson.fp.rates).numpy() / STIMULI
    after = lesson.network.connectivity.W.numpy() + 1e-3 * change
    found = lesson.found(observe_weights(lesson.network, after))
    assert found.value == pytest.approx(2, abs=1e-3)
    assert found.rule is None
    assert "none of the three" in found.summary()


def test_what_does_not_tell_a_power_is_refused_in_one_sentence():
    lesson = Lesson("linearized-reparameterized", 0)
    seen = lesson.weights()
    with pytest.raises(InputError, match="left factors need errors"):
        gain_power(lesson.network, lesson.drive, seen)
    with pytest.raises(InputError, match="level"):
        lesson.found(seen, level=95)
    with pytest.raises(InputError, match="observed"):
        lesson.found(lesson.after)
    with pytest.raises(InputError, match="more than the 6 stimuli"):
        lesson.found(lesson.weights(share=0.1))
    linear = Lesson("linearized-reparameterized", 0, model="linear")
    with pytest.raises(UnsupportedError, match="all gains are alike"):
        linear.found(linear.weights())
    relu = rn.load_model("rate").to_table() | {"functions": {"f": "relu(u)"}}
    silent = Lesson("linearized-reparameterized", 0, model=rn.load_model(relu))
    with pytest.raises(UnsupportedError, match="gains above 0"):
        silent.found(silent.weights())
