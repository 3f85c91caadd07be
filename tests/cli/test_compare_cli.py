"""``ratenet compare``: what it says and writes, mistakes, and signals."""

import functools
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import ratenet.report.comparison as report
from ratenet.cli import main
from ratenet.hypotheses import compare
from ratenet.hypotheses.comparison import schedulers

# Small ones have few seeds, of which they warn.
pytestmark = pytest.mark.filterwarnings("ignore:seeds. [0-9]+ of:ratenet.errors.RatenetWarning")

SMALL = ["--tasks", "teacher", "--rules", "euclidean, hebb", "--learning-rates", "0.01,0.1",
         "--seeds", "2", "--steps", "3", "--units", "10", "--samples", "20", "--held-out", "10",
         "--batch-size", "10"]  # fmt: skip


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Return a function that runs a command in this process: its exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "_figures", lambda *_: {})  # they would take most of the time

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code or 0, said.out, " ".join(said.err.replace("│", " ").split())

    return run


def test_the_command_does_what_the_function_does(command, tmp_path):
    code, out, _ = command(*SMALL, "--seed", 3, "--out", "here")
    assert code == 0
    expected = compare(
        ["euclidean", "hebb"], [0.01, 0.1], out=tmp_path / "there", seeds=2, seed=3, steps=3,
        units=10, samples=20, held_out=10, batch_size=10,
    )  # fmt: skip
    found = pd.read_parquet(tmp_path / "here" / "cells.parquet")
    pd.testing.assert_frame_equal(found, expected.cells)
    for row in expected.best.to_dict("records"):
        assert f"{row['test_score']:.3f}" in out
    assert "rate    teacher, euclidean: the highest of the sweep; widen it" in out
    assert "report  here/report.html" in out
    began = (tmp_path / "here" / "config.toml").stat().st_mtime_ns
    assert command(*SMALL, "--seed", 3, "--out", "here")[0] == 0  # goes on with it
    assert (tmp_path / "here" / "config.toml").stat().st_mtime_ns == began
    code, _, error = command(*SMALL, "--out", "here")
    assert code == 2
    assert "holds a comparison with seed 3, not 0" in error
    assert command(*SMALL, "--out", "here", "--overwrite")[0] == 0


def test_numbers_are_whole_in_a_narrow_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rules = ["--rules", "euclidean,linearized-reparameterized", "--seeds", "3"]
    code, out, _ = command(*SMALL, *rules, "--out", "narrow")
    assert code == 0
    found = pd.read_csv("narrow/differences.csv").iloc[0]
    interval = f"{found['low']:.3f}, {found['high']:.3f}"
    for number in (f"{found['difference']:+.3f}", interval, f"{found['p']:.2g}"):
        assert number in out
    assert "…" not in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--learning-rates", "0.1,fast"],
            "learning_rates, 2: expected a number above 0",
        ),
        (["--rules", "heb"], "Unknown rule 'heb'"),
        (["--rules", ","], "rules: expected one value or more, separated by commas, got"),
        (["--tasks", "digits"], "Unknown task 'digits'"),
        (["--processes", "0"], "processes: expected a whole number of at least 1, got 0"),
        (["--processes", "2", "--scheduler", "tcp://a:1"], "exclude one another"),
        (["--scheduler", "nowhere"], "no Dask scheduler answers at 'nowhere'"),
        (["--batch-size", "30"], "batch_size: expected at most the number of samples, 20, got 30"),
    ],
)
def test_mistakes_end_with_one_sentence(command, options, sentence):
    code, out, error = command(*SMALL, *options)
    assert (code, out) == (2, "")
    assert error.startswith("Error: ")
    assert sentence in error
    assert "Traceback" not in error


def test_dask_that_is_not_installed_is_one_sentence(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, error = command(*SMALL, "--scheduler", "tcp://127.0.0.1:8786")
    assert code == 2
    assert "Dask is not installed; install it with pip install 'ratenet[dask]'" in error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_says_how_to_go_on(command, monkeypatch, number, code):
    real, ran = schedulers.run_cell, []

    def run_cell(cell, data_root, own):
        ran.append(cell)
        if len(ran) == 4:
            signal.raise_signal(number)
        return real(cell, data_root, own)

    run = functools.partialmethod(schedulers.InProcess.run, work=run_cell)
    monkeypatch.setattr(schedulers.InProcess, "run", run)
    before = signal.getsignal(number)
    found, out, error = command(*SMALL)
    assert (found, out) == (code, "")
    assert error.splitlines()[-1] == (
        "Interrupted after 3 of 8 cells; repeat the command to continue."
    )
    assert signal.getsignal(number) is before
    assert command(*SMALL)[0] == 0
    assert len(ran) == 4 + 5


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_processes_end_with_the_command(tmp_path, number, code):
    command = [sys.executable, "-m", "ratenet", "compare", *SMALL, "--steps", "60",
               "--processes", "2", "--out", str(tmp_path)]  # fmt: skip
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("cells/*.json")):
        assert running.poll() is None
        time.sleep(0.05)
    children = subprocess.run(
        ["ps", "--ppid", str(running.pid), "-o", "pid="], capture_output=True, text=True
    ).stdout.split()
    assert len(children) >= 2
    running.send_signal(number)
    _, error = running.communicate(timeout=60)
    assert running.returncode == code
    assert re.fullmatch(
        r"Interrupted after \d of 8 cells; repeat the command to continue.", error.splitlines()[-1]
    ), error
    until = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until
        time.sleep(0.05)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("cells/*.json")}
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert all(file.stat().st_mtime_ns == at for file, at in kept.items())
    assert len(list(tmp_path.glob("cells/*.json"))) == 8
