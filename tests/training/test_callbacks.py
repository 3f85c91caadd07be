"""What looks on while a run goes on: validation, early stopping, the user's own callbacks."""

import json
import math

import pandas as pd
import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning, UnknownNameError, UnsupportedError
from ratenet.training import callbacks
from ratenet.training.evaluation import Evaluation, evaluate_classifier
from ratenet.training.presentation import Static
from ratenet.training.run import Progress
from ratenet.training.schedules import _classes, learning_rates


def test_a_callback_sees_every_step_and_may_add_a_metric(few_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = []

    def norm(run, row):
        row["norm"] = float(run.classifier.network.connectivity.W.norm())
        seen.append((row["step"], row["norm"]))

    result = rn.train(small(), out=tmp_path, callbacks=[norm])
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    assert seen[-1][1] == pytest.approx(float(weights(result).norm()))
    logged = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("norm")
    assert [event.value for event in logged] == pytest.approx([value for _, value in seen])


def test_a_callback_can_end_a_run(few_digits, tmp_path):
    def enough(run, row):
        return "two are enough" if row["step"] == 2 else None

    result = rn.train(small(epochs=2), out=tmp_path, callbacks=[enough])
    assert result.summary["status"] == "done"
    assert result.summary["reason"] == "two are enough"
    assert result.summary["steps"] == len(result.metrics) == 2
    with pytest.warns(RatenetWarning, match="is finished, after 2 steps \\(two are enough\\)"):
        again = rn.resume(tmp_path)  # it has ended, and stays so
    assert again.summary["steps"] == 2
    assert torch.equal(weights(again), weights(result))


def test_validation_images_are_not_learned_from(few_digits, tmp_path):
    result = rn.train(small(validation=100, batch_size=50, epochs=2), out=tmp_path)
    assert result.summary["steps"] == 2 * (300 // 50)
    measured = result.metrics["validation_accuracy"].dropna()
    assert measured.index.tolist() == [5, 11]
    held_out = few_digits.with_validation(10, seed=0)
    assert held_out.validation.labels.bincount().tolist() == [10] * 10
    train = {row.numpy().tobytes() for row in held_out.train.pixels}
    assert not train & {row.numpy().tobytes() for row in held_out.validation.pixels}
    evaluation = evaluate_classifier(result.classifier, held_out.validation, Static())
    assert measured.iloc[-1] == evaluation.accuracy
    assert result.summary["best_validation_accuracy"] == measured.max()


class _Run:
    """A run of which a callback needs little."""

    steps_per_epoch, steps = 2, 100

    def __init__(self) -> None:
        self.progress, self.saved = Progress(), []
        self.images, self.validation = self, "images"
        self.accuracies = iter([0.5, 0.6, 0.6, 0.7, 0.7, 0.65])

    def evaluate(self, images: str) -> Evaluation:
        assert images == "images"
        return Evaluation(0.0, next(self.accuracies), 0, None)

    def save_best(self) -> None:
        self.saved.append(self.progress.step)


def test_patience_waits_for_a_better_measurement():
    run, validate, reasons = _Run(), callbacks.Validate(epochs=1, patience=2), []
    for step in range(1, 13):
        run.progress.step = step
        reasons.append(validate(run, {}))
    assert run.saved == [2, 4, 8]
    assert [index for index, reason in enumerate(reasons, 1) if reason] == [12]
    assert reasons[-1] == (
        "the validation accuracy has not risen above 0.7 of step 8 for 2 measurements"
    )


def test_early_stopping_takes_the_best_weights(few_digits, tmp_path):
    options = {"validation": 100, "batch_size": 50, "epochs": 40, "patience": 2}
    result = rn.train(small(**options, learning_rate=1.0), out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["steps"] < 40 * 6
    assert "the validation accuracy has not risen" in summary["reason"]
    best = result.metrics["validation_accuracy"].idxmax()
    assert summary["best_step"] == result.metrics["step"][best]
    held_out = few_digits.with_validation(10, seed=0).validation
    evaluation = evaluate_classifier(result.classifier, held_out, Static())
    assert evaluation.accuracy == summary["best_validation_accuracy"]
    assert rn.evaluate(tmp_path)[0].accuracy == summary["test_accuracy"]


def test_resumed_early_stopping_ends_where_an_uninterrupted_one_does(few_digits, tmp_path):
    options = {"validation": 100, "batch_size": 50, "epochs": 40, "patience": 2}
    config = small(**options, learning_rate=1.0)
    whole = rn.train(config, out=tmp_path / "whole")

    def interrupt(run, row):
        if row["step"] == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rn.train(config, out=tmp_path / "cut", callbacks=[interrupt])
    resumed = rn.resume(tmp_path / "cut")
    pd.testing.assert_frame_equal(whole.metrics, resumed.metrics)
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.summary["reason"] == resumed.summary["reason"]


SCHEDULES = {
    "steplr": {"step_size": 3, "gamma": 0.5},
    "multisteplr": {"milestones": [2, 5]},
    "exponentiallr": {"gamma": 0.9},
    "linearlr": {"start_factor": 0.1, "total_iters": 4},
    "cosineannealinglr": {"T_max": 10},
    "onecyclelr": {"total_steps": 10, "max_lr": 0.4, "cycle_momentum": False},
    "polynomiallr": {"total_iters": 8, "power": 2.0},
    "cosineannealingwarmrestarts": {"T_0": 3},
    "cycliclr": {"base_lr": 0.01, "max_lr": 0.4, "step_size_up": 3, "cycle_momentum": False},
    "constantlr": {"factor": 0.5, "total_iters": 2},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_torch(name):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    scheduler = _classes()[name](optimizer, **SCHEDULES[name])
    wanted = []
    for _ in range(10):
        wanted.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if len(wanted) < 10:
            scheduler.step()
    assert learning_rates(name, SCHEDULES[name], 0.4, 10) == pytest.approx(wanted, abs=1e-12)


def test_all_schedules_of_torch_that_depend_on_the_step_are_there():
    assert set(_classes()) == set(SCHEDULES)


def test_lengths_follow_the_run():
    assert learning_rates("cosine", {}, 1.0, 4) == pytest.approx([1, 0.85355339, 0.5, 0.14644661])
    assert max(learning_rates("onecyclelr", {}, 0.2, 30)) == pytest.approx(0.2, rel=1e-3)
    assert learning_rates("constant", {}, 0.2, 3) == [0.2] * 3
    assert min(learning_rates("linearlr", {"end_factor": 0.0}, 1.0, 9)) > 0


def test_a_schedule_is_followed(few_digits, tmp_path):
    """With a rate of almost 0 from the third step on the weights stay where they are."""
    options = {"schedule": "steplr", "schedule_options": {"step_size": 2, "gamma": 1e-9}}
    two = rn.train(small(**options), out=tmp_path / "a", callbacks=[until_step_2])
    four = rn.train(small(**options), out=tmp_path / "b")
    assert float((weights(two) - weights(four)).abs().max()) < 1e-7
    recorded = (tmp_path / "b" / "config.toml").read_text()
    assert "step_size = 2" in recorded
    with pytest.warns(RatenetWarning, match="is finished"):
        again = rn.resume(tmp_path / "b")
    assert torch.equal(weights(again), weights(four))


def until_step_2(run, row):
    return "far enough" if row["step"] == 2 else None


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"patience": 2}, InputError, "patience: requires validation images"),
        (
            {"patience": 0, "validation": 10},
            InputError,
            "patience: expected a whole .*, got 0",
        ),
        ({"validation": -10}, InputError, "validation: expected a whole number from 0 .*, got -10"),
        ({"schedule": "lambdalr"}, UnknownNameError, "Unknown schedule 'lambdalr'"),
        ({"schedule_options": [1]}, InputError, r"schedule_options: expected a table, got \[1\]"),
    ],
)
def test_bad_options_are_one_sentence(options, error, sentence):
    with pytest.raises(error, match=sentence):
        small(**options)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"validation": 15}, InputError, "validation: expected a multiple of 10, .*, got 15"),
        ({"validation": 400}, InputError, "validation: expected fewer than 400, 40 of each class"),
        (
            {"schedule": "steplr", "schedule_options": {"gama": 0.1}},
            InputError,
            "Unknown schedule option 'gama'; did you mean 'gamma'.* step_size, gamma",
        ),
        (
            {"schedule": "steplr", "schedule_options": {"gamma": 0.1}},
            InputError,
            "schedule_options: cannot be used for schedule 'steplr'.*available: step_size, gamma",
        ),
        (
            {"schedule": "exponentiallr", "schedule_options": {"gamma": math.nan}},
            InputError,
            "reaches a learning rate of nan",
        ),
        (
            {"schedule": "exponentiallr", "schedule_options": {"gamma": -1.0}},
            InputError,
            "reaches a learning rate of -0.25",
        ),
        (
            {"optimizer": "rprop", "schedule": "cosine"},
            UnsupportedError,
            "uses the learning rate at its first step only",
        ),
        ({"schedule_options": {"gamma": 0.1}}, InputError, "a constant learning rate has none"),
        ({"rule": "reparameterized"}, UnsupportedError, "use LinearizedReparameterized"),
    ],
)
def test_what_does_not_fit_writes_nothing(options, error, sentence, few_digits, tmp_path):
    with pytest.raises(error, match=sentence):
        rn.train(small(**options), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_patience_without_a_measurement_takes_the_last_weights(few_digits, tmp_path):
    """The last step is measured, too; a run that ends before it keeps what it has learned."""
    options = {"validation": 100, "batch_size": 50, "patience": 2, "evaluate_every": 2}
    result = rn.train(small(epochs=2, **options), out=tmp_path / "whole")
    assert result.metrics["validation_accuracy"].notna().tolist() == [False] * 11 + [True]
    early = rn.train(small(epochs=2, **options), out=tmp_path / "early", callbacks=[until_step_2])
    assert early.summary["status"] == "done"
    assert early.summary["best_validation_accuracy"] is None


def test_an_ended_run_goes_on_when_more_epochs_are_asked_for(few_digits, tmp_path):
    rn.train(small(), out=tmp_path, callbacks=[until_step_2])
    with pytest.warns(RatenetWarning, match="is finished"):
        assert rn.resume(tmp_path).summary["steps"] == 2
    assert rn.resume(tmp_path, {"epochs": 2}).summary["steps"] == 8


def test_a_callback_that_fails_loses_nothing(few_digits, tmp_path):
    def fails(run, row):
        if row["step"] == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rn.train(small(), out=tmp_path, callbacks=[fails])
    folder = rn.training.run_folder.RunFolder(tmp_path)
    assert folder.read_checkpoint(folder.checkpoint_file, "cpu").progress["step"] == 3
    assert rn.resume(tmp_path).summary["steps"] == 4


@pytest.mark.parametrize(
    ("callback", "sentence"),
    [
        (lambda run, row: 3, "callbacks: expected None, or a string .*, got 3"),
        (
            lambda run, row: row.update(name="W"),
            "callbacks, metric 'name': expected a number, got 'W'",
        ),
    ],
)
def test_what_a_callback_may_not_do_is_one_sentence(callback, sentence, few_digits, tmp_path):
    with pytest.raises(InputError, match=sentence):
        rn.train(small(), out=tmp_path, callbacks=[callback])


def test_resume_compares_before_it_judges(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    with pytest.raises(InputError, match=r"update_at: expected \(1.0,\), as the run was started"):
        rn.resume(tmp_path, {"update_at": [0.5]})
    with pytest.warns(RatenetWarning, match="is finished"):
        again = rn.resume(tmp_path, {"learn": [], "seed": 0})
    assert again.summary["steps"] == 4
