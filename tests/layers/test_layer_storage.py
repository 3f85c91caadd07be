"""Layers are stored, copied and changed behind their back without giving other rates in silence."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.layer_cases import M, N, inputs, loss_of
from helpers.problems import FLOAT, random_weights

import ratenet as rn
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Dense,
    LowRank,
    Masked,
    Signed,
    Sum,
)
from ratenet.errors import StaleError


def masked(seed: int, share: float = 0.4) -> Masked:
    mask = torch.rand(N, N, generator=torch.Generator().manual_seed(seed)) < share
    mask[0, 0] = True
    return Masked(random_weights(N, seed=seed, scale=0.5) * mask, mask)


def signed(seed: int) -> Signed:
    signs = torch.ones(N, dtype=FLOAT)
    signs[torch.randperm(N, generator=torch.Generator().manual_seed(seed))[: N // 2]] = -1
    return Signed(random_weights(N, seed=seed, scale=0.5).abs() * signs, signs)


def both(seed: int) -> Sum:
    vectors = random_weights(N, seed=seed, scale=0.3)[:, :1]
    return Sum({"sparse": masked(seed), "structure": LowRank(vectors, vectors.clone())})


def blocks(seed: int) -> Block:
    return Block({"all": {"all": signed(seed)}}, {"all": N})


PATTERNS = {"masked": masked, "signed": signed, "sum": both, "block": blocks}
every_pattern = pytest.mark.parametrize("make", PATTERNS.values(), ids=PATTERNS)
HETEROGENEOUS = rn.ModelSpec(
    equations="dr/dt = (-r + tanh(I_rec + I_ext + theta)) / tau : 1",
    output="r",
    recurrent="I_rec",
    drive="I_ext",
    parameters={"tau": "20*ms", "theta": "normal(0, 1)"},
)


def layer_of(connectivity: AbstractConnectivity) -> rn.FixedPointLayer:
    return rn.FixedPointLayer(M, N, connectivity=connectivity)


def rates_by_iteration(layer: rn.FixedPointLayer, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        W, drive = layer.core.recurrent["W"], layer.read_in(x)
        y = torch.zeros_like(drive)
        for _ in range(2000):
            y = (y + torch.tanh(y @ W.T + drive)) / 2
    return y


@every_pattern
def test_a_state_dict_holds_the_pattern(
    make: Callable[[int], AbstractConnectivity], tmp_path: Path
) -> None:
    layer, other, x = layer_of(make(1)), layer_of(make(2)), inputs()
    other(x)
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=1e-8)
    loss_of(other(x)).backward()
    torch.optim.SGD(other.parameters(), lr=0.1).step()
    other(x)
    pattern = dict(layer.core.pattern.named_buffers())
    for name, W in other.core.recurrent.items():
        if (mask := pattern.get(name.replace("W", "mask"))) is not None:
            assert (W[~mask] == 0).all()
        if (signs := pattern.get(name.replace("W", "signs"))) is not None:
            assert (W * signs >= 0).all()


def test_a_state_dict_holds_what_differs_from_unit_to_unit() -> None:
    model, x = HETEROGENEOUS, inputs()
    W = random_weights(N, seed=3, scale=0.3)
    layer, other = (
        rn.FixedPointLayer(M, N, model, parameters={"theta": random_weights(N, seed=seed)[0]},
                           connectivity=Dense(W.clone()))
        for seed in (4, 5)
    )  # fmt: skip
    assert not torch.allclose(other(x), layer(x), atol=0.1)
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=1e-8)
    assert torch.equal(other.network.parameters["theta"], layer.network.parameters["theta"])


@pytest.mark.parametrize("is_used", [False, True])
@pytest.mark.parametrize(
    "make", [*PATTERNS.values(), lambda seed: masked(seed, 0.0)], ids=[*PATTERNS, "sparse"]
)
def test_a_whole_layer_is_stored_and_copied(
    make: Callable[[int], AbstractConnectivity], is_used: bool, tmp_path: Path
) -> None:
    layer, x = layer_of(make(6)), inputs()
    if is_used:
        loss_of(layer(x)).backward()
    torch.save(layer, tmp_path / "layer.pt")
    for twin in (torch.load(tmp_path / "layer.pt", weights_only=False), copy.deepcopy(layer)):
        assert twin.last is None
        torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=1e-8)
        loss_of(twin(x)).backward()


@pytest.mark.parametrize("share", [0.02, 0.4])
def test_fused_optimizers_and_edits_of_data_are_noticed(share: float) -> None:
    """Neither raises torch's version of a parameter."""
    layer, x = layer_of(masked(7, share)), inputs()
    W = layer.core.recurrent["W"]
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(layer(x)).backward()
        optimizer.step()
        torch.testing.assert_close(layer(x), rates_by_iteration(layer, x), rtol=0, atol=1e-8)
    y, version = layer(x), W._version
    W.data.mul_(1.5)
    assert W._version == version  # what makes it hard to see
    torch.testing.assert_close(layer(x), rates_by_iteration(layer, x), rtol=0, atol=1e-8)
    with pytest.raises(StaleError):
        y.sum().backward()


def test_signs_are_restored_after_an_edit_of_data() -> None:
    layer = layer_of(signed(8))
    layer(inputs())
    W, signs = layer.core.recurrent["W"], layer.core.pattern.signs
    W.data.neg_()
    layer(inputs())
    assert (W * signs >= 0).all()


def test_inference_mode_may_come_first() -> None:
    layer, x = layer_of(Dense(random_weights(N, seed=9, scale=0.3))).float(), inputs().float()
    with torch.inference_mode():
        first = layer(x)
        made_inside = rn.FixedPointLayer(M, N)
        torch.testing.assert_close(made_inside(x), made_inside(x), rtol=0, atol=1e-4)
    torch.testing.assert_close(layer(x), first.clone(), rtol=0, atol=1e-5)
    loss_of(layer(x)).backward()
    other = layer_of(masked(11)).float()
    with torch.inference_mode():
        other.load_state_dict(layer_of(masked(12)).float().state_dict())
        first = other(x)
    torch.testing.assert_close(other(x), first.clone(), rtol=0, atol=1e-5)
    loss_of(other(x)).backward()


def test_a_convolutional_layer_takes_no_images_as_well() -> None:
    layer = rn.ConvFixedPointLayer(1, 2, 8, 8)
    rates = layer(torch.zeros(0, 1, 8, 8))
    assert rates.shape == (0, 2, 8, 8)
    rates.sum().backward()
    assert layer.core.recurrent["kernel"].grad.abs().max() == 0


def test_two_layers_may_share_their_weights() -> None:
    W, x = random_weights(N, seed=10, scale=0.3), inputs()
    one, other, alone = layer_of(Dense(W)), layer_of(Dense(W.clone())), layer_of(Dense(W.clone()))
    other.core.recurrent["W"] = one.core.recurrent["W"]
    other.read_in.load_state_dict(one.read_in.state_dict())
    alone.read_in.load_state_dict(one.read_in.state_dict())
    (loss_of(one(x)) + loss_of(other(x))).backward()
    loss_of(alone(x)).backward()
    shared = one.core.recurrent["W"].grad
    torch.testing.assert_close(shared, 2 * alone.core.recurrent["W"].grad, rtol=1e-8, atol=1e-12)
