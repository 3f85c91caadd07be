"""Brian2's global state is as it was found, after success and failure, at runtime and standalone.

A user's own objects are made before a simulation of ratenet and run after it.
"""

import logging
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import pytest
import torch
from brian2 import ms
from brian2.devices import device as device_proxy
from helpers.problems import FLOAT, TARGETS, random, random_weights

import ratenet as rn

pytestmark = pytest.mark.brian2
STANDALONE = pytest.param("cpp_standalone", marks=pytest.mark.slow)  # some seconds of compiling
DEVICES = ["runtime", STANDALONE]


def network(units: int = 4, **parameters: Any) -> rn.Network:
    return rn.Network("rate", random_weights(units, seed=91), parameters=parameters)


def noisy() -> rn.Network:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext)/tau + xi/sqrt(tau) : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    return rn.Network(model, torch.zeros(3, 3, dtype=FLOAT))


def simulate(device: str, net: rn.Network | None = None, **options: Any) -> rn.Trajectory:
    net = network() if net is None else net
    drive = random(2, net.units, seed=92)
    return rn.simulate(net, drive, 5 * ms, 0.1 * ms, backend="brian2", device=device, **options)


def diverge(device: str) -> None:
    model = rn.ModelSpec(
        equations="dr/dt = (exp(exp(r)) + I_rec + I_ext)/tau : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    with pytest.raises(ArithmeticError, match="diverged"):
        simulate(device, rn.Network(model, torch.zeros(2, 2, dtype=FLOAT)), initial={"r": 6.0})


def global_state() -> dict[str, Any]:
    """Return what of Brian2 is global and can be compared."""
    random_state = _module().runtime_device.get_random_state()
    return {
        "device": id(brian2.get_device()),
        "previous": list(_module().previous_devices),
        "dt": float(brian2.defaultclock.dt),
        "prefs": brian2.prefs.as_file,
        "magic": {obj.name for obj in brian2.magic_network.objects},
        "numpy": np.random.get_state()[1].tolist(),
        "position": np.random.get_state()[2],
        "buffers": {k: v.tolist() for k, v in random_state.items() if k != "numpy_state"},
        "running": brian2.Network._globally_running,
        "folder": Path.cwd(),
        "environment": dict(os.environ),
    }


def _module() -> Any:
    """Return the module, whose path is also the name of a proxy."""
    return sys.modules["brian2.devices.device"]


@pytest.mark.parametrize("what", ["success", "divergence", "noise", "wrong drive"])
@pytest.mark.parametrize("device", DEVICES)
def test_global_state_is_left_as_it_was_found(device: str, what: str) -> None:
    brian2.seed(3)
    np.random.random(5)
    before = global_state()
    if what == "divergence":
        diverge(device)
    elif what == "noise":
        simulate(device, noisy(), seed=1)
        simulate(device, noisy())
    elif what == "success":
        simulate(device)
    else:
        with pytest.raises(ValueError, match="late"):
            rn.simulate(network(), fails_late, 5 * ms, 1 * ms, backend="brian2", device=device)
    assert global_state() == before


def fails_late(t: float) -> np.ndarray:
    if t > 2e-3:
        raise ValueError("late")
    return np.zeros(4)


@pytest.mark.parametrize("device", DEVICES)
def test_a_users_objects_run_as_if_nothing_had_happened(device: str) -> None:
    brian2.start_scope()
    brian2.defaultclock.dt = 0.25 * ms
    try:
        I_ext = tau = ratenet_drive = "not a number"  # noqa: F841  names of ours, in this frame
        users = brian2.NeuronGroup(2, "dv/dt = 1/(1*ms) + xi/sqrt(ms) : 1", method="euler")
        monitor = brian2.StateMonitor(users, "v", record=True)
        simulate(device, noisy())
        diverge(device)
        assert list(users.v) == [0.0, 0.0]
        brian2.seed(5)
        brian2.run(1 * ms)  # Brian2's magic network holds what the user made, nothing else
        simulate(device, noisy())
        brian2.run(1 * ms)
        between = np.array(monitor.v)
        assert set(brian2.collect()) == {users, monitor}
        assert brian2.magic_network.t == 2 * ms
    finally:
        brian2.defaultclock.dt = 0.1 * ms
    brian2.start_scope()
    alone = brian2.NeuronGroup(
        2, "dv/dt = 1/(1*ms) + xi/sqrt(ms) : 1", method="euler", dt=0.25 * ms
    )
    trace = brian2.StateMonitor(alone, "v", record=True, dt=0.25 * ms)
    brian2.seed(5)
    brian2.run(1 * ms)
    brian2.run(1 * ms)
    np.testing.assert_array_equal(between, np.array(trace.v))  # the very same random numbers


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numpy", "cython"], indirect=True)
@pytest.mark.usefixtures("target")
def test_a_users_random_numbers_drawn_ahead_are_kept() -> None:
    """Compiled code draws 20,000 numbers at once: ours must not come from the user's store."""

    def users(between: bool) -> np.ndarray:
        brian2.start_scope()
        group = brian2.NeuronGroup(3, "dv/dt = xi/sqrt(ms) : 1", method="euler")
        net = brian2.Network(group)
        brian2.seed(7)
        net.run(1 * ms)
        if between:
            simulate("runtime", noisy())
        net.run(1 * ms)
        return np.array(group.v)

    np.testing.assert_array_equal(users(between=True), users(between=False))


@pytest.mark.parametrize("device", DEVICES)
def test_two_networks_do_not_see_each_other(device: str) -> None:
    first, second = network(), network(units=3, tau=30 * ms)
    before = simulate(device, first)
    between = simulate(device, second)
    assert torch.equal(simulate(device, first).rates, before.rates)
    torch_run = rn.simulate(second, random(2, 3, seed=92), 5 * ms, 0.1 * ms)
    torch.testing.assert_close(between.rates, torch_run.rates, rtol=0, atol=1e-12)  # 50 steps


def test_a_simulation_may_start_another_from_within() -> None:
    found = []

    def drive(t: float) -> np.ndarray:
        if t < 5e-5:
            found.append(simulate("runtime", network(units=3)).rates)
        return np.ones(4)

    run = rn.simulate(network(), drive, 1 * ms, 0.1 * ms, backend="brian2")
    expected = rn.simulate(network(), np.ones(4), 1 * ms, 0.1 * ms)
    torch.testing.assert_close(run.rates, expected.rates, rtol=0, atol=1e-12)
    assert torch.equal(found[0], simulate("runtime", network(units=3)).rates)


def test_a_users_float_type_and_schedule_do_not_matter() -> None:
    expected = simulate("runtime")
    schedule, kind = brian2.prefs.core.network.default_schedule, np.float64
    brian2.prefs.core.default_float_dtype = np.float32
    brian2.prefs.core.network.default_schedule = schedule[::-1]
    try:
        assert torch.equal(simulate("runtime").rates, expected.rates)
    finally:
        brian2.prefs.core.default_float_dtype = kind
        brian2.prefs.core.network.default_schedule = schedule


@pytest.mark.slow
class TestStandalone:
    def test_agrees_with_torch_and_leaves_no_folder(self, tmp_path: Path) -> None:
        tempfile.tempdir, before = str(tmp_path), tempfile.tempdir
        try:
            run = simulate("cpp_standalone", record_every=10, record_units=[0, 2])
        finally:
            tempfile.tempdir = before
        expected = rn.simulate(network(), random(2, 4, seed=92), 5 * ms, 0.1 * ms, record_every=10)
        torch.testing.assert_close(run.rates, expected.rates[..., [0, 2]], rtol=0, atol=1e-12)
        torch.testing.assert_close(run.final, expected.final, rtol=0, atol=1e-12)
        assert list(tmp_path.glob("ratenet_*")) == []

    def test_a_users_standalone_device_is_left_in_the_middle_of_its_work(
        self, tmp_path: Path
    ) -> None:
        brian2.start_scope()
        brian2.set_device("cpp_standalone", build_on_run=False)
        try:
            users = brian2.NeuronGroup(1, "dv/dt = 1/(1*ms) : 1", method="euler")
            net = brian2.Network(users)
            simulate("runtime")
            simulate("cpp_standalone")
            net.run(1 * ms)
            device_proxy.build(directory=str(tmp_path / "users"), with_output=False)
            assert users.v[0] == pytest.approx(1.0)
        finally:
            device_proxy.reinit()
            _module().reset_device()

    @pytest.mark.parametrize("broken", ["make", "compiler"])
    def test_a_missing_or_failing_compiler_is_one_sentence(
        self, broken: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prefs, before = brian2.prefs, global_state()
        old = (prefs.devices.cpp_standalone.make_cmd_unix, prefs.codegen.cpp.headers)
        try:
            if broken == "make":
                prefs.devices.cpp_standalone.make_cmd_unix = "no-such-make"
            else:
                prefs.codegen.cpp.headers = ["<no_such_header>"]
            with pytest.raises(rn.errors.UnsupportedError, match="could not be built") as error:
                simulate("cpp_standalone")
        finally:
            (
                prefs.devices.cpp_standalone.make_cmd_unix,
                prefs.codegen.cpp.headers,
            ) = old
        assert "\n" not in str(error.value)
        assert {"make": "no-such-make", "compiler": "no_such_header"}[broken] in str(error.value)
        assert "device='runtime'" in str(error.value)
        assert capfd.readouterr() == ("", "")
        assert global_state() == before


def test_without_cython_numpy_takes_over_and_brian2_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from brian2.codegen.runtime.cython_rt import CythonCodeObject
    from brian2.utils.logger import BrianLogger, catch_logs

    monkeypatch.setattr(_module(), "_auto_target", None)
    monkeypatch.setattr(CythonCodeObject, "is_available", classmethod(lambda cls: False))
    monkeypatch.setattr(BrianLogger, "_log_messages", set())  # what it has said already
    expected = simulate("runtime")
    monkeypatch.setitem(brian2.prefs, "codegen.target", "auto")
    with catch_logs(log_level=logging.INFO) as said:
        for _ in range(2):
            assert torch.equal(simulate("runtime").rates, expected.rates)
    assert sum("falling back to the numpy" in message for _, _, message in said) == 1


def test_failing_code_generation_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from brian2.codegen.runtime.cython_rt import CythonCodeObject

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("g++ is missing\n")

    monkeypatch.setattr(CythonCodeObject, "compile_block", fail)
    before = global_state()
    monkeypatch.setitem(brian2.prefs, "codegen.target", "cython")
    with pytest.raises(rn.errors.UnsupportedError, match="code .g.. is missing.*numpy") as error:
        simulate("runtime")
    assert "\n" not in str(error.value)
    assert {**global_state(), "prefs": ""} == {**before, "prefs": ""}


def test_devices_are_refused_in_one_sentence() -> None:
    with pytest.raises(
        NotImplementedError, match=r"'cpp_standalone' .* Network\(..., device=...\)"
    ):
        rn.simulate(network(), np.ones(4), 1 * ms, 0.1 * ms, device="cpp_standalone")
    with pytest.raises(NotImplementedError, match="'fpga' is .* has runtime and cpp_standalone"):
        simulate("fpga")


@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
def test_simulations_in_threads_take_turns() -> None:
    """Threads that shared Brian2's random numbers would differ; compiled code would abort."""
    alone = {seed: simulate("runtime", noisy(), seed=seed).rates for seed in (1, 2)}
    with ThreadPoolExecutor(4) as pool:
        seeds = [1, 2] * 4
        found = pool.map(lambda seed: simulate("runtime", noisy(), seed=seed).rates, seeds)
        for seed, rates in zip(seeds, found, strict=True):
            assert torch.equal(rates, alone[seed])


@pytest.mark.slow
def test_standalone_programs_and_the_runtime_take_turns() -> None:
    alone = {
        device: simulate(device, noisy(), seed=1).rates for device in ("runtime", "cpp_standalone")
    }
    before = global_state()
    with ThreadPoolExecutor(3) as pool:
        devices = ["cpp_standalone", "runtime", "cpp_standalone"]
        found = pool.map(lambda device: simulate(device, noisy(), seed=1).rates, devices)
        for device, rates in zip(devices, found, strict=True):
            assert torch.equal(rates, alone[device])
    assert global_state() == before
