"""Optimizers, schedules, trained read-in and read-out: what a step is, and that it resumes."""

import json
import math

import pytest
import torch
from helpers.small_runs import small, weights
from safetensors.torch import load_file

import ratenet as rn
from ratenet.errors import InputError, RunFolderError, UnknownNameError, UnsupportedError
from ratenet.plasticity import Euclidean, rule_named
from ratenet.training import learning, network_run
from ratenet.training.classifier import Classifier
from ratenet.training.learning import learn_from
from ratenet.training.optimizers import new_optimizer
from ratenet.training.presentation import Slow
from ratenet.training.saved_run import SavedRun
from ratenet.training.workers import ALONE

BOTH = ("read-in", "read-out")


def optimizer_for(parameters, steps=10, rule="euclidean", **options):
    config = small(rule=rule, **options)
    return new_optimizer(config, {rule: rule_named(rule)}, parameters, steps)


def classifier(generator, units=6, inputs=5, classes=3) -> Classifier:
    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[-1] ** 0.5

    network = rn.Network("rate", 0.7 * normal(units, units))
    return Classifier(network, normal(units, inputs), normal(classes, units))


def mean_loss(shown: Classifier, pixels, labels) -> float:
    fp = rn.find_fixed_points(shown.network, shown.drive(pixels), tol=1e-13)
    return float(shown.losses(fp.rates, labels).mean())


def test_every_change_is_the_gradient_of_the_mean_loss(generator):
    """Central differences of the settled loss: error of order 1e-5 squared, and rounding / 1e-5."""
    shown = classifier(generator)
    pixels = torch.rand(4, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 2])
    fp = rn.find_fixed_points(shown.network, shown.drive(pixels), tol=1e-13)
    learned = learn_from(shown, Euclidean(), fp, pixels, labels, learn=BOTH, rate=2.0)
    assert learned.left_out == 0
    for name, parameter in learning.learned_parameters(shown, BOTH).items():
        for index in ((0, 0), (2, 1), (1, 4)):
            losses = []
            for step in (1e-5, -2e-5, 1e-5):
                losses.append(mean_loss(shown, pixels, labels))
                parameter[index] += step
            losses = losses[1], losses[2]
            slope = (losses[0] - losses[1]) / 2e-5
            found = float(learned.changes[name][index])
            assert found == pytest.approx(-2 * slope, rel=1e-6, abs=1e-9), name


def test_unsettled_samples_teach_read_in_and_read_out_nothing(generator):
    shown = classifier(generator)
    pixels = torch.rand(4, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 2])
    drive = shown.drive(pixels)
    found = rn.find_fixed_points(shown.network, drive)
    state = found.state.clone()
    state[:, 1] += 0.1
    some = rn.fixed_points_at(shown.network, drive, state, tol=1e-6)
    few = torch.tensor([0, 2, 3])
    fewer = rn.fixed_points_at(shown.network, drive[few], state[:, few], tol=1e-6)
    rule = rule_named("linearized-reparameterized")
    options = {"learn": BOTH, "rate": 1.0}
    left_out = learn_from(shown, rule, some, pixels, labels, **options)
    alone = learn_from(shown, rule, fewer, pixels[few], labels[few], **options)
    for name, change in left_out.changes.items():
        assert torch.allclose(change, alone.changes[name], rtol=1e-9, atol=1e-12)  # tol of GMRES


def test_samples_without_an_adjoint_are_counted(generator):
    W = torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64))  # I - W is singular
    shown = Classifier(rn.Network("linear", W), torch.eye(2).double(), torch.eye(2).double())
    drive = torch.tensor([[0.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    fp = rn.fixed_points_at(shown.network, drive, torch.tensor([[[0.0, 2.0], [0.0, 4.0]]]))
    rule = rule_named("linearized-reparameterized")
    labels = torch.tensor([0, 1])
    learned = learn_from(shown, rule, fp, drive, labels, learn=("read-in",), rate=1.0)
    assert learned.left_out == 2
    assert torch.equal(learned.changes["read-in"], torch.zeros(2, 2, dtype=torch.float64))


def test_samples_that_the_rule_leaves_out_are_counted_not_warned_of():
    W = torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64))
    shown = Classifier(rn.Network("rate", W), torch.eye(2).double(), torch.eye(2).double())
    y = torch.tensor([[0.0, 0.0], [0.3, 0.4]], dtype=torch.float64)  # gain 1 at rest: singular
    drive = torch.atanh(y) - y @ W.T
    fp = rn.fixed_points_at(shown.network, drive, y[None])
    labels = torch.tensor([0, 1])
    learned = learn_from(shown, Euclidean(), fp, drive, labels, learn=(), rate=1.0)
    assert learned.left_out == 1
    assert list(learned.changes) == ["W"]


def test_plain_descent_adds_the_change_as_it_is(generator):
    parameter = torch.randn(5, 5, generator=generator)
    change = torch.randn(5, 5, generator=generator)
    wanted = parameter + change
    optimizer_for({"W": parameter}).apply({"W": change}, step=3)
    assert torch.equal(parameter, wanted)


@pytest.mark.parametrize("name", ["Adam", "rmsprop", "sgd"])
def test_other_optimizers_are_torch_on_the_rules_direction(name, generator):
    mine = torch.randn(5, 5, generator=generator)
    theirs = mine.clone()
    options = {"learning_rate": 0.03, "weight_decay": 0.1}
    optimizer = optimizer_for({"W": mine}, optimizer=name, **options)
    kind = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
    reference = kind[name.lower()]([theirs], lr=0.03, weight_decay=0.1)
    assert optimizer.rule_rate(0) == 1.0
    for step in range(3):
        gradient = torch.randn(5, 5, generator=generator)
        optimizer.apply({"W": -gradient}, step)
        theirs.grad = gradient
        reference.step()
    assert torch.equal(mine, theirs)


def test_cosine_schedule_falls_from_the_rate_to_0():
    optimizer = optimizer_for({}, steps=8, schedule="cosine", learning_rate=0.4)
    rates = [optimizer.rule_rate(step) for step in range(8)]
    assert rates == pytest.approx([0.2 * (1 + math.cos(math.pi * n / 8)) for n in range(8)])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_clipping_bounds_the_joint_norm_of_the_gradients(name, generator):
    options = {"optimizer": name, "clip_norm": 0.5, "learning_rate": 0.1}
    parameters = {"W": torch.zeros(3, 3), "read-out": torch.zeros(2, 3)}
    optimizer = optimizer_for(parameters, **options)
    changes = {name: torch.full_like(value, -7.0) for name, value in parameters.items()}
    rate = optimizer.rule_rate(0)
    clipped = optimizer._clipped(changes, rate)
    norm = math.hypot(*(float(value.norm()) for value in clipped.values())) / rate
    assert norm == pytest.approx(0.5, rel=1e-6)  # float32
    few = {name: value * 1e-3 for name, value in changes.items()}
    small_ones = optimizer._clipped(few, rate)
    assert all(torch.equal(small_ones[name], few[name]) for name in few)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "schedule": "cosine"},
        {"optimizer": "adamw"},
        {"optimizer": "nadam"},
        {"optimizer": "asgd"},
        {"optimizer": "rprop"},
        {"optimizer": "adam", "step": "normalized"},
        {"step": "line-search"},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam", "barrier": 0.3, "presentation": "slow"},
    ],
)
def test_resumed_run_equals_an_uninterrupted_one(options, few_digits, tmp_path, monkeypatch):
    config = small(epochs=2, learning_rate=0.003, learn=BOTH, evaluate_every=1, **options)
    whole = rn.train(config, out=tmp_path / "whole")
    original, steps = network_run.take_step, []

    def step_then_interrupt(run):
        if len(steps) == 6:  # in the middle of the second epoch
            raise KeyboardInterrupt
        steps.append(1)
        return original(run)

    monkeypatch.setattr(network_run, "take_step", step_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        rn.train(config, out=tmp_path / "cut")
    monkeypatch.setattr(network_run, "take_step", original)
    resumed = rn.resume(tmp_path / "cut")
    assert torch.equal(weights(whole), weights(resumed))
    assert torch.equal(whole.classifier.read_in, resumed.classifier.read_in)
    assert torch.equal(whole.classifier.read_out, resumed.classifier.read_out)
    written = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert written[0] == written[1]


@pytest.mark.parametrize("damage", ["shape", "missing", "unknown"])
def test_an_optimizer_state_that_does_not_fit_is_refused(damage, generator):
    """As in a forged checkpoint: not in the midst of the next step."""
    W = torch.rand(3, 3, generator=generator, dtype=torch.float64)
    first = optimizer_for({"W": W.clone()}, optimizer="adam")
    first.apply({"W": W}, 0)
    state = first.state_dict()
    second = optimizer_for({"W": W.clone()}, optimizer="adam")
    second.load_state_dict(state)  # as it is, it is taken
    if damage == "shape":
        state["optimizer/W/exp_avg"] = torch.zeros(2, 3)
    elif damage == "missing":
        del state["optimizer/W/exp_avg"]
    else:
        state["optimizer/W/other"] = torch.zeros(3, 3)
    with pytest.raises(RunFolderError, match="the state of optimizer 'adam' for W does not fit"):
        second.load_state_dict(state)


def test_adam_learns_read_in_and_read_out(few_digits, tmp_path):
    config = small(epochs=5, optimizer="adam", learning_rate=0.003, learn=BOTH, evaluate_every=2)
    result = rn.train(config, out=tmp_path)
    assert result.summary["test_accuracy"] > 0.6  # chance is 0.1, and the frozen control near it
    assert result.metrics["test_accuracy"].dropna().index.tolist() == [7, 15]
    saved = load_file(tmp_path / "checkpoint.safetensors")
    assert torch.equal(saved["read-in"], result.classifier.read_in)
    assert "optimizer/read-in/exp_avg" in saved


def test_read_in_and_read_out_stay_unless_asked(few_digits, tmp_path):
    result = rn.train(small(), out=tmp_path)
    other = rn.train(small(learning_rate=0.01), out=tmp_path / "other")
    assert torch.equal(result.classifier.read_in, other.classifier.read_in)
    assert torch.equal(result.classifier.read_out, other.classifier.read_out)


def test_a_failed_batch_is_not_counted_twice(few_digits, tmp_path):
    options = {"presentation": "slow", "hold": 0.001, "fade": 0.0}  # nothing settles in 1 ms
    for again in (False, True):
        with pytest.raises(rn.errors.UnsettledError):
            if again:
                rn.resume(tmp_path)
            else:
                rn.train(small(**options), out=tmp_path)
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert summary["unsettled_samples"] == 100


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"optimizer": "hope"}, UnknownNameError, "Unknown optimizer 'hope'.* ada.*sgd"),
        ({"optimizer": "lbfgs"}, UnknownNameError, "Unknown optimizer 'lbfgs'"),
        ({"schedule": "steep"}, UnknownNameError, "Unknown schedule 'steep'.* constant,"),
        (
            {"learn": ["everything"]},
            InputError,
            "learn, 1: expected one of read-in, read-out, got 'every",
        ),
        ({"learn": "read-in"}, InputError, "learn: expected a list of any of .*, got 'read-in'"),
        (
            {"weight_decay": -1.0},
            InputError,
            "weight_decay: expected a number of at least 0, got -1.0",
        ),
        (
            {"momentum": 1.0},
            InputError,
            "momentum: expected a number of at least 0 and below 1, got 1",
        ),
        ({"clip_norm": 0.0}, InputError, "clip_norm: expected a number above 0, got 0.0"),
        ({"barrier": 1.0}, InputError, "barrier: expected a number above 0 and below 1, got 1.0"),
        (
            {"barrier": "much"},
            InputError,
            "barrier: expected a number above 0 and below 1, got 'much'",
        ),
        ({"evaluate_every": 0}, InputError, "evaluate_every: expected a whole number from 1"),
    ],
)
def test_bad_options_are_one_sentence(options, error, sentence):
    with pytest.raises(error, match=sentence):
        small(**options)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"optimizer": "adam", "momentum": 0.5}, InputError, "not an option of optimizer 'adam'"),
        (
            {"optimizer": "adam", "rule": "reparameterized", "model": "linear"},
            UnsupportedError,
            "complete step, not a gradient",
        ),
        (
            {"momentum": 0.5, "rule": "reparameterized", "model": "linear"},
            UnsupportedError,
            "complete step, not a gradient",
        ),
    ],
)
def test_combinations_that_do_not_fit_write_nothing(options, error, sentence, few_digits, tmp_path):
    with pytest.raises(error, match=sentence):
        rn.train(small(**options), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_cosine_run_cannot_be_made_longer(few_digits, tmp_path):
    rn.train(small(schedule="cosine"), out=tmp_path)
    with pytest.raises(InputError, match="expected 1, which the cosine schedule was laid out for"):
        rn.resume(tmp_path, {"epochs": 2})


def test_slow_runs_can_learn_everything(few_digits, tmp_path):
    config = small(presentation="slow", optimizer="adam", learning_rate=0.003, learn=BOTH)
    result = rn.train(config, out=tmp_path)
    assert isinstance(SavedRun.read(tmp_path, {}).restored("cpu", ALONE).presentation, Slow)
    assert result.summary["status"] == "done"
