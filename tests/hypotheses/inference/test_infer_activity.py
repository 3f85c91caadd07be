"""Rules inferred from activity alone: learning is simulated through fixed points."""

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError
from ratenet.hypotheses import Recording, infer
from ratenet.hypotheses.inference.families import read_family
from ratenet.hypotheses.inference.from_activity import ActivityProblem

DT = 0.05


def oja(*, N: int = 6, T: int = 25, noise: float = 0.001) -> tuple[np.ndarray, Recording]:
    """Return weights before learning, and rates of a network that learns by Oja's rule."""
    rng = np.random.default_rng(0)
    start = W = 0.5 * rng.normal(size=(N, N)) / N**0.5
    drive, rates = rng.normal(size=(T, N)), np.zeros((T, N))
    for t in range(T):
        network = rn.Network("rate", W)
        fp = rn.find_fixed_points(network, drive[t], certificate="residual")
        y = rates[t] = fp.rates[0].numpy()
        W = W + DT * y[:, None] * (y - y[:, None] * W)
    noisy = rates + noise * rng.normal(size=rates.shape)
    return start, Recording(time=DT * np.arange(T), drive=drive, rates=noisy)


def values(found) -> dict[str, float]:
    return dict(zip(found.estimates["name"], found.estimates["value"], strict=True))


@pytest.mark.parametrize("is_eased", [False, True])
def test_derivatives_through_fixed_points_are_those_of_finite_differences(is_eased) -> None:
    start, recording = oja(T=8)
    start[0, 1] = start[2, 3] = 0.0
    network = rn.Network("rate", start)
    problem = ActivityProblem([recording], read_family("taylor(1, 1, 1)", None, 6), network, True)
    problem = problem.eased() if is_eased else problem
    (session,) = problem._sessions
    still = torch.nan_to_num(session.rates)
    theta = torch.linspace(-0.3, 0.4, 8, dtype=torch.float64)

    def rates(theta: torch.Tensor) -> torch.Tensor:
        return problem._simulated(session, theta, session.weights, still)[0]

    with torch.no_grad():
        _, slopes = problem._simulated(session, theta, session.weights, still)
        for k in range(8):
            step = torch.zeros(8, dtype=torch.float64)
            step[k] = 1e-5
            expected = (rates(theta + step) - rates(theta - step)) / 2e-5
            torch.testing.assert_close(slopes[..., k], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_ojas_rule_from_rates_alone() -> None:
    start, recording = oja(T=40)
    network = rn.Network("rate", start)
    found = infer(recording, "taylor(1, 2, 1)", network=network, starts=1, against=["hebb"])
    got = values(found)
    assert found.by == "activity"
    assert got.pop("y_post*y_pre") == pytest.approx(1, abs=0.05)
    assert got.pop("y_post**2*w") == pytest.approx(-1, abs=0.1)
    assert max(map(abs, got.values())) < 0.1
    assert found.held_out["r2"].iloc[0] > found.held_out["r2"]["hebb"]


@pytest.mark.slow
def test_a_rule_with_half_the_units_unobserved_and_start_weights_unknown() -> None:
    start, recording = oja(T=30)
    seen = recording.rates.copy()
    seen[:, 3:] = np.nan
    half = Recording(time=recording.time, drive=recording.drive, rates=seen)
    found = infer(half, "oja", network=rn.Network("rate", start), starts=1, against=())
    assert 0.5 < values(found)["eta"] < 2.5  # the unobserved half is taken as before learning
    assert any("observed rates" in note for note in found.notes)
    assert "the estimate is then biased" in found.report()
    found = infer(recording, "oja", starts=1, against=())  # the weights before are fitted, too
    assert values(found)["eta"] == pytest.approx(1, abs=0.02)


def test_what_cannot_be_simulated_is_refused() -> None:
    start, recording = oja(T=5)
    network = rn.Network("rate", start)
    rates = Recording(time=recording.time, rates=recording.rates)
    with pytest.raises(InputError, match="no synapse was observed twice"):
        infer(rates, "oja")
    with pytest.raises(InputError, match="network: expected"):
        infer(recording, "oja", network=rn.Network("rate", np.zeros((3, 3))))
    with pytest.raises(InputError, match="network: expected a Network"):
        infer(recording, "oja", network=start)
    with pytest.raises(InputError, match="fewer coefficients than data"):
        infer(recording, "taylor(3, 3, 1)", network=network)
    with pytest.raises(InputError, match="signals: expected reward"):
        infer(recording, "three_factor", network=network)
