"""Random right-hand sides: matrix products against synapse by synapse."""

import random as python_random

import pytest
import torch
from helpers.problems import FLOAT, random, random_weights

import ratenet as rn
from ratenet.simulation.plasticity import Plasticity

ATOMS = {
    "post": ["y_post", "x_post", "k_post", "total_post", "m_post"],
    "pre": ["y_pre", "x_pre", "k_pre", "tanh(y_pre)", "total_pre"],
    "synapse": ["w", "c", "w**2", "exp(-w)", "(1 - w)", "tanh(w*a)"],
    "shared": ["a", "0.3", "sin(nu*t)", "reward"],
}
SUMS = ["w*y_pre", "c", "exp(w)*y_pre", "1", "w*y_post"]


def some_rule(seed: int) -> rn.PlasticitySpec:
    chance = python_random.Random(seed)

    def factor(depth: int) -> str:
        if chance.random() < 0.75 or depth > 1:
            return chance.choice(ATOMS[chance.choice(list(ATOMS))])
        inner = [product(depth + 1) for _ in range(chance.randint(2, 3))]
        return f"({chance.choice([' + ', ' - ']).join(inner)})"

    def product(depth: int = 0) -> str:
        return "*".join(factor(depth) for _ in range(chance.randint(1, 3)))

    first, second = (" - ".join(product() for _ in range(chance.randint(1, 3))) for _ in "ab")
    return rn.PlasticitySpec(
        equations=f"""
        dw/dt = eta*({first} + 0*m_post*reward) : 1
        dc/dt = eta*({second} - c + 0*y_pre) : 1
        dx/dt = (y - x + 0.1*total)/tau : 1
        total_post = {chance.choice(SUMS)} : 1 (summed)
        """,
        parameters={
            "eta": "0.5*Hz", "tau": "50*ms", "a": 0.7, "nu": "20*Hz", "k": [1.0, 0.5, 0.2, 0.8],
        },
        signals={"reward": "1", "m": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_products_are_what_each_synapse_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = some_rule(seed)
    network = rn.Network("rate", random_weights(4, seed=1, scale=0.5))
    signals = {"reward": lambda t: [1.0, 5 * t], "m": [0.3, -0.2, 1.0, 0.5]}

    def finals(weights: str) -> dict[str, torch.Tensor]:
        run = rn.simulate(
            network, random(2, 4, seed=2), 0.05, 0.005, plasticity=spec, weights=weights,
            signals=signals,
        )  # fmt: skip
        assert run.plasticity is not None
        return run.plasticity.final

    kinds = ("own", "shared")
    by_products = [finals(weights) for weights in kinds]
    monkeypatch.setattr(Plasticity, "parted", lambda self, expression: None)
    for found, weights in zip(by_products, kinds, strict=True):
        for name, value in finals(weights).items():
            assert value.dtype == FLOAT
            torch.testing.assert_close(found[name], value, rtol=1e-11, atol=1e-11)
