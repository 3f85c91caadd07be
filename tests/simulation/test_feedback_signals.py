"""Signals that follow from the rates: a loop that is closed inside a simulation."""

import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError

DELTA_RULE = {
    "name": "delta",
    "equations": "dw/dt = -eta * error_post * y_pre : 1",
    "parameters": {"eta": "20*Hz"},
    "signals": {"error": "1"},
}


def network(N=3):
    torch.manual_seed(0)
    return rn.Network("linear", 0.2 * torch.randn(N, N, dtype=torch.float64), {"tau": 0.01})


def test_an_error_of_the_present_rates_takes_them_to_their_target():
    target = torch.tensor([0.5, -0.2, 1.0], dtype=torch.float64)
    error = rn.simulation.Feedback(lambda t, rates: rates - target)
    run = rn.simulate(
        network(), [1.0, 0.3, 0.5], 2.0, 1e-3,
        plasticity=DELTA_RULE, signals={"error": error}, record_every=2000,
    )  # fmt: skip
    assert torch.allclose(run.rates[-1, 0], target, atol=1e-6)


def test_it_equals_the_same_signal_written_into_the_equations():
    inside = {**DELTA_RULE, "equations": "dw/dt = -eta * (2*y_post - 1) * y_pre : 1", "signals": {}}
    error = rn.simulation.Feedback(lambda t, rates: 2 * rates - 1)
    drive = torch.randn(4, 3, dtype=torch.float64)
    outside = rn.simulate(
        network(), drive, 0.05, 1e-3, plasticity=DELTA_RULE, signals={"error": error},
        weights="shared",
    )  # fmt: skip
    other = rn.simulate(network(), drive, 0.05, 1e-3, plasticity=inside, weights="shared")
    assert torch.allclose(outside.final_weights, other.final_weights, rtol=0, atol=1e-15)


@pytest.mark.brian2
@pytest.mark.slow
def test_both_backends_close_the_loop_alike():
    seen: dict[str, list[float]] = {"torch": [], "brian2": []}

    def follow(backend):
        def reward(t, rates):
            seen[backend].append(t)
            return rates.square().sum(dim=1) + t

        return rn.simulate(
            network(), torch.tensor([[1.0, 0.3, 0.5], [0.2, -1.0, 0.0]]), 0.1, 1e-3,
            plasticity="three_factor", signals={"reward": rn.simulation.Feedback(reward)},
            start=0.02, backend=backend,
        )  # fmt: skip

    torch_run, brian_run = follow("torch"), follow("brian2")
    assert (torch_run.final_weights - brian_run.final_weights).abs().max() < 1e-14
    assert seen["torch"] == pytest.approx(seen["brian2"])


def test_what_is_not_a_function_of_time_and_rates_is_refused():
    with pytest.raises(InputError, match="Feedback, function: expected a function"):
        rn.simulation.Feedback(3.0)
    wrong = rn.simulation.Feedback(lambda t, rates: rates[:, :2])
    with pytest.raises(InputError, match=r"signals, error at t = 0 s: expected a number, or shape"):
        rn.simulate(network(), [1.0, 0, 0], 0.1, 1e-3, plasticity=DELTA_RULE,
                    signals={"error": wrong})  # fmt: skip
