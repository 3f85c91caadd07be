"""Connectivities: apply, its adjoint, the gradient for the parameters, changes in place.

A new connectivity is one more row of CONNECTIVITIES.
"""

from collections.abc import Callable

import pytest
import torch
from problems import random, random_weights

from ratenet import Dense
from ratenet.connectivity import AbstractConnectivity

CONNECTIVITIES: dict[str, Callable[[], AbstractConnectivity]] = {
    "dense": lambda: Dense(random_weights(5, seed=6))
}


@pytest.mark.parametrize("name", CONNECTIVITIES)
def test_apply_is_the_product_with_the_dense_matrix(name: str) -> None:
    connectivity = CONNECTIVITIES[name]()
    rates = random(3, 5, seed=7)
    torch.testing.assert_close(connectivity.apply(rates), rates @ connectivity.dense().T)


@pytest.mark.parametrize("name", CONNECTIVITIES)
def test_apply_transpose_is_the_adjoint_of_apply(name: str) -> None:
    connectivity = CONNECTIVITIES[name]()
    v, y = random(3, 5, seed=8), random(3, 5, seed=9)
    forward = (v * connectivity.apply(y)).sum(1)
    backward = (connectivity.apply_transpose(v) * y).sum(1)
    torch.testing.assert_close(forward, backward)


@pytest.mark.parametrize("name", CONNECTIVITIES)
def test_accumulate_is_the_gradient_for_the_parameters(name: str) -> None:
    connectivity = CONNECTIVITIES[name]()
    (parameter,) = connectivity.parameters
    left, right = random(3, 5, seed=10), random(3, 5, seed=11)
    parameter.requires_grad_()
    (left * connectivity.apply(right)).sum().backward()
    torch.testing.assert_close(connectivity.accumulate(left, right), parameter.grad)


@pytest.mark.parametrize("name", CONNECTIVITIES)
def test_add_changes_the_weights_and_the_version(name: str) -> None:
    connectivity = CONNECTIVITIES[name]()
    (parameter,) = connectivity.parameters
    before, version = parameter.clone(), connectivity.version
    assert connectivity.version == version
    delta = random(*parameter.shape, seed=12)
    connectivity.add_(delta)
    torch.testing.assert_close(parameter, before + delta, rtol=0, atol=0)
    assert connectivity.version != version
