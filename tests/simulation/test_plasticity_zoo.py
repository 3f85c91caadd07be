"""The shipped plasticity rules: of each, a number that its source or a closed form gives."""

import math
from typing import Any

import pytest
import torch
from helpers.problems import FLOAT, random
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Masked

TAU, DT = 0.01, 0.002


def feedforward(inputs: int, outputs: int, weights: Tensor | float = 0.0) -> rn.Network:
    """Return linear units: inputs take the drive, outputs add them by plastic weights (O, M)."""
    N = inputs + outputs
    W, mask = torch.zeros(N, N, dtype=FLOAT), torch.zeros(N, N, dtype=torch.bool)
    W[inputs:, :inputs], mask[inputs:, :inputs] = weights, True
    return rn.Network("linear", Masked(W, mask), parameters={"tau": TAU})


def learned(
    rule: str, network: rn.Network, patterns: Tensor, duration: float, dt: float = DT, **more: Any
) -> rn.Trajectory:
    """Return a run with patterns (B, M) as the drive of the inputs, which are at rest at first."""
    outputs = network.units - patterns.shape[1]
    x = torch.cat([patterns, torch.zeros(len(patterns), outputs, dtype=FLOAT)], dim=1)
    values = more.pop("values", {})
    spec = rn.load_plasticity(rule).with_parameters(**values)
    more = {"weights": "shared", "initial": x + x @ network.connectivity.dense().T, **more}
    steps = round(duration / dt)
    return rn.simulate(network, x, duration, dt, plasticity=spec, record_every=steps, **more)


def onto_outputs(run: rn.Trajectory, inputs: int) -> Tensor:
    return run.final_weights[..., inputs:, :inputs]


def test_hebb_with_decay_tends_to_the_correlation() -> None:
    """w = eta tau_w <y_post y_pre>, y_post = w . y_pre + its own drive."""
    network, x = feedforward(2, 1), torch.tensor([[0.5, 0.2, 0.8]], dtype=FLOAT)
    spec = rn.load_plasticity("hebb_decay").with_parameters(eta="0.5*Hz", tau_w="200*ms")
    run = rn.simulate(network, x, 4.0, DT, plasticity=spec, record_every=2000)
    w = run.final_weights[0, 2, :2]
    pre, post = x[0, :2], float(run.rates[-1, 0, 2])
    torch.testing.assert_close(w, 0.1 * post * pre, rtol=1e-8, atol=0)
    # y = x_3 + w . pre and w = 0.1 y pre, so y = x_3 / (1 - 0.1 pre . pre)
    assert post == pytest.approx(0.8 / (1 - 0.1 * 0.29), rel=1e-8)


def correlated() -> tuple[Tensor, Tensor]:
    """Return patterns (40, 4) and the eigenvectors of their correlation, the largest first."""
    patterns = random(40, 4, seed=131) * torch.tensor([1.6, 1.1, 0.5, 0.3], dtype=FLOAT)
    patterns = patterns @ torch.linalg.qr(random(4, 4, seed=132)).Q
    return patterns, torch.linalg.eigh(patterns.T @ patterns).eigenvectors.flip(1)


def test_oja_finds_the_first_principal_component_with_norm_1() -> None:
    patterns, vectors = correlated()
    network = feedforward(4, 1, random(1, 4, seed=3, scale=0.3))
    run = learned("oja", network, patterns, 20.0, 0.01, values={"eta": "6*Hz"})
    w = onto_outputs(run, 4)[0]
    assert float(w.norm()) == pytest.approx(1.0, abs=1e-6)
    assert abs(float(w @ vectors[:, 0])) == pytest.approx(1.0, abs=1e-6)


def test_the_subspace_rule_spans_the_first_principal_components() -> None:
    patterns, vectors = correlated()
    network = feedforward(4, 2, random(2, 4, seed=4, scale=0.3))
    run = learned("subspace", network, patterns, 34.0, 0.01, values={"eta": "6*Hz"})
    w, first = onto_outputs(run, 4), vectors[:, :2]
    torch.testing.assert_close(w @ w.T, torch.eye(2, dtype=FLOAT), rtol=0, atol=1e-5)
    torch.testing.assert_close(w.T @ w, first @ first.T, rtol=0, atol=1e-5)


def test_the_weighted_subspace_rule_finds_the_components_in_order() -> None:
    """Unit i finds eigenvector i, with squared norm 1 / theta_i; Sanger's rule, with norm 1."""
    patterns, vectors = correlated()
    theta = [1.0, 2.0]
    network = feedforward(4, 2, random(2, 4, seed=4, scale=0.3))
    values = {"eta": "6*Hz", "theta": [1.0] * 4 + theta}
    run = learned("weighted_subspace", network, patterns, 60.0, 0.01, values=values)
    w = onto_outputs(run, 4) * torch.tensor(theta, dtype=FLOAT)[:, None] ** 0.5
    torch.testing.assert_close((w @ vectors).abs(), torch.eye(2, 4, dtype=FLOAT), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_bcm_becomes_selective_for_one_of_two_patterns() -> None:
    """The answers tend to 2 and 0 (Intrator and Cooper 1992): the threshold is the mean of y^2.

    Each stream has its own threshold, so the two patterns take turns in one stream.
    """
    patterns, hold = torch.tensor([[1.0, 0.3], [0.2, 0.9]], dtype=FLOAT), 0.1
    network = feedforward(2, 1, torch.tensor([[0.5, 0.4]], dtype=FLOAT))
    rows = torch.cat([patterns, torch.zeros(2, 1, dtype=FLOAT)], dim=1)
    spec = rn.load_plasticity("bcm").with_parameters(eta="0.2*Hz", tau_theta="2*second")
    run = rn.simulate(
        network, lambda t: rows[int(t / hold + 1e-6) % 2], 160.0, 0.01,
        plasticity=spec, record_every=16_000,
    )  # fmt: skip
    answers = sorted((patterns @ run.final_weights[0, 2, :2]).tolist())
    assert answers[0] == pytest.approx(0.0, abs=0.1)
    assert answers[1] == pytest.approx(2.0, abs=0.1)


def test_the_covariance_rule_ignores_what_does_not_vary() -> None:
    network = feedforward(2, 1, torch.tensor([[0.6, 0.6]], dtype=FLOAT))

    def drive(t: float) -> Tensor:  # the first input varies, the second is constant
        return torch.tensor([1 + math.sin(2 * math.pi * t / 0.5), 1.0, 0.0], dtype=FLOAT)

    spec = rn.load_plasticity("covariance").with_parameters(eta="0.01*Hz")
    start = {"w": network.connectivity.dense(), "m": torch.tensor([1.0, 1.0, 1.2], dtype=FLOAT)}
    first = torch.tensor([1.0, 1.0, 1.2], dtype=FLOAT)
    run = rn.simulate(
        network, drive, 5.0, DT, plasticity=spec, initial=first, initial_plasticity=start,
        record_every=2500,
    )  # fmt: skip
    change = run.final_weights[0, 2, :2] - 0.6
    # 5 s of eta times the covariance 0.6 * 1/2, less what fast means and the delay take
    assert float(change[0]) == pytest.approx(5 * 0.01 * 0.6 / 2, rel=0.1)
    assert abs(float(change[1])) < 1e-3 * float(change[0])


def test_heterosynaptic_normalisation_keeps_the_sum_of_weights_onto_a_unit() -> None:
    patterns = torch.tensor([[1.0, 0.2, 0.4], [0.8, 0.1, 0.5]], dtype=FLOAT)
    network = feedforward(3, 2, torch.tensor([[0.3, 0.2, 0.1], [0.1, 0.4, 0.2]], dtype=FLOAT))
    run = learned("heterosynaptic", network, patterns, 2.0, values={"eta": "1*Hz"})
    w = onto_outputs(run, 3)
    torch.testing.assert_close(
        w.sum(dim=1), torch.tensor([0.6, 0.7], dtype=FLOAT), rtol=0, atol=1e-12
    )
    assert float(w[0, 0]) > 0.5 and float(w[0, 1]) < 0.1


def test_homeostatic_scaling_reaches_the_target_and_keeps_ratios() -> None:
    network = feedforward(2, 1, torch.tensor([[0.9, 0.3]], dtype=FLOAT))
    pattern = torch.tensor([[1.0, 0.5]], dtype=FLOAT)
    values = {"beta": "1*Hz", "tau_a": "200*ms"}
    run = learned("homeostatic_scaling", network, pattern, 25.0, 0.01, values=values)
    w = onto_outputs(run, 2)[0]
    assert float(run.rates[-1, 0, 2]) == pytest.approx(0.5, abs=1e-4)
    assert float(w[0] / w[1]) == pytest.approx(3.0, abs=1e-12)


def test_inhibitory_plasticity_balances_excitation_at_the_target_rate() -> None:
    """Excitation of 3 and of 1 onto two units: inhibition grows until both are at the target."""
    W = torch.zeros(4, 4, dtype=FLOAT)  # units: excitatory input, inhibitory input, two targets
    mask = torch.zeros(4, 4, dtype=torch.bool)
    W[2, 0], W[3, 0], mask[2:, :2] = 3.0, 1.0, True
    network = rn.Network("linear", Masked(W, mask), parameters={"tau": TAU})
    drive = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=FLOAT)
    spec = rn.load_plasticity("vogels").with_parameters(inhibitory=[0.0, 1.0, 0.0, 0.0])
    run = rn.simulate(network, drive, 20.0, 0.005, plasticity=spec, record_every=4000)
    torch.testing.assert_close(
        run.rates[-1, 0, 2:], torch.full((2,), 0.2, dtype=FLOAT), rtol=0, atol=1e-6
    )
    assert run.final_weights[0, 2, :2].tolist() == pytest.approx([3.0, -2.8], abs=1e-6)
    assert run.final_weights[0, 3, :2].tolist() == pytest.approx([1.0, -0.8], abs=1e-6)


def test_facilitation_scales_slow_hebb() -> None:
    """u = U (1 + k tau_f y) / (1 + U k tau_f y) (Markram et al. 1998); w = eta tau_w u y y_post."""
    network = feedforward(2, 1)
    x = torch.tensor([[1.0, 0.1, 0.5]], dtype=FLOAT)
    spec = rn.load_plasticity("facilitated_hebb").with_parameters(eta="0.1*Hz", tau_w="300*ms")
    run = rn.simulate(network, x, 8.0, DT, plasticity=spec, record_every=4000)
    assert run.plasticity is not None
    y, u = x[0, :2], run.plasticity.final["u"][0, :2]
    expected = 0.2 * (1 + 10 * 0.5 * y) / (1 + 0.2 * 10 * 0.5 * y)
    torch.testing.assert_close(u, expected, rtol=1e-6, atol=0)
    post = float(run.rates[-1, 0, 2])
    torch.testing.assert_close(run.final_weights[0, 2, :2], 0.03 * post * u * y, rtol=1e-6, atol=0)


def pulse(begin: float, end: float) -> Any:
    return lambda t: float(begin - 1e-9 <= t < end - 1e-9)


def test_reward_uses_an_eligibility_that_decays() -> None:
    """Coincidence until 0.5 s, reward at 1 s or 1.5 s: e times as much after one tau_c less."""
    network = feedforward(1, 1, 0.5)

    def drive(t: float) -> Tensor:
        return torch.tensor([pulse(0, 0.5)(t), 0.0], dtype=FLOAT)

    spec, changes = rn.load_plasticity("three_factor"), []
    for when in (1.0, 1.5):
        run = rn.simulate(
            network, drive, 2.0, 0.001, plasticity=spec, record_every=2000,
            signals={"reward": pulse(when, when + 0.1)},
        )  # fmt: skip
        changes.append(float(run.final_weights[0, 1, 0]) - 0.5)
    assert changes[0] > 1e-3
    assert math.log(changes[0] / changes[1]) == pytest.approx(1.0, abs=2e-3)


def test_a_plateau_writes_what_was_active_seconds_ago() -> None:
    """What a plateau adds halves with each tau_p log 2 since the input was active."""
    network = feedforward(1, 1)

    def drive(t: float) -> Tensor:
        return torch.tensor([pulse(0, 0.2)(t), 0.0], dtype=FLOAT)

    spec, changes = rn.load_plasticity("btsp"), []
    for when in (1.0, 1.0 + math.log(2)):
        plateau = pulse(round(when, 3), round(when, 3) + 0.1)
        run = rn.simulate(
            network, drive, 2.0, 0.001, plasticity=spec, record_every=2000,
            signals={"plateau": lambda t, plateau=plateau: [0.0, plateau(t)]},
        )  # fmt: skip
        # dw/dt = p (w_max - w): -log(1 - w) is the integral of p
        changes.append(-math.log(1 - float(run.final_weights[0, 1, 0])))
    assert changes[0] > 1e-3
    assert changes[0] / changes[1] == pytest.approx(2.0, abs=5e-3)


def test_contrastive_hebbian_subtracts_the_free_phase_from_the_clamped() -> None:
    network = feedforward(2, 1, torch.tensor([[0.4, 0.1]], dtype=FLOAT))
    pre = torch.tensor([1.0, 0.5], dtype=FLOAT)
    hold, eta = 1.0, 0.001

    def drive(t: float) -> Tensor:  # clamped: the output is driven by 0.6 as well
        return torch.tensor([*pre.tolist(), 0.6 if t < hold - 1e-9 else 0.0], dtype=FLOAT)

    spec = rn.load_plasticity("contrastive_hebbian").with_parameters(eta=f"{eta}*Hz")
    start = torch.tensor([*pre.tolist(), 1.05], dtype=FLOAT)
    run = rn.simulate(
        network, drive, 2 * hold, 0.001, plasticity=spec, initial=start, record_every=2000,
        signals={"phase": lambda t: 1.0 if t < hold - 1e-9 else -1.0},
    )  # fmt: skip
    change = run.final_weights[0, 2, :2] - torch.tensor([0.4, 0.1], dtype=FLOAT)
    expected = eta * hold * 0.6 * pre
    torch.testing.assert_close(change, expected, rtol=0.02, atol=0)  # the output takes tau to fall
