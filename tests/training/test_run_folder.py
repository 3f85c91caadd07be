"""The run folder: what it holds, how a run goes on from it, and that nothing in it is lost."""

import json
import pickle
import random
import re
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import (
    DivergenceError,
    InputError,
    ModelError,
    RatenetWarning,
    RunFolderError,
    UnknownNameError,
    UnsettledError,
    UnsupportedError,
)
from ratenet.training import network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.workers import ALONE


def test_run_folder_holds_everything(few_digits, tmp_path, pictures):
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
        "weight_norm", "validation_accuracy", "test_accuracy",
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
    original, steps = network_run.take_step, []

    def step_then_interrupt(run):
        if len(steps) == 6:  # in the middle of the second epoch
            raise KeyboardInterrupt
        steps.append(1)
        return original(run)

    monkeypatch.setattr(network_run, "take_step", step_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        rn.train(small(presentation=presentation, epochs=2), out=tmp_path / "cut")
    monkeypatch.setattr(network_run, "take_step", original)
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
    with pytest.raises(InputError, match="seed: expected 0, as the run was started, got 5"):
        rn.resume(tmp_path, {"seed": 5})


def test_a_run_is_not_overwritten_unasked(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    before = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="already holds a training run.*--resume.*--overwrite"):
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
    with pytest.raises(RunFolderError, match=f"already holds a training run \\({name}"):
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
    with pytest.raises(UnknownNameError, match="'lerning_rate'; did you mean 'learning_rate'"):
        rn.resume(tmp_path, {"lerning_rate": 1.0})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("units = 12", "belongs to another configuration"),
        ("seed = 1.5", "seed: expected a whole number.*got 1.5"),
        ('data = ["x"]', r"data: expected .*got \['x'\]"),
        ("epochs = true", "epochs: expected a whole number.*got True"),
    ],
)
def test_tampered_configuration_is_one_sentence(line, sentence, few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    name = line.split(" = ")[0]
    text = (tmp_path / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(re.sub(rf"(?m)^{name} = .*$", line, text, count=1))
    with pytest.raises((InputError, RunFolderError), match=sentence):
        rn.evaluate(tmp_path)


def _digest(folder: Path) -> str:
    saved = RunFolder(folder)
    return saved.read_checkpoint(saved.checkpoint_file, "cpu").run


def test_checkpoint_of_something_else_is_one_sentence(few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    folder = rn.training.run_folder.RunFolder(tmp_path)
    other = rn.training.run_folder.RunState({"other": torch.zeros(2)}, {}, _digest(tmp_path))
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
    with pytest.raises(RunFolderError, match=r"damaged|contains no checkpoint"):
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


@pytest.fixture
def saved(few_digits, tmp_path) -> RunFolder:
    """Return the folder of a run."""
    rn.train(small(units=10), out=tmp_path)
    return RunFolder(tmp_path)


def assert_refused_or_equal(folder: RunFolder, content: bytes, whole: str) -> bool:
    """Read a damaged checkpoint: one sentence, or all that was saved; return whether refused."""
    folder.checkpoint_file.write_bytes(content)
    try:
        found = folder.read_checkpoint(folder.checkpoint_file, "cpu")
    except RunFolderError as error:
        assert "damaged" in str(error)
        assert "\n" not in str(error)
        return True
    assert found.digest() == whole  # white space in the header says nothing
    return False


def test_a_checkpoint_cut_off_anywhere_is_refused(saved):
    whole = saved.checkpoint_file.read_bytes()
    digest = saved.read_checkpoint(saved.checkpoint_file, "cpu").digest()
    chosen = random.Random(0)
    header = int.from_bytes(whole[:8], "little")
    lengths = [0, 1, 7, 8, 9, header, header + 7, header + 8, header + 9, len(whole) - 1]
    lengths += [chosen.randrange(len(whole)) for _ in range(10)]
    for length in lengths:
        assert assert_refused_or_equal(saved, whole[:length], digest), length
    assert assert_refused_or_equal(saved, whole + b"\0", digest)


def test_a_byte_changed_anywhere_is_found(saved):
    whole = saved.checkpoint_file.read_bytes()
    digest = saved.read_checkpoint(saved.checkpoint_file, "cpu").digest()
    chosen = random.Random(1)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(8), *(chosen.randrange(8, header) for _ in range(150))]
    places += [chosen.randrange(header, len(whole)) for _ in range(50)]
    refused = 0
    for place in places:
        content = bytearray(whole)
        content[place] ^= chosen.randrange(1, 256)
        refused += assert_refused_or_equal(saved, bytes(content), digest)
    assert refused > len(places) - 5


def test_metrics_that_lost_rows_are_one_sentence(saved):
    rn.resume(saved.path, {"epochs": 2})
    rows = saved.metrics_file.read_text().splitlines(keepends=True)
    before = saved.checkpoint_file.read_bytes()
    for content, whole in (("".join(rows[:3]), 2), ("\0" * 50, 0)):
        saved.metrics_file.write_text(content)
        with pytest.raises(RunFolderError, match=f"metrics.csv: the first {whole} rows are whole"):
            rn.resume(saved.path, {"epochs": 3})
    assert saved.checkpoint_file.read_bytes() == before


@pytest.fixture
def canary(tmp_path):
    """Return a file, and an object that makes it when it is unpickled."""

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    bomb = Bomb()
    pickle.loads(pickle.dumps(bomb))
    assert (tmp_path / "executed").exists()  # it would go off
    (tmp_path / "executed").unlink()
    return tmp_path / "executed", bomb


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_pickle_in_place_of_a_checkpoint_is_not_executed(dump, saved, canary):
    executed, bomb = canary
    for file in (saved.checkpoint_file, saved.best_file):
        with file.open("wb") as target:
            dump({"W": bomb}, target)
        with pytest.raises(RunFolderError, match="damaged"):
            saved.read_checkpoint(file, "cpu")
    for use in (rn.evaluate, rn.resume):
        with pytest.raises(RunFolderError, match="damaged"):
            use(saved.path)
    assert not executed.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("equations", "dr/dt = __import__('os').system('touch {}') / tau : 1"),
        ("equations", "dr/dt = (-r + eval('open(\\'{}\\', \\'w\\')')) / tau : 1"),
        ("tau", "[open('{}', 'w') for _ in (1,)][0]*ms"),
        ("tau", "__import__('pathlib').Path('{}').touch()"),
        ("output", "(lambda: open('{}', 'w'))()"),
    ],
)
def test_a_configuration_that_is_code_is_not_executed(key, value, saved, canary):
    executed, _ = canary
    table = tomllib.loads(saved.config_file.read_text())
    section = table["model"]["parameters"] if key == "tau" else table["model"]
    assert key in section
    section[key] = value.format(executed)
    saved.config_file.write_text(tomli_w.dumps(table))
    for use in (rn.evaluate, rn.resume):
        with pytest.raises((RunFolderError, ModelError)):
            use(saved.path)
    assert not executed.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"not the configuration of a run: it has no section \[training\]"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[training", "not valid TOML"),
        (b"training = 5", r"not the .* no section \[training\]"),
        (b"x = " + b"[" * 10_000, "nested too deeply"),
        (b"seed = " + b"9" * 10_000, "a number has too many digits"),
        (b"[training]\nepochs = 1\n[machine]\nthreads = 1", r"not the .* no section \[model\]"),
    ],
    ids=["empty", "no text", "cut", "no table", "nested", "long", "no model"],
)  # fmt: skip
def test_what_is_no_configuration_is_one_sentence(content, sentence, saved):
    saved.config_file.write_bytes(content)
    with pytest.raises(RunFolderError, match=f"config.toml: {sentence}"):
        rn.evaluate(saved.path)


@pytest.mark.parametrize(
    ("options", "error", "at", "reason"),
    [
        pytest.param(
            {"learning_rate": 20.0}, UnsettledError, 5, "100 of 100 samples did not settle",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"rule": "euclidean", "learning_rate": 4.0, "epochs": 6}, UnsettledError, 8, "oscillat",
            marks=pytest.mark.slow,
        ),
        (
            {"schedule": "steplr", "schedule_options": {"step_size": 2, "gamma": 1e42}},
            DivergenceError, 3, "NaN or infinite",
        ),
        (
            {"presentation": "slow", "update_at": (0.5, 1.0), "learning_rate": 3.0,
             "method": "euler"},
            UnsettledError, 6, "did not settle",
        ),
    ],
)  # fmt: skip
def test_a_run_that_fails_stops_at_the_last_good_state(
    options, error, at, reason, few_digits, tmp_path
):
    after = []

    def look(run, row):
        after.append(run.state_dict())

    with pytest.raises(error, match=f"(?s)stopped at step {at} of .*{reason}"):
        rn.train(small(**{"epochs": 2, **options}), out=tmp_path, callbacks=[look])
    folder = RunFolder(tmp_path)
    saved = folder.read_checkpoint(folder.checkpoint_file, "cpu")
    assert saved.progress["step"] == len(after) == at - 1
    assert all(torch.equal(v, saved.tensors[name]) for name, v in after[-1].tensors.items())
    assert all(torch.isfinite(tensor).all() for tensor in saved.tensors.values())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert summary["reason"].startswith(f"step {at}: ")
    with pytest.raises(error, match=f"(?s)stopped at step {at} of .*{reason}"):
        rn.resume(tmp_path)


def test_a_failure_within_a_hold_goes_back_to_before_it(few_digits, tmp_path, monkeypatch):
    """The rule acts once on digits at rest, and breaks the network before it acts again."""
    changes, original = [], network_run.learn_from

    def counted(*arguments, **options):
        changes.append(original(*arguments, **options))
        return changes[-1]

    config = small(presentation="slow", update_at=(0.5, 1.0), learning_rate=30.0)
    monkeypatch.setattr(network_run.NetworkRun, "rehearse", lambda run: None)
    monkeypatch.setattr(network_run, "learn_from", counted)
    with pytest.raises(UnsettledError, match="stopped at step 1 of 4"):
        rn.train(config, out=tmp_path)
    assert len(changes) == 1
    assert changes[0].changes["W"].norm() > 0
    folder = RunFolder(tmp_path)
    run = network_run.new_network_run(config, config.model, folder, ALONE)
    saved = folder.read_checkpoint(folder.checkpoint_file, "cpu").tensors
    assert torch.equal(saved["W"], run.classifier.parameters["W"])  # as it was drawn
    assert "stream_state" not in saved


def test_a_loaded_run_answers_as_it_was_evaluated_and_changes_no_file(few_digits, tmp_path):
    rn.train(small(epochs=2), out=tmp_path / "run")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")}
    run = rn.load_run(tmp_path / "run")
    images = few_digits.test
    right = (run.answer(images).argmax(dim=1) == images.labels).double().mean()
    assert float(right) == pytest.approx(rn.evaluate(tmp_path / "run")[0].accuracy)
    assert run.summary["test_accuracy"] == pytest.approx(float(right))
    fp = run.respond(images.pixels[:3].numpy())
    assert fp.network is run.network and fp.rates.shape == (3, run.network.units)
    assert run.read_in.shape == (run.network.units, images.pixels.shape[1])
    assert run.read_out.shape == (10, run.network.units)
    assert len(run.metrics) == run.summary["steps"] and run.config.epochs == 2
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")} == before


def test_a_run_is_not_tied_to_its_machine(few_digits, tmp_path):
    threads = torch.get_num_threads()
    rn.train(small(threads=threads + 1), out=tmp_path)
    assert torch.get_num_threads() == threads
    text = (tmp_path / "config.toml").read_text()
    assert f"threads = {threads + 1}" in text[text.index("[machine]") :]
    assert "threads" not in text[: text.index("[machine]")]
    foreign = text.replace('device = "cpu"', 'device = "cuda:7"')
    (tmp_path / "config.toml").write_text(foreign)
    rn.evaluate(tmp_path, device="cpu")
    with pytest.raises(InputError, match="device: .*cuda:7"):
        rn.resume(tmp_path, {"epochs": 2})
    result = rn.resume(tmp_path, {"epochs": 2, "device": "cpu", "threads": threads})
    assert result.summary["epochs"] == 2 and torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("old", "new"), [("seed = 0", "seed = 1"), ('tau = "10*ms"', 'tau = "11*ms"')]
)
def test_a_configuration_edited_by_hand_is_noticed(old, new, few_digits, tmp_path):
    rn.train(small(), out=tmp_path)
    file = tmp_path / "config.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    for use in (rn.resume, rn.evaluate, rn.load_run):
        with pytest.raises(RunFolderError, match=r"another configuration than that of config.toml"):
            use(tmp_path)


def test_weights_alone_are_not_taken_for_a_checkpoint(few_digits, tmp_path):
    rn.train(small(validation=10), out=tmp_path)
    shutil.copy(tmp_path / "best.safetensors", tmp_path / "checkpoint.safetensors")
    with pytest.raises(RunFolderError, match="expected a checkpoint that holds all, got weights"):
        rn.resume(tmp_path)


def test_a_finished_run_says_that_it_is_finished(few_digits, tmp_path):
    first = rn.train(small(), out=tmp_path)
    with pytest.warns(RatenetWarning, match="is finished, after .* ask for more epochs"):
        again = rn.resume(tmp_path)
    assert again.summary == first.summary


def test_a_cut_last_row_of_metrics_is_mended_from_the_checkpoint(few_digits, tmp_path):
    rn.train(small(), out=tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    file = tmp_path / "cut/metrics.csv"
    file.write_bytes(file.read_bytes()[:-30])
    for name in ("whole", "cut"):
        rn.resume(tmp_path / name, {"epochs": 2})
    assert file.read_bytes() == (tmp_path / "whole/metrics.csv").read_bytes()
