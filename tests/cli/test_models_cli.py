"""``ratenet models`` and its commands; ``ratenet --version``; what is left of mistakes."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.cli import main
from ratenet.cli.output import leftover_mistake
from ratenet.equations.files import models_folder

MODEL = (models_folder() / "rate.toml").read_text(encoding="utf-8")


@pytest.fixture
def run(monkeypatch, capfd):
    """Return a function that runs a command in this process: exit code, stdout, stderr."""

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code, *capfd.readouterr()

    return command


def test_version(run):
    assert run("--version") == (0, f"ratenet {rn.__version__}\n", "")


def test_a_name_is_short_for_show(run):
    code, shown, said = run("models", "adaptation")
    assert (code, said) == (0, "")
    assert run("models", "show", "adaptation") == (0, shown, "")
    assert shown.startswith("adaptation: Rate network with subtractive adaptation")


def test_latex_before_and_after_the_name(run):
    code, shown, _ = run("models", "linear", "--latex")
    assert code == 0
    assert r"\frac{\mathrm{d}r}{\mathrm{d}t}" in shown
    assert run("models", "--latex", "linear") == (0, shown, "")


def test_a_circuit_is_shown_with_its_model(run):
    code, shown, _ = run("models", "ssn_ring")
    assert code == 0
    assert "units of:\nssn: Stabilized supralinear network" in shown
    assert "Run it with: ratenet simulate ssn_ring" in shown


def test_the_schema_is_that_of_model_files(run):
    code, printed, _ = run("models", "schema")
    assert code == 0
    assert {"equations", "parameters"} <= set(json.loads(printed)["properties"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "--latex", "rate"), "No such option: --latex; see ratenet models check --help."),
        (("check",), "Missing argument 'model'"),
        (("check", "rate", "linear"), "unexpected extra argument"),
        (("rate", "--seed", "1"), "No such option: --seed"),
        (("rate", "linear"), "unexpected extra argument"),
        (("schema", "rate"), "unexpected extra argument"),
        (("check", "nope"), "Unknown model 'nope'"),
        (("chek",), "Unknown model 'chek'"),
    ],
)
def test_what_a_command_does_not_take_is_refused(run, arguments, sentence):
    code, printed, said = run("models", *arguments)
    assert (code, printed) == (2, "")
    assert said.startswith("Error: ")
    assert said.count("\n") == 1
    assert sentence in said


@pytest.mark.filterwarnings("always::ratenet.errors.RatenetWarning")
def test_a_typo_in_a_file_is_warned_of(run, tmp_path):
    path = tmp_path / "typo.toml"
    path.write_text(MODEL + 'taus = "20*ms"\n', encoding="utf-8")
    code, _, said = run("models", path)
    assert code == 0
    assert said == (
        f"Warning: {path}: parameters, taus: never used; did you mean 'tau'? Use it or delete it.\n"
    )


def test_no_escape_sequence_of_a_file_reaches_the_terminal(run, tmp_path):
    path = tmp_path / "hostile\x1b[31m.toml"
    path.write_text('title = "x\\u001b[2J\\u001b]0;owned\\u0007"\n' + MODEL.split("\n", 2)[2])
    code, printed, said = run("models", path)
    assert code == 2
    assert "\x1b" not in printed + said
    assert "title: expected a string" in said


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_file_name_that_is_not_utf8(tmp_path, encoding):
    name = os.path.join(os.fsencode(tmp_path), b"m\xf6del.toml")  # noqa: PTH118
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(MODEL.replace("Rate network", "R\u00e4te network").encode())
    command = [os.fsencode(sys.executable), "-m", "ratenet", "models", name]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = "R\u00e4te".encode() if encoding == "utf-8" else b"R\\xe4te"
    assert shown in done.stdout


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "not enough memory"),
        (np.exceptions.AxisError("x"), None),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough"),
        (OverflowError("int too large to convert to float"), "a number is too large"),
        (UnicodeEncodeError("utf-8", "\udcf6", 0, 1, "surrogates"), "cannot be encoded"),
        (PermissionError(errno.EACCES, "Permission denied", "a\x1b.csv"), "a\\x1b.csv: permission"),
        (OSError("no file"), None),
        (ValueError("a fault of ratenet"), None),
        (RuntimeError("another"), None),
    ],
)
def test_only_what_is_a_users_mistake_becomes_a_sentence(error, sentence):
    found = leftover_mistake(error)
    assert (found is None) == (sentence is None)
    assert sentence is None or sentence in found


def test_a_fault_of_ratenet_keeps_its_traceback(run, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("ratenet.equations.shipped.titles", broken)
    with pytest.raises(ZeroDivisionError):
        run("models")


@pytest.mark.slow
def test_a_closed_pipe_is_the_end(tmp_path):
    program = f"{sys.executable} -m ratenet models | {sys.executable} -c pass"
    done = subprocess.run(program, shell=True, capture_output=True, text=True, cwd=Path(tmp_path))
    assert "Traceback" not in done.stderr


def test_a_new_model_file_is_a_model_that_runs(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, _ = run("models", "new", "mine.toml")
    assert code == 0
    assert "ratenet models check mine.toml" in said
    model = rn.load_model("mine.toml")
    assert (model.name, model.states, model.output) == ("mine", ("r", "a"), "r")
    assert rn.find_fixed_points(rn.Network(model, [[0.5]]), [1.0]).unsettled == 0
    for key in ("functions", "parameters", "populations", "normal(", "gamma("):
        assert key in Path("mine.toml").read_text()


@pytest.mark.brian2
def test_a_new_model_file_passes_the_check(run, tmp_path):
    file = tmp_path / "mine.toml"
    assert run("models", "new", file)[0] == 0
    code, said, error = run("models", "check", file)
    assert (code, error) == (0, "")
    assert "FAILED" not in said


def test_new_replaces_no_file_and_writes_toml_only(run, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("precious")
    code, _, said = run("models", "new", file)
    assert code == 2
    assert "exists already; choose another name" in said
    assert file.read_text() == "precious"
    for name in ("mine.txt", "", "mine"):
        code, _, said = run("models", "new", name)
        assert code == 2
        assert "expected a path that ends in .toml" in said
    code, _, said = run("models", "new", tmp_path / "missing" / "a.toml")
    assert code == 2
    assert "cannot be written" in said


def test_a_new_model_file_has_any_name(run, tmp_path):
    file = tmp_path / 'my "é" {x}.toml'
    assert run("models", "new", file)[0] == 0
    assert rn.load_model(file).name == 'my "é" {x}'
