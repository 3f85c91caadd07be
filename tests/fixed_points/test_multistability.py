"""Many starts, distinct fixed points and their basins, on problems with known fixed points."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import mV
from helpers.problems import (
    FLOAT,
    adaptation,
    limit_cycle,
    no_fixed_point,
    random,
    tanh_rates,
    write_model,
)

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError


def bistable(w: float = 2.0, dtype: torch.dtype = FLOAT) -> rn.Network:
    return rn.Network("rate", [[w]], dtype=dtype)


def rate_of(w: float) -> float:
    """Solve r = tanh(w r) for r > 0 by bisection."""
    low, high = 1e-3, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.tanh(w * middle) > middle else (low, middle)
    return low


def wilson_cowan(folder: Path) -> rn.Network:
    """Wilson and Cowan 1972, the multistable setting; k is the largest value of S."""
    path = write_model(
        folder,
        "dr/dt = (-r + (k - r)*S(I_rec + I_ext)) / tau : 1",
        functions={"S": "1/(1 + exp(-a*(u - theta))) - 1/(1 + exp(a*theta))"},
        parameters={"tau": "10*ms", "a": 1.0, "theta": 4.0, "k": 1.0},
    )
    a, theta = np.array([1.2, 1.0]), np.array([2.8, 4.0])
    parameters = {"a": a, "theta": theta, "k": 1 - 1 / (1 + np.exp(a * theta))}
    return rn.Network(str(path), [[12.0, -4.0], [13.0, -11.0]], parameters=parameters)


@pytest.mark.parametrize("w", [1.2, 2.0, 4.0])
def test_one_unit_has_two_stable_states_and_an_unstable_one(w: float) -> None:
    found = rn.find_all_fixed_points(bistable(w), [0.0], starts=40)
    r = rate_of(w)
    assert found.rates[:, 0].tolist() == pytest.approx([-r, r, 0.0], abs=1e-7)
    assert found.stable.tolist() == [True, True, False]
    known = [(w * (1 - rate**2) - 1) / 0.01 for rate in (r, r, 0.0)]
    assert found.abscissa().tolist() == pytest.approx(known, abs=1e-4)
    assert (found.residual <= 1e-9).all()
    signs = (found.starts[0, :, 0] > 0).long()  # the border of the basins is 0
    assert found.reached.tolist() == signs.tolist()
    assert found.basin.tolist() == [int((signs == 0).sum()), int(signs.sum()), 0]
    assert int(found.found_from.sum()) + found.unsolved == 40
    assert found.unreached == 0


def test_a_contracting_network_has_one_fixed_point() -> None:
    problem = tanh_rates()
    assert problem.rates is not None
    found = rn.find_all_fixed_points(problem.network(), problem.drive[0], starts=20)
    assert len(found) == 1
    torch.testing.assert_close(found.rates, problem.rates[:1], rtol=0, atol=1e-7)
    assert found.basin.tolist() == found.found_from.tolist() == [20]


def test_uncoupled_units_have_all_combinations() -> None:
    network = rn.Network("rate", 2 * torch.eye(3, dtype=FLOAT))
    found = rn.find_all_fixed_points(network, [0.0] * 3, starts=200)
    stable = found.rates[found.stable]
    r = rate_of(2.0)
    assert stable.shape == (8, 3)
    torch.testing.assert_close(stable.abs(), torch.full((8, 3), r, dtype=FLOAT))
    assert len({tuple(row) for row in stable.sign().tolist()}) == 8
    assert stable.sign().tolist() == sorted(stable.sign().tolist())
    assert not found.basin[~found.stable].any()


def test_wilson_cowan(tmp_path: Path) -> None:
    found = rn.find_all_fixed_points(wilson_cowan(tmp_path), [0.0, 0.0], span=(0.0, 0.5))
    known = torch.tensor([[0.0, 0.0], [0.440, 0.226]], dtype=FLOAT)
    torch.testing.assert_close(found.rates[found.stable], known, rtol=0, atol=5e-4)
    assert found.stable.tolist() == [True, True, False]  # and the saddle between them
    assert (found.basin[:2] > 10).all()


def test_basins_are_those_of_the_simulated_dynamics(tmp_path: Path) -> None:
    network = wilson_cowan(tmp_path)
    found = rn.find_all_fixed_points(network, [0.0, 0.0], starts=60, span=(0.0, 0.5))
    run = rn.simulate(
        network, [[0.0, 0.0]] * 60, 0.5, 5e-4, method="rk4",
        initial=found.starts, record_every=1000,
    )  # fmt: skip
    torch.testing.assert_close(run.rates[-1], found.rates[found.reached], rtol=0, atol=1e-6)


def test_a_limit_cycle_reaches_nothing() -> None:
    found = rn.find_all_fixed_points(
        limit_cycle().network(), [0.0, 0.0], starts=6, dynamics=rn.Relaxation(max_iterations=1000)
    )
    assert len(found) == 1
    assert found.stable.tolist() == [False]
    assert found.reached.tolist() == [-1] * 6
    assert found.unreached == 6
    assert "no stable one from 6" in found.summary()


def test_a_start_on_an_unstable_point_has_not_reached_it() -> None:
    found = rn.find_all_fixed_points(bistable(), [0.0], starts=[[0.0], [0.5]])
    assert found.rates[found.solved[0]].item() == 0.0
    assert found.reached.tolist()[0] == -1
    assert found.unreached == 1


def test_no_fixed_point_at_all() -> None:
    quick = rn.Relaxation(max_iterations=200)
    found = rn.find_all_fixed_points(
        no_fixed_point().network(), [1.0], starts=3, solver=quick, dynamics=quick
    )
    assert len(found) == len(found.stable) == len(found.basin) == 0
    assert found.unsolved == found.unreached == 3
    assert found.summary().startswith("0 fixed points, 0 stable, from 3 starts.")
    assert len(found.to_pandas()) == 0


def test_starts_that_found_nothing_are_counted() -> None:
    found = rn.find_all_fixed_points(
        bistable(), [0.0], starts=10, solver=rn.Anderson(max_iterations=1)
    )
    assert found.unsolved == 10
    assert found.solved.tolist() == [-1] * 10
    assert len(found) == 2  # by the dynamics
    assert found.found_from.tolist() == [0, 0]
    assert found.unreached == 0


def test_same_seed_same_result_and_the_range_of_starts() -> None:
    options: dict[str, Any] = {"starts": 50, "span": (0.2, 0.4)}
    first = rn.find_all_fixed_points(bistable(), [0.0], **options)
    again = rn.find_all_fixed_points(bistable(), [0.0], **options)
    other = rn.find_all_fixed_points(bistable(), [0.0], seed=1, **options)
    assert torch.equal(first.starts, again.starts)
    assert torch.equal(first.rates, again.rates)
    assert not torch.equal(first.starts, other.starts)
    assert first.starts.min() >= 0.2
    assert first.starts.max() <= 0.4
    assert first.starts.shape == (1, 50, 1)


def test_float32() -> None:
    found = rn.find_all_fixed_points(bistable(dtype=torch.float32), [0.0], starts=40)
    assert found.rates.dtype == torch.float32
    r = rate_of(2.0)
    assert found.rates[:, 0].tolist() == pytest.approx([-r, r, 0.0], abs=1e-3)
    assert found.stable.tolist() == [True, True, False]


def test_starts_by_name_and_by_shape() -> None:
    problem = adaptation()
    r, a = random(5, 9, seed=1), random(5, 9, seed=2)
    named = rn.find_all_fixed_points(problem.network(), problem.drive[0], starts={"r": r, "a": a})
    stacked = rn.find_all_fixed_points(
        problem.network(), problem.drive[0], starts=torch.stack([r, a])
    )
    assert torch.equal(named.starts, stacked.starts)
    assert named.starts.shape == (2, 5, 9)
    assert problem.rates is not None
    torch.testing.assert_close(named.rates, problem.rates[:1], rtol=0, atol=1e-7)


def test_a_large_distance_makes_one_of_all() -> None:
    found = rn.find_all_fixed_points(bistable(), [0.0], starts=20, distance=3.0)
    assert len(found) == 1


def test_several_drives_have_their_own_fixed_points() -> None:
    drives = [[0.0], [1.0], [0.2]]  # two folds lie at +-0.53
    found = rn.find_all_fixed_points(bistable(), drives, starts=20)
    assert found.stimulus.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert found.points.drive[:, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.2, 0.2, 0.2]
    assert "7 fixed points of 3 drives, 5 stable, from 60 starts" in found.summary()
    assert found.to_pandas()["stimulus"].tolist() == found.stimulus.tolist()
    for stimulus, drive in enumerate(drives):
        alone, part = rn.find_all_fixed_points(bistable(), drive, starts=20), found.of(stimulus)
        for name in ("rates", "stable", "found_from", "basin", "solved", "reached", "stimulus"):
            torch.testing.assert_close(getattr(part, name), getattr(alone, name), msg=name)
        torch.testing.assert_close(part.starts, alone.starts)
    for stimulus in (3, -1, True, "0"):
        with pytest.raises(InputError, match="stimulus: expected a whole number from 0 to 2"):
            found.of(stimulus)  # type: ignore[arg-type]


def test_the_table() -> None:
    table = rn.find_all_fixed_points(bistable(), [0.0], starts=20).to_pandas()
    columns = ["stable", "abscissa", "residual", "found_from", "basin", "rate_0"]
    assert list(table.columns) == columns
    assert table["stable"].tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": 0}, "starts: expected a whole number of at least 1, or states, got 0"),
        ({"starts": 2.5}, "starts: expected a whole number of at least 1, or states, got 2.5"),
        ({"starts": True}, "starts: expected a whole number of at least 1, or states, got True"),
        (
            {"starts": "many"},
            "starts: expected a whole number of at least 1",
        ),
        ({"starts": np.zeros((0, 1))}, "expected the shape of at least one start"),
        ({"starts": [[math.nan]]}, "NaN"),
        ({"starts": [[0.0, 1.0]]}, r"state, r: expected .* N = 1, got \(1, 2\)"),
        ({"starts": {"q": 0.0}}, "state: expected the state variables"),
        ({"starts": {}}, "state: expected the state variables"),
        ({"starts": [[0.0], [0.0, 1.0]]}, "starts: expected an array of numbers"),
        ({"starts": None}, "starts: .* got None"),
        ({"seed": -1}, "seed: .* got -1"),
        ({"span": (1.0, 0.0)}, "span: expected a finite range"),
        ({"span": (0.0, math.nan)}, "span: expected a finite range"),
        ({"span": 1.0}, "span: expected two numbers"),
        ({"distance": 0.0}, "distance: .* got 0.0"),
        ({"distance": "near"}, "distance: .* got 'near'"),
        ({"tol": 1e-20}, "tol: .*1e-20"),
        ({"drive": [[0.0, 1.0]]}, r"drive: expected .*shape .* got \(1, 2\)"),
        ({"drive": [0.0] * mV}, "drive: expected"),
        ({"drive": [math.nan]}, "NaN"),
        ({"solver": "anderson"}, "solver: expected a solver object"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence(options: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"drive": [0.0], "starts": 3, **options}
    with pytest.raises(InputError, match=message) as caught:
        rn.find_all_fixed_points(bistable(), **settings)
    assert "\n" not in str(caught.value)


def test_equations_with_time_are_refused(tmp_path: Path) -> None:
    path = write_model(
        tmp_path, "dr/dt = (-r + I_rec + I_ext*cos(t/tau)) / tau : 1", parameters={"tau": "10*ms"}
    )
    with pytest.raises(UnsupportedError, match="depend on t"):
        rn.find_all_fixed_points(rn.Network(str(path), [[0.5]]), [0.0])
