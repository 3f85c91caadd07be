"""What is recorded, when a run ends, how it is continued: the same in both backends."""

import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from brian2 import ms
from helpers.problems import FLOAT, limit_cycle, random, random_weights, write_model
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError
from ratenet.simulation import SampledDrive, Statistics

UNITS, STIMULI = 5, 3
BACKENDS = ["torch", pytest.param("brian2", marks=pytest.mark.brian2)]
METHODS = [
    ("torch", "euler"), ("torch", "exponential_euler"), ("torch", "rk4"),
    pytest.param("brian2", "euler", marks=pytest.mark.brian2),
]  # fmt: skip
DRIVES = {
    "constant": lambda: random(STIMULI, UNITS, seed=41),
    "held": lambda: SampledDrive(random(6, STIMULI, UNITS, seed=42), 0.3 * ms),
    "linear": lambda: SampledDrive(random(6, STIMULI, UNITS, seed=42), 0.7 * ms, "linear"),
    "function": lambda: lambda t: random(STIMULI, UNITS, seed=43) * math.sin(900 * t),
}


def network(model: str | rn.ModelSpec = "adaptation") -> rn.Network:
    return rn.Network(model, random_weights(UNITS, seed=44))


def two_populations() -> rn.Network:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + tanh(I_rec + I_ext)) / tau : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "2*ms"},
        populations={"E": 3, "I": 2},
    )  # fmt: skip
    return network(model)


@pytest.mark.parametrize("name", DRIVES)
@pytest.mark.parametrize(("backend", "method"), METHODS)
def test_two_halves_are_the_whole_bit_by_bit(backend: str, method: str, name: str) -> None:
    net, drive, options = network(), DRIVES[name](), {"backend": backend, "method": method}
    whole = rn.simulate(net, drive, 4 * ms, 0.1 * ms, **options)
    half = rn.simulate(net, drive, 2.3 * ms, 0.1 * ms, **options)
    rest = rn.simulate(
        net, drive, 1.7 * ms, 0.1 * ms, initial=half.final, start=half.t[-1], **options
    )
    assert torch.equal(torch.cat([half.t, rest.t[1:]]), whole.t)
    assert torch.equal(torch.cat([half.rates, rest.rates[1:]]), whole.rates)
    assert all(torch.equal(rest.final[state], whole.final[state]) for state in whole.states)


@pytest.mark.parametrize("start", [2.3 * ms, 2.345678 * ms])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_start_moves_the_equations_own_time(backend: str, start: Any, tmp_path: Path) -> None:
    equations = "dr/dt = (-r + I_rec + I_ext*sin(omega*t)) / tau : 1"
    path = write_model(tmp_path, equations, parameters={"tau": "10*ms", "omega": "900*Hz"})
    net, x = rn.Network(rn.load_model(path), torch.zeros(1, 1, dtype=FLOAT)), torch.ones(1, 1)
    run = rn.simulate(net, x, 5 * ms, 0.1 * ms, start=start, backend=backend)
    r = 0.0
    for n in range(50):
        r += 0.01 * (-r + math.sin(900 * (float(start) + n * 1e-4)))
    assert float(run.rates[-1]) == pytest.approx(r, rel=1e-12)
    assert float(run.t[0]) == pytest.approx(float(start))


@pytest.mark.parametrize("backend", BACKENDS)
def test_chosen_units_are_recorded_and_the_final_state_is_whole(backend: str) -> None:
    net, x = two_populations(), DRIVES["constant"]()
    every = rn.simulate(net, x, 4 * ms, 0.1 * ms, backend=backend)
    for given, units in (
        ([4, 0], [4, 0]), (["I"], [3, 4]), ("E", [0, 1, 2]), (["I", 1], [3, 4, 1]), ([], []),
        (torch.tensor([2]), [2]), (np.array([2]), [2]),
    ):  # fmt: skip
        some = rn.simulate(net, x, 4 * ms, 0.1 * ms, backend=backend, record_units=given)
        assert some.units.tolist() == units
        assert torch.equal(some.rates, every.rates[..., units])
        assert torch.equal(some.states["r"], every.states["r"][..., units])
        assert torch.equal(some.final["r"], every.final["r"])
    assert every.units.tolist() == list(range(UNITS))


@pytest.mark.parametrize("units", [["X"], [5], [-1], [0.5], "PV"])
def test_unknown_units_are_refused(units: Any) -> None:
    sentence = (
        r"record_units: expected numbers of units from 0 to 4 or names of populations \(E, I\), got"
    )
    with pytest.raises(ValueError, match=sentence):
        rn.simulate(two_populations(), np.ones(5), 4 * ms, 0.1 * ms, record_units=units)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_stops_at_the_first_record_where_all_have_settled(backend: str) -> None:
    """One leaky unit: its residual is |x - r|, since max(1, |r|) is 1 here."""
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    run = rn.simulate(
        net, [[0.2], [-0.9]], 1.0, 1 * ms, backend=backend, until_settled=1e-3, record_every=5
    )
    steps = math.ceil(math.log(1e-3 / 0.9) / math.log(0.9) / 5) * 5
    assert float(run.t[-1]) == pytest.approx(steps * 1e-3)
    assert len(run.t) == len(run.rates) == steps // 5 + 1
    fp = rn.fixed_points_at(net, [[0.2], [-0.9]], run.final, tol=1e-3)
    assert fp.converged.all()
    earlier = rn.fixed_points_at(net, [[0.2], [-0.9]], run.rates[-2], tol=1e-3)
    assert not earlier.converged.all()


def test_the_residual_is_that_of_the_drive_at_that_time() -> None:
    net = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT))
    drive = SampledDrive([[1.0], [2.0]], 40 * ms)  # still far from 1 when it jumps
    run = rn.simulate(net, drive, 1.0, 1 * ms, until_settled=1e-2)
    assert float(run.rates[-1]) == pytest.approx(2, abs=0.021)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stimuli_that_do_not_settle_are_counted_in_a_warning(backend: str) -> None:
    net = limit_cycle().network()
    drive = torch.zeros(3, 2, dtype=FLOAT)
    initial = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1]], dtype=FLOAT)
    with pytest.warns(
        rn.errors.RatenetWarning, match=r"2 of 3 stimuli had not settled at t = 0.2 s.* 0.001"
    ):
        rn.simulate(net, drive, 0.2, 1 * ms, until_settled=1e-3, initial=initial, backend=backend)


def test_what_never_settles_is_refused(tmp_path: Path) -> None:
    path = write_model(
        tmp_path, "dr/dt = (-r + I_rec + I_ext*t/tau) / tau : 1", parameters={"tau": "10*ms"}
    )
    with pytest.raises(NotImplementedError, match="until_settled: .* depend on t explicitly"):
        rn.simulate(rn.Network(rn.load_model(path), [[0.0]]), [1.0], 0.1, 0.01, until_settled=1e-3)
    for wrong in (0, -1, math.nan, "x"):
        with pytest.raises(ValueError, match="until_settled: expected a finite number above 0"):
            rn.simulate(network(), np.ones(5), 4 * ms, 1 * ms, until_settled=wrong)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("record_every", [1, 10])
def test_a_diverging_run_ends_at_the_first_bad_record(backend: str, record_every: int) -> None:
    """r' = 54 |r| in each step: above 1,000 times its usual size, 10, in step 3."""
    net = rn.Network("linear", torch.diag(torch.tensor([0.0, -10.0], dtype=FLOAT)))
    seen: list[int] = []
    recorded = math.ceil(3 / record_every) * record_every
    with (
        pytest.warns(rn.errors.RatenetWarning, match="too large"),
        pytest.raises(ArithmeticError, match=f"unit 1 of stimulus 1 .* t = {recorded * 0.05:g} s"),
    ):
        rn.simulate(
            net, torch.zeros(2, 2), 500.0, 0.05, initial=[[1.0, 0.0], [1.0, 1.0]],
            backend=backend, record_every=record_every, progress=seen.append,
            record_units=[0],
        )  # fmt: skip
    assert seen[-1] == recorded - record_every  # of 10,000 steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_progress_is_told_of_every_record(backend: str) -> None:
    seen: list[int] = []
    rn.simulate(
        network(), np.ones(5), 4 * ms, 0.1 * ms, backend=backend, record_every=10,
        progress=seen.append,
    )  # fmt: skip
    assert seen == [0, 10, 20, 30, 40]


def test_no_graph_and_no_state_is_kept_when_nothing_requires_a_gradient() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    class Watched(rn.Network):
        def step(self, state: Tensor, *arguments: Any) -> Tensor:
            nonlocal most
            alive.append(weakref.ref(state))
            most = max(most, sum(reference() is not None for reference in alive))
            return super().step(state, *arguments)

    net = Watched("adaptation", random_weights(UNITS, seed=44))
    run = rn.simulate(net, np.ones(5), 20 * ms, 0.1 * ms, record_every=200, statistics=Statistics())
    assert not run.rates.requires_grad
    assert run.rates.grad_fn is None
    assert most <= 3  # the initial one, which is recorded, the last one, and the one before


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4", "dopri5"])
def test_gradients_of_weights_and_drive_through_five_steps(method: str) -> None:
    def end(W: Tensor, drive: Tensor) -> Tensor:
        run = rn.simulate(rn.Network("adaptation", W), drive, 5 * ms, 1 * ms, method=method)
        return run.rates[1:]

    W, drive = random_weights(3, seed=45), random(2, 3, seed=46)
    assert torch.autograd.gradcheck(end, (W.requires_grad_(), drive.requires_grad_()))


def test_to_xarray_says_what_it_holds_and_how_it_was_made() -> None:
    run = rn.simulate(
        two_populations(), DRIVES["constant"](), 4 * ms, 0.1 * ms, record_units=[4, 0]
    )
    data = run.to_xarray()
    assert data["unit"].values.tolist() == [4, 0]
    assert data["population"].values.tolist() == ["I", "E"]
    assert data["rates"].dims == ("t", "stimulus", "unit")
    assert data["rates"].attrs["units"] == data["r"].attrs["units"] == "1"
    assert data["t"].attrs["units"] == "s"
    for key, value in {"model": "model", "method": "euler", "backend": "torch", "dt": 1e-4}.items():
        assert data.attrs[key] == value
    assert "dr/dt" in data.attrs["equations"]
    assert data.attrs["torch"] == torch.__version__.split("+")[0]
    assert "population" not in rn.simulate(network(), np.ones(5), 0.01, 0.01).to_xarray().coords


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT])
def test_a_saved_trajectory_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    net = two_populations()
    net = rn.Network(net.model, net.connectivity.dense().to(dtype))
    run = rn.simulate(net, DRIVES["constant"](), 4 * ms, 0.1 * ms, record_units=["I", 0])
    path = tmp_path / "rates.nc"
    for _ in range(2):  # the second replaces the first
        run.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["rates.nc"]
    with xarray.open_dataset(path) as back:
        xarray.testing.assert_identical(back.load(), _as_classic(run.to_xarray()))
        assert back["rates"].dtype == run.rates.numpy().dtype
        np.testing.assert_array_equal(back["rates"], run.rates.numpy())
        assert back["population"].values.tolist() == ["I", "I", "E"]


def _as_classic(data: xarray.Dataset) -> xarray.Dataset:
    """Return a data set with the integers that the classic format has."""
    return data.assign_coords(unit=data["unit"].astype(np.int32))


def test_what_cannot_be_saved_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = rn.simulate(network(), np.ones(5), 4 * ms, 0.1 * ms)
    with pytest.raises(OSError, match="no/such/rates.nc' cannot be written"):
        run.save(tmp_path / "no/such/rates.nc")
    monkeypatch.setattr("ratenet.simulation.datasets.LARGEST", 100)
    with pytest.raises(ValueError, match="do not fit into a netCDF file .*record_every"):
        run.save(tmp_path / "rates.nc")


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([True, False, True], [0, 2]),
        (torch.tensor([False, True, True]), [1, 2]),
        (np.array([False, True, False]), [1]),
        (np.array([2, 0]), [2, 0]),
        (1, [1]),
        (range(1, 3), [1, 2]),
    ],
)
def test_units_by_number_or_mask(units: object, expected: list[int]) -> None:
    network = rn.Network("rate", torch.zeros(3, 3))
    run = rn.simulate(network, [1.0, 2.0, 3.0], 0.01, 1e-3, record_units=units)
    assert run.units.tolist() == expected


@pytest.mark.parametrize("units", [torch.tensor([1.7]), [True, False], [3], slice(0, 2), 1.5])
def test_units_that_are_none(units: object) -> None:
    network = rn.Network("rate", torch.zeros(3, 3))
    with pytest.raises(
        InputError, match="record_units: expected numbers of units from 0 to 2, got"
    ):
        rn.simulate(network, [1.0, 2.0, 3.0], 0.01, 1e-3, record_units=units)
