"""A time step that is too long: warned of at the start, an error where values explode."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random_weights

import ratenet as rn
from ratenet.errors import DivergenceError, RatenetWarning
from ratenet.simulation.step_limit import why_too_long

LEAK = rn.Network("linear", [[0.0]])  # tau = 10 ms: Euler needs dt below 20 ms


@pytest.mark.parametrize("backend", ["torch", "brian2"])
def test_rates_that_only_the_step_makes_explode_are_an_error(backend: str) -> None:
    """Each step multiplies r - 1 by 1 - 2.5 = -1.5, where the network settles at 1."""
    first = math.ceil(math.log(1001) / math.log(1.5))  # 1.5^18 = 1478 is the first |r| above 1,000
    with (
        pytest.warns(RatenetWarning, match="dt = 0.025 s is too large"),
        pytest.raises(
            DivergenceError, match=f"t = {first * 0.025:g} s .*dt = 0.025 s is too large"
        ),
    ):
        rn.simulate(LEAK, [1.0], 2.5, 25 * ms, backend=backend)


def test_rates_that_have_not_exploded_are_returned_with_the_warning() -> None:
    with pytest.warns(RatenetWarning, match="too large"):
        run = rn.simulate(LEAK, [1.0], 0.25, 25 * ms)
    assert float(run.rates[-1]) == pytest.approx(1 - 1.5**10)


@pytest.mark.parametrize("drive", [[1.0], lambda t: [min(1.0, 1e3 * t)]])
def test_an_explosion_between_records_names_the_step_as_its_cause(drive: Any) -> None:
    with (
        pytest.warns(RatenetWarning, match="too large"),
        pytest.raises(DivergenceError, match="NaN or infinite. dt = 0.05 s is too large"),
    ):
        rn.simulate(LEAK, drive, 50.0, 0.05, record_every=1000)


def test_growth_of_the_network_itself_is_no_error() -> None:
    """dr/dt = (w - 1) r / tau with w = 3 grows as exp(200 t), which these steps follow."""
    net = rn.Network("linear", [[3.0]])
    run = rn.simulate(net, [0.0], 0.1, 1e-4, initial=[1.0], method="rk4")
    assert float(run.rates[-1]) == pytest.approx(math.exp(20), rel=1e-4)


def test_small_starts_and_late_drives_are_no_explosions() -> None:
    """Warned of, but bounded: tanh(W r) with a fast negative mode jumps between two values."""
    net = rn.Network("rate", [[-30.0]])
    late = rn.simulation.SampledDrive([[0.0], [5.0]], 50 * ms)
    for drive, initial in (([1e-9], [1e-9]), (late, [1e-9]), (late, [0.0])):
        with pytest.warns(RatenetWarning, match="too large"):
            run = rn.simulate(net, drive, 100 * ms, 2 * ms, initial=initial)
        assert float(run.rates.abs().max()) <= 1


def test_the_adaptive_method_has_no_step_to_blame() -> None:
    net = rn.Network("linear", [[3.0]])
    run = rn.simulate(net, [0.0], 0.1, 0.05, initial=[1.0], method="dopri5")
    assert float(run.rates[-1]) == pytest.approx(math.exp(20), rel=1e-3)


def test_the_fastest_of_all_stimuli_is_found() -> None:
    """A saturated tanh has no gain: stimulus 0 says nothing about stimulus 1."""
    net = rn.Network("rate", [[-9.0]])
    with pytest.warns(RatenetWarning, match=r"about 1e\+03/s"):
        rn.simulate(net, [[50.0], [0.0]], 10 * ms, 2.5 * ms)
    rn.simulate(net, [[50.0], [50.0]], 10 * ms, 2.5 * ms)  # no warning: those are errors in tests


@pytest.mark.parametrize(("method", "bound"), [("euler", 2.0), ("rk4", 2.78)])
def test_the_limit_is_that_of_the_largest_eigenvalue(method: str, bound: float) -> None:
    W = random_weights(20, seed=3)
    W = -(W @ W.T)  # symmetric: real eigenvalues, so that the limit is exact
    net, state = rn.Network("linear", W), torch.zeros(1, 3, 20, dtype=FLOAT)
    fastest = float((1 - torch.linalg.eigvalsh(W)).max()) / 0.01
    drive = torch.ones(3, 20, dtype=FLOAT)
    assert why_too_long(net, state, drive, 0.97 * bound / fastest, method) is None
    assert f"{bound:g} over that" in str(
        why_too_long(net, state, drive, 1.2 * bound / fastest, method)
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"duration": 0.1, "dt": 1e-320}, "dt: expected at most 1e.09 steps"),
        ({"duration": 1e308, "dt": 1e-3}, "dt: expected at most 1e.09 steps"),
        ({"duration": 0.1, "dt": 10**400}, "dt: expected a time"),
        ({"duration": 0.1, "dt": 1e-2, "start": 1e300}, "start: expected fewer than"),
        (
            {"duration": 1e5, "dt": 1e-3, "drive": np.ones((1000, 1))},
            "simulate: 100,000,001 records",
        ),
        ({"duration": 0.1, "dt": 1e-2, "record_every": True}, "record_every: expected a whole"),
        ({"duration": 0.1, "dt": 1e-2, "seed": True}, "seed: expected a whole number"),
        ({"duration": 0.1, "dt": 1e-2, "seed": 2**63}, "seed: expected a whole number"),
    ],
)
def test_what_would_never_end_or_fit_is_one_sentence(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(rn.errors.InputError, match=sentence) as error:
        rn.simulate(LEAK, **{"drive": [1.0], **arguments})
    assert len(str(error.value)) < 250


def test_brian2_says_what_its_synapses_need() -> None:
    net = rn.Network("rate", torch.zeros(2000, 2000))
    with pytest.raises(
        rn.errors.InputError, match="1,000 stimuli and 2,000 units .*backend='torch'"
    ):
        rn.simulate(net, np.ones((1000, 2000)), 0.01, 1e-3, backend="brian2", record_every=10)
