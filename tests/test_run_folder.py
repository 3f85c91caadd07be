"""The run folder: what it holds, how a run goes on from it, and that nothing in it is lost."""

import json
import re
import tomllib

import pandas as pd
import pytest
import torch
from small_runs import small, weights

import ratenet as rn
from ratenet.errors import (
    InputError,
    RunFolderError,
    UnsupportedError,
)
from ratenet.training import loop


def test_run_folder_holds_everything(few_digits, tmp_path):
    result = rn.train(small(presentation="slow", seed=3), out=tmp_path)
    config = tomllib.loads((tmp_path / "config.toml").read_text())
    assert config["training"]["seed"] == 3
    assert config["training"]["hold"] == pytest.approx(0.2)
    assert config["training"]["fade"] == pytest.approx(0.05)
    assert config["model"]["parameters"] == {"tau": "10*ms"}
    assert {"python", "torch", "brian2", "ratenet"} <= set(config["versions"])
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    columns = [
        "step", "epoch", "train_loss", "train_accuracy", "settled", "residual", "iterations",
        "abscissa", "abscissa_mean_gain", "abscissa_largest_gain", "weight_abscissa",
        "validation_accuracy", "test_accuracy",
    ]  # fmt: skip
    assert list(metrics.columns) == columns
    assert metrics["weight_abscissa"].notna().all()
    assert metrics["step"].tolist() == [1, 2, 3, 4]
    assert metrics["abscissa"].iloc[-1] < 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == result.summary
    assert summary["status"] == "done"
    assert {"test_loss", "test_accuracy", "test_accuracy_slow", "seconds", "rule"} <= set(summary)
    assert list(tmp_path.glob("tensorboard/events*"))
    for figure in ("learning_curve", "digits"):
        content = (tmp_path / "figures" / f"{figure}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000


def test_tensorboard_has_the_metrics(few_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rn.train(small(), out=tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    logged = [event.value for event in events.Scalars("train_loss")]
    assert logged == pytest.approx(pd.read_csv(tmp_path / "metrics.csv")["train_loss"], rel=1e-6)


@pytest.mark.parametrize("presentation", ["static", "slow"])
def test_resumed_run_equals_an_uninterrupted_one(presentation, few_digits, tmp_path, monkeypatch):
    whole = rn.train(small(presentation=presentation, epochs=2), out=tmp_path / "whole")
    original, steps = loop.take_step, []

    def step_then_interrupt(run):
        if len(steps) == 6:  # in the middle of the second epoch
            raise KeyboardInterrupt
        steps.append(1)
        return original(run)

    monkeypatch.setattr(loop, "take_step", step_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        rn.train(small(presentation=presentation, epochs=2), out=tmp_path / "cut")
    monkeypatch.setattr(loop, "take_step", original)
    resumed = rn.resume(tmp_path / "cut")
    pd.testing.assert_frame_equal(whole.metrics, resumed.metrics)
    assert torch.equal(weights(whole), weights(resumed))
    assert resumed.summary["test_accuracy"] == whole.summary["test_accuracy"]
    assert (tmp_path / "whole/metrics.csv").read_text() == (
        tmp_path / "cut/metrics.csv"
    ).read_text()


def test_resume_can_add_epochs(few_digits, tmp_path):
    whole = rn.train(small(epochs=2), out=tmp_path / "whole")
    rn.train(small(epochs=1), out=tmp_path / "more")
    more = rn.resume(tmp_path / "more", {"epochs": 2})
    assert torch.equal(weights(whole), weights(more))


def test_resume_refuses_other_options(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    with pytest.raises(InputError, match="seed: the run was begun with 0, not 5"):
        rn.resume(tmp_path, {"seed": 5})


def test_a_run_is_not_overwritten_unasked(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    before = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="already holds a run.*--resume.*--overwrite"):
        rn.train(small(seed=1), out=tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    rn.train(small(seed=1), out=tmp_path, overwrite=True)
    assert (tmp_path / "metrics.csv").read_bytes() != before
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_configuration_that_fails_loses_no_run(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(InputError, match="batch_size"):
        rn.train(small(batch_size=100_000), out=tmp_path, overwrite=True)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_refused_rule_loses_no_run(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(UnsupportedError, match="use LinearizedReparameterized"):
        rn.train(small(rule="reparameterized"), out=tmp_path, overwrite=True)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_other_files_in_the_folder_are_left_alone(few_digits, tmp_path):
    mine = [tmp_path / "figures" / "paper.png", tmp_path / "tensorboard" / "log"]
    for file in mine:
        file.parent.mkdir()
        file.write_text("mine")
    rn.train(small(), out=tmp_path)
    rn.train(small(), out=tmp_path, overwrite=True)
    assert [file.read_text() for file in mine] == ["mine", "mine"]
    assert len(list((tmp_path / "tensorboard").glob("events*"))) == 1


@pytest.mark.parametrize("name", ["metrics.csv", "summary.json", "checkpoint.safetensors"])
def test_what_looks_like_a_run_is_not_overwritten(name, few_digits, tmp_path):
    (tmp_path / name).write_text("precious")
    with pytest.raises(RunFolderError, match=f"already holds a run \\({name}"):
        rn.train(small(), out=tmp_path)
    assert (tmp_path / name).read_text() == "precious"


def test_tensorboard_of_a_resumed_run_has_every_step_once(few_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rn.train(small(), out=tmp_path)
    rn.resume(tmp_path, {"epochs": 2})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train_loss")] == list(range(1, 9))


def test_resume_refuses_fewer_epochs_and_unknown_options(few_digits, tmp_path):
    rn.train(small(epochs=2), out=tmp_path)
    with pytest.raises(InputError, match="epochs: the run has done 8 steps already"):
        rn.resume(tmp_path, {"epochs": 1})
    with pytest.raises(InputError, match="lerning_rate: there is no such option"):
        rn.resume(tmp_path, {"lerning_rate": 1.0})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("units = 12", "does not have the shape"),
        ("seed = 1.5", "seed: 1.5 is not a whole number"),
        ('data = ["x"]', r"data: \['x'\] is not a text"),
        ("epochs = true", "epochs: True is not a whole number"),
    ],
)
def test_tampered_configuration_is_one_sentence(line, sentence, few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    name = line.split(" = ")[0]
    text = (tmp_path / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(re.sub(rf"(?m)^{name} = .*$", line, text, count=1))
    with pytest.raises((InputError, RunFolderError), match=sentence):
        rn.evaluate(tmp_path)


def test_checkpoint_of_something_else_is_one_sentence(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    folder = rn.training.run_folder.RunFolder(tmp_path)
    other = rn.training.run_folder.Position({"other": torch.zeros(2)}, {})
    folder.write_checkpoint(other, folder.checkpoint_file)
    with pytest.raises(RunFolderError, match="W is missing"):
        rn.evaluate(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "absent", "noise"])
def test_damaged_checkpoint_is_one_sentence(damage, few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    content = file.read_bytes()
    file.unlink()
    if damage != "absent":
        file.write_bytes(content[:100] if damage == "cut" else b"noise" * 100)
    with pytest.raises(RunFolderError, match=r"damaged|holds no checkpoint"):
        rn.evaluate(tmp_path)


def test_evaluate_repeats_the_summary(few_digits, tmp_path):
    result = rn.train(small(presentation="slow"), out=tmp_path)
    solved, slow = rn.evaluate(tmp_path)
    assert solved.accuracy == result.summary["test_accuracy"]
    assert slow is not None
    assert slow.accuracy == result.summary["test_accuracy_slow"]
    assert int(solved.confusion.sum()) + solved.unsettled == len(few_digits.test)


def test_evaluate_without_a_run(tmp_path):
    with pytest.raises(RunFolderError, match=r"holds no run: there is no config.toml"):
        rn.evaluate(tmp_path)


def test_full_disk_leaves_the_last_checkpoint(few_digits, tmp_path, monkeypatch):
    rn.train(small(), out=tmp_path)
    folder = rn.training.run_folder.RunFolder(tmp_path)
    before = folder.read_checkpoint(folder.checkpoint_file, "cpu")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rn.training.run_folder, "save_file", full)
    with pytest.raises(RunFolderError, match="No space left.*what was there before is unharmed"):
        folder.write_checkpoint(before, folder.checkpoint_file)
    after = folder.read_checkpoint(folder.checkpoint_file, "cpu")
    assert torch.equal(after.tensors["W"], before.tensors["W"])
    assert not list(tmp_path.glob("*.part"))
