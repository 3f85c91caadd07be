"""Continuation and sweeps: folds, Hopf and other special points that are known in closed form.

One tanh unit, r' = (-r + tanh(w r + x)) / tau, has its fixed points on x(r) = atanh(r) - w r, which
turns where w (1 - r^2) = 1. Two units with W = s [[a, -b], [b, a]] at zero drive have the
eigenvalues (-1 + s a +- i s b) / tau.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from brian2 import ms, mV
from helpers.branches import TAU, along_drive, unit
from helpers.problems import FLOAT, adaptation, limit_cycle, random, random_weights, write_model
from torch import Tensor

import ratenet as rn
from ratenet.errors import ConvergenceError, InputError, RatenetWarning, UnsupportedError


def rotation(a: float, b: float) -> rn.Network:
    return rn.Network("rate", [[a, -b], [b, a]], parameters={"tau": TAU})


def fold_of(w: float) -> tuple[float, float]:
    """Return rate and drive of the unit's right fold, where the lower branch ends."""
    r = -math.sqrt(1 - 1 / w)
    return r, math.atanh(r) - w * r


def kinds(branch: rn.Branch) -> list[rn.SpecialKind]:
    return [point.kind for point in branch.special]


@pytest.mark.parametrize("w", [1.05, 1.5, 2.0, 3.0])
def test_folds_of_one_unit(w: float) -> None:
    branch = along_drive(w, start=-2, stop=2)
    r, x = fold_of(w)
    assert branch.ended is rn.BranchEnd.AT_STOP
    assert kinds(branch) == [rn.SpecialKind.FOLD] * 2
    assert [point.value for point in branch.special] == pytest.approx([x, -x], abs=1e-9)
    rates = [float(point.rates[0]) for point in branch.special]
    assert rates == pytest.approx([r, -r], abs=1e-6)
    assert all(math.isnan(point.frequency) for point in branch.special)


def test_every_point_is_a_fixed_point_with_its_stability() -> None:
    branch = along_drive(2.0)
    r, ends = branch.rates[:, 0], {float(branch.values[0]), float(branch.values[-1])}
    assert ends == {-1.5, 1.5}
    torch.testing.assert_close(branch.values, torch.atanh(r) - 2 * r, rtol=0, atol=1e-7)
    torch.testing.assert_close(branch.abscissa(), (2 * (1 - r**2) - 1) / TAU, rtol=0, atol=1e-5)
    assert (branch.residual <= 1e-9).all()
    clear = branch.abscissa().abs() > 1e-3  # not at a fold
    assert branch.stable[clear].tolist() == (r.abs() > math.sqrt(0.5))[clear].tolist()
    assert (branch.values.diff().sign().unique().tolist()) == [-1.0, 1.0]


def test_special_points_stand_in_the_arrays_and_the_table() -> None:
    branch = along_drive(2.0)
    table = branch.to_pandas()
    assert len(table) == len(branch)
    assert table["special"].value_counts().to_dict() == {"": len(branch) - 2, "fold": 2}
    for point in branch.special:
        assert float(branch.values[point.index]) == point.value
        assert float(branch.abscissa()[point.index]) == pytest.approx(0, abs=1e-3)
        assert table["rate_0"][point.index] == float(point.rates[0])


def test_a_monotone_unit_has_no_special_points() -> None:
    branch = along_drive(0.9)
    assert branch.special == ()
    assert branch.stable.all()


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (0.7, 5.0), (2.0, 0.3)])
def test_hopf_of_two_units(a: float, b: float) -> None:
    branch = rn.continue_fixed_points(
        rotation(a, b), [0.0, 0.0], rn.WeightScale(), start=0.1, stop=2.1
    )
    (hopf,) = branch.special
    assert hopf.kind is rn.SpecialKind.HOPF
    assert hopf.value == pytest.approx(1 / a, abs=1e-9)
    assert 2 * math.pi * hopf.frequency == pytest.approx(b / a / TAU, rel=1e-9)
    torch.testing.assert_close(branch.stable, branch.values < 1 / a - 1e-7)  # there: neutral


def test_two_hopf_points_of_four_units() -> None:
    W = torch.block_diag(rotation(1.0, 3.0).connectivity.dense(), rotation(0.8, 1.0).connectivity.W)
    branch = rn.continue_fixed_points(
        rn.Network("rate", W), [0.0] * 4, rn.WeightScale(), start=0.5, stop=2.0
    )
    assert [p.value for p in branch.special] == pytest.approx([1.0, 1.25], abs=1e-9)
    frequencies = [2 * math.pi * TAU * p.frequency for p in branch.special]
    assert frequencies == pytest.approx([3.0, 1.25])


def test_hopf_along_a_time_constant() -> None:
    """E and I of which I is faster: at zero the trace is 2 / tau_E - 1 / tau_I."""

    def slower(network: rn.Network, drive: Tensor, value: float) -> tuple[rn.Network, Tensor]:
        parameters = {"tau": [TAU, value]}
        return rn.Network(network.model, network.connectivity, parameters), drive

    network = limit_cycle().network()
    branch = rn.continue_fixed_points(network, [0.0, 0.0], slower, start=0.001, stop=0.02)
    (hopf,) = branch.special
    assert branch.label == "slower"
    assert hopf.value == pytest.approx(TAU / 2, abs=1e-9)
    determinant = (36 - 2) / (TAU * TAU / 2)  # ((1 - 3) (1 - 0) + 6 6) / (tau_E tau_I)
    assert 2 * math.pi * hopf.frequency == pytest.approx(math.sqrt(determinant), rel=1e-6)


def test_both_sides_of_a_pitchfork() -> None:
    options = {"start": 0.5, "stop": 2.0}
    trivial = rn.continue_fixed_points(unit(1.0), [0.0], rn.WeightScale(), **options)
    assert kinds(trivial) == [rn.SpecialKind.BRANCH]
    assert trivial.special[0].value == pytest.approx(1.0, abs=1e-9)
    assert trivial.rates.abs().max() < 1e-9
    back = {"start": 2.0, "stop": 0.5, "initial": [0.9]}
    arms = rn.continue_fixed_points(unit(1.0), [0.0], rn.WeightScale(), **back)
    assert arms.ended is rn.BranchEnd.AT_START  # from one arm to the other
    assert kinds(arms) == [rn.SpecialKind.BRANCH]
    assert arms.special[0].value == pytest.approx(1.0, abs=1e-6)
    assert float(arms.rates[-1, 0]) == pytest.approx(-float(arms.rates[0, 0]), abs=1e-8)


def test_two_state_variables_and_a_named_parameter() -> None:
    """Adaptation: at rest y = tanh(x + W y - b y), so b shifts W's diagonal."""
    network, drive = adaptation().network(), adaptation().drive[0]
    branch = rn.continue_fixed_points(network, drive, "b", start=0.8, stop=0.2)
    assert branch.label == "b"
    b, y = branch.values[:, None], branch.rates
    there = torch.tanh(drive + y @ network.connectivity.dense().T - b * y)
    torch.testing.assert_close(y, there, rtol=0, atol=1e-8)
    assert branch.states.shape == (2, len(branch), 9)
    at_end = rn.Network("adaptation", network.connectivity, {**network.parameters, "b": 0.2})
    known = rn.find_fixed_points(at_end, drive)
    torch.testing.assert_close(branch.rates[-1:], known.rates, rtol=0, atol=1e-8)
    torch.testing.assert_close(branch.abscissa()[-1:], known.abscissa(), rtol=1e-6, atol=0)


def test_a_parameter_with_a_unit() -> None:
    branch = rn.continue_fixed_points(unit(0.5), [0.3], "tau", start=5 * ms, stop=50 * ms)
    assert branch.label == "tau (second)"
    assert float(branch.values[-1]) == 0.05
    torch.testing.assert_close(branch.rates, branch.rates[:1].expand(len(branch), 1))


def test_a_shift_of_the_drive_along_a_direction() -> None:
    network = rn.Network("linear", random_weights(4, seed=1))
    drive, direction = random(4, seed=2), random(4, seed=3)
    branch = rn.continue_fixed_points(network, drive, rn.DriveShift(direction), start=0.0, stop=2.0)
    W = network.connectivity.dense()
    known = torch.linalg.solve(torch.eye(4, dtype=FLOAT) - W, drive + 2 * direction)
    torch.testing.assert_close(branch.rates[-1], known, rtol=0, atol=1e-8)


def test_a_kink_of_the_gain_is_passed() -> None:
    """One threshold-linear unit: r = max(x, 0) / (1 - w), a corner at x = 0."""
    network = rn.Network("threshold_linear", [[0.9]])
    branch = rn.continue_fixed_points(network, [1.0], rn.DriveScale(), start=-1.0, stop=1.0)
    assert branch.ended is rn.BranchEnd.AT_STOP
    torch.testing.assert_close(
        branch.rates[:, 0], 10 * branch.values.clamp(min=0), rtol=0, atol=1e-7
    )
    assert branch.stable.all()


def test_stability_that_jumps_at_a_kink(tmp_path: Path) -> None:
    """f has slope 1 below 1/2 and 3 above; the pair of eigenvalues is -1 + slope (1/2 +- i)."""
    path = write_model(
        tmp_path,
        "dr/dt = (-r + f(I_rec + I_ext)) / tau : 1",
        functions={"f": "u + clip(2*u - 1, 0, 100)"},
        parameters={"tau": "10*ms"},
    )
    network = rn.Network(str(path), [[0.5, -1.0], [1.0, 0.5]])
    drive = [1.5, -0.5]  # (I - W) (1, 1): below the kink both rates are the scale
    branch = rn.continue_fixed_points(network, drive, rn.DriveScale(), start=0.1, stop=0.9)
    assert kinds(branch) == [rn.SpecialKind.KINK]
    assert branch.special[0].value == pytest.approx(0.5, abs=1e-6)
    torch.testing.assert_close(branch.abscissa()[[0, -1]], torch.tensor([-50.0, 50.0], dtype=FLOAT))


def test_a_found_unstable_point_can_be_followed() -> None:
    found = rn.find_all_fixed_points(unit(2.0), [0.0], starts=30)
    unstable = found.points.state[:, ~found.stable]
    branch = rn.continue_fixed_points(
        unit(2.0), [1.0], rn.DriveScale(), start=0.0, stop=1.0, initial=unstable
    )
    assert not branch.stable[0]
    assert branch.ended is rn.BranchEnd.AT_START  # round the fold and back to 0
    assert branch.stable[-1]


@pytest.mark.parametrize(
    ("call", "ended"),
    [
        (lambda: along_drive(2.0, max_points=5), rn.BranchEnd.FULL),
        (
            # r = relu(2 r + x) ends at x = 0 in a corner that points forward
            lambda: rn.continue_fixed_points(
                rn.Network("threshold_linear", [[2.0]]), [1.0], rn.DriveScale(), start=-1, stop=1
            ),
            rn.BranchEnd.STEP_TOO_SMALL,
        ),
    ],
)
def test_a_branch_that_ends_early_says_why(
    call: Callable[[], rn.Branch], ended: rn.BranchEnd
) -> None:
    with pytest.warns(RatenetWarning, match="before") as caught:
        branch = call()
    assert branch.ended is ended
    assert not ended.complete
    assert ended.value in str(caught[-1].message)
    assert (branch.residual <= 1e-9).all()


def test_equations_that_become_nan_end_the_branch(tmp_path: Path) -> None:
    path = write_model(
        tmp_path,
        "dr/dt = (-r + I_rec + (1 - c)**1.5 + I_ext) / tau : 1",
        parameters={"tau": "10*ms", "c": 0.0},
    )
    network = rn.Network(str(path), [[0.0]])
    with pytest.warns(RatenetWarning, match="NaN"):
        branch = rn.continue_fixed_points(network, [0.0], "c", start=0.0, stop=2.0)
    assert branch.ended is rn.BranchEnd.NOT_FINITE
    assert float(branch.values.max()) == pytest.approx(1.0, abs=1e-2)


def test_no_fixed_point_at_the_start_raises() -> None:
    network = rn.Network("linear", [[1.0]])
    with pytest.raises(ConvergenceError):
        rn.continue_fixed_points(network, [1.0], rn.DriveScale(), start=1.0, stop=2.0)


def go(**options: Any) -> rn.Branch:
    settings = {"parameter": rn.DriveScale(), "start": 0.0, "stop": 1.0, **options}
    network = settings.pop("network", unit(0.5))
    return rn.continue_fixed_points(network, settings.pop("drive", [1.0]), **settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameter": "gamma"}, "no parameter 'gamma'; it has tau"),
        ({"parameter": 3}, "parameter: expected a parameter name"),
        (
            {"parameter": lambda network, drive, value: drive},
            "expected a function that returns",
        ),
        ({"start": 1.0}, "stop: expected a value other than"),
        ({"start": math.nan}, "start: expected finite numbers, got nan"),
        ({"stop": math.inf}, "stop: expected finite numbers, got inf"),
        ({"stop": [1.0, 2.0]}, "stop: expected one number"),
        ({"stop": "far"}, "stop: .*'far'|stop: .*strings"),
        ({"stop": 3 * mV}, "stop: .*mV|stop: .*unit"),
        ({"initial": [math.nan]}, "NaN"),
        ({"parameter": "tau", "start": 0.01, "stop": -0.01}, "tau"),
        ({"drive": [[1.0], [2.0]]}, "one drive"),
        ({"drive": [1.0, 2.0]}, "drive: .*shape"),
        ({"step": 0.0}, "step: expected a number from 1e-12 to 1, got 0.0"),
        ({"step": 0.5}, "step: expected a number from min_step = .*, got 0.5"),
        ({"min_step": "a"}, "min_step: expected a number from 1e-12 to 1, got 'a'"),
        ({"max_points": 1}, "max_points: expected a whole number of at least 2, got 1"),
        ({"tol": 1e-20}, "tol: .*1e-20"),
        ({"network": rn.Network("rate", [[0.5]], dtype=torch.float32)}, "float64"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_bad_input_is_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        go(**options)
    assert "\n" not in str(caught.value)


def test_a_parameter_of_every_unit_is_refused() -> None:
    network = rn.Network("rate", random_weights(2, seed=1), parameters={"tau": [0.01, 0.02]})
    with pytest.raises(
        InputError, match="parameter: .* got 'tau', which has a value for each unit"
    ):
        rn.continue_fixed_points(network, [0.0, 0.0], "tau", start=0.01, stop=0.02)


def test_equations_with_time_are_refused(tmp_path: Path) -> None:
    path = write_model(
        tmp_path, "dr/dt = (-r + I_rec + I_ext*cos(t/tau)) / tau : 1", parameters={"tau": "10*ms"}
    )
    with pytest.raises(UnsupportedError, match="depend on t"):
        go(network=rn.Network(str(path), [[0.5]]))


# sweeps


def test_a_sweep_jumps_at_the_folds() -> None:
    values = torch.linspace(-1, 1, 41, dtype=FLOAT)
    sweep = rn.sweep_fixed_points(unit(2.0), [1.0], rn.DriveScale(), values)
    fold = fold_of(2.0)[1]
    assert sweep.up.rates[:, 0].gt(0).tolist() == values.gt(fold).tolist()
    assert sweep.down.rates[:, 0].gt(0).tolist() == values.ge(-fold).tolist()
    assert sweep.differs().tolist() == values.abs().lt(fold).tolist()
    for part in (sweep.up, sweep.down):
        assert part.converged.all()
        assert part.stable.all()
        r = part.rates[:, 0]
        torch.testing.assert_close(torch.tanh(2 * r + values), r, rtol=0, atol=1e-8)
        torch.testing.assert_close(part.abscissa(), (2 * (1 - r**2) - 1) / TAU, rtol=0, atol=1e-4)
    table = sweep.to_pandas()
    assert table.groupby("direction").size().to_dict() == {"up": 41, "down": 41}


def test_no_hysteresis_without_bistability() -> None:
    sweep = rn.sweep_fixed_points(unit(0.8), [1.0], rn.DriveScale(), [-1.0, -0.5, 0.0, 0.5, 1.0])
    assert not sweep.differs().any()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sweep_leaves_a_state_that_became_unstable(seed: int) -> None:
    """Beyond the pitchfork at scale 1 the dynamics leave 0, though 0 is still a fixed point."""
    sweep = rn.sweep_fixed_points(
        unit(1.0), [0.0], rn.WeightScale(), [0.5, 0.9, 1.5, 2.0], seed=seed
    )
    assert sweep.up.rates[:, 0].abs().gt(0.5).tolist() == [False, False, True, True]
    assert sweep.up.stable.all()
    assert sweep.down.stable.all()


def test_a_sweep_into_an_oscillation_says_so() -> None:
    sweep = rn.sweep_fixed_points(
        rotation(1.0, 2.0), [0.0, 0.0], rn.WeightScale(), [0.5, 1.5],
        dynamics=rn.Relaxation(max_iterations=2000),
    )  # fmt: skip
    assert sweep.up.converged.tolist() == [True, False]
    assert sweep.up.stable.tolist() == [True, False]
    assert rn.Status(int(sweep.up.status[1])) is rn.Status.OSCILLATING  # as solving says
    assert "1 settled, 1 oscillating" in repr(sweep)
    assert sweep.up.abscissa().isnan().tolist() == [False, True]
    assert sweep.down.stable.tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": [1.0]}, "values: expected at least two"),
        ({"values": [1.0, 0.5]}, "each above the one before"),
        ({"values": [0.0, math.nan]}, "values: expected finite numbers"),
        ({"parameter": "gamma"}, "no parameter 'gamma'"),
        ({"nudge": -1.0}, "nudge: .* got -1.0"),
        ({"seed": "a"}, "seed: .* got 'a'"),
        ({"initial": [math.nan]}, "NaN"),
    ],
    ids=str,
)
def test_bad_input_of_a_sweep(options: dict[str, Any], message: str) -> None:
    settings = {"parameter": rn.DriveScale(), "values": [0.0, 1.0], **options}
    with pytest.raises(InputError, match=message):
        rn.sweep_fixed_points(unit(0.5), [1.0], **settings)


# figures


def test_branches_and_sets_print_as_a_line() -> None:
    network = rn.Network("rate", [[2.0]])
    branch = rn.continue_fixed_points(network, [1.0], rn.DriveScale(), start=-1, stop=1)
    assert "fold at 0.53284, fold at -0.53284. The branch reached `stop`." in repr(branch)
    found = rn.find_all_fixed_points(network, [0.1], starts=5)
    assert repr(found).startswith("FixedPointSet of 3 fixed points, 2 stable, from 5 starts.")
