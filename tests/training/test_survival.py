"""Runs that are killed, interrupted, out of room or without rights lose nothing.

Processes are real: they are killed, write to disks that are full, and download from a server that
hangs up.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import pytest
import torch
from helpers.small_runs import small
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ratenet as rn
from ratenet.cli import main
from ratenet.errors import RunFolderError
from ratenet.training import network_run, step
from ratenet.training.run_folder import RunFolder, RunState

PAGE = 4096  # bytes that a small disk hands out at a time

# Two steps an epoch, and a checkpoint after each epoch: much of the time goes into writing.
OFTEN = {
    "units": 20, "batch_size": 2000, "presentation": "slow", "hold": 20, "fade": 10,
    "optimizer": "adam", "learning_rate": 0.003, "threads": 1, "seed": 4,
    "unsettled": "include",
}  # fmt: skip

# A process that kills itself when it opens, moves or removes a file of its run for the n-th time.
KILLED_WHILE_WRITING = """
import os, signal, sys
from ratenet.cli import main
left, folder = int(sys.argv.pop(1)), sys.argv[sys.argv.index("--out") + 1]
def watch(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(folder):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
main()
"""


def state_in(folder: Path) -> RunState:
    return RunFolder(folder).read_checkpoint(folder / "checkpoint.safetensors", "cpu")


def assert_same_run(one: Path, other: Path) -> None:
    """Refuse runs that differ in a bit of their metrics, tensors, progress or outcome."""
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    for name in ("checkpoint", "best"):
        files = [folder / f"{name}.safetensors" for folder in (one, other)]
        assert files[0].exists() == files[1].exists()
        if not files[0].exists():
            continue
        first, second = (RunFolder(f.parent).read_checkpoint(f, "cpu") for f in files)
        assert set(first.tensors) == set(second.tensors)
        for key, tensor in first.tensors.items():
            assert torch.equal(tensor, second.tensors[key]), key
        assert {**first.progress, "seconds": 0} == {**second.progress, "seconds": 0}
    said = [json.loads((folder / "summary.json").read_text()) for folder in (one, other)]
    assert {**said[0], "seconds": 0} == {**said[1], "seconds": 0}


def process(*arguments: object, program=("-m", "ratenet"), **options) -> subprocess.Popen:
    command = [sys.executable, *map(str, program), "train", *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**quiet, **options})


def options_of(config: dict) -> list[object]:
    return [part for k, v in config.items() for part in (f"--{k.replace('_', '-')}", v)]


def in_seconds(config: dict) -> dict:
    return {k: v / 1000 if k in ("hold", "fade") else v for k, v in config.items()}


def wait_until(run: subprocess.Popen, is_so) -> None:
    while run.poll() is None and not is_so():
        time.sleep(0.005)


def kill_once(arguments: list[object], out: Path, kind: str, moment: random.Random) -> None:
    """Begin, or go on, and kill -9: while it writes, while it trains, or at any time at all."""
    checkpoint = out / "checkpoint.safetensors"
    go_on = ["--resume"] if checkpoint.exists() else [*arguments, "--overwrite"]
    if kind == "writing":
        program = ("-c", KILLED_WHILE_WRITING, moment.randint(1, 50))
        run = process(*go_on, "--out", out, program=program)
    else:
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        run = process(*go_on, "--out", out)
        if kind == "training":
            wait_until(run, lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns > before)
        time.sleep(moment.uniform(0, 0.5 if kind == "training" else 6.0))
        run.kill()
    _, said = run.communicate(timeout=120)
    assert run.returncode == -signal.SIGKILL, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "epochs", "seed"),
    [(20, 240, 1)],
)
def test_a_run_that_is_killed_goes_on_as_if_nothing_had_been(kills, epochs, seed, tmp_path):
    whole, cut, moment = tmp_path / "whole", tmp_path / "cut", random.Random(seed)
    config = {**OFTEN, "epochs": epochs}
    rn.train(rn.TrainingConfig(**in_seconds(config)), out=whole)
    for kind in islice(cycle(["training", "writing", "any", "writing"]), kills):
        kill_once(options_of(config), cut, kind, moment)
        if (cut / "config.toml").exists() and (cut / "checkpoint.safetensors").exists():
            state_in(cut)  # whole, or it would be refused
        else:
            with pytest.raises(RunFolderError, match="holds no run|contains no checkpoint"):
                rn.resume(cut)
    again = ["--resume"] if (cut / "checkpoint.safetensors").exists() else options_of(config)
    run = process(*again, "--out", cut)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert_same_run(whole, cut)
    left = {str(path.relative_to(cut)) for path in cut.rglob("*") if path.is_file()}
    events = {name for name in left if name.startswith("tensorboard")}
    assert left - events == {
        "config.toml", "metrics.csv", "checkpoint.safetensors", "summary.json",
        "figures/learning_curve.png", "figures/digits.png",
    }  # fmt: skip
    steps = [event.step for event in _events(cut).Scalars("train_loss")]
    assert steps == list(range(1, 2 * epochs + 1))  # each once, and none is lost


def _events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()


SELDOM = (
    {
        "presentation": "slow",
        "update_at": "continuous",
        "hold": 0.05,
        "eligibility": 0.05,
        "unsettled": "include",
    },
    {"presentation": "slow", "hold": 0.0, "fade": 0.4, "correct_lag": True},
    {"barrier": 0.5, "presentation": "slow", "learning_rate": 1.0},
    {"rule": "euclidean", "model": "adaptation", "presentation": "slow", "learning_rate": 0.01},
)


@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(options, marks=pytest.mark.slow) for options in SELDOM),
        {"presentation": "slow", "update_at": (0.5, 0.75, 1.0), "dtype": "float64"},
        {
            "optimizer": "adam",
            "learning_rate": 0.003,
            "validation": 50,
            "patience": 9,
            "batch_size": 50,
        },
        {"validation": 50, "patience": 1, "batch_size": 50, "learning_rate": 1e-6, "epochs": 4},
        {"schedule": "cosine", "presentation": "slow", "momentum": 0.5},
        {"schedule": "onecyclelr", "optimizer": "adamw", "learning_rate": 0.003},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_a_run_goes_on_after_two_interruptions_and_a_move(
    options, few_digits, tmp_path, monkeypatch
):
    """A crash, which saves nothing, in the second epoch; then Ctrl-C, which saves within it."""
    config = small(**{"epochs": 2, **options})
    at = (len(few_digits.train) - config.validation) // config.batch_size + 1
    rn.train(config, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(network_run, "take_step", _step_or(at, _crash))
        with pytest.raises(CrashError):
            rn.train(config, out=tmp_path / "cut")
    with monkeypatch.context() as patch:
        patch.setattr(
            network_run, "take_step", _step_or(at, lambda: signal.raise_signal(signal.SIGINT))
        )
        with pytest.raises(KeyboardInterrupt, match=f"after step {at + 1} of"):
            rn.resume(tmp_path / "cut")
    assert state_in(tmp_path / "cut").progress["step"] == at + 1
    shutil.copytree(tmp_path / "cut", tmp_path / "elsewhere" / "run")
    shutil.rmtree(tmp_path / "cut")
    rn.resume(tmp_path / "elsewhere" / "run")
    assert_same_run(tmp_path / "whole", tmp_path / "elsewhere" / "run")


class CrashError(Exception):
    pass


def _crash() -> None:
    raise CrashError


def _step_or(number: int, happening):
    def take_step(run):
        if run.progress.step == number:
            happening()
        return step.take_step(run)

    return take_step


@pytest.mark.slow
def test_sigterm_saves_and_exits_with_143(tmp_path):
    config = {**OFTEN, "epochs": 60}
    run = process(*options_of(config), "--out", tmp_path / "cut")
    metrics = tmp_path / "cut" / "metrics.csv"
    wait_until(run, lambda: metrics.exists() and metrics.read_text().count("\n") > 4)
    run.terminate()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143, said
    assert "Interrupted after step" in said
    assert "Traceback" not in said
    assert json.loads((tmp_path / "cut/summary.json").read_text())["status"] == "interrupted"
    done = state_in(tmp_path / "cut").progress["step"]
    assert metrics.read_text().count("\n") == done + 1  # not one step is lost
    rn.train(rn.TrainingConfig(**in_seconds(config)), out=tmp_path / "whole")
    rn.resume(tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 1 MB, or skip."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount).returncode:
        pytest.skip("a small disk cannot be mounted here; it takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, pages: int) -> None:
    """Leave so many pages of a disk."""
    found = os.statvfs(disk)
    used = found.f_bavail * found.f_frsize - pages * PAGE
    (disk / "film").write_bytes(bytes(used))


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        pytest.param(0, "metrics cannot be written", marks=pytest.mark.slow),
        (9, "checkpoint.safetensors' cannot be written"),
        pytest.param(30, "learning_curve.png' cannot be written", marks=pytest.mark.slow),
        *(pytest.param(n, "cannot be written", marks=pytest.mark.slow) for n in range(1, 51, 3)),
    ],
)
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(
    pages, sentence, few_digits, tmp_path, small_disk, pictures
):
    """The disk fills up in the second step of the second epoch, but for a few pages."""
    config = small(batch_size=10, epochs=2, units=20)
    rn.train(config, out=tmp_path / "whole")

    def fill_up(run, row):
        if row["step"] == 42:
            fill(small_disk, pages)

    out = small_disk / "run"
    with pytest.raises(RunFolderError, match=sentence) as error:
        rn.train(config, out=out, callbacks=[fill_up])
    assert "No space left" in str(error.value)
    assert "\n" not in str(error.value)
    assert state_in(out).progress["step"] in (40, 80)
    if pages == 0:
        with pytest.raises(RunFolderError, match=r"config.toml' cannot be written.*unharmed"):
            rn.resume(out)
        with pytest.raises(RunFolderError, match="cannot be written"):
            rn.train(config, out=small_disk / "another")
    (small_disk / "film").unlink()
    rn.resume(out)
    assert_same_run(tmp_path / "whole", out)
    assert not list(out.rglob("*.part"))


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_exits_with_2(tmp_path):
    rn.train(small(batch_size=1000, epochs=2), out=tmp_path / "whole")
    rn.train(small(batch_size=1000), out=tmp_path / "cut")
    before = (tmp_path / "cut/checkpoint.safetensors").read_bytes()
    program = (
        "import resource; from ratenet.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2); main()"
    )
    run = process("--resume", "--epochs", 2, "--out", tmp_path / "cut", program=("-c", program))
    _, said = run.communicate(timeout=120)
    assert run.returncode == 2, said
    assert "Traceback" not in said
    assert "checkpoint.safetensors' cannot be written (File too large" in said
    assert (tmp_path / "cut/checkpoint.safetensors").read_bytes() == before
    rn.resume(tmp_path / "cut", {"epochs": 2})
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def command_line(monkeypatch, capsys, *arguments: object) -> str:
    """Run a command that fails in this process; return its one sentence."""
    monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert "\n" not in said
    return said


def test_a_read_only_disk_is_one_sentence(few_digits, small_disk, monkeypatch, capsys):
    out = small_disk / "run"
    rn.train(small(), out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for arguments in (
        ["train", "--resume", "--epochs", 2, "--out", out],
        ["train", "--overwrite", "--out", out],
        ["train", "--out", small_disk / "another"],
        ["evaluate", out],
    ):
        said = command_line(monkeypatch, capsys, *arguments)
        assert said.startswith("Error: ")
        assert "Read-only file system" in said
    assert {path: path.read_bytes() for path in before} == before


@contextmanager
def without_rights():
    """Take the rights on files of others from this process, if it is root's."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def can_be_read(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


@pytest.mark.parametrize(("mode", "rest"), [(0o555, "read only"), (0o000, "locked")])
def test_a_folder_of_somebody_else_is_one_sentence(mode, rest, few_digits, monkeypatch, capsys):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others anyway
        Path(folder).chmod(0o755)
        out = Path(folder) / "run"
        rn.train(small(), out=out)
        out.chmod(mode)
        with without_rights():
            if not can_be_read(Path(torch.__file__)):
                pytest.skip("the packages lie where other users cannot look")
            for arguments in (
                ["train", "--resume", "--epochs", 2, "--out", out],
                ["train", "--overwrite", "--out", out],
                ["train", "--out", out],
                ["train", "--out", out / "another"],
                ["evaluate", out],
            ):
                said = command_line(monkeypatch, capsys, *arguments)
                assert said.startswith("Error: ")
                assert "ermission denied" in said or "already holds a training run" in said, (
                    arguments
                )
        out.chmod(0o755)
        assert state_in(out).progress["step"] == 4
