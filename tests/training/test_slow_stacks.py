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


MODES = {
    "held": {},
    "shares": {"update_at": (0.5, 1.0)},
    "continuous": {
        "update_at": "continuous", "eligibility": 0.05, "hold": 0.01, "fade": 0.01,
    },
    "barrier": {"barrier": 0.9},
    "moving": {"stimulus": "rotate(period=2*second)", "correct_lag": True},
    "adjoint": {"adjoint_tau": 0.02},
}  # fmt: skip
PAIRS = {
    "W": "layer1.core.recurrent.W",
    "read-in": "layer1.read_in.weight",
    "read-out": "layer2.weight",
}


@pytest.mark.parametrize("mode", MODES)
def test_one_layer_moves_and_learns_as_the_network_does(
    mode: str, few_digits, tmp_path: Path
) -> None:
    tables = (
        {"kind": "fixed-point", "units": 12, "bias": False, "rule": RULE},
        {"kind": "read-out", "bias": False},
    )
    stack_run = new_stack_run(config(*tables, **MODES[mode]), RunFolder(tmp_path / "a"), ALONE)
    own = {"rule": RULE, "units": 12, "learn": ("read-in", "read-out"), **MODES[mode]}
    single = TrainingConfig(**{**SLOW, **own})
    network_run = new_network_run(single, "rate", RunFolder(tmp_path / "b"), ALONE)
    with torch.no_grad():
        for one, other in PAIRS.items():
            stack_run.parameters[other].copy_(network_run.parameters[one])
    for _ in range(2):
        rows = [run.take_step() for run in (stack_run, network_run)]
        for name in ("train_loss", "train_accuracy", "settled", "residual", "abscissa_mean_gain"):
            assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-9, abs=1e-13)
        states = [run.presentation.state_dict() for run in (stack_run, network_run)]
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            torch.testing.assert_close(states[0][name], states[1][name], rtol=0, atol=1e-13)
        stack_run.progress.step += 1
        network_run.progress.step += 1
    assert stack_run.progress.corrected == network_run.progress.corrected
    assert (network_run.progress.corrected > 0) == (mode == "barrier")
    for one, other in PAIRS.items():
        found, expected = stack_run.parameters[other].detach(), network_run.parameters[one]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_one_layer_moves_as_the_network_does_to_the_last_bit(few_digits, tmp_path: Path) -> None:
    """Until weights change: the two sum their changes over samples in other orders."""
    tables = ({**TWO[0], "bias": False}, {"kind": "read-out", "bias": False})
    stack_run = new_stack_run(config(*tables), RunFolder(tmp_path / "a"), ALONE)
    single = TrainingConfig(**{**SLOW, "rule": RULE, "units": 12})
    network_run = new_network_run(single, "rate", RunFolder(tmp_path / "b"), ALONE)
    with torch.no_grad():
        for one, other in PAIRS.items():
            stack_run.parameters[other].copy_(network_run.parameters[one])
    for run in (stack_run, network_run):
        run.take_step()
    states = [run.presentation.state_dict()["stream_state"] for run in (stack_run, network_run)]
    assert torch.equal(*states)


def test_time_constants_are_not_rounded_to_float32(few_digits, tmp_path: Path) -> None:
    run = new_stack_run(config(), RunFolder(tmp_path), ALONE)
    taus = [float(network.parameters["tau"]) for network in run.parts.values()]
    assert taus == [0.01, 0.02]
    assert run.network.longest_time_constant() == 0.02


def with_feedback() -> tuple[torch.nn.Module, ...]:
    return (
        rn.FixedPointLayer(36, 5, dtype=torch.float64),
        rn.layers.FeedbackLayers(5, (4, 3)).double(),
        rn.FixedPointLayer(3, 4, dtype=torch.float64),
        torch.nn.Linear(4, 2, dtype=torch.float64),
    )


def with_convolutions() -> tuple[torch.nn.Module, ...]:
    return (
        torch.nn.Unflatten(1, (1, 6, 6)),
        rn.ConvFixedPointLayer(1, 2, 6, 6, dtype=torch.float64),
        torch.nn.AvgPool2d(2),
        rn.ConvFixedPointLayer(2, 1, 3, 3, border="circular", dtype=torch.float64),
        torch.nn.Flatten(),
        torch.nn.Linear(9, 2, dtype=torch.float64),
    )


@pytest.mark.parametrize("layers", [with_feedback, with_convolutions])
def test_gradients_at_the_end_of_a_hold_are_those_of_the_settled_loss(layers, generator) -> None:
    """Through whole stacks, by finite differences."""
    torch.manual_seed(0)
    stack = Stack(*layers())
    images = torch.randn(7, 36, generator=generator, dtype=torch.float64)
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
    result = rn.train(config(*tables, hold=0.01, method="euler"), out=tmp_path / "run")
    fresh = new_stack_run(
        config(*tables, hold=0.01, method="euler"), RunFolder(tmp_path / "new"), ALONE
    )
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
        rn.train(
            config(backend=backend, method="euler", batch_size=20, hold=0.02),
            out=tmp_path / backend,
        )
        for backend in ("torch", "brian2")
    ]
    assert found[0].summary["steps"] == 20
    difference = weights(found[0].classifier) - weights(found[1].classifier)
    assert float(difference.abs().max()) < 1e-9


@pytest.mark.slow
@pytest.mark.brian2
def test_a_run_in_brian2_goes_on_with_the_same_numbers(few_digits, tmp_path: Path) -> None:
    given = config(backend="brian2", hold=0.01, fade=0.01, barrier=0.9, adjoint_tau=0.01)

    def stop(run: object, row: dict) -> None:
        if row["step"] == 2:
            raise OSError("the power fails")

    whole = rn.train(given, out=tmp_path / "whole")
    with pytest.raises(OSError, match="power"):
        rn.train(given, out=tmp_path / "stopped", callbacks=[stop])
    resumed = rn.training.resume(tmp_path / "stopped")
    assert torch.equal(weights(whole.classifier), weights(resumed.classifier))


def test_rules_without_an_error_learn_from_streams_without_a_class(
    few_digits, tmp_path: Path
) -> None:
    tables = ({**TWO[0], "rule": "hebb"}, *TWO[1:])
    fresh = new_stack_run(config(*tables), RunFolder(tmp_path / "new"), ALONE).stack
    walked = rn.train(config(*tables, stimulus="walk"), out=tmp_path / "run").classifier
    before, after = fresh.state_dict(), walked.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"layer1.core.recurrent.W"}


def test_samples_are_counted_once_a_presentation(few_digits, tmp_path: Path) -> None:
    result = rn.train(config(update_at=(0.05, 0.1)), out=tmp_path)
    summary = result.summary
    assert summary["unsettled_samples"] > 0
    assert summary["unsettled_samples"] / summary["unsettled_share"] == pytest.approx(400)


@pytest.mark.parametrize("presentation", ["slow", "static"])
def test_a_layer_with_noise_is_named(presentation: str, few_digits, tmp_path: Path) -> None:
    times = {} if presentation == "slow" else {"hold": None, "fade": None}
    noisy = config(TWO[0], {**TWO[1], "model": "ssn_stochastic", "parameters": {}}, TWO[2],
                   presentation=presentation, **times)  # fmt: skip
    with pytest.raises(InputError, match=r"layers, layer2: model 'ssn_stochastic' has noise \(xi"):
        rn.train(noisy, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_stacks_do_not_have_is_one_sentence() -> None:
    with pytest.raises(InputError, match="plasticity: moves the weights of one network"):
        config(plasticity="oja", rule=None)
    with pytest.raises(InputError, match="tau: cannot be combined with layers"):
        config(tau=0.02)
