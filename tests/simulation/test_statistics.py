"""Streaming statistics against NumPy on the stored trajectory, and what they cost."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.simulation import Statistics
from ratenet.simulation.statistics import Welford
from ratenet.simulation.time_grid import TimeGrid

UNITS, STIMULI = 4, 3
BACKENDS = ["torch", pytest.param("brian2", marks=pytest.mark.brian2)]
ROUNDING = {"rtol": 1e-12, "atol": 1e-15}  # two orders of summation of some hundred numbers


def wave(t: float) -> Tensor:
    return random(STIMULI, UNITS, seed=71) * np.cos(400 * t)


def run(**options: Any) -> rn.Trajectory:
    net = rn.Network("rate", random_weights(UNITS, seed=72), parameters={"tau": 2 * ms})
    return rn.simulate(net, wave, 40 * ms, 0.2 * ms, **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("after", [0.0, 10 * ms, 39.8 * ms])
def test_statistics_are_numpys_of_the_trajectory(after: Any, backend: str) -> None:
    rates = run().rates.numpy()[1 + round(float(after) / 0.2e-3) :]  # (T, B, N)
    found = run(
        statistics=Statistics(after, covariance=True), record_every=200, backend=backend
    ).statistics
    assert found.count == len(rates)
    np.testing.assert_allclose(found.mean, rates.mean(axis=0), **ROUNDING)
    np.testing.assert_allclose(found.variance, rates.var(axis=0), **ROUNDING)
    for stimulus in range(STIMULI):
        expected = np.cov(rates[:, stimulus].T, bias=True)
        np.testing.assert_allclose(found.covariance[stimulus], expected, **ROUNDING)


def test_the_covariance_is_measured_only_on_demand() -> None:
    found, everything = (
        run(statistics=Statistics(covariance=wanted)).statistics for wanted in (False, True)
    )
    assert found.covariance is None
    torch.testing.assert_close(found.variance, everything.variance, **ROUNDING)
    assert run().statistics is None


def test_time_counts_from_the_simulations_start() -> None:
    whole = run(statistics=Statistics(after=50 * ms), start=20 * ms).statistics
    assert whole.count == 50  # from 50 to 60 ms


def test_recording_changes_nothing() -> None:
    one = run(statistics=Statistics(10 * ms), record_every=50, record_units=[2]).statistics
    other = run(statistics=Statistics(10 * ms)).statistics
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.variance, other.variance)


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT])
def test_a_small_variance_on_a_large_mean_survives(dtype: torch.dtype) -> None:
    """The textbook sum of squares loses all digits here; in float32 the input has seven."""
    grid = TimeGrid(1000, 1e-3, 1)
    values = (1e4 + torch.sin(torch.arange(1.0, 1001.0, dtype=FLOAT))).to(dtype)
    welford = Welford(Statistics(), grid)
    for n, value in enumerate(values):
        welford.add(n + 1, value[None, None])
    found = welford.result()
    assert found is not None
    expected = values.double().numpy().var()
    assert float(found.variance) == pytest.approx(expected, rel=1e-10)
    naive = float((values**2).mean() - values.mean() ** 2)
    assert dtype == FLOAT or abs(naive - expected) > 0.1


def test_statistics_are_differentiable() -> None:
    def mean_and_variance(W: Tensor) -> tuple[Tensor, Tensor]:
        net = rn.Network("rate", W)
        statistics = Statistics(after=2 * ms)
        found = rn.simulate(net, [1.0, -1.0], 5 * ms, 1 * ms, statistics=statistics).statistics
        return found.mean, found.variance

    assert torch.autograd.gradcheck(mean_and_variance, (random_weights(2, 73).requires_grad_(),))


def test_a_run_that_settles_early_has_the_statistics_of_what_it_did() -> None:
    net = rn.Network("linear", [[0.5]])
    early = rn.simulate(
        net, [1.0], 1.0, 1 * ms, until_settled=1e-3, statistics=Statistics(), record_every=10
    )
    assert early.statistics.count == round(float(early.t[-1]) / 1e-3)
    with pytest.warns(rn.errors.RatenetWarning, match="settled before the first step that counts"):
        none = rn.simulate(
            net, [1.0], 1.0, 1 * ms, until_settled=1e-3, statistics=Statistics(after=0.9)
        )
    assert none.statistics is None


def test_a_time_after_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no step ends after 0.04 s, since .* ends at 0.04 s"):
        run(statistics=Statistics(after=40 * ms))
    with pytest.raises(
        ValueError, match="Statistics, after: expected a finite time of at least 0, got -1.0"
    ):
        Statistics(after=-1.0)
