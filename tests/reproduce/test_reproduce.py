"""Figures of the paper: numbers of theory.md, and that the pictures and tables are written."""

import dataclasses
import importlib
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ratenet.cli import app
from ratenet.errors import InputError, UnknownNameError
from ratenet.hypotheses.comparison.measures import degrees
from ratenet.hypotheses.tasks.linear import linear_task
from ratenet.report.figure_data import figure_data
from ratenet.reproduce import FIGURES, figure_named, runs
from ratenet.reproduce.angles import angles
from ratenet.reproduce.linear import RULES, linear, losses
from ratenet.reproduce.one_unit import one_unit
from ratenet.reproduce.singularities import singularities
from ratenet.training import TrainingConfig

# Modules; the package's attributes of the same names are the functions.
mnist_figure, slow_figure, conv_figure = (
    importlib.import_module(f"ratenet.reproduce.{name}") for name in ("mnist", "slow", "conv")
)


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
    found = losses("rule 2", 1.0, seed=0, steps=50)
    assert found == pytest.approx(descent_in_A(1.0, 50), rel=1e-9)
    assert 2.9 < found[0] < 3.6  # about 3


def test_rule_3_follows_it_to_first_order():
    exact = np.array(descent_in_A(0.03, 100))
    found = np.array(losses("rule 3", 0.03, seed=0, steps=100))
    assert np.abs(found / exact - 1).max() < 0.02
    assert found[-1] < 0.8 * found[0]


def test_rule_1_goes_down_at_a_small_rate():
    found = losses("rule 1", 0.03, seed=0, steps=20)
    assert found[-1] < 0.8 * found[0]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_closed_forms_are_the_rules(name, rate):
    task = linear_task(seed=1)
    for loss in losses(name, rate, seed=1, steps=4):
        fp = task.reached()
        assert task.loss(fp.rates) == pytest.approx(loss, rel=1e-9)
        task.network.connectivity.add_(RULES[name].update(fp, task.error(fp.rates), rate))


@pytest.mark.parametrize("name", RULES)
def test_after_a_step_that_cannot_be_taken_losses_are_nan(name):
    found = losses(name, math.inf, seed=0, steps=3)
    assert np.isfinite(found).tolist() == [True, False, False, False]


@pytest.mark.slow
def test_losses_end_where_they_do_with_seed_0():
    """Ours, not the paper's: rules 2 and 3 below 1e-13 at rate 1, rule 1 never below 1e-5."""
    table, _ = linear(0, silent, draws=1)
    least = table.groupby(["rule", "rate"])["loss"].min()
    for rule in ("rule 2", "rule 3"):
        assert least[rule, 1.0] < 1e-13
        assert least[rule, 3.0] < 1e-28
    assert least["rule 1"].min() > 1e-5


def test_linear_has_the_losses_of_each_draw_and_shows_their_range():
    table, figure = linear(3, silent, steps=2, draws=2)
    assert len(table) == 2 * len(RULES) * 5 * 3
    rate_1 = table[(table["rule"] == "rule 3") & (table["rate"] == 1.0)]
    each = rate_1.pivot_table(index="step", columns="seed", values="loss")
    for seed in (3, 4):
        assert each[seed].tolist() == pytest.approx(losses("rule 3", 1.0, seed, steps=2))
    assert (each[3] != each[4]).all()
    shown = figure_data(figure)
    shown = shown[shown["panel"] == "C"]
    line = shown[shown["series"] == "linearized-reparameterized, 1"]
    assert line["y"].to_numpy() == pytest.approx(each.median(axis=1).to_numpy())
    bands = shown["low"].notna()
    assert np.isin(each.min(axis=1), shown.loc[bands, "low"]).all()
    assert np.isin(each.max(axis=1), shown.loc[bands, "high"]).all()


def test_angles_between_the_rules():
    table, figure = angles(0, silent, steps=6, draws=2)
    assert len(table) == 2 * 4 * 2 * 6
    small = table[table["between"] == "rule 2 and rule 3"]
    assert set(small["followed"]) == {"rule 3"}
    most = small.groupby("rate")["angle"].max()
    assert most[0.03] < most[0.1] < most[0.3] < most[1.0] < 5  # they agree to first order
    assert most[0.1] / most[0.03] == pytest.approx(0.1 / 0.03, rel=0.05)
    start = table[(table["between"] == "rule 1 and rule 2") & (table["step"] == 1)]
    assert start["angle"].between(60, 90).all()
    first = start[(start["seed"] == 0) & (start["rate"] == 0.1)]["angle"].item()
    task = linear_task(0)
    fp = task.reached()
    changes = [RULES[name].update(fp, task.error(fp.rates), 0.1) for name in ("rule 1", "rule 2")]
    assert first == pytest.approx(degrees(*changes), rel=1e-6)
    assert len(figure.axes) == 2


def test_one_unit_follows_each_rule():
    whole, figure = one_unit(0, silent, steps=40, draws=2)
    table = whole[whole["seed"] == 0]
    paths = table[table["part"] == "path"]
    assert (paths["a"] * (1 - paths["w"])).to_numpy() == pytest.approx(1)
    over_a = table[table["part"] == "over a"]
    parabola = np.polyfit(over_a["a"], over_a["loss"], 2)
    on_it = np.polyval(parabola, paths["a"])
    assert paths["loss"].to_numpy() == pytest.approx(on_it)  # over w it is the same loss
    best = -parabola[1] / (2 * parabola[0])
    assert best == pytest.approx(2, abs=0.1)  # the teacher's 1/(1 - 0.5), and noise
    exact = paths[(paths["rule"] == "rule 2") & (paths["start"] == "right")]["a"].to_numpy()
    factor = 1 - 0.5 * 2 * parabola[0]  # of descent on a parabola
    assert exact - best == pytest.approx((exact[0] - best) * factor ** np.arange(41))
    leapt = paths[(paths["rule"] == "rule 1") & (paths["start"] == "right")]
    assert leapt["w"].iloc[1] < -2  # from beside the pole to where the loss is flat
    assert len(figure.axes) == 4
    other = whole[whole["seed"] == 1]
    assert len(other) == len(table)
    assert not np.isclose(other["loss"], table["loss"]).all()


@pytest.mark.slow
def test_singularities_are_where_the_determinant_vanishes():
    table, figure = singularities(0, silent, points=401, grid=5, draws=1)
    poles = table[table["space"] == "pole"]
    assert len(poles) >= 5
    lines = table[table["space"] == "W line"]
    assert lines["line"].nunique() == 5
    assert lines[lines["s"].abs() < 1e-9]["loss"].max() < 1e-20  # the minimiser
    for line, of_line in lines.groupby("line"):
        s, sign = of_line["s"].to_numpy(), of_line["sign"].to_numpy()
        at = poles.loc[poles["line"] == line, "s"].to_numpy()
        odd = np.histogram(at, bins=s)[0] % 2 == 1  # two between two points change no sign
        np.testing.assert_array_equal(sign[1:] != sign[:-1], odd)
    border = table[table["space"] == "stable line"]["s"].abs()
    assert border.between(0.25, 0.4).all()  # sqrt(N)/(2.5 |(I - W)^-1|) = 0.34 for large N
    around = table[table["space"] == "stable plane"]
    assert np.hypot(around["s"], around["t"]).between(0.25, 0.4).all()
    smooth = table[(table["space"] == "A line") & (table["line"] == 0)]
    coefficients = np.polyfit(smooth["s"], smooth["loss"], 2)
    fitted = np.polyval(coefficients, smooth["s"])
    assert fitted == pytest.approx(smooth["loss"].to_numpy(), rel=1e-6, abs=1e-6)
    assert coefficients[0] > 0
    assert len([axis for axis in figure.axes if axis.get_label() != "<colorbar>"]) == 4


def test_singularities_are_those_of_each_draw(monkeypatch):
    module = importlib.import_module("ratenet.reproduce.singularities")
    monkeypatch.setattr(module, "BORDER", 3)
    table, figure = singularities(1, silent, points=3, grid=2, draws=2)
    first, second = (of_seed for _, of_seed in table.groupby("seed"))
    assert set(table["seed"]) == {1, 2}
    for space in ("W line", "A line", "W plane", "stable line", "stable plane"):
        rows = [of_seed[of_seed["space"] == space] for of_seed in (first, second)]
        assert len(rows[0]) == len(rows[1]) > 0
        values = [each["s" if "stable" in space else "loss"].to_numpy() for each in rows]
        assert not np.allclose(*values)
    poles = table[table["space"] == "pole"]
    stable = table[table["space"] == "stable line"]
    for (seed, line), of_line in stable.groupby(["seed", "line"]):
        mine = poles.loc[(poles["seed"] == seed) & (poles["line"] == line), "s"]
        inside = mine.between(of_line["s"].min() + 1 / 128, of_line["s"].max() - 1 / 128)
        assert not inside.any()  # to the border's precision of 1/128
    shown = figure_data(figure)
    drawn = shown[(shown["panel"] == "D") & shown["low"].notna()]
    assert sorted(drawn["low"]) == pytest.approx(sorted(stable.loc[stable["s"] < 0, "s"]))


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(
        FIGURES,
        "singularities",
        lambda seed, said: singularities(seed, said, points=51, grid=5, draws=1),
    )
    out = tmp_path / "figure"
    done = CliRunner().invoke(
        app, ["reproduce", "singularities", "--out", str(out), "--format", "svg"]
    )
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out / "singularities.csv")) > 5 * 51
    shown = pd.read_csv(out / "singularities-figure.csv")
    assert set(shown["panel"]) == {"A", "B", "C", "D"}
    assert "line 5" in set(shown["series"])
    assert (out / "singularities.svg").read_text().startswith("<?xml")
    assert 'figure = "singularities"' in (out / "config.toml").read_text()
    again = CliRunner().invoke(app, ["reproduce", "singularities", "--out", str(out)])
    assert "already holds results" in str(again.exception)


def test_unknown_figures_are_one_sentence():
    with pytest.raises(
        UnknownNameError, match="Unknown figure 'seven'; available: one-unit, linear"
    ):
        figure_named("seven", Path())


QUICK = {"epochs": 1, "batch_size": 100, "threads": 1}
IMAGES = {"data": "mnist-5k", "data_root": "data"}


@pytest.mark.slow
def test_mnist_compares_rules_over_rates_and_seeds(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(
        mnist_figure, "RATES", {"euclidean": (0.01, 2.0), "hebb": (1e-3,), "frozen": (0.1,)}
    )
    monkeypatch.setattr(mnist_figure, "SEEDS", 2)
    monkeypatch.setattr(mnist_figure, "EVERY", 2)
    table, figure = mnist_figure.mnist(3, silent, tmp_path, IMAGES, **QUICK, units=30)
    along = pd.read_csv(tmp_path / "euclidean-0.01-3-leave-out" / "along.csv")
    metrics = pd.read_csv(tmp_path / "euclidean-0.01-3-leave-out" / "metrics.csv")
    assert along["step"].tolist() == list(range(2, len(metrics) + 1, 2))
    then = metrics.set_index("step").loc[along["step"]]
    assert along["train_loss"].to_numpy() == pytest.approx(then["train_loss"].to_numpy())
    assert along["test_accuracy"].between(0, 1).all()
    spectra = pd.read_csv(tmp_path / "euclidean-0.01-3-leave-out" / "spectra.csv")
    assert len(spectra) == 30
    assert spectra["real"].max() == pytest.approx(metrics["weight_abscissa"].iloc[-1], abs=1e-3)
    assert len(figure.axes) == 15
    assert sorted(table["seed"].unique()) == [3, 4]
    frozen = table[table["rule"] == "frozen"]
    assert (frozen["test_accuracy"] == frozen["control_accuracy"]).all()  # nothing else learns
    unsettled = table[(table["unsettled"] == "left out") & (table["unsettled_samples"] > 0)]
    kept = table[table["unsettled"] == "kept"]
    assert len(kept) == len(unsettled)  # made again only where there is a difference
    summary = json.loads((tmp_path / "euclidean-0.01-3-leave-out" / "summary.json").read_text())
    row = table[(table["rule"] == "euclidean") & (table["rate"] == 0.01) & (table["seed"] == 3)]
    assert row["test_accuracy"].item() == summary["test_accuracy"]


def test_finished_runs_are_found_and_stopped_ones_go_on(few_digits, tmp_path, monkeypatch):
    config = TrainingConfig(presentation="static", units=20, **QUICK)
    planned = runs.Planned("one", {}, config)
    summary, metrics = runs.carried_out(planned, tmp_path)
    monkeypatch.setattr(runs, "train", None)
    monkeypatch.setattr(runs, "resume", None)  # neither may be called again
    again, same = runs.carried_out(planned, tmp_path)
    assert again == summary
    pd.testing.assert_frame_equal(metrics, same)
    another = runs.Planned("one", {}, dataclasses.replace(config, seed=5))
    with pytest.raises(TypeError):  # it would be trained anew
        runs.carried_out(another, tmp_path)
    (tmp_path / "one" / "plan.txt").write_text(repr(config))
    resumed = []
    monkeypatch.setattr(runs, "resume", lambda folder, callbacks: resumed.append(folder))
    summary["status"] = "interrupted"
    (tmp_path / "one" / "summary.json").write_text(json.dumps(summary))
    runs.carried_out(planned, tmp_path)
    assert resumed == [tmp_path / "one"]


@pytest.mark.slow
def test_slow_has_a_row_for_each_speed(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(slow_figure, "SPEEDS", (0.3, 1.0))
    monkeypatch.setattr(slow_figure, "SEEDS", 2)
    table, figure = slow_figure.slow(0, silent, tmp_path, IMAGES, **QUICK, units=20)
    assert len(table) == 2 * 2 * (1 + 2 * 2)
    assert sorted(table["seed"].unique()) == [0, 1]
    fades = {
        tomllib.loads(file.read_text())["training"]["fade"]
        for file in tmp_path.glob("euclidean-0-1*/config.toml")
    }
    assert fades == {0.01}
    assert len(figure.axes) == 2


@pytest.mark.slow
def test_conv_has_a_row_for_each_run_and_epoch(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(conv_figure, "RATES", (1e-3,))
    monkeypatch.setattr(conv_figure, "SEEDS", 1)
    table, _ = conv_figure.conv(0, silent, tmp_path, IMAGES, **{**QUICK, "epochs": 2})
    assert len(table) == 2 * (1 + len(conv_figure.RULES))
    frozen = table[table["rule"] == "frozen"]
    assert frozen["weight_abscissa_then"].nunique() == 1
    assert table["test_accuracy"].min() > 0.2
    learned = table[(table["rule"] == "euclidean") & (table["epoch"] == 2)]
    assert learned["weight_abscissa_then"].item() != frozen["weight_abscissa_then"].iloc[0]


def test_images_are_for_figures_that_need_them(tmp_path):
    with pytest.raises(InputError, match="the figure 'linear' needs no images"):
        figure_named("linear", tmp_path, data="mnist")
