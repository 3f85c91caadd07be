"""Networks that learn side by side (benchmarks/fleet.py) beside ratenet's own training."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import ratenet as rn
from ratenet.hypotheses.tasks.digits import Digits
from ratenet.hypotheses.tasks.linear import LinearRegression
from ratenet.hypotheses.tasks.teacher import Teacher

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import findings
import fleet as fleets
import fleet_tables
import longer
import metric
import metric_tables

NAMES = {
    "rule 1": "euclidean",
    "rule 3": "linearized-reparameterized",
    "rule 4": "gain-free-reparameterized",
    "a = -1": "first-order-reparameterized",
}
STEPS, UNITS, IMAGES = 3, 8, 12


@pytest.fixture
def images() -> rn.stimuli.ImageSet:
    draw = np.random.default_rng(0)
    some = (draw.random((IMAGES, 28, 28)), np.arange(IMAGES) % 4)
    return rn.stimuli.ImageSet.from_arrays(train=some, test=some, name="noise")


def digits(images: rn.stimuli.ImageSet) -> fleets.Plan:
    """Return a plan in which each batch holds all images that there are."""
    setting = fleets.Setting(UNITS, IMAGES, 0, rn.load_model("rate"), images, "data")
    return fleets.Plan(Digits, setting, STEPS, IMAGES)


@pytest.mark.parametrize(
    ("rule", "step", "length"),
    [
        ("rule 3", "normalized", 0.1),
        *(
            pytest.param(rule, step, length, marks=pytest.mark.slow)
            for rule, step, length in (
                ("rule 1", "rate", 0.1),
                ("rule 4", "line-search", 0.1),
                ("a = -1", "normalized", 0.1),
                ("a = -1", "rate", 0.001),  # longer ones take a gain to 0, where rn.train stops
            )
        ),
    ],
)
def test_a_fleet_learns_as_rn_train_does(rule, step, length, images, tmp_path):
    lengths = (length / 2, length)
    fleet = fleets.Fleet(digits(images), [3], lengths, fleets.FACTORS[rule], step)
    fleet.learn()
    rn.train(
        rn.TrainingConfig(
            data=images, rule=NAMES[rule], learning_rate=lengths[1], step=step, seed=3,
            epochs=STEPS, batch_size=IMAGES, units=UNITS, presentation="static",
            dtype="float64", schedule="constant" if step == "line-search" else "cosine",
        ), out=tmp_path,
    )  # fmt: skip
    learned = rn.load_run(tmp_path).network.connectivity.dense()
    torch.testing.assert_close(fleet.W[1], learned, rtol=1e-4, atol=1e-5)
    assert (fleet.W[0] - learned).norm() > 0.01 * learned.norm()


@pytest.mark.parametrize("kind", [Teacher, LinearRegression])
def test_fixed_points_and_scores_are_those_of_the_task(kind):
    made = fleets.plan(kind, "rate", 9, (12, 12), steps=1, batch=12)
    fleet = fleets.Fleet(made, [0, 1], (0.1,), fleets.FACTORS["rule 1"], "rate")
    before = fleet.outcome()
    for seed, row in before.set_index("seed").iterrows():
        task = kind.drawn(made.setting, seed)
        asked = task.train if kind is LinearRegression else task.test
        fp = task.reached(asked.drive)
        assert row["score"] == pytest.approx(task.score(fp, asked.aim), rel=1e-6)
        fp = task.reached(task.train.drive)
        loss = float(task.losses(fp.rates, task.train.aim).mean())
        assert row["loss"] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("rule", ["left only", "right only"])
def test_the_halves_of_rule_3_are_the_gradient_with_one_of_its_metrics_factors(rule):
    made = fleets.plan(Teacher, "rate", 6, (5, 5), steps=1, batch=5)
    fleet = fleets.Fleet(made, [2], (1.0,), fleets.FACTORS[rule], "rate")
    W, task, eye = fleet.W[0].clone(), fleet.tasks[0], torch.eye(6, dtype=torch.float64)
    fleet.take_step(0, *fleet.samples("train"))
    fp = task.reached(task.train.drive)
    expected = torch.zeros_like(W)
    for y, g, e in zip(fp.rates, fp.gain, task.error(fp.rates, task.train.aim), strict=True):
        G = torch.diag(g)
        gradient = torch.outer(G @ torch.linalg.solve(eye - W.T @ G, e), y)
        if rule == "left only":
            expected -= (eye - W @ G) @ (eye - W @ G).T @ gradient / 5
        else:
            expected -= gradient @ (eye - G @ W).T @ (eye - G @ W) / 5
    torch.testing.assert_close(fleet.W[0] - W, expected, rtol=1e-6, atol=1e-8)


def test_needed_samples_are_all_solved_or_one_of_them_is_not(monkeypatch):
    """What a line search asks: whether a network has all fixed points that it had before."""
    generator = torch.Generator().manual_seed(0)
    strength = torch.tensor([0.5, 2.0, 4.0, 8.0, 30.0], dtype=torch.float64)
    W = torch.randn(5, 12, 12, generator=generator, dtype=torch.float64) / 12**0.5
    W *= strength[:, None, None]
    drive = torch.randn(5, 40, 12, generator=generator, dtype=torch.float64)
    one_by_one, tried = fleets.by_newton, []

    def counted(W, drive):
        tried.append(len(drive))
        return one_by_one(W, drive)

    monkeypatch.setattr(fleets, "by_newton", counted)
    y, found = fleets.solved(W, drive)
    known = torch.rand(5, 40, generator=generator) < 0.5
    known[2] = found[2]  # a network that lacks samples, but none of these
    asked_y, asked = fleets.solved(W, drive, known)
    every, worst, others = tried
    assert 0 < others < every - worst  # others of networks whose worst one was found, and no more
    whole = (found | ~known).all(dim=1)
    assert torch.equal((asked | ~known).all(dim=1), whole)
    assert whole.any() and not whole.all() and not found[2].all() and whole[2]
    assert torch.equal(asked_y[whole][known[whole]], y[whole][known[whole]])


def test_a_fleet_that_loses_its_fixed_points_stops():
    made = fleets.plan(LinearRegression, "linear", 5, (8, 8), steps=3, batch=8)
    fleet = fleets.Fleet(made, [0], (0.01, math.inf), fleets.FACTORS["rule 3"], "rate")
    start = fleet.W[1].clone()
    fleet.learn()
    assert fleet.stopped.tolist() == [-1, 0]
    assert torch.equal(fleet.W[1], start) and not torch.equal(fleet.W[0], start)


def test_rule_2_of_the_findings_is_ratenets():
    made = fleets.plan(LinearRegression, "linear", 5, (8, 8), steps=1, batch=8)
    fleet = findings.Exact(made, [0], (0.2,), fleets.FACTORS["rule 3"], "rate")
    W, task = fleet.W[0].clone(), fleet.tasks[0]
    fleet.take_step(0, *fleet.samples("train"))
    fp = task.reached(task.train.drive)
    error = task.error(fp.rates, task.train.aim)
    delta = rn.plasticity.Reparameterized().update(fp, error, 0.2)
    torch.testing.assert_close(fleet.W[0] - W, delta, rtol=1e-7, atol=1e-9)


RUNS, SAMPLES = (2, 0, 3), 6  # which networks of a fleet of four learn


def random_fleet(seed: int) -> fleets.State:
    """Return networks with gains from 0.2 to 1, and rates and errors that belong to none."""
    generator = torch.Generator().manual_seed(seed)
    R = len(RUNS)
    W = torch.randn(R, UNITS, UNITS, generator=generator, dtype=torch.float64) / UNITS**0.5
    y, e = torch.randn(2, R, SAMPLES, UNITS, generator=generator, dtype=torch.float64)
    g = 0.2 + 0.8 * torch.rand(R, SAMPLES, UNITS, generator=generator, dtype=torch.float64)
    return fleets.State(W, g, y, e, torch.tensor(RUNS))


def feedback_of(at: fleets.State, matrices: torch.Tensor) -> torch.Tensor:
    """Return the matrices of those that learn, among others that are never to be used."""
    every = torch.full((max(RUNS) + 1, UNITS, UNITS), math.nan, dtype=torch.float64)
    every[at.runs] = matrices
    return every


@pytest.mark.parametrize("seed", range(3))
def test_the_power_1_and_the_feedback_of_the_weights_are_rule_3(seed):
    at = random_fleet(seed)
    left, right = fleets.FACTORS["rule 3"](at)
    for factors in (findings.with_power(1), findings.with_feedback(feedback_of(at, at.W.mT))):
        found = factors(at)
        torch.testing.assert_close(found[0], left, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(found[1], right, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("a", findings.POWERS)
def test_a_power_of_the_gains_is_that_of_the_left_factor(a):
    at = random_fleet(4)
    left, right = findings.with_power(a)(at)
    assert torch.equal(right, fleets.FACTORS["rule 3"](at)[1])
    eye = torch.eye(UNITS, dtype=torch.float64)
    for b in range(SAMPLES):
        G = torch.diag(at.g[1, b])
        expected = (eye - at.W[1] @ G) @ torch.diag(at.g[1, b] ** a) @ at.e[1, b]
        torch.testing.assert_close(left[1, b], expected, rtol=1e-12, atol=1e-12)
    other = fleets.FACTORS["rule 3"](at)[0]
    assert ((left - other).norm() > 0.1 * other.norm()) == (a != 1)


def test_other_feedback_stands_in_place_of_the_transposed_weights():
    at = random_fleet(5)
    B = random_fleet(6).W
    left, right = findings.with_feedback(feedback_of(at, B))(at)
    assert torch.equal(left, fleets.FACTORS["rule 3"](at)[0])
    eye = torch.eye(UNITS, dtype=torch.float64)
    for b in range(SAMPLES):
        G = torch.diag(at.g[1, b])
        expected = (eye - B[1] @ G) @ (eye - G @ at.W[1]) @ at.y[1, b]
        torch.testing.assert_close(right[1, b], expected, rtol=1e-12, atol=1e-12)
    other = fleets.FACTORS["rule 3"](at)[1]
    assert (right - other).norm() > 0.1 * other.norm()


def first_state(kind: object) -> tuple[fleets.Fleet, fleets.State]:
    """Return a fleet before its first step, and what its rule is given there."""
    seen = []

    def factors(at: fleets.State) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(at)
        return fleets.FACTORS["rule 3"](at)

    made = fleets.plan(kind, "rate", 6, (5, 5), steps=1, batch=5)
    fleet = fleets.Fleet(made, [0, 1], (1e-3,), factors, "rate")
    fleet.take_step(0, *fleet.samples("train"))
    return fleet, seen[0]


def test_the_gains_under_strong_drives_are_the_slopes_of_the_models_function():
    h, mean_gains = 1e-5, []
    for scale in findings.SATURATIONS:
        fleet, at = first_state(findings.Saturated(scale))
        drive, _ = fleet.samples("train")
        total = at.forward(at.y) + drive
        silent = rn.Network(fleet.made.setting.model, torch.zeros(6, 6, dtype=torch.float64))
        up, down = (
            rn.find_fixed_points(silent, total.flatten(0, 1) + step, tol=1e-14).rates
            for step in (h, -h)
        )
        slopes = ((up - down) / (2 * h)).view_as(at.g)
        torch.testing.assert_close(at.g, slopes, rtol=0, atol=1e-7)
        mean_gains.append(float(at.g.mean()))
    assert sorted(mean_gains, reverse=True) == mean_gains
    assert mean_gains[-1] < 0.5 * mean_gains[0]


def test_drives_of_scale_1_are_those_of_the_teacher_and_others_are_in_proportion():
    setting = fleets.plan(Teacher, "rate", 6, (5, 5), steps=1, batch=5).setting
    teacher = Teacher.drawn(setting, 3)
    for scale in findings.SATURATIONS:
        task = findings.Saturated(scale).drawn(setting, 3)
        torch.testing.assert_close(task.train.drive, scale * teacher.train.drive)
        assert torch.equal(task.network.connectivity.dense(), teacher.network.connectivity.dense())
        assert torch.allclose(task.train.aim, teacher.train.aim) == (scale == 1)


@pytest.mark.parametrize("start", [1, -1])
@pytest.mark.parametrize("target", [1, -1])
def test_the_border_task_has_the_signs_that_it_names(start, target):
    setting = fleets.plan(LinearRegression, "linear", 6, (9, 9), steps=1, batch=9).setting
    task = findings.Sided(start, target).drawn(setting, 1)
    eye = torch.eye(6, dtype=torch.float64)
    assert torch.linalg.det(eye - task.network.connectivity.dense()).sign() == start
    A = torch.linalg.lstsq(task.train.drive, task.train.aim).solution.T
    assert torch.linalg.det(A).sign() == target


def test_lengths_are_chosen_on_validation_and_edges_are_marked():
    rows = pd.DataFrame({
        "rule": ["a"] * 6 + ["b"] * 6, "length": [1, 1, 2, 2, 3, 3] * 2, "seed": [0, 1] * 6,
        "validation": [0, 1, 5, 6, 2, 2, 0, 0, 1, 1, 4, np.nan],
        "score": np.arange(12.0),
    })  # fmt: skip
    best = fleet_tables.chosen(rows, ["rule"])
    assert best["score"].tolist() == [2, 3, 10, 11]
    assert best["edge"].tolist() == ["", "", "longest", "longest"]


def test_differences_are_paired_by_seed_with_students_interval_and_a_bootstrap_beside():
    draw = np.random.default_rng(0)
    other = pd.Series(draw.normal(size=9))
    mine = (other + 0.5 + 0.1 * draw.normal(size=9))[:8]  # of a seed fewer
    found = fleet_tables.difference("rule 3", mine, "rule 1", other)
    paired = stats.ttest_rel(mine, other[:8]).confidence_interval(0.95)
    mean = (mine - other[:8]).mean()
    assert found["less rule 1"] == f"{mean:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})"
    low, high = map(float, found["less rule 1, bootstrap"].split(" to "))
    assert paired.low < low < mean < high < paired.high
    assert set(fleet_tables.difference("a", mine, "a", mine).values()) == {"-"}


def test_longer_runs_are_made_once_and_compared_at_each_length(tmp_path, monkeypatch):
    monkeypatch.setattr(longer, "RESULT", tmp_path / "longer.md")
    monkeypatch.setattr(longer, "LENGTHS", {1: (0.1, 0.3)})
    monkeypatch.setattr(longer, "SEEDS", range(2))
    longer.main()
    rows = pd.read_csv(tmp_path / "longer.csv")
    assert len(rows) == 8
    assert rows["score"].between(0.1, 1).all()
    tables = (tmp_path / "longer.md").read_text().split("## At ")[1:]
    assert [table.count("\n| 1 |") for table in tables] == [2, 4]
    monkeypatch.setattr(longer, "run", None)  # what is there is not made again
    longer.main()


def test_the_tables_hold_what_was_run_and_nothing_runs_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(metric_tables, "RESULT", tmp_path / "metric.md")
    monkeypatch.setattr(metric_tables, "FIGURE", tmp_path / "metric.png")
    monkeypatch.setattr(metric, "RUNS", tmp_path / "metric.csv")
    monkeypatch.setattr(metric, "CURVES", tmp_path / "metric_curves.csv")
    plans = {"linear": fleets.plan(LinearRegression, "linear", 6, (9, 9), steps=10, batch=9)}
    monkeypatch.setattr(metric, "PLANS", plans)

    def run_and_read(seeds: int) -> pd.DataFrame:
        monkeypatch.setattr(sys, "argv", ["metric.py", "--seeds", f"{seeds}"])
        metric.main()
        return pd.read_csv(metric.RUNS)

    run_and_read(2)
    learned, set_up = [], fleets.Fleet.__init__

    def noted(fleet, made, seeds, *given):
        learned.append(tuple(seeds))
        set_up(fleet, made, seeds, *given)

    monkeypatch.setattr(fleets.Fleet, "__init__", noted)
    rows = run_and_read(3)
    cells, ways = len([*metric.cells()]), len(rows[metric.CASE].drop_duplicates())
    # each cell and each way once, and a way with all seeds where the chosen length is another
    assert learned[:cells] == [(2,)] * cells
    assert len(learned) == cells + ways and {*learned[cells:]} <= {(2,), (0, 1, 2)}
    learned.clear()
    pd.testing.assert_frame_equal(run_and_read(3), rows)
    assert not learned
    assert not rows.duplicated(["task", "rule", "step", "length", "seed"]).any()
    normalized = rows[(rows["step"] == "normalized") & (rows["length"] == 1.0)]
    score = {r: own["score"].to_numpy() for r, own in normalized.groupby("rule")}
    expected = (score["rule 3"] - score["rule 1"]).mean()
    text = (tmp_path / "metric.md").read_text()
    assert f"| linear | normalized | 1 | {score['rule 1'].mean():.3f} (" in text
    assert f"| {expected:+.3f} (" in text
    is_lost = (rows["rule"] == "rule 1") & (rows["step"] != "rate") & (rows["length"] == 1.0)
    lacking = metric_tables.complete(rows[~is_lost], plans, metric.LENGTHS)
    assert set(lacking["step"]) == {"rate"}
    is_lost = (rows["rule"] == "rule 3") & (rows["length"] == 0.1) & (rows["seed"] == 1)
    lacking = metric_tables.complete(rows[~is_lost], plans, metric.LENGTHS)
    assert set(lacking["seed"]) == {0, 2}
    is_lost = (rows["rule"] == "left only") & (rows["length"] == 0.1)
    lacking = metric_tables.complete(rows[~is_lost], plans, metric.LENGTHS)
    assert set(lacking["rule"]) == {"rule 1", "rule 3", "right only"}
    further = rows.assign(length=rows["length"] + 5000)
    same = metric_tables.complete(pd.concat([rows, further]), plans, metric.LENGTHS)
    pd.testing.assert_frame_equal(same, metric_tables.complete(rows, plans, metric.LENGTHS))
    assert metric_tables.complete(rows[rows["rule"] == "rule 1"], plans, metric.LENGTHS).empty


def test_a_way_does_not_depend_on_the_networks_that_learn_beside_it():
    """So seeds and lengths can be added later, and the ways of the figure learned by themselves."""
    key = {"task": "teacher", "rule": "rule 3", "step": "normalized"}
    curve = metric.curve([1], length=0.1, **key)
    fleet = fleets.Fleet(
        metric.PLANS["teacher"], [0, 1], (0.1, 1.0), fleets.FACTORS["rule 3"], "normalized"
    )
    together = fleet.learn().query("seed == 1 and length == 0.1")
    np.testing.assert_allclose(curve[["path", "loss"]], together[["path", "loss"]], rtol=1e-5)
