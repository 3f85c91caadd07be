"""Stacks that learn while all their layers move: as one network, as at rest, and by hand."""

import math
from pathlib import Path

import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, UnsettledError
from ratenet.layers import Stack
from ratenet.training import TrainingConfig
from ratenet.training.network_run import new_network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.stack_run import new_stack_run
from ratenet.training.workers import ALONE

RULE = "linearized-reparameterized"
TWO = (
    {"kind": "fixed-point", "units": 12, "rule": RULE},
    {"kind": "fixed-point", "units": 8, "parameters": {"tau": "20*ms"}, "rule": "euclidean"},
    {"kind": "read-out"},
)
SLOW = {
    "presentation": "slow",
    "hold": 0.05,
    "fade": 0.02,
    "unsettled": "include",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "dtype": "float64",
    "batch_size": 100,
    "epochs": 1,
    "threads": 1,
    "rule": "euclidean",
}


def config(*tables: dict, **options: object) -> TrainingConfig:
    return TrainingConfig(**{**SLOW, **options}, layers=tables or TWO)


def weights(stack: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in stack.parameters()])


def test_one_layer_moves_and_learns_as_the_network_does(few_digits, tmp_path: Path) -> None:
    tau = 2**-7  # a stack draws weights and time constants in float32, which holds this exactly
    tables = (
        {
            "kind": "fixed-point",
            "units": 12,
            "bias": False,
            "rule": RULE,
            "parameters": {"tau": tau},
        },
        {"kind": "read-out", "bias": False},
    )
    stack_run = new_stack_run(config(*tables), RunFolder(tmp_path / "a"), ALONE)
    own = {"rule": RULE, "units": 12, "tau": tau, "learn": ("read-in", "read-out")}
    single = TrainingConfig(**{**SLOW, **own})
    network_run = new_network_run(single, "rate", RunFolder(tmp_path / "b"), ALONE)
    pairs = {
        "W": "layer1.core.recurrent.W",
        "read-in": "layer1.read_in.weight",
        "read-out": "layer2.weight",
    }
    with torch.no_grad():
        for one, other in pairs.items():
            stack_run.parameters[other].copy_(network_run.parameters[one])
    for step in range(3):
        rows = [run.take_step() for run in (stack_run, network_run)]
        states = [run.presentation.state_dict()["stream_state"] for run in (stack_run, network_run)]
        # The same bits, until the orders in which samples are summed make a difference.
        assert torch.equal(*states) if step == 0 else torch.allclose(*states, rtol=0, atol=1e-14)
        for name in ("train_loss", "train_accuracy", "settled", "residual"):
            assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-14)
        stack_run.progress.step += 1
        network_run.progress.step += 1
    for one, other in pairs.items():
        torch.testing.assert_close(
            stack_run.parameters[other].detach(), network_run.parameters[one], rtol=0, atol=1e-14
        )


def test_gradients_at_the_end_of_a_hold_are_those_of_the_settled_loss(generator) -> None:
    """Through three layers, one of them with feedback, by finite differences."""
    layers = (
        rn.FixedPointLayer(6, 5, dtype=torch.float64),
        rn.layers.FeedbackLayers(5, (4, 3)).double(),
        rn.FixedPointLayer(3, 4, dtype=torch.float64),
    )
    stack = Stack(*layers, torch.nn.Linear(4, 2, dtype=torch.float64))
    images = torch.randn(7, 6, generator=generator, dtype=torch.float64)
    labels = torch.arange(7) % 2

    def loss_of(rates: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(stack.outputs(rates), labels)

    @torch.no_grad()
    def settled_loss() -> float:
        fp = rn.find_fixed_points(stack.network(), stack.drive(images), tol=1e-12)
        return float(loss_of(fp.rates))

    network, drive = stack.network(), stack.drive(images)
    held = rn.simulate(network, drive, duration=1.0, dt=1e-3, record_every=1000)
    with stack.given(rn.fixed_points_at(network, drive, held.final)):
        torch.nn.functional.cross_entropy(stack(images), labels).backward()
    for name, parameter in stack.named_parameters():
        values, gradient, h = parameter.data.view(-1), parameter.grad.view(-1), 1e-5
        place = int(gradient.abs().argmax())
        before = float(values[place])
        ends = []
        for sign in (1, -1):
            values[place] = before + sign * h
            ends.append(settled_loss())
        values[place] = before
        by_hand = (ends[0] - ends[1]) / (2 * h)
        assert float(gradient[place]) == pytest.approx(by_hand, rel=1e-5), name


def test_a_long_hold_gives_what_is_learned_at_rest(few_digits, tmp_path: Path) -> None:
    static = {"presentation": "static", "hold": None, "fade": None}
    still = rn.train(config(**static), out=tmp_path / "static")
    slow = rn.train(config(hold=0.8), out=tmp_path / "slow")
    assert slow.summary["test_accuracy_slow"] == pytest.approx(slow.summary["test_accuracy"])
    assert "test_accuracy_slow" not in still.summary
    start = new_stack_run(config(), RunFolder(tmp_path / "new"), ALONE).stack
    learned = (weights(still.classifier) - weights(start)).abs().max()
    difference = (weights(still.classifier) - weights(slow.classifier)).abs().max()
    assert float(learned) > 1e-2
    assert float(difference) < 1e-5 * float(learned)
    assert slow.summary["stimulus"] == "hold-and-fade"
    assert slow.summary["speed"] == pytest.approx(0.02 / 0.82)


def by_hand(run, few, steps: int) -> Stack:
    """Return the stack after one epoch; the gradient is written out at the rates as they are."""
    stack, state, before = run.stack, None, None
    dt = run.presentation.time_step(stack.network())
    for batch in rn.stimuli.batches_of_epoch(400, 100, seed=0, epoch=0):
        pixels, labels = few.train.pixels[batch].double(), few.train.labels[batch]
        network, drive = stack.network(), stack.drive(pixels)
        before = torch.zeros_like(drive) if before is None else before

        def fading(t: float, before=before, drive=drive) -> torch.Tensor:
            return torch.lerp(before, drive, min(1.0, t / 0.02))

        moved = rn.simulate(network, fading, steps * dt, dt, initial=state, record_every=steps)
        state, before = moved.final, drive
        fp = rn.fixed_points_at(network, drive, state, tol=math.inf)
        rates = fp.rates.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(stack.outputs(rates), labels)
        loss.backward()  # of the read-out
        rule, error = rn.plasticity.Euclidean(), rates.grad
        delta = rule.update(fp, error, 100 * 0.1)  # the errors of a mean loss are divided by 100
        lambdas = rn.solve_adjoint(fp, error).values
        with torch.no_grad():
            network.connectivity.add_(delta)
            read_in = stack.layer1.read_in
            read_in.weight -= 0.1 * lambdas[:, :12].T @ pixels
            read_in.bias -= 0.1 * lambdas[:, :12].sum(dim=0)
            stack.layer2.read_in.bias -= 0.1 * lambdas[:, 12:].sum(dim=0)
            for p in stack.layer3.parameters():
                p -= 0.1 * p.grad
        stack.zero_grad()
    return stack


def test_rules_and_gradients_are_those_of_the_rates_as_they_are(few_digits, tmp_path: Path) -> None:
    """Far from rest: the adjoint goes through both layers at the rates that they have."""
    tables = ({**TWO[0], "rule": "euclidean"}, *TWO[1:])
    result = rn.train(config(*tables, hold=0.01), out=tmp_path / "run")
    fresh = new_stack_run(config(*tables, hold=0.01), RunFolder(tmp_path / "new"), ALONE)
    steps = fresh.presentation.steps(fresh.stack.network())
    expected = by_hand(fresh, few_digits, steps)
    torch.testing.assert_close(weights(result.classifier), weights(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"update_at": (0.5, 1.0)},
        {"hold": 0, "fade": 0.4, "correct_lag": True},
        {"stimulus": "rotate(period=2*second)", "barrier": 0.95},
        {"update_at": "continuous", "eligibility": 0.05, "hold": 0.02, "fade": 0.01},
        {"adjoint_tau": 0.02, "hold": 0.02, "update_at": (0.5, 1.0)},
    ],
    ids=["update_at", "correct_lag", "stimulus and barrier", "continuous", "adjoint_tau"],
)
def test_a_stopped_run_goes_on_with_the_same_numbers(
    options: dict, few_digits, tmp_path: Path
) -> None:
    whole = rn.train(config(**options), out=tmp_path / "whole")

    def stop(run: object, row: dict) -> None:
        if row["step"] == 2:
            raise OSError("the power fails")

    with pytest.raises(OSError, match="power"):
        rn.train(config(**options), out=tmp_path / "stopped", callbacks=[stop])
    resumed = rn.training.resume(tmp_path / "stopped")
    assert torch.equal(weights(whole.classifier), weights(resumed.classifier))
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]


def test_the_lag_of_all_layers_is_taken_off(few_digits, tmp_path: Path) -> None:
    residuals = {}
    for corrected in (False, True):
        moving = config(hold=0, fade=0.4, correct_lag=corrected)
        result = rn.train(moving, out=tmp_path / str(corrected))
        residuals[corrected] = result.metrics["residual"].median()
    assert residuals[True] < 0.3 * residuals[False]


def test_a_run_that_loses_a_layer_names_it(few_digits, tmp_path: Path) -> None:
    fast = config(hold=0.001, fade=0.001, unsettled="leave-out")
    with pytest.raises(
        UnsettledError, match="100 in layer2\\), .*; lower learning_rate, or lengthen"
    ):
        rn.train(fast, out=tmp_path / "hold")
    never = config(hold=0, fade=0.001, unsettled="leave-out")
    with pytest.raises(UnsettledError, match="layer2.*lengthen fade, or .*unsettled 'include'"):
        rn.train(never, out=tmp_path / "fade")


def test_a_stimulus_without_classes_is_refused(few_digits, tmp_path: Path) -> None:
    walk = config(stimulus="walk")
    with pytest.raises(InputError, match="stimulus: walk.* no class .* or a rule without an error"):
        rn.train(walk, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.brian2
def test_both_simulators_train_the_same_weights(few_digits, tmp_path: Path) -> None:
    found = [
        rn.train(config(backend=backend, batch_size=20, hold=0.02), out=tmp_path / backend)
        for backend in ("torch", "brian2")
    ]
    assert found[0].summary["steps"] == 20
    difference = weights(found[0].classifier) - weights(found[1].classifier)
    assert float(difference.abs().max()) < 1e-9


def test_samples_are_counted_once_a_presentation(few_digits, tmp_path: Path) -> None:
    result = rn.train(config(update_at=(0.05, 0.1)), out=tmp_path)
    summary = result.summary
    assert summary["unsettled_samples"] > 0
    assert summary["unsettled_samples"] / summary["unsettled_share"] == pytest.approx(400)


def test_what_stacks_do_not_have_is_one_sentence() -> None:
    with pytest.raises(InputError, match="plasticity: moves the weights of one network"):
        config(plasticity="oja", rule=None)
    with pytest.raises(InputError, match="tau: cannot be combined with layers"):
        config(tau=0.02)
