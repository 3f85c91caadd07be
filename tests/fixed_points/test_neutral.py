"""States that the dynamics neither leave nor return to: perfect integrators and line attractors."""

import math

import pytest
import torch
from brian2 import second
from helpers.problems import FLOAT, random, write_model

import ratenet as rn
from ratenet.fixed_points import Status, stability

SOLVERS = [None, rn.Anderson(), rn.NewtonKrylov(), rn.DampedIteration(), rn.Relaxation()]
every_dtype = pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)


def integrator(units: int, seed: int, eigenvalue: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """W = l u u^T and u: with l = 1, J has one eigenvalue of 0, the others are -1 / tau."""
    u = random(units, seed=seed)
    u /= u.norm()
    return eigenvalue * torch.outer(u, u), u


@every_dtype
@pytest.mark.parametrize("units", [2, 6, 64, 65, 200])
@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_integrator_is_neutral_on_every_route(units: int, seed: int, dtype) -> None:
    """All eigenvalues up to 64 units, Arnoldi iteration above that."""
    W, u = integrator(units, seed)
    network = rn.Network("linear", W.to(dtype))
    fp = rn.find_fixed_points(network, 0 * u, initial=0.7 * u)
    assert fp.status.tolist() == [Status.NEUTRAL]
    assert fp.converged.all()
    assert fp.unsettled == 0
    assert fp.examined.all()
    torch.testing.assert_close(fp.rates[0].to(FLOAT), 0.7 * u, rtol=0, atol=1e-6)
    assert "neutral: The state is at rest" in fp.summary()


@every_dtype
def test_above_the_dense_limit_of_abscissa_too(dtype) -> None:
    W, u = integrator(520, seed=0)
    fp = rn.find_fixed_points(rn.Network("linear", W.to(dtype)), 0 * u, initial=0.7 * u)
    assert fp.status.tolist() == [Status.NEUTRAL]
    assert abs(fp.abscissa().item()) < (1e-5 if dtype == FLOAT else 1e-1)  # 1/s, tau = 10 ms


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_every_solver_comes_to_rest_somewhere_on_the_line(solver) -> None:
    W, u = integrator(9, seed=1)
    drive = random(9, seed=2)
    drive -= u * (u @ drive)
    fp = rn.find_fixed_points(rn.Network("linear", W), drive, solver=solver)
    assert fp.status.tolist() == [Status.NEUTRAL]
    away = fp.rates[0] - drive  # a fixed point is drive + c u
    torch.testing.assert_close(away, u * (u @ away), rtol=0, atol=1e-7)


def test_relaxation_ends_where_the_network_ends() -> None:
    """Along u nothing changes; all else decays."""
    W, u = integrator(9, seed=1)
    start = random(9, seed=3)
    network = rn.Network("linear", W)
    fp = rn.find_fixed_points(network, 0 * u, initial=start, solver=rn.Relaxation())
    torch.testing.assert_close(fp.rates[0], u * (u @ start), rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", [6, 70])
@pytest.mark.parametrize(
    ("eigenvalue", "status"),
    [
        (1 - 1e-5, Status.SETTLED),
        (1 - 1e-7, Status.NEUTRAL),
        (1 + 1e-7, Status.NEUTRAL),
        (1 + 1e-5, Status.UNSTABLE),
    ],
)
def test_the_margin_is_a_millionth_of_the_slowest_rate(
    units: int, eigenvalue: float, status: Status
) -> None:
    W, u = integrator(units, 4, eigenvalue)
    for tau in (1e-3, 10.0):  # seconds: what is neutral does not depend on the unit of time
        network = rn.Network("linear", W, parameters={"tau": tau * second})
        fp = rn.fixed_points_at(network, 0 * u, 0 * u)
        assert stability.verdicts(fp).tolist() == [status]


def test_an_unstable_direction_beside_a_neutral_one_repels() -> None:
    W = torch.diag(torch.tensor([1.0, 1.5, 0.2], dtype=FLOAT))
    fp = rn.find_fixed_points(rn.Network("linear", W), [0.0] * 3, on_failure="return")
    assert fp.status.tolist() == [Status.UNSTABLE]


def test_a_centre_is_neutral() -> None:
    """Eigenvalues +-3i / tau: the dynamics circle round the state for ever."""
    W = torch.tensor([[1.0, -3.0], [3.0, 1.0]], dtype=FLOAT)
    fp = rn.find_fixed_points(rn.Network("linear", W), [0.0, 0.0])
    assert fp.status.tolist() == [Status.NEUTRAL]


def test_the_silent_state_at_a_pitchfork_is_neutral() -> None:
    for weight, status in ((0.99, 0), (1.0, Status.NEUTRAL), (1.01, Status.UNSTABLE)):
        fp = rn.find_fixed_points(rn.Network("rate", [[weight]]), [0.0], on_failure="return")
        assert fp.status.tolist() == [status]


def test_second_order_units_have_their_own_slowest_rate(tmp_path) -> None:
    """Own rates 1 / tau and 0.01 / tau; feedback with W = 1 cancels the slow decay."""
    equations = """dx/dt = v / tau : 1
        dv/dt = (-(1 + a) * v - a * (x - I_rec - I_ext)) / tau : 1"""
    path = write_model(tmp_path, equations, output="x", parameters={"tau": "10*ms", "a": 0.01})
    for weight, status in ((0.5, 0), (1.0, Status.NEUTRAL), (1.5, Status.UNSTABLE)):
        network = rn.Network(rn.load_model(path), [[weight]])
        fp = rn.find_fixed_points(network, [0.0], on_failure="return")
        assert fp.status.tolist() == [status]


def test_samples_of_a_linear_network_share_one_verdict(monkeypatch) -> None:
    """One Jacobian for all: eigenvalues of hundreds of equal matrices are not computed."""
    W, u = integrator(30, seed=5)
    seen, dense = [], stability._abscissa_dense

    def counted(network, blocks):
        seen.append(blocks.F_I.shape[1])
        return dense(network, blocks)

    monkeypatch.setattr(stability, "_abscissa_dense", counted)
    initial = random(50, 1, seed=6) * u
    fp = rn.find_fixed_points(rn.Network("linear", W), 0 * initial, initial=initial)
    assert (fp.status == Status.NEUTRAL).all()
    assert seen == [1]


def test_a_looser_tolerance_keeps_the_verdict() -> None:
    W, u = integrator(6, seed=7)
    fp = rn.find_fixed_points(rn.Network("linear", W), 0 * u, initial=u)
    assert fp.with_tolerance(math.inf).status.tolist() == [Status.NEUTRAL]
    assert fp.with_tolerance(1e-3).converged.all()


def test_what_no_iteration_decides_stays_unknown_and_is_said(monkeypatch) -> None:
    W, u = integrator(520, seed=8)
    monkeypatch.setattr(
        "ratenet.fixed_points.jacobian.rightmost_eigenvalue", lambda *a, **k: math.nan
    )
    fp = rn.find_fixed_points(rn.Network("linear", W), 0 * u, initial=u)
    assert fp.status.tolist() == [Status.SETTLED]
    assert not fp.examined.any()
    assert "Stability is unknown for 1 settled sample:" in fp.summary()


@every_dtype
@pytest.mark.parametrize("eigenvalue", [1.0, 1.001, 1.005, 1.02])
def test_slow_growth_is_told_in_few_iterations(eigenvalue: float, dtype) -> None:
    """Pushed along the line, or at up to 0.02 / tau, beside a mode that decays at 3 / tau."""
    W, u = integrator(6, seed=9, eigenvalue=eigenvalue)
    other = random(6, seed=10)
    other -= u * (u @ other)
    W = (W - 2 * torch.outer(other, other) / (other @ other)).to(dtype)
    fp = rn.find_fixed_points(rn.Network("linear", W), u + 0.1 * other, on_failure="return")
    assert fp.status.tolist() == [Status.DIVERGED]
    assert int(fp.iterations.max()) <= 2_000


def test_an_integrator_that_saturates_far_out_settles_there(tmp_path) -> None:
    """r' = -r + clip(r + x, 0, 1000): it moves at a constant speed up to 1000, and stays there."""
    equations = "dr/dt = (-r + clip(I, 0, 1000)) / tau : 1\nI = I_rec + I_ext : 1"
    path = write_model(tmp_path, equations, parameters={"tau": "10*ms"})
    network = rn.Network(path, [[1.0]])
    fp = rn.find_fixed_points(network, [1.0], solver=rn.Relaxation())
    assert fp.rates.item() == pytest.approx(1000, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_points_of_a_line_attractor_are_neither_stable_nor_unstable(seed: int) -> None:
    """Whatever the sign that rounding gives the abscissa."""
    W, u = integrator(7, seed)
    found = rn.find_all_fixed_points(rn.Network("linear", W), 0 * u, starts=5)
    assert len(found) == 5
    assert set(found.stability) == {"neutral"}
    assert not found.stable.any()
    assert (found.reached < 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_branch_and_a_sweep_of_neutral_points_are_not_stable(seed: int) -> None:
    W, u = integrator(7, seed)
    network, drive = rn.Network("linear", W), random(7, seed=3)
    drive -= u * (u @ drive)
    sweep = rn.sweep_fixed_points(network, drive, rn.DriveScale(), [0.0, 0.5, 1.0])
    assert sweep.up.status.tolist() == 3 * [Status.NEUTRAL]
    assert not sweep.up.stable.any()
    assert not sweep.down.stable.any()
    at_pitchfork = rn.Network("rate", W)  # r = 0 at the gain at which it loses stability
    branch = rn.continue_fixed_points(at_pitchfork, 0 * u, rn.WeightScale(), start=0.5, stop=1.0)
    # The end may be found twice: as the place where branches cross, and as `stop`.
    torch.testing.assert_close(branch.stable, branch.values < 1 - 1e-7)
