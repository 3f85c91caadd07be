"""Rules in time at fixed points: by hand, and as the limit of simulations with slow plasticity."""

from typing import Any

import pytest
import torch
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import LowRank, Masked
from ratenet.errors import InputError, UnknownNameError, UnsupportedError

B, N = 4, 5
MASK = ~torch.eye(N, dtype=torch.bool)


def points(W: Any = None) -> rn.FixedPoints:
    W = random_weights(N, seed=8, scale=0.4) if W is None else W
    return rn.find_fixed_points(rn.Network("rate", W), random(B, N, seed=9), tol=1e-13)


def change(spec: rn.PlasticitySpec, fp: rn.FixedPoints, **options: Any) -> Any:
    return spec.rule(**options).update(fp, random(B, N, seed=10), 0.5)


def mean_outer(post: Tensor, pre: Tensor) -> Tensor:
    return torch.einsum("bi,bj->ij", post, pre) / len(post)


def of_unit_rate(name: str) -> rn.PlasticitySpec:
    return rn.load_plasticity(name).with_parameters(eta="1*Hz")


def test_the_change_is_the_learning_rate_times_the_mean_of_dw_dt() -> None:
    fp = points()
    y, W = fp.rates, fp.network.connectivity.dense()
    m = y.mean(dim=0)
    expected = {
        "hebb": mean_outer(y, y),
        "hebb_decay": mean_outer(y, y) - W / 10,
        "oja": mean_outer(y, y) - (y**2).mean(dim=0)[:, None] * W,
        "subspace": mean_outer(y, y - y @ W),
        "covariance": mean_outer(y - m, y - m),
        "heterosynaptic": mean_outer(y, y - y.mean(dim=1, keepdim=True)),
        "vogels": -mean_outer(y - 0.2, y),
        "three_factor": 3 * mean_outer(y, y),
    }
    options = {"covariance": {"slow": "m"}, "three_factor": {"values": {"reward": 3.0}}}
    for name, wanted in expected.items():
        found = change(of_unit_rate(name), fp, **options.get(name, {}))
        assert float(found.abs().max()) > 1e-3
        torch.testing.assert_close(found, 0.5 * wanted, rtol=0, atol=1e-13)


def test_without_slow_variables_each_stimulus_has_its_own_rest() -> None:
    fp = points()
    y = fp.rates
    expected = 0.5 * mean_outer(y * (y - y**2), y)
    torch.testing.assert_close(change(of_unit_rate("bcm"), fp), expected, rtol=0, atol=1e-13)
    assert not change(of_unit_rate("covariance"), fp).any()  # each mean is the rate itself


def test_the_error_is_a_signal() -> None:
    spec = rn.PlasticitySpec(
        equations="dw/dt = -eta * error_post * y_pre : 1",
        parameters={"eta": "1*Hz"},
        signals={"error": "1"},
    )
    fp = points()
    expected = -0.5 * mean_outer(random(B, N, seed=10), fp.rates)
    torch.testing.assert_close(change(spec, fp), expected, rtol=0, atol=1e-14)
    assert spec.rule().traits.uses_error
    assert not rn.load_plasticity("oja").rule().traits.uses_error


def test_a_change_has_the_shape_of_the_parameters() -> None:
    W = random_weights(N, seed=8, scale=0.4) * MASK
    found = change(of_unit_rate("oja"), points(Masked(W, MASK)))
    assert not found[~MASK].any()
    torch.testing.assert_close(found, change(of_unit_rate("oja"), points(W)) * MASK)
    low_rank = LowRank(random(N, 2, seed=1, scale=0.3), random(N, 2, seed=2, scale=0.3))
    fp = points(low_rank)
    found = change(of_unit_rate("oja"), fp)
    W = low_rank.dense()
    whole = 0.5 * (mean_outer(fp.rates, fp.rates) - (fp.rates**2).mean(dim=0)[:, None] * W)
    identity = torch.eye(N, dtype=FLOAT)
    expected = low_rank.named(low_rank.accumulate(whole.T, identity))
    for name, part in low_rank.named(found).items():
        torch.testing.assert_close(part, expected[name], rtol=0, atol=1e-13)


def test_it_is_the_limit_of_a_simulation_with_slow_plasticity() -> None:
    """The difference is of first order in the ratio of time scales: it halves with it."""
    network, x = rn.Network("rate", random_weights(N, seed=8, scale=0.4)), random(1, N, seed=9)
    spec = of_unit_rate("oja")
    fp = rn.find_fixed_points(network, x, tol=1e-13)
    slope = spec.rule().update(fp, torch.zeros_like(fp.rates), 1.0)
    errors = []
    for eta in (0.02, 0.01):
        run = rn.simulate(
            network, x, 1.0, 1e-3, plasticity=spec.with_parameters(eta=f"{eta}*Hz"),
            initial=fp.state, record_every=1000,
        )  # fmt: skip
        moved = (run.final_weights[0] - network.connectivity.dense()) / eta
        errors.append(float((moved - slope).abs().max() / slope.abs().max()))
    assert errors[0] < 0.05
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.05)


def test_what_has_no_rule_at_fixed_points_says_so() -> None:
    def rule(equations: str) -> rn.PlasticitySpec:
        return rn.PlasticitySpec(equations=equations, parameters={"eta": "1*Hz"})

    hebb = "dw/dt = eta*y_post*y_pre : 1\n"
    with pytest.raises(UnsupportedError, match=r"da/dt of .* is not linear in a"):
        rule("dw/dt = eta*a_post*y_pre : 1\nda/dt = eta*(y - a**2) : 1").rule()
    with pytest.raises(UnsupportedError, match=r"a of .* have no rest"):
        rule("dw/dt = eta*a_post*y_pre : 1\nda/dt = eta*y : 1").rule()
    with pytest.raises(UnsupportedError, match=r"is not a sum of products"):
        rule("dw/dt = eta*tanh(y_post*y_pre) : 1").rule()
    with pytest.raises(UnsupportedError, match=r"name t; nothing rests"):
        rule("dw/dt = eta*y_post*y_pre*sin(eta*t) : 1").rule()
    with pytest.raises(UnknownNameError, match=r"Unknown slow variable 'b'"):
        rule(hebb).rule(slow=["b"])
    with pytest.raises(InputError, match=r"'three_factor' needs reward; give a number"):
        rn.load_plasticity("three_factor").rule()
    with pytest.raises(InputError, match=r"values, reward: NaN or infinite entries"):
        rn.load_plasticity("three_factor").rule(values={"reward": float("nan")})
    with pytest.raises(InputError, match=r"slow: expected names of variables of units, got 3"):
        rn.load_plasticity("bcm").rule(slow=3)
    with pytest.raises(UnknownNameError, match=r"Unknown slow variable"):
        rn.load_plasticity("bcm").rule(slow=[["theta"]])
    assert rn.load_plasticity("bcm").rule(slow=["theta", "theta"]).slow == ("theta",)
    with pytest.raises(InputError, match=r"values: expected a mapping"):
        rn.load_plasticity("bcm").rule(values=3)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"Unknown signal or variable 'a'"):
        rn.load_plasticity("oja").rule(values={"a": 1.0})
    with pytest.raises(InputError, match=r"values, reward: expected a number, got \(2,\)"):
        rn.load_plasticity("three_factor").rule(values={"reward": [1.0, 2.0]})
    with pytest.raises(InputError, match=r"values, plateau: expected a number, or one per unit"):
        rn.load_plasticity("btsp").rule(values={"plateau": [[1.0]]})
    with pytest.raises(InputError, match=r"values, plateau: .* one for each of the N = \d+ units"):
        rule = rn.load_plasticity("btsp").rule(values={"plateau": [1.0]})
        rule.update(points(), torch.zeros(B, N, dtype=FLOAT), 1.0)


def test_signals_and_held_variables_may_differ_between_units() -> None:
    fp = points()
    y, plateau, error = fp.rates, random(N, seed=3), torch.zeros(B, N, dtype=FLOAT)
    btsp = rn.load_plasticity("btsp").rule(values={"plateau": plateau})
    W = fp.network.connectivity.dense()
    expected = plateau[:, None] * y.mean(dim=0) * (1 - W)
    torch.testing.assert_close(btsp.update(fp, error, 1.0), expected, rtol=0, atol=1e-13)
    theta = random(N, seed=4)
    bcm = of_unit_rate("bcm").rule(values={"theta": theta.tolist()})
    expected = mean_outer(y * (y - theta), y)
    torch.testing.assert_close(bcm.update(fp, error, 1.0), expected, rtol=0, atol=1e-13)


def test_a_rule_in_other_units_than_the_network_is_refused() -> None:
    spec = rn.PlasticitySpec(
        equations="dw/dt = eta*y_post*y_pre : 1\ny : Hz", parameters={"eta": "1*second"}
    )
    fp = points()
    with pytest.raises(InputError, match=r"in the rule 'plasticity' y is in Hz, in the model"):
        spec.rule().update(fp, torch.zeros_like(fp.rates), 1.0)
