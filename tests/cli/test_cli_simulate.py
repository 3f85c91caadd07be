"""`ratenet simulate`: circuits and models, what is written, what is refused."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray
from brian2 import ms

import ratenet as rn
from ratenet import circuits
from ratenet.cli import main
from ratenet.cli.simulate import _record_every
from ratenet.report.figures import COLOURS
from ratenet.report.progress import StepBar
from ratenet.report.rates import rates_by_population
from ratenet.simulation import SampledDrive

Command = Callable[..., str]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Return a function that runs the command in this process and returns what it says."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["ratenet", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        assert exit.value.code == code, said.err
        assert "Traceback" not in said.err
        return said.out if code == 0 else " ".join(said.err.split())

    return command


def test_a_model_writes_tables_picture_and_everything_resolved(run: Command) -> None:
    said = run("rate", "--units", 5, "--duration", 20, "--record-every", 10, "--plot")
    assert "settled: largest residual" in said
    assert "simulation/rates.nc" in said
    rates = pd.read_csv("simulation/rates.csv")
    assert rates.shape == (21, 6)
    with xarray.open_dataset("simulation/rates.nc") as data:
        np.testing.assert_allclose(data["rates"][:, 0, 3], rates["unit_3"], rtol=1e-12)
    assert Path("simulation/rates.png").read_bytes().startswith(b"\x89PNG")
    config = tomllib.loads(Path("simulation/config.toml").read_text())
    expected = {
        "units": 5, "radius": 0.5, "duration_ms": 20.0, "dt_ms": 0.1, "backend": "torch",
        "method": "euler", "record_every": 10, "seed": 0, "end_ms": 20.0,
    }  # fmt: skip
    assert config["simulate"] == pytest.approx(expected)
    assert "dr/dt" in config["model"]["equations"]
    assert "torch" in config["versions"]


def test_a_circuit_is_run_with_its_own_weights_and_stimulus(run: Command) -> None:
    run("wilson_cowan_oscillating", "--duration", 50, "--method", "dopri5")
    circuit = circuits.wilson_cowan_oscillating()
    expected = rn.simulate(
        circuit.network, circuit.drive, 50 * ms, circuit.dt, initial=circuit.initial,
        method="dopri5",
    )  # fmt: skip
    rates = pd.read_csv("simulation/rates.csv")
    np.testing.assert_allclose(
        rates[["unit_0", "unit_1"]].to_numpy()[-1],
        expected.rates[-1, 0],
        rtol=1e-4,  # dopri5's 1e-6 a step
    )
    config = tomllib.loads(Path("simulation/config.toml").read_text())["simulate"]
    assert config["circuit"] == "wilson_cowan_oscillating"
    assert config["dt_ms"] == pytest.approx(1e3 * circuit.dt)
    with xarray.open_dataset("simulation/rates.nc") as data:
        assert data["population"].values.tolist() == ["E", "I"]


def test_stimuli_have_a_column_and_panels_of_their_own(run: Command) -> None:
    said = run("wilson_cowan_multistable", "--plot", "--duration", 10)
    count = len(circuits.wilson_cowan_multistable().drive)
    rates = pd.read_csv("simulation/rates.csv")
    assert count > 1
    assert sorted(rates["stimulus"].unique()) == list(range(count))
    assert f"of {count} stimuli settled" in said


def test_until_settled_ends_early(run: Command) -> None:
    run("rate", "--units", 5, "--duration", 5000, "--until-settled", 1e-4, "--record-every", 10)
    config = tomllib.loads(Path("simulation/config.toml").read_text())["simulate"]
    assert config["end_ms"] < 500
    assert pd.read_csv("simulation/rates.csv")["t_s"].iloc[-1] == pytest.approx(
        config["end_ms"] / 1e3
    )


@pytest.mark.brian2
def test_brian2_says_the_same(run: Command) -> None:
    run("rate", "--units", 4, "--duration", 5, "--backend", "brian2", "--device", "runtime")
    one = pd.read_csv("simulation/rates.csv")
    run("rate", "--units", 4, "--duration", 5, "--overwrite")
    np.testing.assert_allclose(one, pd.read_csv("simulation/rates.csv"), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("wong_wang", "--units", 5), "units: 'wong_wang' is a circuit .* omit --units"),
        (("ssn_ring", "--radius", 0.5), "radius: 'ssn_ring' is a circuit"),
        (
            ("rate", "--record-every", 7),
            "expected a whole number that divides the 1000 steps, got 7",
        ),
        (("rate", "--record-every", 0), "record_every: expected a whole number .* got 0"),
        (
            ("rate", "--until-settled", -1),
            "until_settled: expected a finite .* got -1.0",
        ),
        (("rate", "--device", "runtime"), "device: 'runtime' is not available"),
        (("rate", "--backend", "brian2", "--method", "dopri5"), "does not offer 'dopri5'"),
        (("wong_wang", "--until-settled", 1e-3), "have noise, so it never settles"),
        (("ssn_ring", "--seed", 1), "seed: 'ssn_ring' has neither random weights nor noise"),
        (("rate", "--units", 10**6), "units: the weights of 1,000,000 units need 2.4e.04 GB"),
        (("rate", "--units", 10**20), "units: the weights of .* units need .* GB of memory"),
        (("rate", "--units", -3), "units: expected a whole number of at least 1, got -3"),
        (("rate", "--dt", 1e-320), "dt: expected a time from 1e-06 to 1e.12 ms, got 1e-320"),
        (("rate", "--dt", "nan"), "dt: expected a time .* got nan"),
        (("rate", "--duration", "inf"), "duration: expected a time .* got inf"),
        (("rate", "--dt", 1e-6, "--duration", 1e6), "dt: expected at most 1e.09 steps"),
        (("rate", "--radius", "nan"), "radius: expected a finite number of at least 0, got nan"),
        (
            ("rate", "--radius", 1.7e308, "--units", 1),
            "radius: expected .* keeps the weights finite",
        ),
        (("rate", "--seed", 2**63), "seed: expected a whole number from 0 to"),
        (("rate", "--out", ""), "out: expected the path of a file or folder, got ''"),
        (("rate", "--record-every", 1, "--dt", 1e-3, "--duration", 1e5), "100,000,001 records"),
        (("nope",), "Unknown model or circuit 'nope'"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Command, arguments: tuple[object, ...], sentence: str
) -> None:
    import re

    said = run(*arguments, code=2)
    assert re.search(sentence, said), said
    assert not Path("simulation").exists()


@pytest.mark.parametrize("name", ["rates.csv", "rates.nc", "rates.png", "config.toml"])
def test_files_that_would_be_replaced_are_refused(run: Command, name: str) -> None:
    Path("mine").mkdir()
    Path("mine", name).write_text("precious")
    said = run("rate", "--units", 3, "--duration", 5, "--out", "mine", code=2)
    assert f"out: 'mine' already holds results ({name})" in said
    assert [path.name for path in Path("mine").iterdir()] == [name]
    assert Path("mine", name).read_text() == "precious"
    run("rate", "--units", 3, "--duration", 5, "--out", "mine", "--overwrite")
    assert {path.name for path in Path("mine").iterdir()} == {
        "config.toml",
        "rates.csv",
        "rates.nc",
    }


def test_a_folder_that_cannot_be_is_refused_before_the_work(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratenet.cli.scene.load_scene", None)  # calling it would be a TypeError
    Path("file").write_text("")
    assert "out: 'file' cannot be made or written to" in run("rate", "--out", "file", code=2)


def test_a_command_that_could_not_write_can_be_repeated(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(rn.Trajectory, "save", full)
        assert "No space left" in run("rate", "--units", 3, "--duration", 5, code=2)
        assert not Path("simulation").exists()
    run("rate", "--units", 3, "--duration", 5)
    assert Path("simulation/config.toml").exists()


@pytest.mark.parametrize("refused", [MemoryError(), RuntimeError("can't allocate memory: 5 bytes")])
def test_memory_that_ends_during_the_work_is_one_sentence(
    run: Command, monkeypatch: pytest.MonkeyPatch, refused: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr("ratenet.simulation.simulate", full)
    assert "there is not enough memory; use fewer units" in run("rate", "--units", 3, code=2)


@pytest.mark.parametrize(
    ("steps", "every"),
    [(200, 1), (2000, 1), (2001, 3), (4000, 2), (30000, 15), (7919, 1), (10**9, 500_000)],
)
def test_long_runs_are_recorded_less_often_where_that_divides(steps: int, every: int) -> None:
    assert _record_every(steps) == every  # 7919 is prime: every step, or two records


def populations(*sizes: int, stimuli: int = 1, drive: object = None) -> rn.Trajectory:
    names = ("E", "PV", "SOM", "VIP")[: len(sizes)]
    model = rn.ModelSpec(
        equations="dr/dt = (-r + tanh(I_rec + I_ext)) / tau : Hz\nI_rec : 1\nI_ext : 1"
        .replace("tanh", "Hz0*tanh"),
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms", "Hz0": "1*Hz"},
        populations=dict(zip(names, sizes, strict=True)),
    )  # fmt: skip
    N = sum(sizes)
    net = rn.Network(model, torch.zeros(N, N, dtype=torch.float64))
    drive = torch.rand(stimuli, N) if drive is None else drive
    return rn.simulate(net, drive, 50 * ms, 1 * ms)


def test_populations_have_a_colour_and_a_name_of_their_own() -> None:
    figure = rates_by_population(populations(8, 3, 1, 2), title="four")
    (axis,) = figure.axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == [
        "E, mean of 8", "PV, mean of 3", "SOM", "VIP, mean of 2", "thin: single units",
    ]  # fmt: skip
    thick = [line for line in axis.lines if line.get_linewidth() == 2]
    assert len({line.get_color() for line in thick}) == 4
    assert {line.get_color() for line in thick} <= set(COLOURS)
    assert axis.get_ylabel() == "rate $y$ (Hz)"
    assert axis.get_xlabel() == "time (ms)"


def test_a_drive_that_varies_is_drawn_above_and_a_constant_one_is_not() -> None:
    samples = np.linspace(0, 1, 50)[:, None, None] * np.ones((2, 5))
    drive = SampledDrive(samples, 1 * ms)
    trajectory = populations(3, 2, drive=drive)
    figure = rates_by_population(trajectory, title="a ramp", drive=drive)
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "drive $x$ (dimensionless)", "", "rate $y$ (Hz)", "",
    ]  # fmt: skip
    ramp = next(line for line in figure.axes[0].lines if line.get_label() == "E, mean of 3")
    np.testing.assert_allclose(ramp.get_ydata(), [*samples[:, 0, 0], 1.0])
    still = rates_by_population(trajectory, title="still", drive=np.ones((2, 5)))
    assert len(still.axes) == 2


def test_the_progress_bar_is_silent_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with StepBar(10) as bar:
        for step in range(10):
            bar.show(step)
    assert capsys.readouterr() == ("", "")


def test_a_circuits_arguments_are_options(run: Command) -> None:
    run("ssn_ring", "--contrast", "10,50", "--units", 12, "--gain=0.5", "--duration", 5, "--dt", 1)
    with xarray.open_dataset("simulation/rates.nc") as data:
        found = torch.from_numpy(data["rates"].values)
    circuit = circuits.ssn_ring(contrast=[10, 50], units=12, gain=0.5)
    expected = rn.simulate(circuit.network, circuit.drive, 5 * ms, 1 * ms)
    torch.testing.assert_close(found, expected.rates)
    recorded = tomllib.loads(Path("simulation/config.toml").read_text())["simulate"]
    assert recorded["arguments"] == {"units": 12, "contrast": [10, 50], "gain": 0.5}


def test_the_help_of_a_circuit_lists_its_arguments(run: Command) -> None:
    assert "--coherence" in run("wong_wang", "--help")
    assert "--coherence" not in run("--help")


def test_one_drive_for_all_units(run: Command) -> None:
    run("rate", "--units", 3, "--duration", 1, "--drive", "0.5, 1", "--record-every", 10)
    assert pd.read_csv("simulation/rates.csv").shape == (4, 5)
    run("ssn_stochastic", "--drive", "5*mV", "--duration", 1, "--overwrite")
    recorded = tomllib.loads(Path("simulation/config.toml").read_text())["simulate"]
    assert recorded["arguments"] == {"drive": "0.005*volt"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ssn_ring", "--contrat", 5), "Unknown option of ssn_ring '--contrat'; did you mean"),
        (("ssn_ring", "--coherence", 5), "option of ssn_ring .* [aA]vailable: --contrast, --orie"),
        (("ssn_ring", "--contrast", "5*mV"), "contrast: expected values with no unit, got 5. mV"),
        (("ssn_ring", "--contrast", "nan"), "contrast: expected"),
        (("ssn_ring", "--contrast", "-1"), "contrast: expected values of at least 0, got -1"),
        (("ssn_ring", "--contrast", "__import__('os')"), "contrast: "),
        (("ssn_ring", "--contrast"), "contrast"),
        (("rate", "--contrast", 5), "No such option: --contrast"),
        (("rate", "--drive", "5*mV"), "drive: expected numbers without a unit"),
        (("rate", "--drive", "fast"), "drive: "),
        (("rate", "--drive", ""), "drive: "),
    ],
)
def test_arguments_that_do_not_fit_a_circuit_are_refused(
    arguments: tuple[object, ...], sentence: str, run: Command
) -> None:
    assert re.search(sentence, run(*arguments, code=2))
