"""Plasticity of weights stored synapse by synapse: that of the same weights as a matrix."""

import numpy as np
import pytest
import scipy.sparse
import torch

import ratenet as rn
from ratenet.connectivity import Masked
from ratenet.equations import plasticity_names
from ratenet.errors import DivergenceError, InputError

UNITS, FLOAT = 7, torch.float64
WITH_SUMS = {
    "name": "summed",
    "equations": """
dw/dt = eta * (y_post * y_pre - total_post * w - sent_pre * w - trace) : 1
dtrace/dt = (y_pre * level_post - trace) / tau : 1
dlevel/dt = (y - level) / tau : 1
total_post = w * y_pre : 1 (summed)
sent_pre = w**2 : 1 (summed)
""",
    "weight": "w",
    "parameters": {"eta": "20*Hz", "tau": "5*ms"},
}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)


def networks() -> tuple[rn.Network, rn.Network, tuple[torch.Tensor, torch.Tensor]]:
    """Return a network with a sparse matrix, the same with its synapses listed, and where."""
    mask = torch.rand(UNITS, UNITS, generator=torch.Generator().manual_seed(1)) < 0.4
    W = 0.3 * normal(UNITS, UNITS) * mask
    post, pre = torch.nonzero(mask, as_tuple=True)
    listed = Masked.from_synapses(post, pre, W[post, pre], (UNITS, UNITS))
    return rn.Network("rate", Masked(W, mask)), rn.Network("rate", listed), (post, pre)


def run(network: rn.Network, spec: object, weights: str, **more: object) -> rn.Trajectory:
    signals = dict.fromkeys(dict(rn.load_plasticity(spec).signals), 0.7)
    return rn.simulate(
        network, normal(3, UNITS, seed=2), 0.01, 1e-3, plasticity=spec, weights=weights,
        signals=signals or None, **more,
    )  # fmt: skip


@pytest.mark.parametrize("weights", ["own", "shared"])
@pytest.mark.parametrize(
    "spec",
    [*plasticity_names(), WITH_SUMS],
    ids=lambda spec: spec if isinstance(spec, str) else "sums",
)
def test_weights_and_rates_are_those_of_the_matrix(spec, weights: str) -> None:
    full, few, (post, pre) = networks()
    one, other = run(full, spec, weights), run(few, spec, weights)
    torch.testing.assert_close(other.rates, one.rates)
    torch.testing.assert_close(other.final_weights, one.final_weights[..., post, pre])
    before = few.connectivity.parameters["W"]
    assert not torch.equal(other.final_weights, before.expand_as(other.final_weights))


def test_shared_weights_come_back_as_a_connectivity_and_some_can_be_recorded() -> None:
    full, few, (post, pre) = networks()
    chosen = torch.stack([post, pre], dim=1)[[4, 0]]
    one, other = (
        run(network, "oja", "shared", record_weights=5, record_synapses=chosen.tolist())
        for network in (full, few)
    )
    torch.testing.assert_close(other.plasticity.weights, one.plasticity.weights)
    kept = other.plasticity.connectivity
    assert isinstance(kept, Masked)
    assert torch.equal(kept.W, other.final_weights)
    again = run(few, "oja", "shared", initial_plasticity=other.plasticity.final)
    assert not torch.equal(again.final_weights, other.final_weights)


def test_what_is_wrong_is_one_sentence() -> None:
    _, few, (post, pre) = networks()
    there = set(zip(post.tolist(), pre.tolist(), strict=True))
    absent = next((i, j) for i in range(UNITS) for j in range(UNITS) if (i, j) not in there)
    with pytest.raises(InputError, match=f"no synapse from unit {absent[1]} to unit {absent[0]}"):
        run(few, "oja", "shared", record_synapses=[absent])
    with pytest.raises(InputError, match=r"a number, or shape \(\d+,\)"):
        run(few, "oja", "shared", initial_plasticity={"w": torch.zeros(UNITS, UNITS)})
    with pytest.raises(InputError, match="expected weights as a matrix, got Masked"):
        run(few, "oja", "own", backend="brian2")
    with pytest.raises(DivergenceError, match=r"synapse w\[\d, \d\] \(post, pre\)"):
        fast = {"equations": "dw/dt = rate * w**2 : 1", "parameters": {"rate": "1e200*Hz"}}
        run(few, fast, "shared")


def test_many_units_have_no_matrix_of_plastic_weights() -> None:
    units = 20_000  # as a matrix 3.2 GB
    places = (np.arange(units), (np.arange(units) + 1) % units)
    W = scipy.sparse.csr_array((np.full(units, 0.5), places), shape=(units, units))
    found = rn.simulate(
        rn.Network("rate", W), torch.full((2, units), 0.5, dtype=FLOAT), 3e-3, 1e-3,
        plasticity="oja", weights="own",
    )  # fmt: skip
    assert found.final_weights.shape == (2, units)
    assert (found.final_weights - found.final_weights[0, 0]).abs().max() < 1e-12
