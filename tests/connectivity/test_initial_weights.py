"""First weights: spectral radius, balance, signs, density, kernels; the same from the same seed."""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.problems import FLOAT
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    Convolution,
    Dense,
    Signed,
    balanced_weights,
    eigenvalues,
    random_kernel,
    random_mask,
    random_weights,
    sparse_weights,
    with_radius,
)
from ratenet.errors import InputError, SingularError


def radius(W: Tensor) -> float:
    return float(torch.linalg.eigvals(W).abs().max())


def test_the_spectral_radius_is_exact() -> None:
    W = random_weights(80, radius=0.7, seed=1, dtype=FLOAT)
    assert abs(radius(W) - 0.7) < 1e-12
    assert random_weights(80, radius=0.7, seed=1).dtype == torch.float32


def test_the_spectral_radius_is_expected() -> None:
    W = random_weights(400, radius=0.7, seed=2, exact=False, dtype=FLOAT)
    assert abs(float(W.std()) - 0.7 / 20) < 5 * 0.7 / 20 / math.sqrt(2 * 400**2)  # five sigma
    assert abs(radius(W) / 0.7 - 1) < 0.1
    assert radius(W) != pytest.approx(0.7, abs=1e-6)


def test_balanced_weights_obey_dales_law_and_balance_each_unit() -> None:
    W, signs = balanced_weights(80, 20, radius=0.9, seed=3, dtype=FLOAT)
    assert signs.tolist() == [1.0] * 80 + [-1.0] * 20
    Signed(W, signs)  # would refuse a wrong sign
    assert (W != 0).all()
    assert W.sum(dim=1).abs().max() < 1e-13
    assert abs(radius(W) - 0.9) < 1e-12


def test_balance_leaves_no_outlier() -> None:
    """The largest eigenvalue is at the edge of the others, as the theorem says.

    With the means m of columns, W = J + 1 m^T has the spectrum of J, whose entries have means of
    about 0. Rajan and Abbott: its radius is the root of the sum over columns of the variances.
    """
    W, _ = balanced_weights(240, 60, radius=1.0, seed=4, dtype=FLOAT)
    bulk = float(W.var(dim=0).sum().sqrt())
    assert abs(bulk - 1) < 0.15
    m = W.mean(dim=0)
    J = W - m
    assert abs(radius(J) - 1) < 1e-6
    # With a fifth less of inhibition every row sums to about the same, an eigenvalue far outside.
    unbalanced = torch.cat([W[:, :240], 0.8 * W[:, 240:]], dim=1)
    row_sum = float(unbalanced.sum(dim=1).mean())
    assert row_sum > 1.5
    assert abs(radius(unbalanced) / row_sum - 1) < 0.05


def test_a_mask_has_the_density() -> None:
    mask = random_mask(300, 500, density=0.1, seed=6)
    assert mask.shape == (300, 500)
    assert mask.dtype == torch.bool
    sigma = math.sqrt(0.1 * 0.9 / 150_000)
    assert abs(float(mask.double().mean()) - 0.1) < 5 * sigma
    assert random_mask(4, 5, density=1.0, seed=6).all()


@pytest.mark.parametrize("density", [0.05, 0.4, 1.0])
def test_each_synapse_of_sparse_weights_is_drawn_by_itself(density: float) -> None:
    drawn = [sparse_weights(20, density=density, radius=0.5, seed=seed) for seed in range(200)]
    there = torch.stack([torch.from_numpy(W.toarray()) != 0 for W in drawn]).double()
    sigma = math.sqrt(200 * density * (1 - density))
    assert ((there.sum(dim=0) - 200 * density).abs() <= 5 * sigma).all()  # the last as the first
    number = there.sum(dim=(1, 2))
    assert abs(number.mean() - 400 * density) <= 5 * sigma * 400**0.5 / 200
    expected = 400 * density * (1 - density)
    assert abs(number.var() - expected) <= 5 * expected * (2 / 199) ** 0.5


def test_sparse_weights_have_the_radius_and_make_a_network() -> None:
    W = sparse_weights(1000, density=0.1, radius=0.8, seed=3, dtype=FLOAT)
    dense = torch.from_numpy(W.toarray())
    assert abs(radius(dense) / 0.8 - 1) < 0.05
    network = rn.Network("rate", W)
    torch.testing.assert_close(network.connectivity.dense(), dense, rtol=0, atol=0)
    large = rn.Network("rate", sparse_weights(20_000, density=1e-3, radius=0.5, seed=0))
    number = large.connectivity.parameters["W"].numel()
    assert abs(number - 400_000) < 5 * 400_000**0.5


def test_a_kernel_has_the_spectral_radius_with_circular_borders() -> None:
    kernel = random_kernel(3, 3, height=6, width=5, radius=0.8, seed=7, dtype=FLOAT)
    assert abs(radius(Convolution(kernel, 6, 5).dense()) - 0.8) < 1e-12


@pytest.mark.parametrize("size", [1, 3, 5])
def test_eigenvalues_by_fourier_transform_are_those_of_the_matrix(size: int) -> None:
    kernel = random_kernel(2, size, height=5, width=7, radius=1.3, seed=8, dtype=FLOAT)
    connectivity = Convolution(kernel, 5, 7)
    found, expected = eigenvalues(connectivity), torch.linalg.eigvals(connectivity.dense())
    assert len(found) == 70
    distances = (found[:, None] - expected).abs()
    assert distances.amin(dim=0).max() < 1e-10
    assert distances.amin(dim=1).max() < 1e-10
    power = torch.linalg.matrix_power(connectivity.dense(), 3).trace()  # counts multiplicities
    torch.testing.assert_close((found**3).sum().real, power, rtol=1e-10, atol=1e-10)


def test_eigenvalues_of_all_else_are_those_of_the_matrix() -> None:
    kernel = random_kernel(1, 3, height=4, width=4, radius=1.0, seed=9, dtype=FLOAT)
    for connectivity in (
        Convolution(kernel, 4, 4, "zero"),
        Dense(random_weights(9, radius=2, seed=1)),
    ):
        expected = torch.linalg.eigvals(connectivity.dense())
        torch.testing.assert_close(eigenvalues(connectivity), expected, rtol=0, atol=0)


SEEDED: dict[str, Callable[[int], Tensor]] = {
    "random_weights": lambda seed: random_weights(10, radius=0.5, seed=seed),
    "balanced_weights": lambda seed: balanced_weights(8, 2, radius=0.5, seed=seed)[0],
    "random_mask": lambda seed: random_mask(10, 10, density=0.5, seed=seed),
    "sparse_weights": lambda seed: torch.from_numpy(
        sparse_weights(10, density=0.3, radius=0.5, seed=seed).toarray()
    ),
    "random_kernel": lambda seed: random_kernel(2, 3, height=4, width=4, radius=0.5, seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_gives_the_same_weights(name: str) -> None:
    make = SEEDED[name]
    state = torch.random.get_rng_state()
    assert torch.equal(make(1), make(1))
    assert not torch.equal(make(1), make(2))
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's generator is used


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: random_weights(0, radius=0.5, seed=0), "units: expected a whole number.*got 0"),
        (
            lambda: random_weights(5, radius=0.0, seed=0),
            "radius: expected a finite number above 0, got 0.0",
        ),
        (
            lambda: random_weights(5, radius=math.nan, seed=0),
            "radius: expected a finite number above 0, got nan",
        ),
        (lambda: random_weights(5, radius=0.5, seed=-1), "seed: expected a whole number.*got -1"),
        (lambda: balanced_weights(5, 0, radius=0.5, seed=0), "inhibitory: expected a whole.*got 0"),
        (
            lambda: random_mask(5, 5, density=1.5, seed=0),
            "density: expected a number above 0 and at most 1, got 1.5",
        ),
        (
            lambda: sparse_weights(5, density=0.0, radius=1, seed=0),
            "density: expected a number above 0 and at most 1, got 0.0",
        ),
        (
            lambda: random_kernel(2, 4, height=8, width=8, radius=1, seed=0),
            "size: expected an odd number.*got 4",
        ),
        (
            lambda: random_kernel(2, 5, height=3, width=8, radius=1, seed=0),
            "size: .*height 3.*got 5",
        ),
        (lambda: eigenvalues(Dense(torch.ones(2, 3))), "W: expected a square matrix"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_matrix_that_leads_nowhere_has_no_radius_to_scale() -> None:
    with pytest.raises(SingularError, match="all eigenvalues of W are 0"):
        with_radius(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), 0.5)
