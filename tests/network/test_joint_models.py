"""Populations with a model each: the same dynamics as each model by itself, in both simulators."""

from pathlib import Path

import pytest
import torch
from helpers.problems import TARGETS
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import AbstractConnectivity, Block, Convolution, Dense
from ratenet.equations import JointSpec
from ratenet.equations.latex import equations_latex, model_latex
from ratenet.errors import ModelError, UnsupportedError

FLOAT = torch.float64
SIZES = {"low": 4, "mid": 3, "mid2": 2, "top": 5}
MODELS = {"low": "rate", "mid": "adaptation", "mid2": "adaptation", "top": "voltage"}
CHAIN = [("low", "low"), ("mid", "low"), ("mid", "mid"), ("mid2", "mid"), ("mid2", "mid2"),
         ("top", "mid2"), ("top", "low"), ("top", "top")]  # fmt: skip
STATES = {"low": ("r",), "mid": ("r", "a"), "mid2": ("r", "a"), "top": ("v",)}


def spec(models: dict[str, str] = MODELS) -> JointSpec:
    return JointSpec({name: rn.load_model(model) for name, model in models.items()}, SIZES)


def weights(arrows: list[tuple[str, str]]) -> Block:
    blocks: dict[str, dict[str, AbstractConnectivity]] = {}
    for seed, (post, pre) in enumerate(arrows):
        generator = torch.Generator().manual_seed(seed)
        W = torch.randn(SIZES[post], SIZES[pre], generator=generator, dtype=FLOAT)
        blocks.setdefault(post, {})[pre] = Dense(0.5 * W / SIZES[pre] ** 0.5)
    return Block(blocks, SIZES)


def joint(*, with_feedback: bool = False) -> rn.Network:
    arrows = [*CHAIN, ("low", "top")] if with_feedback else CHAIN
    tau = {"low": 0.01, "mid": torch.tensor([0.01, 0.02, 0.03], dtype=FLOAT), "top": 0.02}
    return rn.Network(spec(), weights(arrows), parameters={"tau": tau})


def drives(network: rn.Network, stimuli: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(50)
    return torch.randn(stimuli, network.units, generator=generator, dtype=FLOAT)


def a_state(network: rn.Network, stimuli: int = 2) -> Tensor:
    """Return a state (k, B, N) in which no unit has a variable that its model lacks."""
    generator = torch.Generator().manual_seed(51)
    state = torch.randn(3, stimuli, network.units, generator=generator, dtype=FLOAT)
    return state.masked_fill(~held(network)[:, None], 0.0)


def held(network: rn.Network) -> Tensor:
    """Return which unit has which variable, (k, N)."""
    mask = torch.zeros(3, network.units, dtype=torch.bool)
    for name, place in network.populations.items():
        for state in STATES[name]:
            mask[network.model.states.index(state), place] = True
    return mask


def test_names_are_joined_where_they_mean_the_same() -> None:
    network = joint()
    assert network.model.name == "rate + adaptation + voltage"
    assert network.model.states == ("r", "a", "v")
    assert network.parameters["tau"].tolist() == [
        0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.03, *[0.01] * 2, *[0.02] * 5,
    ]  # fmt: skip
    assert network.parameters["tau_a"].ndim == 0  # units without adaptation do not use it
    assert network.longest_time_constant() == 0.1
    assert "low 4, mid 3, mid2 2, top 5" in repr(network)


def test_every_unit_moves_by_its_own_equations() -> None:
    network, W = joint(), joint().connectivity.dense()
    state, drive = a_state(network), drives(network)
    F = network.derivative(state, drive)
    rates = torch.cat(
        [state[0, :, :9], torch.tanh(state[2, :, 9:])], dim=1
    )  # voltage transmits f(v)
    torch.testing.assert_close(network.output(state), rates, rtol=0, atol=1e-15)
    total = drive + rates @ W.T
    tau = network.parameters["tau"]
    torch.testing.assert_close(
        F[0, :, :4], ((-state[0] + torch.tanh(total)) / tau)[:, :4], rtol=0, atol=1e-11
    )
    torch.testing.assert_close(F[2, :, 9:], ((-state[2] + total) / tau)[:, 9:], rtol=0, atol=1e-11)
    assert (F.masked_select(~held(network)[:, None].expand_as(F)) == 0).all()


def test_the_jacobian_is_that_of_finite_differences() -> None:
    network = joint(with_feedback=True)
    state, drive = a_state(network, 1), drives(network, 1)
    mask = held(network)
    fp = rn.fixed_points_at(network, drive, state)
    kept = mask.flatten()
    J, h = fp.jacobian(0)[kept][:, kept], 1e-6
    for column, index in enumerate(torch.nonzero(kept)[:, 0].tolist()):
        shift = torch.zeros_like(state).view(-1)
        shift[index] = h
        shift = shift.view_as(state)
        ahead, behind = (network.derivative(state + s, drive) for s in (shift, -shift))
        difference = ((ahead - behind) / (2 * h)).flatten()[kept]
        torch.testing.assert_close(J[:, column], difference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_feedback", [False, True])
def test_fixed_points_are_at_rest_and_found_by_the_dynamics(with_feedback: bool) -> None:
    network = joint(with_feedback=with_feedback)
    drive = drives(network)
    fp = rn.find_fixed_points(network, drive, tol=1e-11)
    assert bool(network.components) != with_feedback
    assert float(network.derivative(fp.state, drive).abs().max()) < 1e-7
    run = rn.simulate(network, drive, duration=3.0, dt=4e-3)
    torch.testing.assert_close(run.rates[-1], fp.rates, rtol=0, atol=1e-5)
    assert (fp.state.masked_select(~held(network)[:, None].expand_as(fp.state)) == 0).all()
    abscissa = fp.eigenvalues(0).real.max()
    torch.testing.assert_close(fp.abscissa([0])[0], abscissa, rtol=1e-6, atol=0)


@pytest.mark.parametrize("with_feedback", [False, True])
def test_the_adjoint_is_the_gradient_to_the_drive(with_feedback: bool) -> None:
    network = joint(with_feedback=with_feedback)
    drive, h = drives(network, 1), 1e-5
    error = drives(network, 1).flip(1)
    fp = rn.find_fixed_points(network, drive, tol=1e-13)
    lambdas = rn.solve_adjoint(fp, error).values
    for unit in (0, 5, 8, 12):
        shift = torch.zeros_like(drive)
        shift[0, unit] = h
        ahead, behind = (
            rn.find_fixed_points(network, drive + s, tol=1e-13).rates for s in (shift, -shift)
        )
        slope = float(((ahead - behind) * error).sum()) / (2 * h)
        assert slope == pytest.approx(float(lambdas[0, unit]), abs=1e-6)


@pytest.mark.brian2
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize("is_moving", [False, True])
def test_both_simulators_agree_to_rounding(method: str, is_moving: bool) -> None:
    network = joint(with_feedback=True)
    x = drives(network)
    drive = (lambda t: x * (1 + t)) if is_moving else x
    runs = [
        rn.simulate(
            network, drive, duration=1.0, dt=1e-3, method=method, backend=backend,
            initial=a_state(network),
        )
        for backend in ("torch", "brian2")
    ]  # fmt: skip
    torch.testing.assert_close(runs[0].rates, runs[1].rates, rtol=0, atol=1e-11)
    for name in ("r", "a", "v"):
        torch.testing.assert_close(runs[0].states[name], runs[1].states[name], rtol=0, atol=1e-11)


@pytest.mark.brian2
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
def test_brian2_has_a_group_for_each_population_of_a_block() -> None:
    """One model, a convolution, a population without input, and one without feedback."""
    kernel = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=FLOAT)
    grid = Convolution(0.2 * kernel, 3, 4, "zero")
    top = {"grid": Dense(0.3 * torch.ones(5, 12, dtype=FLOAT)),
           "free": Dense(torch.ones(5, 2, dtype=FLOAT))}  # fmt: skip
    W = Block({"grid": {"grid": grid}, "top": top}, {"free": 2, "grid": 12, "top": 5})
    network = rn.Network("rate", W)
    runs = [
        rn.simulate(network, drives(network, 3), duration=1.0, dt=1e-3, backend=backend).rates
        for backend in ("torch", "brian2")
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-11)


@pytest.mark.slow
@pytest.mark.brian2
def test_standalone_programs_have_groups_as_well() -> None:
    network = joint(with_feedback=True)
    options = {"duration": 0.1, "dt": 1e-3, "record_every": 10}
    expected = rn.simulate(network, drives(network), **options)
    found = rn.simulate(
        network, drives(network), backend="brian2", device="cpp_standalone", **options
    )
    torch.testing.assert_close(found.rates, expected.rates, rtol=0, atol=1e-11)
    torch.testing.assert_close(found.states["a"], expected.states["a"], rtol=0, atol=1e-11)


def test_networks_come_back_from_a_file(tmp_path: Path) -> None:
    network = joint()
    network.save(tmp_path / "joint.safetensors")
    loaded = rn.load_network(tmp_path / "joint.safetensors")
    assert loaded.model == network.model
    state, drive = a_state(network), drives(network)
    assert torch.equal(loaded.derivative(state, drive), network.derivative(state, drive))
    assert loaded.populations == network.populations


def test_states_have_names_and_files_have_all_models() -> None:
    network = joint()
    run = rn.simulate(network, drives(network), duration=0.01, dt=1e-3)
    assert set(run.states) == {"r", "a", "v"}
    assert "rate + adaptation + voltage" in repr(run)
    assert set(run.to_xarray()["population"].values) == set(SIZES)
    assert equations_latex(network.model).count("frac") >= 4
    assert "tau" in model_latex(network.model)
    assert "mid:" in str(network.model)
    assert "Voltage" in network._repr_html_()


def test_names_that_clash_get_the_name_of_their_model() -> None:
    def own(name: str, unit: str, k: str) -> rn.ModelSpec:
        return rn.ModelSpec(
            name=name,
            equations=f"ds/dt = (-s + k*(I_rec + I_ext)) / tau : {unit}\nI_rec : 1\nI_ext : 1",
            output="s", recurrent="I_rec", drive="I_ext",
            parameters={"tau": "10*ms", "k": k},
        )  # fmt: skip

    models = {"a": own("first", "volt", "2*mV"), "b": own("second", "amp", "3*amp")}
    both = JointSpec(models, {"a": 1, "b": 2})
    assert both.states == ("s_first", "s_second")
    assert set(both.defaults) == {"tau", "k_first", "k_second"}
    network = rn.Network(both, torch.zeros(3, 3, dtype=FLOAT))
    fp = rn.find_fixed_points(network, [1.0, 1.0, 2.0])
    torch.testing.assert_close(fp.rates, torch.tensor([[0.002, 3.0, 6.0]], dtype=FLOAT))


def test_models_that_cannot_be_joined_are_refused() -> None:
    rate = rn.load_model("rate")
    with pytest.raises(ModelError, match="a model and a size for each"):
        JointSpec({"a": rate}, {"b": 1})
    with pytest.raises(ModelError, match="has noise"):
        JointSpec({"a": rate, "b": rn.load_model("ssn_stochastic")}, {"a": 1, "b": 1})


@pytest.mark.brian2
def test_plasticity_in_brian2_needs_one_model() -> None:
    network = joint().changed(W=joint().connectivity.dense().clone())
    options = {"duration": 0.01, "dt": 1e-3, "plasticity": "hebb", "weights": "shared"}
    run = rn.simulate(network, drives(network, 1), **options)
    assert float((run.final_weights - network.connectivity.dense()).abs().max()) > 0
    with pytest.raises(UnsupportedError, match="of one model"):
        rn.simulate(network, drives(network, 1), backend="brian2", **options)
