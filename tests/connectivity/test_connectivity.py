"""The product of a batch with dense weights, by two routes; each kind: test_connectivities.py."""

from collections.abc import Iterator

import pytest
import torch
from helpers.problems import random

from ratenet import Dense
from ratenet.connectivity import matmul as product
from ratenet.errors import InputError, UnsupportedError


@pytest.fixture
def onednn() -> Iterator[None]:
    before = product.choose_route()
    try:
        product.choose_route("onednn")
    except UnsupportedError as error:
        pytest.skip(str(error))
    yield
    product.choose_route(before)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("transposed", [False, True])
def test_the_fast_product_follows_the_weights(transposed: bool) -> None:
    W = random(130, 130, seed=20).float()
    dense, rates = Dense(W), random(70, 130, seed=21).float()
    apply = dense.apply_transpose if transposed else dense.apply
    for _ in range(2):  # before and after a change in place
        exact = rates.double() @ (W.double() if transposed else W.double().T)
        # float32 sums of 130 terms of size 1
        torch.testing.assert_close(apply(rates).double(), exact, rtol=0, atol=2e-4)
        dense.add_(torch.ones_like(W))


@pytest.mark.usefixtures("onednn")
def test_the_route_follows_from_a_rule() -> None:
    W = random(130, 130, seed=22).float()
    large, small = random(16, 130, seed=23).float(), random(15, 130, seed=24).float()

    def takes(values: torch.Tensor, weights: torch.Tensor = W) -> bool:
        return product.Product(weights, transposed=False)._takes_onednn(values)

    assert takes(large)
    assert not takes(small)
    assert not takes(large.double(), W.double())
    assert not takes(large.clone().requires_grad_())
    with torch.no_grad():
        assert takes(large.clone().requires_grad_())
    product.choose_route("torch")
    assert not takes(large)


@pytest.mark.usefixtures("onednn")
def test_the_way_without_copies_gives_the_same_bits() -> None:
    rates, W = random(40, 130, seed=27).float(), random(130, 130, seed=28).float()
    for weights in (W, W.T):
        assert torch.equal(product._onednn_product(rates, weights), product._linear(rates, weights))


@pytest.mark.usefixtures("onednn")
def test_weights_may_lie_in_memory_as_they_like() -> None:
    rates, wide = random(40, 130, seed=29).float(), random(130, 260, seed=30).float()
    for W in (wide[:, ::2], wide[:, :130].T):
        found = Dense(W).apply(rates)
        torch.testing.assert_close(found.double(), rates.double() @ W.double().T, rtol=0, atol=2e-4)


def test_gradients_pass_through_large_products() -> None:
    W = random(130, 130, seed=25).float().requires_grad_()
    rates = random(70, 130, seed=26).float().requires_grad_()
    Dense(W).apply(rates).sum().backward()
    torch.testing.assert_close(W.grad, rates.detach().sum(0).expand(130, 130))


def test_an_unknown_route_is_refused() -> None:
    with pytest.raises(InputError, match="matrix_product: expected one of onednn, torch"):
        product.choose_route("fast")
