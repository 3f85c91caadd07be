"""Changes of weights are noticed, whoever makes them and however."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Block, Dense, LowRank, Masked, Signed
from ratenet.connectivity.changes import fingerprint
from ratenet.connectivity.computation import computation, current_computation
from ratenet.errors import StaleError

X = torch.tensor([1.0, 0.5], dtype=torch.float64)


def network() -> rn.Network:
    return rn.Network("rate", torch.tensor([[0.0, 0.5], [0.3, -0.2]], dtype=torch.float64))


def is_stale(fp: rn.FixedPoints) -> bool:
    try:
        fp.check_current()
    except StaleError:
        return True
    return False


def by_fused_optimizer(W: Tensor) -> None:
    W.requires_grad_()
    W.grad = torch.full_like(W, 0.5)
    torch.optim.SGD([W], lr=0.1, fused=True).step()
    W.requires_grad_(False)


def in_inference_mode(W: Tensor) -> None:
    with torch.inference_mode():
        W.mul_(-1)


EDITS: dict[str, Callable[[Tensor], object]] = {
    "add_": lambda W: W.add_(0.1),
    "data": lambda W: W.data.mul_(2),
    "sign": lambda W: W.data.neg_(),
    "transpose": lambda W: W.data.copy_(W.data.T.clone()),
    "numpy": lambda W: W.numpy().fill(0.1),
    "one bit": lambda W: W.view(torch.int64).numpy().__setitem__((1, 0), 1),
    "fused": by_fused_optimizer,
    "inference": in_inference_mode,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_fixed_points_are_stale_after_any_edit_of_the_weights(
    edit: Callable[[Tensor], object],
) -> None:
    net = network()
    fp = rn.find_fixed_points(net, X)
    assert not is_stale(fp)
    edit(net.connectivity.parameters["W"])
    assert is_stale(fp)
    assert not is_stale(rn.find_fixed_points(net, X))


def test_what_was_put_back_is_as_before() -> None:
    net = network()
    fp, W = rn.find_fixed_points(net, X), net.connectivity.parameters["W"]
    W.data[0, 1] += 1
    assert is_stale(fp)
    W.data[0, 1] -= 1
    assert not is_stale(fp)


def test_touch_says_what_no_value_tells() -> None:
    net = network()
    fp = rn.find_fixed_points(net, X)
    net.connectivity.touch_()
    assert is_stale(fp)


def swap_connectivity(net: rn.Network) -> None:
    net.connectivity = Dense(2 * net.connectivity.dense())


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.parameters["tau"].mul_(3),
        lambda net: net.parameters["tau"].data.mul_(3),
        lambda net: net.parameters.update(tau=torch.tensor(0.5)),
        swap_connectivity,
    ],
)
def test_parameters_and_the_connectivity_count(change: Callable[[rn.Network], object]) -> None:
    net = network()
    fp = rn.find_fixed_points(net, X)
    change(net)
    assert is_stale(fp)


def test_equations_use_parameters_edited_behind_their_back() -> None:
    net = network()
    state, drive = net.as_state([0.1, 0.2], 1), net.as_drive(X)
    slow = net.derivative(state, drive)
    net.parameters["tau"].data.mul_(2)
    torch.testing.assert_close(net.derivative(state, drive), slow / 2, rtol=1e-14, atol=0)


def saved_and_loaded(fp: rn.FixedPoints, folder: Path) -> rn.FixedPoints:
    torch.save(fp, folder / "fp.pt")
    return torch.load(folder / "fp.pt", weights_only=False)


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda fp, folder: copy.copy(fp),
        lambda fp, folder: copy.deepcopy(fp),
        lambda fp, folder: pickle.loads(pickle.dumps(fp)),
        saved_and_loaded,
    ],
    ids=["copy", "deepcopy", "pickle", "torch.save"],
)
@pytest.mark.parametrize("told", [True, False], ids=["add_", "data"])
def test_copies_are_as_current_as_the_original(
    duplicate: Callable[[rn.FixedPoints, Path], rn.FixedPoints], told: bool, tmp_path: Path
) -> None:
    net = network()
    net.connectivity.add_(torch.full((2, 2), 0.1, dtype=torch.float64))
    fp = rn.find_fixed_points(net, X)
    assert not is_stale(duplicate(fp, tmp_path))
    change = torch.full((2, 2), 0.1, dtype=torch.float64)
    if told:
        net.connectivity.add_(change)
    else:
        net.connectivity.parameters["W"].data.add_(change)
    assert is_stale(duplicate(fp, tmp_path))


@pytest.mark.slow
def test_another_process_judges_alike(tmp_path: Path) -> None:
    net = network()
    fp = rn.find_fixed_points(net, X)
    (tmp_path / "current.pkl").write_bytes(pickle.dumps(fp))
    net.connectivity.parameters["W"].data.mul_(2)
    (tmp_path / "stale.pkl").write_bytes(pickle.dumps(fp))
    code = (
        "import pickle, ratenet\n"
        "pickle.load(open('current.pkl', 'rb')).check_current()\n"
        "try: pickle.load(open('stale.pkl', 'rb')).check_current()\n"
        "except ratenet.errors.StaleError: print('stale')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("stale\n", 0), done.stderr


def sparse(units: int = 100) -> Masked:
    mask = torch.rand(units, units, generator=torch.Generator().manual_seed(0)) < 0.03
    return Masked(0.1 * mask.double(), mask)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_sparse_products_follow_any_edit(edit: Callable[[Tensor], object]) -> None:
    connectivity = sparse()
    y = torch.linspace(-1, 1, 100, dtype=torch.float64)[None]
    connectivity.apply(y), connectivity.apply_transpose(y)
    edit(connectivity.W)
    W = connectivity.W * connectivity.mask
    torch.testing.assert_close(connectivity.apply(y), y @ W.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(connectivity.apply_transpose(y), y @ W, rtol=0, atol=1e-12)


def test_sparse_products_follow_our_own_changes_amid_a_computation() -> None:
    connectivity, y = sparse(), torch.ones(1, 100, dtype=torch.float64)
    with computation():
        connectivity.apply(y)
        connectivity.add_(connectivity.mask.double())
        expected = y @ connectivity.W.T
        torch.testing.assert_close(connectivity.apply(y), expected, rtol=1e-14, atol=0)


def test_changes_count_each_parameter_once_however_it_was_changed() -> None:
    one = Dense(torch.eye(3))
    before = one.changes
    one.add_(torch.ones(3, 3))
    assert one.changes == before + 1
    one.W.data.mul_(2)
    assert one.changes == before + 2
    assert one.changes == before + 2
    pair = LowRank(torch.ones(3, 1), torch.ones(3, 1))
    before = pair.changes
    pair.add_({"m": torch.ones(3, 1), "n": torch.ones(3, 1)})
    assert pair.changes == before + 2
    pair.m.data.mul_(2)
    assert pair.changes == before + 3


def test_a_block_sees_changes_of_its_parts() -> None:
    part = Signed(torch.ones(2, 2), torch.tensor([1, 1]))
    whole = Block({"E": {"E": part}}, {"E": 2})
    version = whole.version
    part.add_(torch.ones(2, 2))
    assert whole.version != version


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_fingerprints_depend_on_values_and_places_alone(dtype: torch.dtype) -> None:
    W = torch.arange(1.0, 13.0).reshape(3, 4).to(dtype)
    assert fingerprint(W) == fingerprint(W.clone()) == fingerprint(W.T.contiguous().T)
    others = [-W, 2 * W, W.flip(0), W.flip(1), W + 1]
    assert len({fingerprint(W), *map(fingerprint, others)}) == 6


def test_fingerprints_of_tensors_without_memory_change_likewise() -> None:
    """Those of torch.func take the route of a GPU: the same sums of words, times their places."""
    found: list[int] = []

    def looks(W: Tensor) -> Tensor:
        others = [W, W.clone(), -W, 2 * W, W.flip(0), W.T.contiguous(), W + 1]
        found.extend(map(fingerprint, others))
        return W.sum()

    torch.func.grad(looks)(torch.arange(16.0).reshape(4, 4))
    assert found[0] == found[1]
    assert len(set(found)) == 6


@pytest.fixture
def meta_by_default() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.mark.usefixtures("meta_by_default")
def test_a_computation_is_shielded_and_leaves_settings_as_they_were() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        with computation():
            outer = current_computation()
            assert not torch.is_autocast_enabled("cpu")
            assert not torch.is_inference_mode_enabled()
            assert not torch.is_grad_enabled()
            assert torch.ones(1).device.type == "cpu"
            with computation():
                assert current_computation() is outer is not None
        assert current_computation() is None
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_inference_mode_enabled()
        assert torch.ones(1).device.type == "meta"
    with computation():
        assert torch.is_grad_enabled()
