"""Stacks in training: as the layers' own gradients say, resumed, and with samples that are lost."""

import copy
import dataclasses
import math
import tomllib
from pathlib import Path
from unittest import mock

import pytest
import torch
from helpers.stack_cases import SMALL, TWO, built, config

import ratenet as rn
from ratenet.errors import (
    DivergenceError,
    UnsettledError,
    UnsupportedError,
)
from ratenet.fixed_points.solvers import mean_gain
from ratenet.layers.architecture import cores_of
from ratenet.layers.core import STALE_AFTER
from ratenet.training import TrainingConfig, read_options
from ratenet.training.network_run import new_network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.stack_run import StackRun, new_stack_run
from ratenet.training.workers import ALONE

FLOAT = torch.float64


def test_a_stack_of_one_layer_learns_as_the_network_does(tmp_path: Path) -> None:
    """The loop's own classifier and a stack with its weights, two ways of one gradient."""
    rule, same = "linearized-reparameterized", {"optimizer": "sgd", "dtype": "float64"}
    tables = (
        {"kind": "fixed-point", "units": 30, "bias": False, "rule": rule},
        {"kind": "read-out", "bias": False},
    )
    both = {**SMALL, **same, "epochs": 1, "learning_rate": 0.2, "recurrent_learning_rate": 0.05}
    stacked = TrainingConfig(**both, layers=tables)
    single = TrainingConfig(**{**both, "rule": rule}, units=30, learn=("read-in", "read-out"))

    stack_run = new_stack_run(stacked, RunFolder(tmp_path / "a"), ALONE)
    network_run = new_network_run(single, "rate", RunFolder(tmp_path / "b"), ALONE)
    pairs = {
        "W": "layer1.core.recurrent.W",
        "read-in": "layer1.read_in.weight",
        "read-out": "layer2.weight",
    }
    with torch.no_grad():
        for one, other in pairs.items():
            stack_run.parameters[other].copy_(network_run.parameters[one])
    for _ in range(4):
        rows = [run.take_step() for run in (stack_run, network_run)]
        for name in ("train_loss", "train_accuracy", "settled"):
            assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-7)
        stack_run.progress.step += 1
        network_run.progress.step += 1
    for one, other in pairs.items():
        torch.testing.assert_close(
            stack_run.parameters[other].detach(), network_run.parameters[one], rtol=1e-5, atol=1e-7
        )


def test_a_stack_is_trained_recorded_repeated_and_evaluated(tmp_path: Path, pictures) -> None:
    result = rn.train(config(*TWO, validation=200, patience=5), out=tmp_path / "run")
    assert result.summary["test_accuracy"] > 0.6
    assert set(result.summary["layers"]) == {"layer1", "layer2"}
    assert result.summary["rule"] == "linearized-reparameterized, euclidean"
    ends = result.metrics.dropna(subset="weight_norm")
    assert len(ends) == 2
    W = result.classifier.get_submodule("layer2").core.network.connectivity.dense()
    assert result.summary["layers"]["layer2"]["weight_norm"] == pytest.approx(
        float(torch.linalg.matrix_norm(W.double(), 2)), rel=1e-6
    )
    assert (ends["abscissa"] < 0).all()
    assert (tmp_path / "run" / "figures" / "learning_curve.png").stat().st_size > 10_000
    recorded = tmp_path / "run" / "config.toml"
    table = tomllib.loads(recorded.read_text())
    assert "units" not in table["training"]
    assert table["layers"][1]["model"]["name"] == "adaptation"
    again = rn.train(TrainingConfig(**read_options(recorded)), out=tmp_path / "again")
    for a, b in zip(result.classifier.parameters(), again.classifier.parameters(), strict=True):
        assert torch.equal(a, b)
    tested, slowly = rn.training.evaluate(tmp_path / "run")
    assert tested.accuracy == result.summary["test_accuracy"]
    assert slowly is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [20, 27], ids=["end of an epoch", "amid one"])
def test_a_stack_that_was_stopped_goes_on_with_the_same_numbers(
    tmp_path: Path, step: int, dtype: str
) -> None:
    # Images of validation must leave no trace in the solvers.
    options = {"validation": 200, "dtype": dtype}
    whole = rn.train(config(*TWO, **options), out=tmp_path / "whole")

    def stop(run: object, row: dict) -> None:
        if row["step"] == step:
            raise OSError("the power fails")

    with pytest.raises(OSError, match="power"):
        rn.train(config(*TWO, **options), out=tmp_path / "stopped", callbacks=[stop])
    resumed = rn.training.resume(tmp_path / "stopped")
    for a, b in zip(whole.classifier.parameters(), resumed.classifier.parameters(), strict=True):
        assert torch.equal(a, b)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]


def test_preconditioners_are_made_every_tenth_step(tmp_path: Path) -> None:
    run = new_stack_run(config(*TWO), RunFolder(tmp_path), ALONE)
    made = []
    with mock.patch.object(mean_gain, "_make", wraps=mean_gain._make) as make:
        for _ in range(2 * STALE_AFTER + 1):
            run.take_step()
            run.progress.step += 1
            made.append(make.call_count)
    first, second, third = made[0], made[STALE_AFTER], made[2 * STALE_AFTER]
    # The first solve begins with gains at zero, and looks again after 2, 4 and 8 products.
    assert len(run.cores) <= first <= 4 * len(run.cores)
    assert made[STALE_AFTER - 1] == first
    assert second == made[2 * STALE_AFTER - 1] == first + len(run.cores)
    assert third == second + len(run.cores)


def test_a_step_that_is_made_again_is_the_same(tmp_path: Path) -> None:
    run = new_stack_run(config(*TWO, dtype="float64"), RunFolder(tmp_path), ALONE)
    ends = []
    for _ in range(3):
        run.take_step()
        run.progress.step += 1
    before = run.state_dict()
    for _ in range(2):
        run.load_state_dict(copy.deepcopy(before))
        run.take_step()
        ends.append({name: tensor.detach().clone() for name, tensor in run.parameters.items()})
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert any(name.startswith("preconditioner/") for name in before.tensors)


def test_a_frozen_network_does_not_change_while_the_rest_learns(tmp_path: Path) -> None:
    tables = ({"kind": "fixed-point", "units": 20, "rule": "frozen"}, {"kind": "read-out"})
    decay = {"optimizer": "adamw", "weight_decay": 0.3}
    result = rn.train(config(*tables, epochs=1, **decay), out=tmp_path)
    before = built(*tables)
    after = dict(result.classifier.named_parameters())
    for name, parameter in before.named_parameters():
        assert torch.equal(parameter, after[name]) == ("recurrent" in name), name


@pytest.mark.filterwarnings("ignore:FixedPointCore")
@pytest.mark.parametrize("unsettled", ["leave-out", "include"])
def test_too_many_unsettled_samples_end_a_run_unless_they_are_kept(
    unsettled: str, tmp_path: Path
) -> None:
    run = new_stack_run(config(*TWO, unsettled=unsettled), RunFolder(tmp_path), ALONE)
    cores_of(run.stack)["layer2"].max_iterations = 2
    before = {name: tensor.detach().clone() for name, tensor in run.parameters.items()}
    if unsettled == "leave-out":
        said = r"200 of 200 samples did not settle in all layers \(0 in layer1, 200 in layer2\)"
        with pytest.raises(UnsettledError, match=said):
            run.take_step()
    else:
        assert run.take_step()["settled"] == 0
        for name, tensor in run.parameters.items():
            assert not torch.equal(tensor, before[name]), name
    assert run.progress.left_out == run.progress.shown == 200


@pytest.mark.filterwarnings("ignore:FixedPointCore")
def test_kept_samples_get_the_gradient_of_a_state_at_rest() -> None:
    network = rn.Network("linear", torch.tensor([[0.5]], dtype=FLOAT))
    drive = torch.tensor([[1.0], [0.0]], dtype=FLOAT, requires_grad=True)
    for how, expected in (("mask", 0.0), ("include", 2.0)):  # 1 / (1 - W)
        drive.grad = None
        core = rn.FixedPointCore(
            network, solver=rn.DampedIteration(), max_iterations=3, on_unsettled=how
        )
        core(drive).sum().backward()
        assert core.last.unsettled == 1
        assert drive.grad.flatten().tolist() == pytest.approx([expected, 2.0])


@pytest.mark.filterwarnings("ignore:FixedPointCore")
def test_no_rule_learns_from_samples_that_another_layer_lost(tmp_path: Path) -> None:
    """A rule that uses no error would, since an error of 0 says nothing to it."""
    tables = (
        {"kind": "fixed-point", "units": 8, "rule": "hebb"},
        {"kind": "fixed-point", "units": 8},
        {"kind": "read-out"},
    )
    run = new_stack_run(config(*tables, optimizer="sgd"), RunFolder(tmp_path), ALONE)
    lower, upper = cores_of(run.stack).values()
    W = lower.recurrent["W"].detach().clone()
    pixels, _ = run.batch()
    rates = lower(run.stack.layer1.read_in(pixels)).detach()
    lost = torch.arange(200) % 5 < 2
    find = upper._find

    def losing(*arguments: object) -> rn.FixedPoints:
        found = find(*arguments)
        status = found.status.masked_fill(lost, 1)
        upper.fixed_points = dataclasses.replace(found, status=status)
        return upper.fixed_points

    upper._find = losing
    run.take_step()
    kept = rates[~lost]
    expected = W + 2e-3 * kept.T @ kept / len(kept)
    torch.testing.assert_close(lower.recurrent["W"].detach(), expected, rtol=1e-4, atol=1e-7)
    assert run.progress.left_out == 80


def losing_states(run: StackRun, samples: object) -> None:
    """Let the first layer give NaN for some samples of a batch."""
    core = cores_of(run.stack)["layer1"]
    find = core._find

    def lost(*arguments: object) -> rn.FixedPoints:
        found = find(*arguments)
        state = found.state.clone()
        state[:, samples] = math.nan
        core.fixed_points = rn.fixed_points_at(found.network, found.drive, state)
        return core.fixed_points

    core._find = lost


@pytest.mark.parametrize("unsettled", ["leave-out", "include"])
def test_a_sample_without_a_finite_state_spoils_no_other(unsettled: str, tmp_path: Path) -> None:
    tables = ({"kind": "fixed-point", "units": 8}, {"kind": "fixed-point", "units": 8}, TWO[-1])
    run = new_stack_run(config(*tables, unsettled=unsettled), RunFolder(tmp_path), ALONE)
    losing_states(run, [3, 7])
    found = run.take_step()
    assert run.progress.left_out == 2
    assert found["settled"] == 0.99
    assert math.isfinite(found["train_loss"])
    assert math.isfinite(found["residual"])
    assert all(tensor.isfinite().all() for tensor in run.parameters.values())


def test_a_batch_without_any_finite_state_ends_the_run(tmp_path: Path) -> None:
    run = new_stack_run(config(*TWO, unsettled="include"), RunFolder(tmp_path), ALONE)
    losing_states(run, slice(None))
    with pytest.raises(DivergenceError, match="the states of all 200 samples are NaN or infinite"):
        run.take_step()


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    run = new_stack_run(config(*TWO, unsettled="include"), RunFolder(tmp_path), ALONE)
    with torch.no_grad():
        run.stack[-1].weight[0] = math.inf
    with pytest.raises(DivergenceError, match="the loss is NaN or infinite"):
        run.take_step()


def test_options_go_before_what_a_recorded_run_did_not_say_itself(tmp_path: Path) -> None:
    rn.train(config(*TWO, epochs=1), out=tmp_path)
    options = read_options(tmp_path / "config.toml")
    again = TrainingConfig(**{**options, "rule": "hebb", "recurrent_learning_rate": 0.5})
    run = new_stack_run(again, RunFolder(tmp_path / "again"), ALONE)
    lower, upper = cores_of(run.stack).values()
    assert isinstance(lower.rule, rn.plasticity.LinearizedReparameterized)  # its own
    assert isinstance(upper.rule, rn.plasticity.Hebb)


def test_a_finite_step_wants_a_plain_optimizer_and_a_constant_rate(tmp_path: Path) -> None:
    tables = (
        {"kind": "fixed-point", "units": 10, "model": "linear", "rule": "reparameterized"},
        {"kind": "read-out"},
    )
    with pytest.raises(UnsupportedError, match="it requires optimizer 'sgd'"):
        rn.train(config(*tables), out=tmp_path)
    with pytest.raises(UnsupportedError, match="use schedule 'constant'"):
        rn.train(config(*tables, optimizer="sgd", schedule="cosine"), out=tmp_path)
    whole = config(*tables, optimizer="sgd", learning_rate=0.05, epochs=1)
    assert rn.train(whole, out=tmp_path).summary["status"] == "done"
