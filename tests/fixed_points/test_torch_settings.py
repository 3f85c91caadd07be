"""Numbers do not depend on what torch is set to; what cannot be done is said."""

import warnings
from collections.abc import Callable

import pytest
import torch
from helpers.problems import random
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Dense
from ratenet.errors import InputError, RatenetWarning, UnsupportedError

W = (0.5 * random(6, 6, seed=0) / 6**0.5).float()
X = random(3, 6, seed=1).float()


def network() -> rn.Network:
    return rn.Network("rate", W.clone())


def update() -> Tensor:
    fp = rn.find_fixed_points(network(), X.clone())
    return rn.plasticity.LinearizedReparameterized().update(fp, fp.rates - 0.1, learning_rate=1.0)


RESULTS: dict[str, Callable[[], Tensor]] = {
    "find": lambda: rn.find_fixed_points(network(), X.clone()).rates,
    "measure": lambda: rn.fixed_points_at(network(), X.clone(), 0.1 * X).residual,
    "abscissa": lambda: rn.find_fixed_points(network(), X.clone()).abscissa(),
    "adjoint": lambda: rn.solve_adjoint(rn.find_fixed_points(network(), X.clone()), X).values,
    "lag": lambda: rn.predict_lag(rn.find_fixed_points(network(), X.clone()), X).rates,
    "simulate": lambda: rn.simulate(network(), X.clone(), 0.05, 1e-3).rates,
    "rule": update,
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_autocast_and_inference_mode_change_no_number(result: Callable[[], Tensor]) -> None:
    plain = result()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(result(), plain)
    with torch.inference_mode():
        assert torch.equal(result(), plain)


def test_what_requires_a_gradient_is_told_that_rates_are_detached() -> None:
    leaf = rn.Network("rate", W.clone().requires_grad_())
    with pytest.warns(RatenetWarning, match="find_fixed_points: W requires a gradient") as seen:
        fp = rn.find_fixed_points(leaf, X)
    assert not fp.rates.requires_grad
    assert seen[0].filename == __file__
    with pytest.warns(RatenetWarning, match="fixed_points_at: W, the drive or the state require"):
        rn.fixed_points_at(leaf, X.clone().requires_grad_(), 0.1 * X)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", RatenetWarning)
        rn.find_fixed_points(leaf, X)


def test_half_precision_is_refused_where_fixed_points_are_asked_for() -> None:
    half = rn.Network("rate", W.bfloat16())
    assert rn.simulate(half, X, 0.01, 1e-3).rates.dtype == torch.bfloat16
    with pytest.raises(UnsupportedError, match=r"the network has torch.bfloat16; make it with"):
        rn.find_fixed_points(half, X)


def test_weights_without_values_are_refused() -> None:
    with pytest.raises(InputError, match="meta tensor"):
        Dense(W.to("meta"))
