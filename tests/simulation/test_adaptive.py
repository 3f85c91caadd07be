"""dopri5 and rkc, the adaptive methods: against closed forms, against rk4, and their limits."""

from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.simulation import SampledDrive
from ratenet.simulation.backends.torch_pairs import chebyshev, reach_of
from ratenet.stimuli import HeldImages, Images

UNITS = 4
DRIVES = {
    "constant": lambda: random(3, UNITS, seed=51),
    "held": lambda: SampledDrive(random(9, 3, UNITS, seed=52), 3.7 * ms),
    "held, faster than the grid": lambda: SampledDrive(random(80, 3, UNITS, seed=52), 0.4 * ms),
    "linear": lambda: SampledDrive(random(9, 3, UNITS, seed=52), 3.7 * ms, "linear"),
    "function": lambda: lambda t: random(3, UNITS, seed=53) * np.cos(300 * t),
}


def network(dtype: torch.dtype = FLOAT) -> rn.Network:
    return rn.Network("adaptation", random_weights(UNITS, seed=54).to(dtype))


def run(drive: Any, dtype: torch.dtype = FLOAT, **options: Any) -> rn.Trajectory:
    return rn.simulate(network(dtype), drive, 32 * ms, 1 * ms, method="dopri5", **options)


@pytest.mark.parametrize("name", DRIVES)
def test_agrees_with_rk4_at_small_steps(name: str) -> None:
    fine = rn.simulate(
        network(), DRIVES[name](), 32 * ms, 0.025 * ms, method="rk4", record_every=40
    )
    adaptive = run(DRIVES[name](), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(adaptive.t, fine.t, rtol=0, atol=1e-15)
    # 1e-9 a step and some 50 steps; where a sample of the drive falls within a step of rk4, that
    # one is of first order: 8 jumps of 2 over the smallest part of 1e-3 tau
    atol = 1e-7 if name in ("constant", "function") else 2e-4
    torch.testing.assert_close(adaptive.rates, fine.rates, rtol=0, atol=atol)


def test_held_drives_are_followed_exactly() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    values = random(9, 1, seed=55)
    found = rn.simulate(
        net, SampledDrive(values, 3.7 * ms), 40 * ms, 1 * ms, method="dopri5", rtol=1e-9,
        atol=1e-12,
    )  # fmt: skip
    r, exact, previous = 0.0, [0.0], 0.0
    for n in range(1, 41):
        for t in sorted({n * 1e-3, *(m * 3.7e-3 for m in range(9) if (n - 1) < m * 3.7 < n)}):
            x = float(values[min(int((previous + 1e-9) / 3.7e-3), 8)])
            r, previous = x + (r - x) * np.exp(-(t - previous) / 0.01), t
        exact.append(r)
    np.testing.assert_allclose(found.rates[:, 0, 0], exact, rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT])
def test_smaller_tolerances_give_smaller_errors(dtype: torch.dtype) -> None:
    exact = run(DRIVES["function"](), rtol=1e-11, atol=1e-13).rates
    errors = [
        float((run(DRIVES["function"](), dtype, rtol=r, atol=r).rates - exact).abs().max())
        for r in (1e-2, 1e-5)
    ]
    assert errors[1] < errors[0] / 10
    assert errors[1] < 5e-4  # 1e-5 a step, some 50 steps
    assert run(DRIVES["function"](), dtype).rates.dtype == dtype


def test_a_stimulus_is_within_its_tolerance_whatever_else_is_in_the_batch() -> None:
    alone = run(DRIVES["constant"]()[:1], rtol=1e-7, atol=1e-9).rates
    quiet = torch.zeros(200, UNITS, dtype=FLOAT)  # the mean error of such a batch is tiny
    batch = run(torch.cat([DRIVES["constant"]()[:1], quiet]), rtol=1e-7, atol=1e-9).rates[:, :1]
    torch.testing.assert_close(alone, batch, rtol=0, atol=1e-6)


def test_recording_less_changes_rounding_only() -> None:
    every = run(DRIVES["linear"]())
    some = run(DRIVES["linear"](), record_every=8, record_units=[1])
    # other segments end elsewhere, and so do steps: the default tolerance of 1e-6 a step
    torch.testing.assert_close(every.rates[::8, :, [1]], some.rates, rtol=0, atol=1e-5)


def test_long_runs_are_cut_into_segments() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    found = rn.simulate(net, [1.0], 350 * ms, 1 * ms, method="dopri5")
    expected = 1 - torch.exp(-found.t / 0.01)
    torch.testing.assert_close(found.rates[:, 0, 0], expected, rtol=0, atol=1e-5)


def test_divergence_is_one_sentence() -> None:
    """dr/dt = (r^2 + ...) / tau reaches infinity after a finite time, here 2 tau."""
    model = rn.ModelSpec(
        equations="dr/dt = (r**2 + I_rec + I_ext) / tau : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    net = rn.Network(model, torch.zeros(3, 3, dtype=FLOAT))
    initial = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.0, 0.5]], dtype=FLOAT)
    with pytest.raises(ArithmeticError, match=r"unit 2 of stimulus 1") as error:
        rn.simulate(net, torch.zeros(2, 3), 0.1, 1 * ms, method="dopri5", initial=initial)
    assert "\n" not in str(error.value)
    assert "0.0" in str(error.value)


def test_tolerances_are_for_dopri5_alone() -> None:
    for options in ({"rtol": 1e-3}, {"atol": 1e-3}):
        with pytest.raises(NotImplementedError, match="'euler' takes steps of fixed length dt"):
            rn.simulate(network(), np.ones(UNITS), 10 * ms, 1 * ms, **options)
    for wrong in (0, -1e-3, float("nan"), "x"):
        with pytest.raises(ValueError, match="rtol: expected a finite number above 0"):
            run(np.ones(UNITS), rtol=wrong)


def test_until_settled_works_with_it() -> None:
    found = rn.simulate(
        rn.Network("linear", [[0.5]]), [1.0], 1.0, 5 * ms, method="dopri5", until_settled=1e-4
    )
    assert float(found.t[-1]) < 0.5
    assert float(found.rates[-1]) == pytest.approx(2, abs=4.1e-4)  # 1e-4 of 2, at half its slope


def test_gradients_pass_through_segments() -> None:
    def end(drive: Tensor) -> Tensor:
        return run(SampledDrive(drive, 10 * ms), rtol=1e-8, atol=1e-10).rates[-1]

    values = random(3, 1, UNITS, seed=56).requires_grad_()
    assert torch.autograd.gradcheck(end, (values,), rtol=1e-4)


def following(W: Tensor, method: str, **options: Any) -> tuple[rn.Trajectory, int]:
    """Simulate a fade of 5 tau and a hold of 20; return also how many products with W it took."""
    B, N = 6, len(W)
    images = Images(random(B, N, seed=61), torch.zeros(B, dtype=torch.int64), is_drive=True)
    drive = HeldImages(images, B, 200 * ms, 50 * ms, shuffle=False)
    net, rows = rn.Network("rate", W), []
    apply = rn.connectivity.Dense.apply
    with mock.patch.object(
        rn.connectivity.Dense, "apply", lambda self, y: (rows.append(len(y)), apply(self, y))[1]
    ):
        run = rn.simulate(net, drive, 250 * ms, method=method, **options)
    return run, round(sum(rows) / B)


def test_rkc_follows_slow_drives_with_few_products() -> None:
    W = random_weights(30, seed=62)
    fine, _ = following(W, "rk4", dt=0.2 * ms, record_every=250)
    euler, most = following(W, "euler", dt=1 * ms, record_every=50)
    found, products = following(W, "rkc", dt=1 * ms, record_every=50)
    errors = [(run.rates - fine.rates).abs().amax(dim=(1, 2)) for run in (found, euler)]
    assert products < 0.7 * most  # a third of them to look at the fastest mode of six stimuli
    assert float(errors[0][1]) <= float(errors[1][1])  # at the end of the fade
    assert float(errors[0][-1]) < 1e-5  # at the end of the hold


@pytest.mark.parametrize("inhibition", [5.0, 50.0, 1000.0])
def test_rkc_stays_stable_under_strong_inhibition(inhibition: float) -> None:
    """Euler steps of tau / 10 are stable up to an eigenvalue of -19."""
    W = -inhibition * torch.ones(4, 4, dtype=FLOAT) / 4
    net = rn.Network("linear", W)
    found = rn.simulate(net, torch.ones(4), 300 * ms, 1 * ms, method="rkc", record_every=300)
    torch.testing.assert_close(found.rates[-1], torch.full((1, 4), 1 / (1 + inhibition)).to(FLOAT))


@pytest.mark.parametrize("stages", [2, 3, 5, 20])
def test_the_formulas_of_rkc_are_of_order_2_and_stable_within_their_reach(stages: int) -> None:
    pair = chebyshev(stages)
    weights, times = np.array(pair.rows[-1]), np.array([0, *pair.times[:-1]])
    assert weights.sum() == pytest.approx(1)
    assert weights @ times == pytest.approx(0.5)
    z = -np.linspace(0, reach_of(stages), 200)
    values = [np.ones_like(z)]
    for row in pair.rows:
        values.append(1 + z * sum(a * v for a, v in zip(row, values, strict=False)))
    assert np.abs(values[-1]).max() == pytest.approx(1)
    assert np.abs(values[-1][len(z) // 2 :]).max() < 0.6


def test_a_mode_too_fast_for_any_step_is_one_sentence_not_hours() -> None:
    # Stable, and at rest from the beginning: only the fast mode would keep the steps short.
    net = rn.Network("linear", torch.full((4, 4), -1e6, dtype=FLOAT))
    rest = torch.full((4,), 2.5e-7)
    with pytest.raises(rn.errors.DivergenceError, match=r"too stiff at t = 0 s.*4e\+08/s"):
        rn.simulate(net, torch.ones(4), 100 * ms, 1 * ms, initial=rest, method="rkc")


def test_rkc_does_not_depend_on_the_unit_of_the_state() -> None:
    def steps(unit: float) -> list[float]:
        model = rn.ModelSpec(
            equations="dv/dt = (-v + I_rec + I_ext) / tau : 1",
            output="v", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
        )  # fmt: skip
        seen: list[float] = []

        def drive(t: float) -> Tensor:
            seen.append(t)
            return unit * torch.cos(torch.tensor([20.0 * t, 30.0 * t], dtype=FLOAT))

        rn.simulate(
            rn.Network(model, torch.zeros(2, 2, dtype=FLOAT)), drive, 0.2, 1 * ms, method="rkc",
            atol=1e-12, record_every=200,
        )  # fmt: skip
        return seen

    assert steps(1e-3) == pytest.approx(steps(1.0))


@pytest.mark.parametrize("method", ["dopri5", "rkc"])
def test_a_drive_that_becomes_wild_ends_in_one_sentence(method: str) -> None:
    rng = np.random.default_rng(0)

    def noise(t: float) -> np.ndarray:
        return 1e6 * rng.standard_normal(2)

    net = rn.Network("linear", torch.zeros(2, 2, dtype=FLOAT))
    with pytest.raises(ArithmeticError, match="no step is short enough"):
        rn.simulate(net, noise, 0.1, 1 * ms, method=method, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["dopri5", "rkc"])
def test_no_stimuli_and_a_start_far_from_0(method: str) -> None:
    net = rn.Network("linear", [[0.5]])
    assert rn.simulate(net, np.zeros((0, 1)), 0.1, 1 * ms, method=method).rates.shape[1] == 0
    late = rn.simulate(net, [1.0], 0.1, 1 * ms, method=method, start=1e6, rtol=1e-6, atol=1e-9)
    now = rn.simulate(net, [1.0], 0.1, 1 * ms, method=method, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(late.rates, now.rates, rtol=0, atol=1e-4)
