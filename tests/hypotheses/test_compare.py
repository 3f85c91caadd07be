"""compare: what is measured along learning, against calculations of its own in NumPy."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.problems import random, random_weights

import ratenet as rn
import ratenet.report.comparison as report
from ratenet.errors import (
    DivergenceError,
    InputError,
    SingularError,
    UnsettledError,
    UnsupportedError,
)
from ratenet.hypotheses import compare
from ratenet.hypotheses.comparison.cell import PROBES, draw_task, run_cell
from ratenet.hypotheses.comparison.config import Cell, ComparisonConfig
from ratenet.hypotheses.comparison.measures import Modes, beside, degrees

# Small ones have few seeds, of which they warn.
pytestmark = pytest.mark.filterwarnings("ignore:seeds. [0-9]+ of:ratenet.errors.RatenetWarning")

SMALL = {"units": 12, "samples": 20, "held_out": 10, "batch_size": 20, "steps": 3,
         "record_every": 1, "seeds": 1}  # fmt: skip
RULES = ["euclidean", "linearized-reparameterized", "hebb"]
TAU = 0.01  # s, of the rate model


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Leave the report's figures out, which would take most of the time."""
    monkeypatch.setattr(report, "_figures", lambda *_: {})


def only_cell(task: str, rule: str, rate: float, rules=RULES, **options) -> Cell:
    config = ComparisonConfig([task], rules, [rate], **{**SMALL, **options})
    (cell,) = [cell for cell in config.cells() if cell["rule"] == rule]
    return cell


def rest(W, x):
    """Return the fixed points of tanh units, by iterating a contraction."""
    y = np.zeros_like(x)
    for _ in range(3_000):
        y = np.tanh(y @ W.T + x)
    return y


def changes(W, y, target, rate):
    """Return the changes by rule 1, rule 3 and Hebb's, sample by sample with matrices."""
    total = {rule: np.zeros_like(W) for rule in RULES}
    identity = np.eye(len(W))
    for one, aim in zip(y, target, strict=True):
        e, G = 2 * (one - aim), np.diag(1 - one**2)
        adjoint = G @ np.linalg.inv(identity - W.T @ G) @ e
        left = (identity - W @ G) @ G @ e
        right = (identity - G @ W).T @ (identity - G @ W) @ one
        total["euclidean"] -= np.outer(adjoint, one)
        total["linearized-reparameterized"] -= np.outer(left, right)
        total["hebb"] += np.outer(one, one)
    return {rule: rate * change / len(y) for rule, change in total.items()}


def responses(W, y):
    """Return I - G W and (1/G - W)^{-1} of each sample."""
    G = [np.diag(1 - one**2) for one in y]
    return (
        [np.eye(len(W)) - gain @ W for gain in G],
        [np.linalg.inv(np.linalg.inv(gain) - W) for gain in G],
    )


def angle(a, b):
    return np.degrees(np.arccos(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)))


def test_each_quantity_of_a_step_is_what_numpy_finds():
    rate, rule = 0.02, "linearized-reparameterized"
    cell = only_cell("teacher", rule, rate)
    found = run_cell(cell, "data")
    task = draw_task(cell, "data")
    W, x, target = (t.numpy() for t in (task.network.connectivity.W, *task.train))
    W, first = W.copy(), None
    for row in found["rows"]:
        y = rest(W, x)
        matrices, A = responses(W, y[:PROBES])
        first = (W.copy(), A) if first is None else first
        missed, spread = ((y - target) ** 2).sum(), ((target - target.mean(axis=0)) ** 2).sum()
        assert row["loss"] == pytest.approx(missed / len(y), rel=1e-7)
        assert row["score"] == pytest.approx(-np.log10(missed / spread), rel=1e-6)
        singular = [np.linalg.svd(matrix, compute_uv=False) for matrix in matrices]
        condition = np.mean([s.max() / s.min() for s in singular])
        assert row["condition"] == pytest.approx(condition, rel=1e-6)
        largest = max(np.linalg.eigvals(-matrix).real.max() / TAU for matrix in matrices)
        assert row["abscissa"] == pytest.approx(largest, rel=1e-6)
        assert row["moved"] == pytest.approx(np.linalg.norm(W - first[0]), rel=1e-6, abs=1e-12)
        squares = [((one - other) ** 2).sum() for one, other in zip(A, first[1], strict=True)]
        distance = np.sqrt(np.mean(squares))
        assert row["moved_response"] == pytest.approx(distance, rel=1e-5, abs=1e-9)
        assert row["unsettled"] == 0
        assert row["iterations"] > 0
        if row["step"] < SMALL["steps"]:
            expected = changes(W, y, target, rate)
            for name in RULES:
                between = angle(expected[rule], expected[name]) if name != rule else 0.0
                assert row[f"angle_to_{name}"] == pytest.approx(between, abs=1e-4)
            norms = [np.linalg.norm(expected[name]) for name in (rule, "euclidean")]
            assert row["norm_ratio"] == pytest.approx(norms[0] / norms[1], rel=1e-6)
            W = W + expected[rule]
    assert [row["step"] for row in found["rows"]] == [0, 1, 2, 3]
    assert (found["status"], found["steps_done"]) == ("done", 3)
    for name, samples in (("validation", task.validation), ("test", task.test)):
        y, aim = rest(W, samples.drive.numpy()), samples.aim.numpy()
        missed, spread = ((y - aim) ** 2).sum(), ((aim - aim.mean(axis=0)) ** 2).sum()
        assert found[f"{name}_score"] == pytest.approx(-np.log10(missed / spread), rel=1e-6)
        assert found[f"{name}_loss"] == pytest.approx(missed / len(y), rel=1e-7)


def test_the_finite_step_moves_as_far_in_the_responses_as_descent_in_A():
    cell = only_cell("linear", "reparameterized", 0.5, ["reparameterized"], units=20, steps=1)
    before, after = run_cell(cell, "data")["rows"]
    task = draw_task(cell, "data")
    W, x, target = (t.numpy() for t in (task.network.connectivity.W, *task.train))
    A = np.linalg.inv(np.eye(20) - W)
    step = 0.5 * (2 * (x @ A.T - target)).T @ x / len(x)  # eta grad_A
    assert before["moved_response"] == 0
    assert after["moved_response"] == pytest.approx(np.linalg.norm(step), rel=1e-9)
    stepped = np.linalg.inv(A - step)  # I - W after the step
    assert after["moved"] == pytest.approx(np.linalg.norm(stepped - (np.eye(20) - W)), rel=1e-9)


def test_angles_small_and_large_and_of_nothing():
    a, tiny = torch.tensor([1.0, 0.0], dtype=torch.float64), 1e-9
    assert degrees(a, torch.tensor([1.0, tiny]).double()) == pytest.approx(np.degrees(tiny))
    assert degrees(a, torch.tensor([0.0, 2.0]).double()) == pytest.approx(90)
    assert degrees(a, -3 * a) == pytest.approx(180)
    found = beside({"euclidean": a, "none": None, "zero": 0 * a}, "euclidean", "euclidean")
    assert found["angle_to_euclidean"] == 0
    assert np.isnan([found["angle_to_none"], found["angle_to_zero"]]).all()
    assert np.isnan(beside({"euclidean": None, "a": a}, "a", "euclidean")["norm_ratio"])


def test_modes_leave_unsettled_samples_out():
    network = rn.Network("rate", random_weights(8, 90))
    drive = random(3, 8, seed=91)
    fp = rn.find_fixed_points(network, drive)
    state = fp.state.clone()
    state[:, 1] += 1.0
    spoilt = rn.fixed_points_at(network, drive, state, tol=1e-6)
    modes, kept = Modes.of(spoilt), Modes.of(fp.select(torch.tensor([0, 2])))
    assert modes.condition == pytest.approx(kept.condition)
    assert modes.abscissa == pytest.approx(kept.abscissa)
    assert torch.isnan(modes.response[1]).all()
    assert modes.distances(Modes.of(fp))["moved_response"] == pytest.approx(0.0, abs=1e-6)
    nothing = Modes.of(spoilt.select(torch.tensor([1])))
    assert np.isnan([nothing.condition, nothing.abscissa]).all()


def test_a_network_that_runs_away_ends_its_cell():
    cell = only_cell("association", "hebb", 30.0, ["hebb"], model="threshold_linear", steps=8)
    found = run_cell(cell, "data")
    assert found["status"] == "unsettled"
    assert "of 20 samples did not settle, more than half" in found["reason"]
    assert 0 < found["steps_done"] < 8
    assert found["rows"][-1]["unsettled"] > 0.5  # what it was like is seen
    assert found["test_unsettled"] > 0.5


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SingularError("No such step."), "singular"),
        (DivergenceError("Too large."), "diverged"),
        (UnsettledError("Nothing settled."), "unsettled"),
        (UnsupportedError("Not for this network."), "unsupported"),
    ],
)
def test_what_a_rule_refuses_ends_its_cell_with_the_reason(error, status, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(rn.plasticity.Hebb, "change", refuse)
    found = run_cell(only_cell("teacher", "hebb", 0.1), "data")
    assert (found["status"], found["reason"]) == (status, str(error))
    assert ("test_score" in found) == (status != "unsupported")
    beside_it = run_cell(only_cell("teacher", "euclidean", 0.1), "data")
    assert beside_it["status"] == "done"
    assert np.isnan(beside_it["rows"][0]["angle_to_hebb"])


def test_a_diverged_cell_has_the_score_of_the_weights_that_it_had(monkeypatch):
    monkeypatch.setattr(
        rn.plasticity.Hebb, "change", lambda self, fp, *_: fp.rates.T @ fp.rates / 0
    )
    found = run_cell(only_cell("teacher", "hebb", 0.1), "data")
    assert (found["status"], found["steps_done"]) == ("diverged", 0)
    assert found["reason"].startswith("rule Hebb: the weight change has NaN or infinite entries")
    assert found["test_score"] == found["test_score_before"]
    other = run_cell(only_cell("teacher", "euclidean", 0.1), "data")
    assert np.isnan(other["rows"][0]["angle_to_hebb"])


def test_rules_that_need_the_loss_are_given_it():
    rules = ["euclidean", "node-perturbation"]
    found = run_cell(only_cell("mnist", "node-perturbation", 0.1, rules, steps=2), "data")
    assert found["status"] == "done"
    assert 30 < found["rows"][0]["angle_to_euclidean"] < 90  # noise about the gradient


def test_a_cell_gives_the_same_numbers_however_many_threads_there_are():
    cell = only_cell("teacher", "euclidean", 0.1, units=40)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(run_cell(cell, "data"))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_all_tasks_by_all_rules_give_tidy_tables(few_digits, tmp_path):
    tasks, rules = ["linear", "teacher", "association", "mnist"], ["euclidean", "reparameterized"]
    options = {**SMALL, "seeds": 2, "steps": 4, "record_every": 3, "batch_size": 10}
    told = []
    found = compare(
        rules, [0.1, 0.01], tasks=tasks, out=tmp_path, progress=lambda *d: told.append(d), **options
    )
    assert told == [(done, 32) for done in range(33)]
    assert len(found.cells) == 4 * 2 * 2 * 2
    statuses = found.cells.groupby(["task", "rule"])["status"].unique().map(list)
    assert statuses["linear", "reparameterized"] == ["done"]
    assert statuses["mnist", "reparameterized"] == ["unsupported"]
    done = found.steps[found.steps["task"] == "linear"]
    assert (
        done.groupby(["rule", "learning_rate", "seed"])["step"].agg(list).tolist()
        == [[0, 3, 4]] * 8
    )
    assert found.best.groupby("task").size().to_dict() == {
        "linear": 2, "teacher": 1, "association": 1, "mnist": 1,
    }  # fmt: skip
    assert found.differences["task"].tolist() == ["linear"]
    for name in ("cells", "steps", "best", "differences"):
        table = getattr(found, name)
        read = pd.read_csv(tmp_path / f"{name}.csv")
        texts = {"reason": "", "edge": ""}  # an empty text is read as NaN
        pd.testing.assert_frame_equal(read.fillna(texts), table, check_dtype=False)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), table)


def test_learning_lowers_the_loss_and_raises_the_score(tmp_path):
    found = compare(
        ["euclidean"], [0.1], tasks=["teacher", "association"], out=tmp_path, units=20, samples=60,
        held_out=20, batch_size=30, steps=25, seeds=2,
    )  # fmt: skip
    ends = found.steps.groupby(["task", "seed"])["loss"].agg(["first", "last"])
    assert (ends["last"] < 0.5 * ends["first"]).all()
    assert (found.cells["test_score"] > found.cells["test_score_before"] + 0.1).all()


def test_a_teacher_that_does_not_settle_ends_its_cells_only(tmp_path, monkeypatch):
    from ratenet.hypotheses.tasks import teacher

    monkeypatch.setattr(teacher, "TEACHER_RADIUS", 40.0)
    found = compare(["hebb"], [0.1], tasks=["teacher"], out=tmp_path, **{**SMALL, "units": 30})
    assert found.cells["status"].tolist() == ["unsettled"]
    assert "The teacher has no fixed point for" in found.cells["reason"][0]
    assert found.best.empty
    assert found.report.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"units": 10**8},
            "units, samples: cells of 100,000,000 units and .* need .* choose fewer",
        ),
        ({"samples": 10**9}, "units, samples: cells of 12 units and 1,000,000,020 samples need"),
        ({"seeds": 10**9}, "seeds: tables of 1,000,000,000 cells, .* a larger record_every"),
        ({"steps": 10**9}, "seeds: tables of 1 cells, 1,000,000,002 measured steps, need"),
    ],
)
def test_designs_that_memory_does_not_hold_are_refused_before_anything_is_made(
    options, sentence, tmp_path
):
    with pytest.raises(InputError, match=sentence):
        compare(["hebb"], [0.1], out=tmp_path / "none", **{**SMALL, **options})
    assert not (tmp_path / "none").exists()
