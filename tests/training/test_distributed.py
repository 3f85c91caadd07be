"""Processes that train together: the same weights as one process, and only the first writes."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from ratenet.errors import InputError, UnsupportedError
from ratenet.plasticity import rule_named
from ratenet.training import TrainingConfig
from ratenet.training.optimizers import new_optimizer
from ratenet.training.workers import ALONE, Workers, joined_workers

SHORT = ("--units", "40", "--epochs", "1", "--batch-size", "200", "--threads", "1")
TOGETHER = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")


def ratenet(*arguments: str, together: bool = False, rc: int = 0) -> str:
    """Run a command in one process, or in two; return what it printed."""
    command = TOGETHER if together else (sys.executable,)
    done = subprocess.run(
        [*command, "-m", "ratenet", *arguments], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode == rc) or (together and rc and done.returncode), done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--presentation", "slow", "--hold", "60", "--fade", "20", "--unsettled", "include",
         "--method", "euler"),
        ("--presentation", "static", "--optimizer", "adam", "--learning-rate", "0.003", "--rule",
         "euclidean", "--learn", "read-in,read-out", "--barrier", "0.3", "--dtype", "float64",
         "--validation", "100", "--batch-size", "150"),
    ],
    ids=["slow", "static"],
)  # fmt: skip
@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(options, tmp_path):
    for name, together in (("one", False), ("two", True)):
        out = ("--out", str(tmp_path / name))
        printed = ratenet("train", *SHORT, *options, *out, together=together)
        assert printed.count("test accuracy") == 1
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    start = torch.Generator().manual_seed(0)
    first = 0.5 * torch.randn(40, 40, generator=start) / 40**0.5
    assert float((one["W"] - first).abs().max()) > 1e-2  # it has learned
    assert one.keys() == two.keys()
    for name in one:
        if not name.startswith("tracked"):  # bases of eigenvectors, which have no sign
            assert one[name].shape == two[name].shape
            assert float((one[name] - two[name]).abs().max()) < 1e-6, name
    rows = [pd.read_csv(tmp_path / name / "metrics.csv") for name in ("one", "two")]
    exact = ["step", "epoch", "train_accuracy", "settled", "validation_accuracy"]
    pd.testing.assert_frame_equal(rows[0][exact], rows[1][exact])
    pd.testing.assert_frame_equal(rows[0][["train_loss"]], rows[1][["train_loss"]], rtol=1e-5)
    files = [sorted(file.name.split(".")[0] for file in (tmp_path / name).rglob("*"))
             for name in ("one", "two")]  # fmt: skip
    assert files[0] == files[1]


STACK = """
[training]
presentation = "slow"
hold = "60*ms"
fade = "20*ms"
method = "euler"
unsettled = "include"
barrier = 0.9
adjoint_tau = "20*ms"
optimizer = "sgd"
learning_rate = 0.1
dtype = "float64"
epochs = 1
batch_size = 200
threads = 1

[[layers]]
kind = "fixed-point"
units = 12
rule = "linearized-reparameterized"

[[layers]]
kind = "fixed-point"
units = 8

[[layers]]
kind = "read-out"
"""


@pytest.mark.slow
def test_two_processes_train_a_moving_stack_as_one_does(tmp_path):
    (tmp_path / "stack.toml").write_text(STACK)
    for name, together in (("one", False), ("two", True)):
        given = ("--config", str(tmp_path / "stack.toml"), "--out", str(tmp_path / name))
        ratenet("train", *given, together=together)
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    assert one["stream_state"].shape == (200, 1, 20)
    for name in set(one) & set(two):  # preconditioners are kept by one process alone
        if "tracked" not in name:  # bases of eigenvectors, which have no sign
            assert float((one[name] - two[name]).abs().max()) < 1e-9, name
    assert {"stream_state", "layer1.core.recurrent.W", "layer3.weight"} <= set(one) & set(two)


@pytest.mark.slow
def test_a_run_goes_on_in_another_number_of_processes(tmp_path):
    options = (
        *SHORT,
        "--presentation",
        "slow",
        "--hold",
        "60",
        "--fade",
        "20",
        "--unsettled",
        "include",
    )
    ratenet("train", *options, "--epochs", "2", "--out", str(tmp_path / "whole"))
    ratenet("train", *options, "--out", str(tmp_path / "cut"), together=True)
    ratenet("train", "--epochs", "2", "--out", str(tmp_path / "cut"), "--resume")
    whole, cut = (load_file(tmp_path / n / "checkpoint.safetensors") for n in ("whole", "cut"))
    for name in ("W", "stream_state", "stream_drive"):
        assert float((whole[name] - cut[name]).abs().max()) < 1e-6


@pytest.mark.slow
def test_all_processes_stop_when_one_does(tmp_path):
    """One sentence, from the first process, and a summary that says which step and why."""
    options = ("--presentation", "slow", "--hold", "1", "--fade", "0", "--out", str(tmp_path))
    printed = ratenet("train", *SHORT, *options, together=True, rc=3)
    assert printed.count("Error: Training stopped at step 1 of 20: 200 of 200 samples") == 1
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "stopped"


def test_streams_are_shared_out_evenly(tmp_path):
    assert Workers(1, 4).share(8) == slice(2, 4)
    with pytest.raises(InputError, match="expected a multiple of the 2 processes, got 9"):
        Workers(0, 2).share(9)


@pytest.mark.slow
def test_the_exact_step_has_no_mean_over_processes(tmp_path):
    options = ("--model", "linear", "--rule", "reparameterized", "--presentation", "static")
    printed = ratenet(
        "train", *SHORT, *options, "--out", str(tmp_path / "run"), together=True, rc=2
    )
    assert printed.count("Error: rule 'reparameterized' makes a complete step") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [("natural-gradient", "couples the samples"), ("0.5*bcm+0.5*hebb", "couples the samples"),
     ("exponentiated-gradient", "complete step")],
)  # fmt: skip
def test_rules_that_are_no_mean_are_refused(rule, sentence):
    config = TrainingConfig(rule=rule)
    with pytest.raises(UnsupportedError, match=sentence):
        new_optimizer(config, {rule: rule_named(rule)}, {"W": torch.zeros(2, 2)}, 1, processes=2)


@pytest.mark.slow
def test_a_mistake_is_no_traceback_in_any_process(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.toml").write_text("")
    printed = ratenet("train", *SHORT, "--out", str(out), together=True, rc=2)
    assert printed.count("already holds a training run") == 1
    assert "ratenet/training" not in printed  # a traceback; torchrun has one of its own


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--model", "nope"), "Unknown model 'nope'"),
        (("--epochs", "many"), "Invalid value for '--epochs'"),
    ],
)
def test_a_mistake_is_said_once(wrong, sentence, tmp_path):
    printed = ratenet("train", *wrong, "--out", str(tmp_path / "run"), together=True, rc=2)
    assert printed.count(f"Error: {sentence}") == printed.count(sentence) == 1


def test_one_variable_of_a_scheduler_makes_no_workers(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with joined_workers("cpu") as (workers, device):
        assert workers is ALONE
        assert device == "cpu"


def test_alone_nothing_is_sent():
    values = torch.arange(3.0)
    assert ALONE.rows(values) is values
    assert ALONE.total(values) is values
    assert ALONE.text("said") == "said"
    assert ALONE.any(True) and not ALONE.any(False)
    ALONE.wait()
    ALONE.agree(None)
    with pytest.raises(InputError, match="mine"):
        ALONE.agree(InputError("mine"))
