"""A network comes back from its file to the last bit; a file that is not one is refused."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as foreign
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
from ratenet.errors import DataError, InputError, RunFolderError, UnsupportedError
from ratenet.network.contents import table_of, tensors_of
from ratenet.tensor_files import read_table, write_table

FLOAT = torch.float64
N = 6
W = torch.randn(N, N, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
MASK = W > 0
SIGNS = torch.tensor([1, 1, 1, 1, -1, -1])
KERNEL = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=FLOAT)
KINDS: dict[str, AbstractConnectivity] = {
    "dense": Dense(W),
    "masked": Masked(W * MASK, MASK),
    "signed": Signed(W.abs() * SIGNS, SIGNS, "exponentiated"),
    "low-rank": LowRank(W[:, :2], W[:, 1:3]),
    "convolution": Convolution(KERNEL, 3, 5, "zero"),
    "sum": Sum({"random": Dense(W), "structure": LowRank(W[:, :2], W[:, :2])}),
    "block": Block(
        {
            "E": {"E": Dense(W[:4, :4]), "I": Masked(W[:4, 4:] * MASK[:4, 4:], MASK[:4, 4:])},
            "I": {"E": Sum({"one": Dense(W[4:, :4])})},
        },
        {"E": 4, "I": 2},
    ),
}


def assert_same(one: rn.Network, other: rn.Network) -> None:
    assert table_of(one) == table_of(other)
    assert one.model == other.model
    assert one.version == other.version
    assert type(one.connectivity) is type(other.connectivity)
    found = tensors_of(other)
    for name, tensor in tensors_of(one).items():
        assert torch.equal(tensor, found[name])
        assert (tensor.dtype, tensor.shape) == (found[name].dtype, found[name].shape)


@pytest.mark.parametrize("kind", KINDS)
def test_every_connectivity_comes_back_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    network = rn.Network("rate", KINDS[kind], {"tau": "normal(20*ms, 1*ms)"}, seed=3)
    network.save(tmp_path / "net.safetensors")
    loaded = rn.load_network(tmp_path / "net.safetensors")
    assert_same(network, loaded)
    drive = torch.linspace(-1, 1, network.units, dtype=FLOAT)
    state = 0.1 * drive[None, None]
    assert torch.equal(
        network.derivative(state, drive[None]), loaded.derivative(state, drive[None])
    )


@pytest.mark.parametrize("name", rn.circuits.names())
def test_every_circuit_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    """Models with dimensions, noise, functions, populations and several state variables."""
    network = rn.circuits.load(name).network
    network.save(tmp_path / "net.safetensors")
    assert_same(network, rn.load_network(str(tmp_path / "net.safetensors")))


def test_what_was_one_tensor_is_one_again(tmp_path: Path) -> None:
    block = Dense(W[:3, :3].clone())
    network = rn.Network("rate", Block({"a": {"a": block}, "b": {"b": block}}, {"a": 3, "b": 3}))
    network.save(tmp_path / "net")
    tensors = list(rn.load_network(tmp_path / "net").connectivity.parameters.values())
    assert tensors[0] is tensors[1]


def test_another_dtype_is_asked_for(tmp_path: Path) -> None:
    rn.Network("rate", KINDS["block"], {"tau": "normal(20*ms, 1*ms)"}).save(tmp_path / "net")
    loaded = rn.load_network(tmp_path / "net", dtype=torch.float32)
    assert loaded.dtype == loaded.parameters["tau"].dtype == torch.float32


def test_a_connectivity_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Mine(Dense):
        pass

    network = rn.Network("rate", Sum({"mine": Mine(W)}))
    with pytest.raises(UnsupportedError, match="Mine is a connectivity of your own"):
        network.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [3, None, "", "a\0b"])
def test_what_is_not_a_path_is_refused(path: Any) -> None:
    network = rn.Network("rate", W)
    for act in (network.save, rn.load_network):
        with pytest.raises(InputError, match="path: expected the path of a file"):
            act(path)


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "net"):
        with pytest.raises(RunFolderError, match="cannot be written"):
            rn.Network("rate", W).save(path)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"device": "gpu7"}, "device"),
        ({"device": 1.5}, "device"),
        ({"dtype": torch.int32}, "dtype"),
        ({"dtype": "float32"}, "dtype"),
    ],
)
def test_unusable_arguments_are_named(
    options: dict[str, Any], argument: str, tmp_path: Path
) -> None:
    rn.Network("rate", W).save(tmp_path / "net")
    with pytest.raises(InputError) as caught:
        rn.load_network(tmp_path / "net", **options)
    assert caught.value.argument == argument


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_flipped, "SHA-256"),
        (lambda content: content[:-20], "damaged"),
        (lambda content: b"", "damaged"),
        (lambda content: b"junk" * 100, "damaged"),
        (lambda content: foreign({"W": W}), "not a file that ratenet wrote"),
    ],
)
def test_damaged_and_foreign_files_are_refused(
    change: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.safetensors"
    rn.Network("rate", W).save(file)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=said):
        rn.load_network(file)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        rn.load_network(tmp_path / "net")
    with pytest.raises(DataError, match="directory"):
        rn.load_network(tmp_path)


def test_a_newer_layout_and_another_kind_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rn.FixedPointLayer(2, 3).save(tmp_path / "layer")
    with pytest.raises(DataError, match=r"expected a saved network, got saved layers; .*load"):
        rn.load_network(tmp_path / "layer")
    monkeypatch.setattr("ratenet.tensor_files.LAYOUT", 2)
    rn.Network("rate", W).save(tmp_path / "net")
    monkeypatch.undo()
    with pytest.raises(DataError, match="upgrade ratenet"):
        rn.load_network(tmp_path / "net")


Table = dict[str, Any]
FORGED_TABLES: dict[str, Callable[[Table], Any]] = {
    "no model": lambda t: t.pop("model"),
    "code": lambda t: t["model"].update(equations="__import__('os')"),
    "kind": lambda t: t["connectivity"].update(kind="evil"),
    "more": lambda t: t["connectivity"].update(x=3),
    "a number for W": lambda t: t["connectivity"].update(W=3),
    "a list": lambda t: t.update(connectivity=[]),
    "populations": lambda t: t.update(populations={"E": 6}),
    "seed": lambda t: t.update(seed=-1),
}
FORGED_TENSORS: dict[str, dict[str, Tensor | None]] = {
    "no W": {"connectivity.W": None},
    "no tau": {"parameters.tau": None},
    "left over": {"x": W},
    "another of W": {"connectivity.x": W},
    "NaN": {"connectivity.W": W * math.nan},
    "not square": {"connectivity.W": W[:3]},
    "integers": {"connectivity.W": torch.ones(N, N, dtype=torch.int64)},
    "negative tau": {"parameters.tau": -torch.ones(N)},
    "shape of tau": {"parameters.tau": torch.ones(2, 3)},
}


@pytest.mark.parametrize("change", FORGED_TABLES.values(), ids=FORGED_TABLES)
def test_forged_tables_are_refused(change: Callable[[Table], Any], tmp_path: Path) -> None:
    file = tmp_path / "net"
    rn.Network("rate", W).save(file)
    table, tensors = read_table(file, "network")
    changed = copy.deepcopy(table)
    change(changed)
    write_table(file, "network", changed, tensors)
    with pytest.raises(DataError, match="cannot be used"):
        rn.load_network(file)


@pytest.mark.parametrize("change", FORGED_TENSORS.values(), ids=FORGED_TENSORS)
def test_forged_tensors_are_refused(change: dict[str, Tensor | None], tmp_path: Path) -> None:
    file = tmp_path / "net"
    rn.Network("rate", W).save(file)
    table, tensors = read_table(file, "network")
    changed = {n: t for n, t in {**tensors, **change}.items() if t is not None}
    write_table(file, "network", table, changed)
    with pytest.raises(DataError, match="cannot be used"):
        rn.load_network(file)
