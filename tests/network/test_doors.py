"""What a user may give for W, drives, parameters and errors, and what is refused in a sentence."""

import datetime
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from brian2 import ms, mV, second
from helpers.specs import spec

import ratenet as rn
from ratenet.connectivity import Block, Dense, LowRank, Masked
from ratenet.equations.arrays import real_numbers
from ratenet.equations.parameters import as_text
from ratenet.errors import InputError, ModelError, RatenetWarning
from ratenet.simulation.time_grid import seconds

FLOAT = torch.float64
W = np.array([[0.0, 0.5, 0.0], [0.0, 0.0, -0.2], [0.3, 0.0, 0.0]])


class ForeignQuantity(np.ndarray):
    """As astropy's: an array with a unit that NumPy drops."""

    unit = "m"


NOT_REAL = {
    "complex": (np.array([1j, 2.0]), "complex"),
    "complex tensor": (torch.tensor([1j, 2.0]), "complex"),
    "complex in a list": ([1j, 2.0], "complex"),
    "masked": (np.ma.array([1.0, 2.0], mask=[True, False]), "masked"),
    "masked in a list": ([np.ma.array([1.0], mask=[True]), np.array([1.0])], "masked"),
    "booleans": (np.array([True, False]), "booleans"),
    "bool among numbers": ([True, 2.0], "booleans"),
    "bool tensor": (torch.tensor([True, False]), "booleans"),
    "strings": (["1", "2"], "strings"),
    "numeric string": ("3", "strings"),
    "bytes": (np.array([b"1"]), "bytes"),
    "dates": (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates"),
    "None": (None, "got None"),
    "None in a list": ([None, 1.0], "expected real numbers"),
    "object": (np.array([Fraction(1, 2)], dtype=object), "expected real numbers"),
    "records": (np.zeros(2, dtype=[("a", float)]), "records"),
    "ragged": ([[1.0], [1.0, 2.0]], "expected real numbers"),
    "foreign unit": (np.ones(2).view(ForeignQuantity), "Brian2 quantity"),
    "meta": (torch.ones(2, device="meta"), "meta"),
}


@pytest.mark.parametrize(("value", "said"), NOT_REAL.values(), ids=NOT_REAL)
def test_what_is_not_real_numbers_is_refused_at_every_door(value: Any, said: str) -> None:
    network = rn.Network("rate", np.zeros((2, 2)))
    fp = rn.find_fixed_points(network, [1.0, 0.5])
    doors = (
        lambda: rn.Network("rate", value),
        lambda: network.as_drive(value),
        lambda: network.as_state(value, 1),
        lambda: rn.simulate(network, rn.SampledDrive([value, value], 0.01), 0.1, 0.01),
        lambda: rn.plasticity.Euclidean().update(fp, value, learning_rate=0.1),
        lambda: rn.solve_adjoint(fp, value),
        lambda: rn.sweep_fixed_points(network, [1.0, 0.5], rn.DriveScale(), value),
    )
    for door in doors:
        if door is doors[2] and value is None:  # begin at zero
            continue
        with pytest.raises(InputError, match="expected real numbers"):
            door()
    with pytest.raises(InputError, match=said):
        network.as_drive(value)
    if not isinstance(value, str):
        with pytest.raises(InputError, match="expected real numbers"):
            rn.Network("rate", np.zeros((2, 2)), parameters={"tau": value})


@pytest.mark.parametrize(
    "tau",
    [
        np.timedelta64(10, "ms"),
        datetime.timedelta(milliseconds=10),
        pd.Timedelta("10ms"),
        [pd.Timedelta("10ms"), 10 * ms],
        np.array([10_000, 10_000], dtype="timedelta64[us]"),
        pd.Series([pd.Timedelta("10ms")] * 2),
    ],
)
def test_differences_of_time_have_their_right_value(tau: Any) -> None:
    network = rn.Network("rate", np.zeros((2, 2)), parameters={"tau": tau})
    assert network.parameters["tau"].flatten()[0].item() == pytest.approx(0.01, rel=1e-15)
    with pytest.raises(InputError, match="without a unit"):
        network.as_drive(tau)


@pytest.mark.parametrize(
    ("time", "right"),
    [
        (np.timedelta64(10, "ms"), 0.01),
        (pd.Timedelta("10ms"), 0.01),
        (np.float32(0.1), 0.1),
        (torch.tensor(0.1), 0.1),
        (np.float16(0.25), 0.25),
        (torch.tensor(0.1, dtype=FLOAT), 0.1),
    ],
)
def test_times_are_what_was_written(time: Any, right: float) -> None:
    assert seconds(time, "dt") == right


@pytest.mark.parametrize("time", [1j, "10", True, None, [1.0, 2.0], 10 * mV])
def test_what_is_no_time_is_refused(time: Any) -> None:
    with pytest.raises(InputError, match="dt: expected a"):
        seconds(time, "dt")


def test_float32_times_make_whole_steps() -> None:
    run = rn.simulate(rn.Network("rate", [[0.5]]), [1.0], np.float32(0.1), np.float32(1e-4))
    assert len(run.t) == 1001


SPARSE = {
    "csr_array": scipy.sparse.csr_array,
    "csc_matrix": scipy.sparse.csc_matrix,
    "coo_array": scipy.sparse.coo_array,
    "lil_matrix": scipy.sparse.lil_matrix,
    "torch coo": lambda W: torch.tensor(W).to_sparse(),
    "torch csr": lambda W: torch.tensor(W).to_sparse_csr(),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("make", SPARSE.values(), ids=SPARSE)
def test_sparse_weights_become_masked(make: Callable[[Any], Any]) -> None:
    network = rn.Network("rate", make(W))
    assert isinstance(network.connectivity, Masked)
    assert network.dtype == FLOAT
    assert torch.equal(network.connectivity.dense(), torch.tensor(W))
    assert torch.equal(network.connectivity.mask, torch.tensor(W != 0))


def test_stored_zeros_and_duplicates_of_sparse_weights() -> None:
    places = (np.array([0, 0, 1]), np.array([1, 1, 0]))
    given = scipy.sparse.coo_array((np.array([1.0, 2.0, 0.0], np.float32), places), shape=(2, 2))
    connectivity = rn.Network("rate", given).connectivity
    assert isinstance(connectivity, Masked)
    assert connectivity.W.tolist() == [[0.0, 3.0], [0.0, 0.0]]
    assert connectivity.mask.tolist() == [[False, True], [True, False]]
    assert connectivity.dtype == FLOAT
    assert given.nnz == 3


def test_sparse_weights_stay_fast_and_are_checked() -> None:
    large = scipy.sparse.random_array((200, 200), density=0.01, rng=np.random.default_rng(0))
    network = rn.Network("rate", large)
    assert network.connectivity.cost == large.nnz
    with pytest.raises(InputError, match="square"):
        rn.Network("rate", scipy.sparse.csr_array(np.ones((2, 3))))
    with pytest.raises(InputError, match="complex"):
        rn.Network("rate", scipy.sparse.csr_array(1j * np.eye(2)))
    with pytest.raises(InputError, match="finite"):
        rn.Network("rate", scipy.sparse.csr_array(math.nan * np.eye(2)))


def test_sparse_drives_are_taken() -> None:
    network = rn.Network("rate", [[0.5]])
    for drive in (torch.ones(1).to_sparse(), scipy.sparse.csr_array(np.ones((1, 1)))):
        assert network.as_drive(drive).tolist() == [[1.0]]


def with_populations() -> rn.ModelSpec:
    return spec(populations={"E": 2, "I": 1})


def test_blocks_with_connectivities_become_a_block() -> None:
    m = torch.ones(2, 1, dtype=FLOAT)
    blocks = {"E": {"E": LowRank(m, m), "I": -1.0}, "I": {"E": [[0.5, 0.25]]}}
    network = rn.Network(with_populations(), blocks)
    assert isinstance(network.connectivity, Block)
    right = [[0.5, 0.5, -1.0], [0.5, 0.5, -1.0], [0.5, 0.25, 0.0]]
    assert network.connectivity.dense().tolist() == right


def test_a_drive_for_some_populations_names_those_that_are_missing() -> None:
    network = rn.Network(with_populations(), {"E": {"E": 0.1}})
    with pytest.raises(InputError, match="drive: values are missing for I;"):
        network.as_drive({"E": 1.0})
    with pytest.raises(InputError, match="drive: Unknown population 'X'; available: E, I"):
        network.as_drive({"E": 1.0, "X": 2.0})


def test_a_transposed_drive_is_recognized() -> None:
    network = rn.Network("rate", np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"got \(3, 5\); each row is one stimulus"):
        network.as_drive(np.zeros((3, 5)))


@pytest.mark.parametrize("tau", [20, [20, 0.5], np.float32(20), torch.tensor(20.0), "20"])
def test_seconds_by_mistake_are_warned_of(tau: Any) -> None:
    with pytest.warns(RatenetWarning, match=r"tau.*20 s; for milliseconds write 20\*ms"):
        rn.Network("rate", np.zeros((2, 2)), parameters={"tau": tau})


@pytest.mark.parametrize("tau", [20 * second, "20*second", 0.02, 1.0, 20 * ms])
def test_times_that_are_meant_are_not(tau: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RatenetWarning)
        network = rn.Network("rate", np.zeros((2, 2)), parameters={"tau": tau})
        network.changed(W=np.eye(2))
        rn.sweep_fixed_points(network, [0.1, 0.1], rn.ModelParameter("tau"), [0.5, 2.0] * second)


def test_values_in_model_tables_pass_the_same_door() -> None:
    assert as_text(np.timedelta64(10, "ms"), "tau") == as_text(10 * ms, "tau")
    for value in (np.array([1j]), np.ma.array([1.0], mask=[True]), np.array(["1"])):
        with pytest.raises(ModelError, match="tau: expected real numbers"):
            as_text(value, "tau")


def test_numbers_keep_their_unit_and_gradient() -> None:
    assert real_numbers([1 * mV, 2 * mV], "x").dim == mV.dim
    leaf = torch.ones(2, requires_grad=True)
    assert real_numbers(leaf, "x") is leaf
    assert real_numbers([torch.tensor(1.0), 2], "x").tolist() == [1.0, 2.0]


def test_tensors_of_inference_mode_become_ordinary_ones() -> None:
    with torch.inference_mode():
        drive = torch.ones(2)
    assert not rn.Network("rate", np.zeros((2, 2))).as_drive(drive).is_inference()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_networks_of_half_precision(dtype: torch.dtype) -> None:
    network = rn.Network("rate", torch.full((1, 1), 0.5, dtype=dtype), {"tau": 0.01})
    assert network.dtype == dtype
    assert isinstance(network.connectivity, Dense)
    assert float(network.parameters["tau"]) == pytest.approx(0.01, rel=1e-2)
