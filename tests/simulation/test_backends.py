"""The conformance suite: torch and Brian2 run one model file and agree, for every shipped model."""

from pathlib import Path

import brian2
import numpy as np
import pytest
import torch
from brian2 import Hz, ms, mV
from helpers.problems import PLAIN_MODELS, random, random_weights, write_model

import ratenet as rn

UNITS, STIMULI = 5, 3
METHODS = ("euler", "exponential_euler")
AGREEMENT = {"rtol": 0.0, "atol": 1e-12}
COMPILED = ("rate", "voltage")  # in each run of the tests: it takes some 10 s each
CASES = [
    *((model, "numpy") for model in PLAIN_MODELS),
    *((model, "auto") for model in COMPILED),  # Brian2's default: compiled if it can
    *(
        pytest.param(model, "auto", marks=pytest.mark.slow)
        for model in PLAIN_MODELS
        if model not in COMPILED
    ),
]

pytestmark = pytest.mark.brian2


def network(model: str | Path, **parameters: object) -> rn.Network:
    return rn.Network(rn.load_model(model), random_weights(UNITS, seed=21), parameters=parameters)


def drive() -> torch.Tensor:
    return random(STIMULI, UNITS, seed=22)


def start(net: rn.Network) -> torch.Tensor:
    """Return an initial state that differs between variables, stimuli and units."""
    return 0.3 * random(len(net.model.states), STIMULI, UNITS, seed=23)


def in_both(net: rn.Network, steps: int, method: str, **options: object) -> list[rn.Trajectory]:
    options = {"initial": start(net), "record_every": steps // 10, **options}
    return [
        rn.simulate(
            net, drive(), steps * 0.1 * ms, 0.1 * ms, backend=backend, method=method, **options
        )
        for backend in ("torch", "brian2")
    ]


def assert_agree(one: rn.Trajectory, other: rn.Trajectory, **tolerance: float) -> None:
    tolerance = tolerance or AGREEMENT
    torch.testing.assert_close(one.t, other.t, rtol=0, atol=0)
    torch.testing.assert_close(one.rates, other.rates, **tolerance)
    assert one.states.keys() == other.states.keys()
    for name, values in one.states.items():
        torch.testing.assert_close(values, other.states[name], **tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("model", "target"), CASES, indirect=["target"])
@pytest.mark.usefixtures("target")
def test_backends_agree_after_1000_steps(model: str, method: str) -> None:
    torch_run, brian2_run = in_both(network(model), 1000, method)
    assert_agree(torch_run, brian2_run)
    assert (torch_run.rates[-1] - torch_run.rates[0]).abs().min() > 1e-3  # something happened


@pytest.mark.parametrize("method", METHODS)
def test_backends_agree_with_a_value_for_each_unit(method: str) -> None:
    parameters = {"tau": np.linspace(5, 25, UNITS) * ms, "b": np.linspace(0.0, 2.0, UNITS)}
    net = network("adaptation", **parameters)
    assert_agree(*in_both(net, 200, method))
    same = network("adaptation", tau=5 * ms, b=0.0)
    differs = in_both(same, 200, method)[0].rates - in_both(net, 200, method)[0].rates
    assert differs[..., 1:].abs().max() > 0.01  # the values were used


def test_float32_network_agrees_with_brian2_to_its_rounding() -> None:
    net = rn.Network("rate", random_weights(UNITS, seed=21), dtype=torch.float32)
    torch_run, brian2_run = in_both(net, 100, "euler")
    assert torch_run.rates.dtype == brian2_run.rates.dtype == torch.float32
    assert_agree(torch_run, brian2_run, rtol=0.0, atol=2e-6)


@pytest.mark.parametrize("backend", ["torch", "brian2"])
def test_euler_is_the_textbook_step(backend: str) -> None:
    net, dt, tau = network("rate"), 1e-4, 0.01
    W, x, r = net.connectivity.dense().numpy(), drive().numpy(), start(net)[0].numpy().copy()
    for _ in range(100):
        r = r + dt / tau * (-r + np.tanh(r @ W.T + x))
    run = rn.simulate(net, drive(), 10 * ms, 0.1 * ms, backend=backend, initial=start(net))
    np.testing.assert_allclose(run.rates[-1].numpy(), r, rtol=0, atol=1e-14)


@pytest.mark.parametrize("backend", ["torch", "brian2"])
def test_exponential_euler_is_its_closed_form(backend: str) -> None:
    net, a = network("rate"), 0.1
    W, x, r = net.connectivity.dense().numpy(), drive().numpy(), start(net)[0].numpy().copy()
    for _ in range(100):
        F = np.tanh(r @ W.T + x)
        r = F + (r - F) * np.exp(-a)
    run = rn.simulate(
        net, drive(), 100 * ms, 1 * ms, backend=backend, method="exponential_euler",
        initial=start(net),
    )  # fmt: skip
    np.testing.assert_allclose(run.rates[-1].numpy(), r, rtol=0, atol=1e-13)


def run_brian2_by_hand(net: rn.Network, steps: int) -> np.ndarray:
    """The r-form in plain Brian2, with Brian2's own exponential_euler."""
    clock = brian2.Clock(dt=1 * ms)
    group = brian2.NeuronGroup(
        UNITS,
        """dr/dt = (-r + tanh(I_rec + x)) / (10*ms) : 1
        I_rec : 1
        x : 1""",
        method="exponential_euler",
        clock=clock,
    )
    synapses = brian2.Synapses(
        group, group, "w : 1\nI_rec_post = w * r_pre : 1 (summed)", clock=clock
    )
    synapses.connect()
    synapses.w = net.connectivity.dense().numpy().T.ravel()  # Brian2 orders by pre, then post
    group.x, group.r = drive()[0].numpy(), start(net)[0, 0].numpy()
    brian2.Network(group, synapses).run(steps * ms)
    return np.array(group.r)


def test_exponential_euler_is_brian2s_own() -> None:
    net = network("rate")
    run = rn.simulate(
        net, drive()[:1], 50 * ms, 1 * ms, method="exponential_euler", initial=start(net)[:, :1]
    )
    expected = run_brian2_by_hand(net, steps=50)
    np.testing.assert_allclose(run.rates[-1, 0].numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("equations", "parameters"),
    [
        ("dr/dt = (I_rec + I_ext) / tau : 1", {"tau": "10*ms"}),
        ("dr/dt = (-b*r + I_rec + I_ext) / tau : 1", {"tau": "10*ms", "b": 0.0}),
    ],
    ids=["no own rate", "own rate 0"],
)
def test_exponential_euler_without_own_rate_is_euler(
    tmp_path: Path, equations: str, parameters: dict[str, object]
) -> None:
    net = network(write_model(tmp_path, equations, parameters=parameters))
    euler = in_both(net, 50, "euler")[0]
    for run in in_both(net, 50, "exponential_euler"):
        assert_agree(run, euler)


def test_exponential_euler_is_refused_by_both_in_the_same_sentence(tmp_path: Path) -> None:
    net = network(
        write_model(
            tmp_path,
            "dr/dt = (-r + tanh(0.5*r + I_rec + I_ext)) / tau : 1",
            parameters={"tau": "10*ms"},
        )
    )
    sentences = []
    for backend in ("torch", "brian2"):
        with pytest.raises(NotImplementedError, match=r"linear in r.*method='euler'") as error:
            rn.simulate(net, drive(), 1 * ms, 0.1 * ms, backend=backend, method="exponential_euler")
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert_agree(*in_both(net, 50, "euler"))


def test_rk4_is_refused_by_brian2_with_a_list_of_its_methods() -> None:
    with pytest.raises(NotImplementedError, match=r"'brian2'.*'rk4'.*euler, exponential_euler\."):
        rn.simulate(network("rate"), drive(), 1 * ms, 0.1 * ms, backend="brian2", method="rk4")


@pytest.mark.parametrize("method", METHODS)
def test_a_model_in_volts_runs_in_both(tmp_path: Path, method: str) -> None:
    path = write_model(
        tmp_path,
        """dv/dt = (-v + V_rec + V_ext) / tau : volt
        V_rec : volt
        V_ext : volt""",
        output="peak*tanh(v/scale)",
        recurrent="V_rec",
        drive="V_ext",
        parameters={"tau": "10*ms", "peak": "50*Hz", "scale": "10*mV"},
    )
    W = random_weights(UNITS, seed=21).numpy() * 10 * mV / (50 * Hz)
    net = rn.Network(rn.load_model(path), W)
    x = drive().numpy() * 20 * mV
    runs = [
        rn.simulate(net, x, 30 * ms, 0.1 * ms, backend=backend, method=method)
        for backend in ("torch", "brian2")
    ]
    assert_agree(*runs)
    assert 5 < runs[0].rates[-1].abs().max() < 50  # Hz: neither linear nor flat
    with pytest.raises(ValueError, match="drive: expected the unit V, got values in s"):
        rn.simulate(net, drive().numpy() * ms, 30 * ms, 0.1 * ms)


@pytest.mark.parametrize("method", METHODS)
def test_explicit_time_is_the_same_in_both(tmp_path: Path, method: str) -> None:
    equations = "dr/dt = (-r + I_rec + I_ext*sin(omega*t)) / tau : 1"
    path = write_model(tmp_path, equations, parameters={"tau": "10*ms", "omega": "200*Hz"})
    net = network(path)
    runs = in_both(net, 200, method)
    assert_agree(*runs)
    dt, W, r = 1e-4, net.connectivity.dense(), start(net)[0]
    for n in range(200):
        steady = r @ W.T + drive() * np.sin(200 * n * dt)
        growth = 1 - np.exp(-dt / 0.01) if method == "exponential_euler" else dt / 0.01
        r = r + growth * (steady - r)
    torch.testing.assert_close(runs[0].rates[-1], r, rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", ["torch", "brian2"])
def test_divergence_names_unit_and_time(backend: str) -> None:
    W = torch.diag(torch.tensor([0.0, -10.0], dtype=torch.float64))
    net = rn.Network("linear", W)
    with (
        pytest.warns(rn.errors.RatenetWarning, match="dt = 0.05 s is too large"),
        pytest.raises(ArithmeticError, match=r"unit 1 of stimulus 0 .*at t = \d"),
    ):
        rn.simulate(net, [1.0, 1.0], 15.0, 0.05, backend=backend)


def test_networks_in_one_process_are_independent() -> None:
    first, second = network("rate"), network("rate", tau=30 * ms)
    before = in_both(first, 50, "euler")[1]
    between = in_both(second, 50, "euler")[1]
    again = in_both(first, 50, "euler")[1]
    assert_agree(before, again, rtol=0.0, atol=0.0)
    assert (before.rates[-1] - between.rates[-1]).abs().max() > 0.01
