"""``ratenet fixed-points``: the table, the picture, what is written, and mistakes."""

import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

import ratenet as rn
from ratenet import circuits
from ratenet.cli import main
from ratenet.cli.fixed_points import _from_start
from ratenet.cli.scene import load_scene
from ratenet.report.phase_plane import eigenvalue_plane, phase_plane


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command in this process: its exit code and what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", "fixed-points", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code or 0, said.out, " ".join(said.err.replace("│", " ").split())

    return run


def test_two_units_get_a_phase_plane_with_all_their_fixed_points(command, tmp_path) -> None:
    code, out, _ = command("wilson_cowan_multistable", "--starts", 30, "--out", "here")
    assert code == 0
    assert "3 fixed points, 2 stable" in out
    table = pd.read_csv(tmp_path / "here" / "fixed_points.csv")
    circuit = circuits.load("wilson_cowan_multistable")
    found = rn.find_all_fixed_points(circuit.network, circuit.drive[0], starts=200, span=(0, 1))
    np.testing.assert_allclose(table[["rate_0", "rate_1"]], found.rates, atol=1e-8)
    assert table["stable"].tolist() == [True, True, False]
    assert (table["distance"] < 1e-8).all()
    picture = imread(tmp_path / "here" / "phase_plane.png")
    assert picture.std() > 0.05
    assert not (tmp_path / "here" / "eigenvalues.png").exists()


def test_more_units_get_eigenvalues_and_a_record(command, tmp_path) -> None:
    code, out, _ = command(
        "rate", "--units", 20, "--radius", 0.8, "--seed", 3, "--starts", 5, "--out", "here"
    )
    assert code == 0
    assert "settled" in out
    assert "Anderson" in out
    assert (tmp_path / "here" / "eigenvalues.png").exists()
    record = tomllib.loads((tmp_path / "here" / "config.toml").read_text())
    assert record["fixed_points"]["radius"] == 0.8
    assert record["fixed_points"]["seed"] == 3
    assert record["model"]["name"] == "rate"
    again, _, error = command("rate", "--out", "here")
    assert again == 2
    assert "--overwrite" in error


def test_each_stimulus_starts_from_its_own_initial_state(command) -> None:
    """Without drive, stimulus 0 starts in the silent basin, stimulus 1 in the active one."""
    circuit = circuits.load("wilson_cowan_multistable")
    fp = rn.find_fixed_points(circuit.network, circuit.drive, initial=circuit.initial)
    assert float(fp.rates[1, 0]) > 0.1 > float(fp.rates[0, 0])
    seen = []
    scene = load_scene("wilson_cowan_multistable", None, None, 0)
    for stimulus in (0, 1):
        seen.append(_from_start(scene, circuit.drive[stimulus], stimulus))
    torch.testing.assert_close(torch.stack(seen, dim=1), fp.state)


def test_files_that_would_be_replaced_are_refused(command, tmp_path) -> None:
    (tmp_path / "phase_plane.png").write_text("precious")
    code, _, error = command("rate", "--units", 2, "--out", ".")
    assert code == 2
    assert "already holds results (phase_plane.png)" in error
    assert [path.name for path in tmp_path.iterdir()] == ["phase_plane.png"]


@pytest.mark.slow
def test_a_limit_cycle_is_told_and_drawn(command, tmp_path) -> None:
    code, out, _ = command("wilson_cowan_oscillating", "--starts", 4, "--out", "here")
    assert code == 0
    assert "oscillating" in out
    assert "0 stable" in out
    assert (tmp_path / "here" / "phase_plane.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "nothing"),
        (["wong_wang", "--units", 5], "its own weights"),
        (["ssn_ring", "--stimulus", 7], "stimulus: expected 0, the only stimulus, got 7"),
        (["rate", "--starts", 0], "starts: expected a whole number of at least 1, got 0"),
        (
            ["rate", "--span", 1, -1],
            "span: expected two finite numbers, the lower one first, got (1.0, -1.0)",
        ),
        (["rate", "--units", 0], "units: expected a whole number of at least 1, got 0"),
        (["rate", "--seed", -1], "seed: expected a whole number from 0 to"),
        (
            ["rate", "--starts", 10**12],
            "starts: 1,000,000,000,000 initial states of 100 units need",
        ),
        (["rate", "--units", 10**7], "units: the weights of 10,000,000 units need"),
        (["rate", "--stimulus", -1], "stimulus: expected a whole number of at least 0, got -1"),
        (
            ["wilson_cowan_multistable", "--stimulus", 2],
            "stimulus: expected a whole number from 0 to 1",
        ),
        (["rate", "--radius", "inf"], "radius: expected a finite number of at least 0, got inf"),
        (["rate", "--span", "nan", 1], "span: expected two finite numbers"),
    ],
)
def test_mistakes_are_one_sentence(command, arguments, sentence) -> None:
    code, _, error = command(*arguments)
    assert code == 2
    assert sentence in error
    assert "Traceback" not in error


def test_figures_name_their_axes_with_units() -> None:
    network = rn.Network("rate", [[2.0, 0.0], [0.0, 0.0]])
    found = rn.find_all_fixed_points(network, [0.0, 0.0], starts=30)
    plane = phase_plane(found).axes[0]
    assert plane.get_xlabel() == "r of unit 0 (dimensionless)"
    labels = [text.get_text() for text in plane.get_legend().get_texts()]
    for expected in ("stable fixed point", "unstable fixed point", "nullcline of unit 1"):
        assert expected in labels
    eigenvalues = eigenvalue_plane(found).axes[0]
    assert eigenvalues.get_xlabel() == "real part of the eigenvalues (1/s)"
    drawn = {round(float(value)) for line in eigenvalues.lines[:3] for value in line.get_xdata()}
    # (w g - 1) / tau with g = 1 - r^2 at r = 0 and at 0.9575: 100 and -83; the other unit: -100
    assert drawn == {100, -83, -100}


def test_a_phase_plane_is_for_two_units() -> None:
    network = rn.Network("rate", [[0.5]])
    found = rn.find_all_fixed_points(network, [0.0], starts=3)
    with pytest.raises(NotImplementedError, match="two units with one state variable"):
        phase_plane(found)
