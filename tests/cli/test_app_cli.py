"""``ratenet app``: what is shown, the demo that it trains, and mistakes in one sentence."""

import shutil
import socket
import sys

import pytest

import ratenet as rn
from ratenet.app.targets import CircuitTarget, RunTarget
from ratenet.cli import main

pytest.importorskip("nicegui", reason="the page is not installed: pip install 'ratenet[app]'")


@pytest.fixture
def ratenet(monkeypatch, capsys, tmp_path, few_digits):
    """Return a function that runs a command in an empty folder: exit code, output, error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code, said.out, said.err

    return run


@pytest.fixture
def served(monkeypatch):
    """Return what the server is begun with, in place of a server."""
    calls = []
    monkeypatch.setattr(
        "ratenet.app.server.serve", lambda target, **options: calls.append((target, options))
    )
    return calls


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a small run."""
    out = tmp_path_factory.mktemp("app") / "run"
    config = rn.TrainingConfig(epochs=1, units=10, batch_size=500, presentation="static")
    rn.train(config, out=out)
    return out


def test_a_circuit_or_a_run_is_served(ratenet, served, run):
    assert ratenet("app", "inhibition_stabilized", "--no-browser", "--port", 8123)[0] == 0
    assert ratenet("app", run)[0] == 0
    assert served == [
        (CircuitTarget("inhibition_stabilized"), {"port": 8123, "opens_browser": False}),
        (RunTarget(run), {"port": None, "opens_browser": True}),
    ]


def test_the_demo_is_trained_once_where_there_is_none(ratenet, served, tmp_path):
    code, said, _ = ratenet("app")
    assert code == 0 and "training the demo" in said
    trained = rn.load_run("runs/demo")
    assert trained.config.presentation == "static" and trained.summary["status"] == "done"
    code, said, _ = ratenet("app")
    assert code == 0 and "training" not in said
    assert [target.folder.resolve() for target, _ in served] == [tmp_path / "runs" / "demo"] * 2


@pytest.mark.parametrize(
    "word, said",
    [
        ("wilson_cowan_multistabel", "did you mean 'wilson_cowan_multistable'"),
        ("", "unknown run folder or circuit ''"),
        ("jansen_rit", "two units with one state variable each, got 3"),
        ("wong_wang", "two units with one state variable each, got 2 with 2"),
        ("no/run", "'no/run' holds no run"),
        (".", "'.' holds no run"),
        ("\u2603", "unknown run folder or circuit"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(ratenet, served, word, said):
    code, out, error = ratenet("app", word)
    assert code == 2 and not out and not served
    assert said.lower() in error.lower() and error.count("\n") == 1


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "metrics.csv", "config.toml"])
def test_a_run_that_lacks_a_file_is_one_sentence(ratenet, served, run, tmp_path, name):
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / name).unlink()
    code, out, error = ratenet("app", copy)
    assert code == 2 and not out and not served
    assert "copy" in error and error.count("\n") == 1


def test_a_run_whose_summary_is_missing_is_shown(ratenet, served, run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "summary.json").unlink()
    assert ratenet("app", copy)[0] == 0 and served


def test_stacks_and_regressions_are_refused(ratenet, served, tmp_path, few_digits):
    layers = ({"kind": "fixed-point", "units": 8}, {"kind": "read-out"})
    common = {"epochs": 1, "batch_size": 200, "presentation": "static"}
    rn.train(rn.TrainingConfig(**common, layers=layers), out="stack")
    images = few_digits.train
    targets = images.pixels[:, :3].double().numpy()
    pairs = (images.pixels.view(-1, 28, 28).numpy(), targets)
    data = rn.stimuli.ImageSet.from_arrays(train=pairs, test=pairs, name="mine")
    rn.train(rn.TrainingConfig(**common, units=8, data=data), out="regression")
    for folder, said in (("stack", "stack"), ("regression", "classify images")):
        code, out, error = ratenet("app", f"./{folder}")
        assert code == 2 and not out and not served
        assert said in error and error.count("\n") == 1


def test_without_nicegui_it_says_which_command_installs_it(ratenet, monkeypatch):
    monkeypatch.setitem(sys.modules, "nicegui", None)
    code, _, error = ratenet("app", "inhibition_stabilized")
    assert code == 2
    assert error == (
        "Error: app: NiceGUI is not installed; install it with pip install 'ratenet[app]'.\n"
    )


def test_a_port_in_use_is_one_sentence(ratenet):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, error = ratenet("app", "inhibition_stabilized", "--port", port)
    assert code == 2 and error.count("\n") == 1
    assert f"port: expected a free port, got {port} (address already in use)" in error


def test_no_browser_is_opened_where_there_is_no_display(monkeypatch, capsys):
    from ratenet.app import server

    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    server.open_browser("http://127.0.0.1:1")
    assert not opened and "open the address in one yourself" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")
    server.open_browser("http://127.0.0.1:1")
    assert opened == ["http://127.0.0.1:1"] and not capsys.readouterr().err
