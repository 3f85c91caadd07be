"""Weights stored synapse by synapse against the same weights as a matrix; nothing is densified."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import ratenet as rn
from ratenet.connectivity import Block, Masked
from ratenet.errors import InputError, UnsupportedError

FLOAT = torch.float64
POST, PRE = torch.tensor([2, 0, 1, 0, 2]), torch.tensor([3, 1, 0, 3, 0])
WEIGHTS = torch.tensor([0.5, -0.3, 0.2, 0.4, -0.1], dtype=FLOAT)


def matrix() -> torch.Tensor:
    W = torch.zeros(4, 4, dtype=FLOAT)
    W[POST, PRE] = WEIGHTS
    return W


def sparse() -> Masked:
    return Masked.from_synapses(POST, PRE, WEIGHTS.clone(), (4, 4))


def rows(seed: int, count: int = 3, units: int = 4) -> torch.Tensor:
    return torch.randn(count, units, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)


def ring(units: int) -> scipy.sparse.csr_array:
    places = (np.arange(units), (np.arange(units) + 1) % units)
    return scipy.sparse.csr_array((np.full(units, 0.5), places), shape=(units, units))


@pytest.mark.parametrize("count", [1, 3])
def test_products_and_outer_products_are_those_of_the_matrix(count: int) -> None:
    W, left, right = matrix(), rows(0, count), rows(1, count)
    connectivity = sparse()
    assert torch.equal(connectivity.dense(), W)
    assert torch.equal(connectivity.pattern(), W != 0)
    torch.testing.assert_close(connectivity.apply(right), right @ W.T)
    torch.testing.assert_close(connectivity.apply_transpose(left), left @ W)
    expected = (left.T @ right)[tuple(connectivity.mask.long())]
    torch.testing.assert_close(connectivity.accumulate(left, right), expected)


def test_a_rectangular_pattern_keeps_its_sides() -> None:
    wide = Masked.from_synapses(torch.tensor([1]), torch.tensor([4]), torch.ones(1), (2, 5))
    assert wide.shape == (2, 5)
    assert wide.apply(torch.eye(5)[4:]).tolist() == [[0.0, 1.0]]
    assert wide.apply_transpose(torch.eye(2)[1:]).tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]


@pytest.mark.parametrize("count", [1, 5])
def test_threads_share_a_large_product(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("ratenet.connectivity.synapses.FEWEST_SHARED", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    left = rows(0, count)
    torch.testing.assert_close(sparse().apply_transpose(left), left @ matrix())


def test_order_is_by_post_then_pre_whatever_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratenet.connectivity.synapses.CHUNK", 7)  # several, and a last one
    W = torch.randn(40, 30, dtype=FLOAT) * (torch.rand(40, 30) < 0.1)
    post, pre = torch.nonzero(W, as_tuple=True)
    shuffled = torch.randperm(len(post))
    found = Masked.from_synapses(
        post[shuffled], pre[shuffled], W[post, pre][shuffled], tuple(W.shape)
    )
    assert torch.equal(found.mask, torch.stack([post, pre]).int())
    assert torch.equal(found.W, W[post, pre])


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "repeated", "unordered"])
def test_any_sparse_matrix_of_scipy_is_taken_as_it_is(kind: str) -> None:
    units = 10_001
    post, pre = np.array([0, 0, 7, units - 1]), np.array([9, 3, 7, 0])
    values = np.array([1.0, 2.0, 3.0, 4.0])
    if kind == "repeated":
        post, pre, values = (np.append(a, b) for a, b in ((post, 7), (pre, 7), (values, -1.0)))
    given = scipy.sparse.coo_array((values, (post, pre)), shape=(units, units))
    if kind == "unordered":  # compressed rows whose columns are as they were given
        starts = np.searchsorted(post, np.arange(units + 1))
        given = scipy.sparse.csr_array((values, pre, starts), shape=(units, units))
    elif kind != "repeated":
        given = given.asformat(kind)
    before = given.data.copy()
    kept = rn.Network("rate", given).connectivity
    assert isinstance(kept, Masked)
    assert kept.mask.tolist() == [[0, 0, 7, units - 1], [3, 9, 7, 0]]
    assert kept.W.tolist() == [2.0, 1.0, 2.0 if kind == "repeated" else 3.0, 4.0]
    kept.add_(torch.ones(4, dtype=FLOAT))
    assert np.array_equal(given.data, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_products_on_a_gpu_are_those_on_the_cpu() -> None:
    here = sparse()
    there = Masked(here.W.cuda(), here.mask.cuda(), here.size)
    left, right = rows(0), rows(1)
    for name in ("apply", "apply_transpose"):
        found = getattr(there, name)(right.cuda()).cpu()
        torch.testing.assert_close(found, getattr(here, name)(right))
    found = there.accumulate(left.cuda(), right.cuda()).cpu()
    torch.testing.assert_close(found, here.accumulate(left, right))


@pytest.mark.parametrize("name", ["apply", "apply_transpose"])
def test_gradients_are_finite_differences(name: str) -> None:
    W, places = sparse().W, sparse().mask

    def product(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return getattr(Masked(weights, places, (4, 4)), name)(values)

    assert torch.autograd.gradcheck(product, (W.requires_grad_(), rows(2).requires_grad_()))


def test_products_follow_changes_whoever_makes_them() -> None:
    connectivity, v = sparse(), rows(3)
    twin, before = copy.deepcopy(connectivity), connectivity.version
    connectivity.apply_transpose(v)
    connectivity.add_(torch.ones(5, dtype=FLOAT))
    assert connectivity.version != before
    changed = matrix() + (matrix() != 0)
    torch.testing.assert_close(connectivity.apply(v), v @ changed.T)
    torch.testing.assert_close(connectivity.apply_transpose(v), v @ changed)
    connectivity.W.data = torch.zeros(5, dtype=FLOAT)
    assert not connectivity.apply(v).any()
    assert not connectivity.apply_transpose(v).any()
    torch.testing.assert_close(twin.apply(v), v @ matrix().T)


def test_a_network_finds_the_same_points_and_changes(tmp_path: Path) -> None:
    full, few = rn.Network("rate", matrix()), rn.Network("rate", sparse())
    one, other = (rn.find_fixed_points(network, rows(4)) for network in (full, few))
    torch.testing.assert_close(other.rates, one.rates)
    torch.testing.assert_close(other.abscissa(), one.abscissa())
    where = tuple(sparse().mask.long())
    rule = rn.plasticity.LinearizedReparameterized()
    expected = rule.update(one, rows(5), 0.1)[where]
    torch.testing.assert_close(rule.update(other, rows(5), 0.1), expected)
    few.save(tmp_path / "few.safetensors")
    loaded = rn.load_network(tmp_path / "few.safetensors").connectivity
    assert isinstance(loaded, Masked)
    assert loaded.size == (4, 4)
    assert torch.equal(loaded.W, few.connectivity.parameters["W"])


def test_large_sparse_weights_are_never_a_matrix() -> None:
    units = 20_000  # as a matrix 3.2 GB, which dense() refuses
    network = rn.Network("rate", ring(units))
    assert network.connectivity.parameters["W"].shape == (units,)
    found = rn.find_fixed_points(network, torch.full((1, units), 0.5, dtype=FLOAT))
    assert bool(found.converged.all())
    r = 0.0
    for _ in range(200):  # all units alike: r = tanh(r / 2 + 1 / 2)
        r = float(np.tanh(0.5 * r + 0.5))
    torch.testing.assert_close(found.rates, torch.full_like(found.rates, r), rtol=0, atol=1e-8)
    change = rn.plasticity.Euclidean().update(found, torch.ones_like(found.rates), 0.1)
    assert change.shape == (units,)
    with pytest.raises(UnsupportedError, match="not built above 10000 units"):
        network.connectivity.dense()


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.parametrize("target", ["cython"], indirect=True)
@pytest.mark.usefixtures("target")
def test_brian2_has_the_synapses_that_exist() -> None:
    network = rn.Network("rate", ring(12_000))
    drive = rows(6, 1, 12_000)
    one, other = (
        rn.simulate(network, drive, 0.005, 1e-3, backend=name).rates for name in ("torch", "brian2")
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.parametrize("target", ["cython"], indirect=True)
@pytest.mark.usefixtures("target")
def test_blocks_in_brian2_have_the_synapses_that_exist() -> None:
    units = 12_000
    post, pre = torch.arange(units), torch.arange(units).roll(1)
    large = Masked.from_synapses(post, pre, torch.full((units,), 0.5, dtype=FLOAT), (units, units))
    few = Masked.from_synapses(
        torch.tensor([0, 2]), torch.tensor([units - 1, 7]), WEIGHTS[:2].clone(), (3, units)
    )
    W = Block({"E": {"E": large}, "I": {"E": few}}, {"E": units, "I": 3})
    network, drive = rn.Network("rate", W), rows(6, 1, units + 3)
    one, other = (
        rn.simulate(network, drive, 0.005, 1e-3, backend=name).rates for name in ("torch", "brian2")
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"post": torch.tensor([0, 1, 2, 3, 4])}, "post: .* units from 0 to 3"),
    "below": ({"pre": torch.tensor([0, -1, 2, 3, 1])}, "pre: .* units from 0 to 3"),
    "too large for 32 bits": ({"pre": PRE + 2**32}, "pre: .* units from 0 to 3"),
    "weights as a row": ({"weights": WEIGHTS[None]}, "one number for each synapse"),
    "repeated": ({"post": torch.zeros(5).long(), "pre": torch.tensor([0, 1, 1, 2, 3])}, "repeated"),
    "floats": ({"post": torch.zeros(5)}, "post: .* whole numbers"),
    "complex": ({"weights": WEIGHTS + 0j}, "floating-point"),
    "int": ({"weights": torch.ones(5).long()}, "floating-point"),
    "nan": ({"weights": WEIGHTS * torch.nan}, "finite"),
    "fewer": ({"weights": WEIGHTS[:3]}, "one number for each synapse"),
    "none": ({name: value[:0] for name, value in
              {"post": POST, "pre": PRE, "weights": WEIGHTS}.items()}, "at least one"),
    "size": ({"size": (4, 0)}, "size: .* two numbers of units"),
    "size as a string": ({"size": "ab"}, "size: .* two numbers of units"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "match"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_one_sentence(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Masked.from_synapses(
            **{"post": POST, "pre": PRE, "weights": WEIGHTS, "size": (4, 4), **wrong}
        )
