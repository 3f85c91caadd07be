"""Fixed points as xarray data sets and netCDF files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from brian2 import mV

import ratenet as rn
from ratenet import circuits
from ratenet.errors import InputError, RunFolderError


def test_a_data_set_holds_all_with_units_and_populations(tmp_path: Path) -> None:
    circuit = circuits.inhibition_stabilized(drive_E=[30.0, 35.0])
    fp = rn.find_fixed_points(circuit.network, circuit.drive)
    fp.save(tmp_path / "fp.nc")
    with xarray.open_dataset(tmp_path / "fp.nc") as found:
        assert dict(found.sizes) == {"stimulus": 2, "unit": 2}
        for name in ("rates", "gain", "drive"):
            np.testing.assert_array_equal(found[name], getattr(fp, name).numpy())
        for name, state in zip(circuit.network.model.states, fp.state, strict=True):
            np.testing.assert_array_equal(found[name], state.numpy())
        np.testing.assert_array_equal(found["residual"], fp.residual.numpy())
        assert found["converged"].values.tolist() == [True, True]
        assert found["status"].values.astype(str).tolist() == ["settled", "settled"]
        assert found["population"].values.astype(str).tolist() == ["E", "I"]
        assert found["rates"].attrs["units"] == "hertz"
        assert found.attrs["model"] == circuit.network.model.name
        assert found.attrs["tol"] == fp.tol


def test_units_of_gain_and_drive_follow_from_the_model() -> None:
    circuit = circuits.ssn_stochastic(drive=[2, 15] * mV)
    data = rn.find_fixed_points(circuit.network, circuit.drive).to_xarray()
    assert data["drive"].attrs["units"] == "volt"
    assert data["gain"].attrs["units"] == "hertz / volt"
    assert {"V", "eta"} <= set(data)


def test_a_state_that_did_not_settle_says_so() -> None:
    network = rn.Network("rate", [[0.0, 5.0], [-5.0, 0.0]])
    fp = rn.fixed_points_at(network, [1.0, 1.0], [0.3, 0.2])
    assert fp.to_xarray()["status"].values.tolist() == ["unsettled"]


@pytest.mark.parametrize("path", [3, "", None])
def test_what_is_not_a_path_is_refused(path: Any) -> None:
    fp = rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0])
    with pytest.raises(InputError, match="path: expected the path of a file"):
        fp.save(path)


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    fp = rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0])
    with pytest.raises(RunFolderError, match="cannot be written"):
        fp.save(tmp_path / "missing" / "fp.nc")
