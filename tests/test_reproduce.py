"""Figures of the paper: numbers of theory.md, and that the pictures and tables are written."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from ratenet.cli import app
from ratenet.errors import UnknownNameError
from ratenet.plasticity import Euclidean, LinearizedReparameterized, Reparameterized
from ratenet.reproduce import FIGURES, figure_named
from ratenet.reproduce.angles import angles, degrees
from ratenet.reproduce.linear import linear, losses
from ratenet.reproduce.singularities import singularities
from ratenet.reproduce.task import linear_task


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def descent_in_A(rate: float, steps: int) -> list[float]:
    """Return the losses of plain gradient descent in A, which rule 2 is, without ratenet."""
    task = linear_task(seed=0)
    x, target = task.drive.numpy(), task.target.numpy()
    A, found = np.linalg.inv(np.eye(200) - task.W.numpy()), []
    for _ in range(steps + 1):
        e = x @ A.T - target
        found.append(np.square(e).sum(axis=1).mean())
        A = A - rate * 2 * e.T @ x / len(x)
    return found


def test_rule_2_is_descent_in_A():
    found = losses(Reparameterized(), 1.0, seed=0, steps=50)
    assert found == pytest.approx(descent_in_A(1.0, 50), rel=1e-9)
    assert 2.9 < found[0] < 3.6  # about 3


def test_rule_3_follows_it_to_first_order():
    exact = np.array(descent_in_A(0.03, 100))
    found = np.array(losses(LinearizedReparameterized(), 0.03, seed=0, steps=100))
    assert np.abs(found / exact - 1).max() < 0.02
    assert found[-1] < 0.8 * found[0]


def test_rule_1_goes_down_at_a_small_rate():
    found = losses(Euclidean(), 0.03, seed=0, steps=20)
    assert found[-1] < 0.8 * found[0]


@pytest.mark.slow
def test_what_the_paper_claims():
    """Theory: rules 2 and 3 below 1e-13 at rate 1, below 1e-28 at 3; rule 1 never below 1e-5."""
    table, _ = linear(0, silent)
    least = table.groupby(["rule", "rate"])["loss"].min()
    for rule in ("rule 2", "rule 3"):
        assert least[rule, 1.0] < 1e-13
        assert least[rule, 3.0] < 1e-28
    assert least["rule 1"].min() > 1e-5


def test_angles_between_the_rules():
    table, _ = angles(0, silent, steps=8)
    rates = table.groupby("rate")["rule 2, rule 3"].max()
    assert rates[0.1] < 0.5 < rates[1.0] < 5  # the rules agree to first order in the rate
    start = table[table["step"] == 1]
    assert start["rule 1, rule 3"].between(60, 90).all()
    one = degrees(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]))
    assert one == pytest.approx(45.0)


def test_singularities_are_where_the_determinant_vanishes():
    table, _ = singularities(0, silent, points=201, grid=5)
    poles = table[table["space"] == "pole"]
    assert len(poles) >= 2
    lines = table[table["space"] == "W line"]
    for line, of_line in lines.groupby("line"):
        s, sign = of_line["s"].to_numpy(), of_line["sign"].to_numpy()
        flips = np.nonzero(sign[1:] != sign[:-1])[0]
        found = np.sort(poles.loc[poles["line"] == line, "s"].to_numpy())
        assert len(flips) == len(found)  # none twice between two points
        assert np.all((s[flips] <= found) & (found <= s[flips + 1]))
    smooth = table[(table["space"] == "A line") & (table["line"] == 0)]
    coefficients = np.polyfit(smooth["s"], smooth["loss"], 2)
    assert np.polyval(coefficients, smooth["s"]) == pytest.approx(smooth["loss"].to_numpy())
    assert coefficients[0] > 0


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(
        FIGURES, "singularities", lambda seed, said: singularities(seed, said, points=51, grid=5)
    )
    out = tmp_path / "figure"
    done = CliRunner().invoke(app, ["reproduce", "singularities", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out / "singularities.csv")) > 4 * 51
    assert imread(out / "singularities.png").std() > 0.05
    assert 'figure = "singularities"' in (out / "config.toml").read_text()
    again = CliRunner().invoke(app, ["reproduce", "singularities", "--out", str(out)])
    assert "already holds results" in str(again.exception)


def test_unknown_figures_are_one_sentence():
    with pytest.raises(UnknownNameError, match="no figure 'seven'; there are linear, angles"):
        figure_named("seven")
