"""The command line: what a user types and reads. Exit codes 0, 2 and 3; never a traceback."""

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from ratenet.cli import main

MODEL = """
name = "bad"
title = "A model"
source = "a test"
equations = "dr/dt = (-r + {}) / tau : 1"
output = "r"
recurrent = "I_rec"
drive = "I_ext"
[parameters]
tau = "10*ms"
"""


def ratenet(*arguments: object, cwd=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ratenet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def error_of(said: subprocess.CompletedProcess) -> str:
    """Return the error of a command that the user got wrong."""
    assert said.returncode == 2, said.stderr
    assert "Traceback" not in said.stderr
    return said.stderr


@pytest.fixture
def mistake(monkeypatch, capsys, tmp_path):
    """Return a function that runs a wrong command in this process and returns its error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        assert exit.value.code == 2
        return " ".join(capsys.readouterr().err.replace("│", " ").split())

    return run


PROGRAM = """
import sys
from ratenet.cli import main
sys.argv = ["ratenet", *sys.argv[1:]]
try:
    main()
finally:
    print("heavy:", sorted({"torch", "brian2", "sympy", "pandas", "matplotlib"} & set(sys.modules)))
"""


def test_help_imports_nothing_that_takes_long():
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--help"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0
    assert "heavy: []" in said.stdout
    for command in ("models", "simulate", "train", "evaluate"):
        assert command in said.stdout


@pytest.mark.parametrize("command", ["models", "simulate", "train", "evaluate"])
def test_each_command_shows_an_example(command):
    said = ratenet(command, "--help")
    assert said.returncode == 0
    assert f"Example: ratenet {command}" in " ".join(said.stdout.split())


def test_help_imports_nothing_heavy():
    program = "import sys, ratenet.cli; print([m for m in ('torch', 'brian2') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["models"], 0, "adaptation"),
        (["models", "nope"], 2, "available: adaptation"),
        (["train", "--epochs", "-1"], 2, "epochs: expected a whole number from 1 to"),
        (["compare", "--seeds", "0"], 2, "seeds: expected a whole number from 1 to"),
    ],
)
def test_lists_and_mistakes_are_told_without_a_simulator(words, code, sentence):
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False
    )
    assert said.returncode == code
    assert "heavy: []" in said.stdout
    assert sentence in said.stdout + said.stderr


@pytest.mark.slow
def test_models_lists_and_shows():
    listed = ratenet("models").stdout
    for name in ("rate", "voltage", "linear", "threshold_linear", "adaptation"):
        assert name in listed
    shown = ratenet("models", "adaptation").stdout
    assert "da/dt = (-a + r) / tau_a : 1" in shown
    assert "tau_a = 100*ms" in shown
    assert "Laing & Chow" in shown


@pytest.mark.slow
def test_simulate_writes_table_picture_and_record(tmp_path):
    out = tmp_path / "s"
    options = ("--units", 5, "--duration", 20, "--plot", "--out", out)
    said = ratenet("simulate", "voltage", *options)
    assert said.returncode == 0, said.stderr
    assert "residual" in said.stdout
    rates = pd.read_csv(out / "rates.csv")
    assert rates.shape == (201, 6)
    assert rates["t_s"].iloc[-1] == pytest.approx(0.02)
    assert (out / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert 'method = "euler"' in (out / "config.toml").read_text()
    assert "already holds results" in error_of(ratenet("simulate", "voltage", *options))


@pytest.mark.slow
def test_train_evaluate_resume(tmp_path):
    out = tmp_path / "run"
    options = ("--units", 30, "--epochs", 1, "--presentation", "static", "--threads", 1)
    said = ratenet("train", *options, "--out", out)
    assert said.returncode == 0, said.stderr
    assert "test accuracy" in said.stdout
    assert "learning_curve.png" in said.stdout
    said = ratenet("evaluate", out)
    assert said.returncode == 0, said.stderr
    accuracy = json.loads((out / "evaluation.json").read_text())["test_accuracy"]
    assert accuracy == json.loads((out / "summary.json").read_text())["test_accuracy"]
    assert "already holds a training run" in error_of(ratenet("train", *options, "--out", out))
    said = ratenet("train", "--out", out, "--resume", "--epochs", 2)
    assert said.returncode == 0, said.stderr
    assert json.loads((out / "summary.json").read_text())["epochs"] == 2


@pytest.mark.slow
def test_ctrl_c_saves_and_resume_goes_on_as_if_nothing_had_been(tmp_path):
    options = ["--units", "30", "--epochs", "4", "--threads", "1"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert ratenet("train", *options, "--out", whole).returncode == 0
    command = [sys.executable, "-m", "ratenet", "train", *options, "--out", str(cut)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = cut / "metrics.csv"
    while run.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") > 5):
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted after step" in said
    assert json.loads((cut / "summary.json").read_text())["status"] == "interrupted"
    assert ratenet("train", "--out", cut, "--resume").returncode == 0
    assert metrics.read_text() == (whole / "metrics.csv").read_text()


@pytest.mark.slow
def test_train_with_an_optimizer_and_a_barrier(tmp_path):
    out = tmp_path / "run"
    said = ratenet(
        "train", "--units", 30, "--epochs", 1, "--presentation", "static", "--threads", 1,
        "--optimizer", "Adam", "--learning-rate", 0.003, "--learn", "read-in, read-out",
        "--barrier", 0.3, "--clip-norm", 1, "--schedule", "cosine", "--evaluate-every", 1,
        "--out", out,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "steps corrected" in said.stdout
    config = (out / "config.toml").read_text()
    assert 'optimizer = "adam"' in config
    assert json.loads((out / "summary.json").read_text())["refused_steps"] >= 0


@pytest.mark.slow
def test_unsettled_majority_exits_with_3(tmp_path):
    out = tmp_path / "run"
    options = ("--units", 20, "--epochs", 1, "--hold", 1, "--fade", 0, "--threads", 1)
    said = ratenet("train", *options, "--out", out)
    assert said.returncode == 3
    assert "Traceback" not in said.stderr
    assert "Training stopped at step 1" in said.stderr
    assert json.loads((out / "summary.json").read_text())["status"] == "stopped"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("models", "nope"), "Unknown model 'nope'; available: adaptation"),
        (("simulate", "nope"), "Unknown model or circuit 'nope'"),
        (("simulate", "rate", "--units", 0), "units: expected a whole number of at least 1, got 0"),
        (("simulate", "rate", "--dt", -1), "dt: expected a time from 1e-06 to 1e+12 ms, got -1.0"),
        (("simulate", "rate", "--dt", 3), "duration: expected a whole number of steps"),
        (
            ("simulate", "rate", "--backend", "nest"),
            "Unknown backend 'nest'; available: torch",
        ),
        (("simulate", "rate", "--method", "rk5"), "does not offer 'rk5'; available: euler"),
        (("simulate", "rate", "--backend", "brian2", "--method", "rk4"), "does not offer 'rk4'"),
        (("train", "--model", "nope"), "Unknown model 'nope'"),
        (("train", "--rule", "hope"), "Unknown rule 'hope'; available: euclidean"),
        (("train", "--optimizer", "hope"), "Unknown optimizer 'hope'; available: adadelta"),
        (
            ("train", "--learn", "all,read-in"),
            "learn, 1: expected one of read-in, read-out, got 'all'",
        ),
        (("train", "--barrier", 2), "barrier: expected a number above 0 and below 1, got 2.0"),
        (("train", "--data", "cifar"), "Unknown data set 'cifar'; did you mean 'cifar-10'"),
        (("train", "--device", "abacus"), "device: 'abacus' is unknown"),
        (("train", "--learning-rate", 0), "learning_rate: expected a number above 0, got 0.0"),
        (("train", "--tau", 0), "tau: expected a finite time above 0, got 0.0"),
        (("train", "--resume"), "--resume requires --out"),
        (("train", "--out", "x", "--resume"), "'x' holds no run"),
        (("evaluate", "nowhere"), "'nowhere' holds no run"),
        (("train", "--learning-rate", "much"), "Invalid value for '--learning-rate'"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence, mistake):
    assert sentence in mistake(*arguments)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("(", "a '(' is not closed"),
        ("I_rec + I_ext +", "expected an arithmetic expression"),
        ("I_rec + I_ext + tau", "unit"),
        ("I_rec + I_ext + frog", "unknown name 'frog'"),
        ("I_rec", "drive: no state variable's equation uses 'I_ext'"),
        ("__import__('os').system('true')", "arithmetic"),
    ],
)
def test_bad_model_files_are_one_sentence(expression, sentence, tmp_path, mistake):
    file = tmp_path / "bad.toml"
    file.write_text(MODEL.format(expression))
    said = mistake("simulate", file)
    assert str(file) in said
    assert sentence in said


def test_read_only_folder_is_one_sentence(tmp_path, mistake):
    (tmp_path / "file").write_text("")
    options = ("--epochs", 1, "--units", 5, "--presentation", "static")
    said = mistake("train", *options, "--out", tmp_path / "file" / "run")
    assert "cannot be made or written to" in said


@pytest.mark.slow
def test_large_step_is_warned_of_in_one_line(tmp_path):
    options = ("--radius", 0.1, "--dt", 25, "--duration", 50, "--units", 5, "--out", tmp_path / "s")
    said = ratenet("simulate", "rate", *options)
    assert said.stderr.count("\n") == 1
    assert said.stderr.startswith("Warning: dt = 0.025 s is too large")
