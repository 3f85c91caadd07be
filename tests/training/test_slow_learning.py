"""Learning from rates that are on their way: within a hold, continuously, while images move."""

import math

import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import InputError, UnsettledError
from ratenet.plasticity import LinearizedReparameterized
from ratenet.stimuli import Images, ReadIn, Rotate, Still, batches_of_epoch
from ratenet.training.classifier import random_classifier
from ratenet.training.eligibility import Eligibility
from ratenet.training.presentation import Slow, Static

SLOW = {"presentation": "slow", "dtype": "float64", "unsettled": "include", "learning_rate": 0.1}
HOLD, FADE, DT = 0.04, 0.02, 0.001


def by_hand(few, learn_at: dict[int, float], steps: int) -> torch.Tensor:
    """Return W after one epoch of `small`; `learn_at`: learning rate after a time step."""
    classifier = random_classifier(
        "rate", units=40, inputs=784, classes=10, tau=None, seed=0,
        device=torch.device("cpu"), dtype=torch.float64,
    )  # fmt: skip
    network, rule = classifier.network, LinearizedReparameterized()
    state, before = None, torch.zeros(100, 40, dtype=torch.float64)
    for batch in batches_of_epoch(400, 100, seed=0, epoch=0):
        drive = classifier.drive(few.train.pixels[batch].double())
        for step in range(steps):

            def fading(t: float, before=before, drive=drive) -> torch.Tensor:
                return torch.lerp(before, drive, min(1.0, t / FADE))

            run = rn.simulate(network, fading, DT, DT, initial=state, start=step * DT)
            state = run.final
            if step + 1 in learn_at:
                fp = rn.fixed_points_at(network, drive, state, tol=math.inf)
                error = classifier.error(fp.rates, few.train.labels[batch])
                network.connectivity.add_(rule.update(fp, error, learn_at[step + 1]))
        before = drive
    return network.connectivity.W


@pytest.mark.parametrize(
    ("update_at", "learn_at"),
    [
        ((0.25,), {30: 0.1}),
        ((1.0, 0.5), {40: 0.1, 60: 0.1}),
        ("continuous", dict.fromkeys(range(21, 61), 0.1 / 40)),
    ],
)
def test_the_rule_acts_when_it_is_told(update_at, learn_at, few_digits, tmp_path):
    config = small(**SLOW, hold=HOLD, fade=FADE, update_at=update_at, method="euler")
    result = rn.train(config, out=tmp_path)
    assert torch.allclose(
        weights(result), by_hand(few_digits, learn_at, steps=60), rtol=0, atol=1e-12
    )


def test_eligibility_is_a_running_average():
    eligibility, change = Eligibility(0.1), {"W": torch.full((2, 2), 3.0, dtype=torch.float64)}
    for _ in range(50):
        average = eligibility.take_in(change, 0.002)["W"]
    assert torch.allclose(average, (1 - math.exp(-1.0)) * change["W"])  # E = D (1 - e^(-t/tau))
    eligibility.decay(0.05)
    kept = eligibility.state_dict()["eligibility/W"]
    assert torch.allclose(kept, math.exp(-0.5) * average)
    again = Eligibility(0.1)
    again.load_state_dict(eligibility.state_dict())
    assert torch.equal(again.take_in(change, 0.1)["W"], eligibility.take_in(change, 0.1)["W"])


def test_no_eligibility_is_no_average():
    change = {"W": torch.ones(2, 2)}
    assert Eligibility(None).take_in(change, 0.01) is change


def test_a_long_eligibility_delays_learning(few_digits, tmp_path):
    options = {**SLOW, "hold": HOLD, "fade": FADE, "update_at": "continuous"}
    moved = []
    for name, time_constant in (("none", None), ("short", 0.001), ("long", 10.0)):
        start = small(**options, eligibility=time_constant)
        result = rn.train(start, out=tmp_path / name)
        first = random_classifier(
            "rate", units=40, inputs=784, classes=10, tau=None, seed=0,
            device=torch.device("cpu"), dtype=torch.float64,
        )  # fmt: skip
        moved.append(float((weights(result) - first.network.connectivity.W).norm()))
    none, short, long = moved
    assert short == pytest.approx(none, rel=0.1)
    assert long < 0.05 * none


def moving_rates(*, corrects_lag: bool, fade: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rates of images that never rest, and the fixed points that they trail."""
    classifier = random_classifier(
        "rate", units=40, inputs=20, classes=3, tau=None, seed=1,
        device=torch.device("cpu"), dtype=torch.float64,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(2)
    slow = Slow(0.0, fade, corrects_lag=corrects_lag)
    for _ in range(3):
        drive = classifier.drive(torch.rand(50, 20, generator=generator).double())
        fp = slow.show(classifier.network, drive)
    return fp.rates, rn.find_fixed_points(classifier.network, drive).rates


def test_the_predicted_lag_is_taken_off():
    off = {}
    for corrects_lag in (False, True):
        rates, truth = moving_rates(corrects_lag=corrects_lag, fade=0.1)
        off[corrects_lag] = float((rates - truth).norm() / truth.norm())
    assert off[False] > 0.03  # tau / fade is a tenth
    assert off[True] < 0.1 * off[False]


def test_the_network_itself_is_not_moved_by_the_correction():
    slow = Slow(0.0, 0.05, corrects_lag=True)
    plain = Slow(0.0, 0.05)
    network = rn.Network("rate", torch.zeros(3, 3, dtype=torch.float64))
    drive = torch.ones(2, 3, dtype=torch.float64)
    corrected, reached = slow.show(network, drive), plain.show(network, drive)
    assert not torch.equal(corrected.rates, reached.rates)
    assert torch.equal(slow.state_dict()["stream_state"], plain.state_dict()["stream_state"])


@pytest.mark.slow
def test_taking_off_the_lag_helps_at_fast_presentation(tmp_path):
    accuracy = {}
    for correct_lag in (False, True):
        config = small(
            presentation="slow", unsettled="include", hold=0, fade=0.02, correct_lag=correct_lag,
            units=60, epochs=2, batch_size=100,
        )  # fmt: skip
        result = rn.train(config, out=tmp_path / str(correct_lag))
        accuracy[correct_lag] = result.summary["test_accuracy"]
    assert accuracy[True] > accuracy[False] + 0.02


@pytest.mark.slow
def test_both_backends_train_the_same_weights(few_digits, tmp_path):
    found = {}
    for backend in ("torch", "brian2"):
        config = small(
            presentation="slow", dtype="float64", backend=backend, units=60, batch_size=10,
            method="euler", hold=0.05, fade=0.02, unsettled="include", learning_rate=0.05,
        )  # fmt: skip
        result = rn.train(config, out=tmp_path / backend)
        assert result.summary["steps"] == 40
        found[backend] = result
    W = weights(found["torch"])
    start = random_classifier(
        "rate", units=60, inputs=784, classes=10, tau=None, seed=0,
        device=torch.device("cpu"), dtype=torch.float64,
    )  # fmt: skip
    assert float((W - start.network.connectivity.W).abs().max()) > 1e-2  # it has learned
    assert float((W - weights(found["brian2"])).abs().max()) < 1e-9


NOISY = """
name = "noisy"
title = "A rate network with noise"
source = "a test"
equations = "dr/dt = (-r + tanh(I_rec + I_ext)) / tau + 0.1 * xi / tau**0.5 : 1"
output = "r"
recurrent = "I_rec"
drive = "I_ext"
[parameters]
tau = "10*ms"
"""


def test_noise_is_new_in_every_presentation_and_the_same_for_a_seed(few_digits, tmp_path):
    model = tmp_path / "noisy.toml"
    model.write_text(NOISY)
    options = {**SLOW, "model": str(model), "hold": HOLD, "fade": FADE}
    whole = rn.train(small(**options, epochs=2), out=tmp_path / "whole")
    torch.manual_seed(5)  # nothing hangs on it
    rn.train(small(**options), out=tmp_path / "cut")
    resumed = rn.resume(tmp_path / "cut", {"epochs": 2})
    assert torch.equal(weights(whole), weights(resumed))
    other = rn.train(small(**options, epochs=2, seed=1), out=tmp_path / "other")
    assert not torch.equal(weights(whole), weights(other))
    network = rn.Network(rn.load_model(model), torch.zeros(3, 3, dtype=torch.float64))
    drive = torch.zeros(2, 3, dtype=torch.float64)
    one, two = (Slow(HOLD, FADE).show(network, drive, seed=seed).rates for seed in (1, 2))
    assert not torch.equal(one, two)


def test_samples_are_counted_once_a_presentation(few_digits, tmp_path):
    """A sample counts as unsettled if it had not settled at one of the times."""
    options = {**SLOW, "hold": 0.2, "fade": FADE, "update_at": (0.05, 1.0)}
    result = rn.train(small(**options), out=tmp_path)
    assert result.metrics["settled"].tolist() == [1.0] * 4  # of the last time
    assert result.summary["unsettled_samples"] == 400


@pytest.mark.filterwarnings("ignore:dt = ")  # of the picture, by when it has blown up
def test_a_model_without_static_fixed_points_can_learn_on_its_way(few_digits, tmp_path, pictures):
    model = tmp_path / "growing.toml"
    growing = "1.5 + I_rec + I_ext + (I_rec + I_ext)**2"
    text = NOISY.replace("tanh(I_rec + I_ext)", growing).replace("+ 0.1 * xi / tau**0.5", "")
    model.write_text(text)
    options = {**SLOW, "model": str(model), "learning_rate": 1e-6, "hold": 0.02, "fade": 0.0}
    result = rn.train(small(**options, epochs=1, batch_size=400), out=tmp_path / "run")
    assert result.summary["unsettled_samples"] == 400
    assert result.summary["test_unsettled"] == 100  # there is nothing to solve for


def test_a_fast_fade_says_what_helps(few_digits, tmp_path):
    config = small(presentation="slow", hold=0, fade=0.02, correct_lag=True)
    with pytest.raises(UnsettledError, match="images never rest here: lengthen fade, or learn"):
        rn.train(config, out=tmp_path)


def test_updates_are_rounded_to_time_steps():
    network = rn.Network("rate", torch.zeros(2, 2))
    assert Slow(HOLD, FADE, (0.25, 0.5, 1.0)).update_steps(network) == [30, 40, 60]
    assert Slow(HOLD, FADE, (1e-6,)).update_steps(network) == [20]
    assert Slow(HOLD, FADE, "continuous").update_steps(network) == list(range(21, 61))
    assert Slow(0.0, FADE).update_steps(network) == [20]
    assert Slow(0.001, 0.0).steps(network) == 20


def test_an_early_update_says_how_to_go_on(few_digits, tmp_path):
    config = small(presentation="slow", hold=HOLD, fade=FADE, update_at=(0.05,))
    with pytest.raises(UnsettledError, match="100 of 100 samples did not settle.*'include'"):
        rn.train(config, out=tmp_path)


def test_a_failure_within_a_hold_takes_back_the_whole_presentation(
    few_digits, tmp_path, monkeypatch
):
    from ratenet.training import network_run

    original, calls = network_run.learn_from, []

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == 6:  # in the second half of the third hold
            raise UnsettledError("nothing to learn from")
        return original(*arguments, **options)

    options = {**SLOW, "hold": HOLD, "fade": FADE, "update_at": (0.5, 1.0)}
    two = rn.train(small(**options), out=tmp_path / "whole", callbacks=[until_step_2])
    monkeypatch.setattr(network_run, "learn_from", failing)
    with pytest.raises(UnsettledError, match="stopped at step 3 of 4: nothing to learn from"):
        rn.train(small(**options), out=tmp_path / "failed")
    failed = rn.training.run_folder.RunFolder(tmp_path / "failed")
    saved = failed.read_checkpoint(failed.checkpoint_file, "cpu")
    assert saved.progress["step"] == two.summary["steps"] == 2
    assert torch.equal(saved.tensors["W"], weights(two))


def until_step_2(run, row):
    return "far enough" if row["step"] == 2 else None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"update_at": ()}, "expected 'continuous' or a non-empty list of numbers above 0"),
        ({"update_at": (0.0,)}, "expected 'continuous' or a non-empty list of numbers above 0"),
        ({"update_at": (1.5,)}, "expected 'continuous' or a non-empty list of numbers above 0"),
        ({"update_at": "often"}, "expected 'continuous' or a non-empty list of numbers above 0"),
        (
            {"update_at": (0.5,), "presentation": "static"},
            "update_at: has no effect on static presentation",
        ),
        ({"update_at": (0.5,), "hold": 0}, "update_at: there is no hold"),
        ({"correct_lag": True}, "correct_lag: images that are held have settled .*hold 0"),
        ({"correct_lag": 1}, "correct_lag: expected true or false, got 1"),
        ({"eligibility": 0.1}, "eligibility: .* use update_at 'continuous'"),
        ({"update_at": "continuous", "optimizer": "adam"}, "requires optimizer 'sgd'"),
        ({"update_at": "continuous", "clip_norm": 1.0}, "clip_norm: cannot be combined with"),
        (
            {"backend": "brian2", "presentation": "static"},
            "backend: has no effect on static presentation",
        ),
        ({"backend": "nest"}, "backend: expected one of torch, brian2, got 'nest'"),
        ({"dtype": "float16"}, "dtype: expected one of float32, float64, got 'float16'"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        small(**{"presentation": "slow", **options})


def test_any_stimulus_can_be_presented():
    """Rotating images: the rates are those of a simulation, measured at the present drive."""
    generator = torch.Generator().manual_seed(3)
    images = Images(torch.rand(4, 16, generator=generator), torch.arange(4))
    weights = torch.randn(5, 16, generator=generator, dtype=torch.float64) / 4
    shown = ReadIn(Rotate(Still(images), period=0.5), weights)
    network = rn.Network("rate", 0.2 * torch.eye(5, dtype=torch.float64))
    slow = Slow(HOLD, FADE, (0.5, 1.0))
    times = slow.update_times(network)
    assert times == pytest.approx([0.04, 0.06])
    run = rn.simulate(network, shown, 0.06, 0.001, record_every=20)
    for fp, t, record in zip(slow.present(network, shown), times, (2, 3), strict=True):
        assert torch.allclose(fp.rates, run.rates[record], rtol=0, atol=1e-12)
        assert torch.equal(fp.drive, shown.at(t))
    assert torch.equal(slow.state_dict()["stream_drive"], shown.at(times[-1]))
    (solved,) = Static().present(network, shown)
    assert torch.equal(solved.drive, shown.at(0.0))
