"""Plasticity in time for each connectivity: constraints are kept, parameters move as rules do."""

from typing import Any

import pytest
import torch
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Convolution,
    Dense,
    LowRank,
    Masked,
    Signed,
    Sum,
)
from ratenet.errors import InputError, UnknownNameError, UnsupportedError

B, N, DT, TAU, STEPS = 3, 9, 1e-3, 0.01, 20
SIGNS = torch.tensor([1, -1, 1, 1, -1, 1, 1, 1, -1], dtype=FLOAT)


def whole(kind: str) -> AbstractConnectivity:
    kernel = random(1, 1, 3, 3, seed=7, scale=0.3)
    low = LowRank(random(N, 2, seed=8), random(N, 2, seed=9))
    return {
        "low rank": low,
        "circular": Convolution(kernel, 3, 3),
        "zero border": Convolution(kernel, 3, 3, border="zero"),
        "sum": Sum({"full": Dense(random_weights(N, seed=5)), "low": low}),
    }[kind]


def run(W: Any, rule: str = "oja", **options: Any) -> rn.Trajectory:
    network = rn.Network("rate", W, parameters={"tau": TAU})
    spec = rn.load_plasticity(rule).with_parameters(eta="20*Hz")
    duration = options.pop("duration", STEPS * DT)
    options = {"weights": "shared", **options}
    return rn.simulate(network, random(B, N, seed=6), duration, DT, plasticity=spec, **options)


def slope(rule: str, W: Tensor, y: Tensor) -> Tensor:
    """Return the mean of dw/dt, by a loop over the stimuli."""
    decay = {"hebb": 0.0, "oja": 1.0}[rule]
    each = [torch.outer(r, r) - decay * r[:, None] ** 2 * W for r in y]
    return 20 * sum(each) / len(y)


@pytest.mark.parametrize("rule", ["hebb", "oja"])
@pytest.mark.parametrize("kind", ["low rank", "circular", "zero border", "sum"])
def test_parameters_move_along_the_gradient_of_the_weights(kind: str, rule: str) -> None:
    """dp/dt = J^T dW/dt with J = dW/dp by torch's own differentiation of the dense matrix."""
    given = whole(kind)
    p = {n: v.clone().requires_grad_() for n, v in given.parameters.items()}
    y, x = torch.zeros(B, N, dtype=FLOAT), random(B, N, seed=6)
    for _ in range(STEPS):
        W = given.with_parameters(p).dense()
        change = (slope(rule, W.detach(), y) * W).sum()
        gradients = torch.autograd.grad(change, list(p.values()))
        y = y + DT / TAU * (-y + torch.tanh(y @ W.detach().T + x))
        p = {
            n: (v + DT * g).detach().requires_grad_()
            for (n, v), g in zip(p.items(), gradients, strict=True)
        }
    found = run(given, rule)
    assert found.plasticity is not None and found.plasticity.connectivity is not None
    assert set(found.plasticity.final) == {f"w.{n}" for n in p}
    for name, value in p.items():
        moved = found.plasticity.connectivity.parameters[name]
        torch.testing.assert_close(moved, value.detach(), rtol=0, atol=1e-13)
        assert float((moved - given.parameters[name]).abs().max()) > 1e-3
        assert torch.equal(moved, found.plasticity.final[f"w.{name}"])
    torch.testing.assert_close(found.rates[-1], y, rtol=0, atol=1e-13)
    assert torch.equal(found.final_weights, found.plasticity.connectivity.dense())


def test_parameters_that_move_are_continued_exactly() -> None:
    half, all_of_it = run(whole("sum"), duration=STEPS * DT / 2), run(whole("sum"))
    assert half.plasticity is not None
    options = {"initial": half.final, "start": half.t[-1], "duration": STEPS * DT / 2}
    by_values = run(whole("sum"), initial_plasticity=half.plasticity.final, **options)
    by_network = run(half.plasticity.connectivity, **options)
    assert torch.equal(by_values.final_weights, all_of_it.final_weights)
    assert torch.equal(by_network.final_weights, all_of_it.final_weights)


@pytest.mark.parametrize("weights", ["own", "shared"])
def test_exponentiated_weights_move_in_their_logarithm(weights: str) -> None:
    given = random_weights(N, seed=5).abs() * SIGNS
    found = run(Signed(given, SIGNS, "exponentiated"), "hebb", weights=weights, duration=DT * 3)
    w, x = given.expand(B, N, N).clone(), random(B, N, seed=6)
    y = torch.zeros(B, N, dtype=FLOAT)
    for _ in range(3):
        change = 20 * y[:, :, None] * y[:, None, :]
        if weights == "shared":
            change = change.mean(dim=0, keepdim=True)
        rates = torch.stack([w[b] @ y[b] for b in range(B)])
        y, w = y + DT / TAU * (-y + torch.tanh(rates + x)), w * torch.exp(DT * SIGNS * change)
    torch.testing.assert_close(found.final_weights.expand(B, N, N), w, rtol=0, atol=1e-14)
    assert (found.final_weights * SIGNS > 0).all()


@pytest.mark.brian2
@pytest.mark.parametrize("update", ["projection", "exponentiated"])
def test_signed_weights_are_the_same_in_both_backends(update: str) -> None:
    W = Signed(0.3 * random_weights(N, seed=5).abs() * SIGNS, SIGNS, update)  # type: ignore[arg-type]
    one, two = (
        run(W, weights="own", backend=name, duration=0.1).final_weights
        for name in ("torch", "brian2")
    )
    torch.testing.assert_close(one, two, rtol=0, atol=1e-13)
    assert bool((one == 0).any()) == (update == "projection")


def with_counts() -> dict[str, tuple[AbstractConnectivity, list[int]]]:
    """Return connectivities, and the number of synapses onto each unit."""
    kernel, low = random(1, 1, 3, 3, seed=7), LowRank(random(3, 2, seed=8), random(2, 2, seed=9))
    mask = torch.tensor([[True, False, True], [False, False, True]])
    masked = Masked(torch.zeros(2, 3, dtype=FLOAT), mask)
    blocks = {"a": {"a": Dense(random(2, 2, seed=3)), "b": masked}, "b": {"a": low}}
    eye = torch.eye(3, dtype=torch.bool)
    full = LowRank(random(3, 1, seed=8), torch.zeros(3, 1, dtype=FLOAT))
    return {
        "zero border": (Convolution(kernel, 3, 3, border="zero"), [4, 6, 4, 6, 9, 6, 4, 6, 4]),
        "circular": (Convolution(kernel, 3, 5), [9] * 15),
        "block": (Block(blocks, {"a": 2, "b": 3}), [4, 3, 2, 2, 2]),
        "sum": (Sum({"masked": Masked(eye.to(FLOAT), eye), "low": full}), [3, 3, 3]),
    }


@pytest.mark.parametrize("kind", with_counts())
def test_sums_go_over_the_synapses_of_every_connectivity(kind: str) -> None:
    given, expected = with_counts()[kind]
    spec = rn.PlasticitySpec(
        equations="""
        dw/dt = eta*number_post*y_pre : 1
        da/dt = (number - a)/tau : 1
        number_post = 1 : 1 (summed)
        """,
        parameters={"tau": "1*ms", "eta": "1*Hz"},
    )
    network, counts = rn.Network("rate", given), torch.tensor([expected], dtype=FLOAT)
    x = random(1, given.units, seed=6)
    run = rn.simulate(network, x, 2 * DT, DT, plasticity=spec, weights="shared")
    assert run.plasticity is not None
    torch.testing.assert_close(run.plasticity.final["a"], counts, rtol=0, atol=1e-12)
    fp = rn.find_fixed_points(network, x)
    delta = spec.rule().update(fp, torch.zeros_like(fp.rates), 1.0)
    expected_delta = given.accumulate(counts, fp.rates)
    for name, change in given.named(delta).items():
        torch.testing.assert_close(change, given.named(expected_delta)[name])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("weights", ["own", "shared"])
def test_what_is_no_synapse_stays_0_whatever_its_slope(weights: str, dtype: torch.dtype) -> None:
    """1 / w is infinite there, and 0 / 0 at the first step, when all rates are 0."""
    mask = torch.eye(N, dtype=torch.bool).roll(1, 0)
    network = rn.Network("rate", Masked(0.5 * mask.to(dtype), mask))
    spec = rn.PlasticitySpec(
        equations="dw/dt = eta*(y_post*y_pre/w + exp(-y_post)/w) : 1", parameters={"eta": "1*Hz"}
    )
    x = random(B, N, seed=6).to(dtype)
    found = rn.simulate(network, x, 5 * DT, DT, plasticity=spec, weights=weights).final_weights
    assert found.dtype == dtype
    assert not found[..., ~mask].any()
    assert (found[..., mask] > 0.5).all()


@pytest.mark.brian2
def test_blocks_move_synapse_by_synapse() -> None:
    W = random_weights(N, seed=5)
    mask = torch.rand(5, 4, generator=torch.Generator().manual_seed(1)) > 0.4
    blocks = {"e": {"e": Dense(W[:4, :4])}, "i": {"e": Masked(W[4:, :4] * mask, mask)}}
    given = Block(blocks, {"e": 4, "i": 5})
    one, two = (run(given, "hebb", weights="own", backend=name) for name in ("torch", "brian2"))
    torch.testing.assert_close(one.final_weights, two.final_weights, rtol=0, atol=1e-13)
    moved = (one.final_weights != given.dense()).any(dim=0)
    assert torch.equal(moved[:4, :4], torch.ones(4, 4, dtype=torch.bool))
    assert torch.equal(moved[4:, :4], mask)
    assert not moved[:, 4:].any()
    shared = run(given, "hebb")
    assert shared.plasticity is not None
    end = shared.plasticity.connectivity
    assert isinstance(end, Block) and isinstance(end.blocks["i"]["e"], Masked)
    assert torch.equal(end.dense(), shared.final_weights)


def test_the_connectivity_at_the_end_is_of_the_same_kind() -> None:
    W = random_weights(N, seed=5).abs() * SIGNS
    found = run(Signed(W, SIGNS)).plasticity
    assert found is not None and isinstance(found.connectivity, Signed)
    assert torch.equal(found.connectivity.W, found.final_weights)
    own = run(W, weights="own").plasticity
    assert own is not None and own.connectivity is None


def test_what_does_not_go_together_is_one_sentence() -> None:
    with pytest.raises(UnsupportedError, match=r"weights: 'own' moves each synapse .* Convolution"):
        run(whole("circular"), weights="own")
    with pytest.raises(UnsupportedError, match=r"backend: 'brian2' moves each synapse by itself"):
        rn.simulate(
            rn.Network("rate", whole("low rank")), random(1, N, seed=6), 0.01, DT,
            plasticity="oja", weights="shared", backend="brian2",
        )  # fmt: skip
    ones = torch.ones(10_001, 1)
    with pytest.raises(UnsupportedError, match=r"plasticity: .* all 10,001 x 10,001 weights"):
        rn.simulate(
            rn.Network("rate", LowRank(ones, ones)), torch.zeros(1, 10_001), 0.01, DT,
            plasticity="hebb", weights="shared",
        )  # fmt: skip
    with pytest.raises(UnknownNameError, match=r"variable in initial_plasticity 'w'"):
        run(whole("circular"), initial_plasticity={"w": 0.0})
    with pytest.raises(InputError, match=r"initial_plasticity, w\.kernel: expected .*1, 1, 3, 3"):
        run(whole("circular"), initial_plasticity={"w.kernel": [1.0, 2.0]})
