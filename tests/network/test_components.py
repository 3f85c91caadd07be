"""Populations that settle one after another: the same answers as all at once."""

import pickle

import pytest
import torch
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import AbstractConnectivity, Block, Dense, Masked
from ratenet.errors import ConvergenceError
from ratenet.fixed_points.certificate import unit_step
from ratenet.fixed_points.solvers.newton import newton_step

FLOAT = torch.float64


def weights(post: int, pre: int, seed: int, scale: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale / pre**0.5 * torch.randn(post, pre, generator=generator, dtype=FLOAT)


def blocks(**rows: dict[str, int]) -> Block:
    """Return a block for each seed; populations have 4, 5, 6 ... units in their order."""
    sizes = {name: 4 + index for index, name in enumerate(rows)}
    made: dict[str, dict[str, AbstractConnectivity]] = {
        post: {pre: Dense(weights(sizes[post], sizes[pre], seed)) for pre, seed in row.items()}
        for post, row in rows.items()
    }
    return Block(made, sizes)


# "top" comes first among the units and last in time; "relay" has no connection to itself, and
# "e" and "i" reach one another.
DEEP = {
    "top": {"top": 1, "relay": 2, "i": 3},
    "e": {"e": 4, "i": 5, "relay": 6},
    "i": {"e": 7},
    "relay": {"low": 8},
    "low": {"low": 9},
}


def network(model: str = "rate") -> rn.Network:
    W = blocks(**DEEP)
    tau = torch.linspace(0.01, 0.03, W.units, dtype=FLOAT)
    return rn.Network(model, W, parameters={"tau": tau})


def whole(net: rn.Network) -> rn.Network:
    """Return the same network with one matrix, which has no components."""
    return net.changed(W=net.connectivity.dense().clone())


def drives(net: rn.Network, stimuli: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(20)
    return torch.randn(stimuli, net.units, generator=generator, dtype=FLOAT)


def test_the_order_is_that_of_the_arrows() -> None:
    spans = [(part.units.start, part.units.stop) for part in network().components]
    assert spans == [(22, 30), (15, 22), (4, 15), (0, 4)]
    assert [part.network.units for part in network().components] == [8, 7, 11, 4]


def test_what_reaches_itself_through_all_others_has_no_components() -> None:
    ring = blocks(a={"c": 1}, b={"a": 2}, c={"b": 3})
    assert rn.Network("rate", ring).components == ()
    apart = blocks(a={"a": 1, "c": 2}, b={"b": 3}, c={"a": 4})  # a and c are not neighbours
    assert rn.Network("rate", apart).components == ()
    assert rn.Network("rate", weights(5, 5, 1)).components == ()


@pytest.mark.parametrize("model", ["rate", "adaptation"])
def test_fixed_points_adjoints_and_stability_are_those_of_the_whole(model: str) -> None:
    net = network(model)
    drive = drives(net)
    fp = rn.find_fixed_points(net, drive, tol=1e-12)
    expected = rn.find_fixed_points(whole(net), drive, tol=1e-12)
    torch.testing.assert_close(fp.state, expected.state, rtol=0, atol=1e-10)
    torch.testing.assert_close(fp.gain, expected.gain, rtol=0, atol=1e-9)
    assert fp.examined.all()
    torch.testing.assert_close(fp.abscissa(), expected.abscissa(), rtol=1e-8, atol=0)
    error = drives(net).flip(1)
    found, all_at_once = rn.solve_adjoint(fp, error), rn.solve_adjoint(expected, error)
    assert found.converged.all()
    torch.testing.assert_close(found.values, all_at_once.values, rtol=0, atol=1e-8)


@pytest.mark.parametrize("model", ["rate", "adaptation"])
def test_newtons_step_and_the_lag_are_those_of_the_whole(model: str) -> None:
    net = network(model)
    drive, k = drives(net), 1 if model == "rate" else 2
    state = 0.3 * torch.tanh(drives(net)).expand(k, -1, -1)
    steps = [newton_step(n, unit_step(n, state, drive), 1e-12, 200) for n in (net, whole(net))]
    torch.testing.assert_close(steps[0].step, steps[1].step, rtol=0, atol=1e-10)
    assert float(steps[0].residual.max()) <= 1e-12
    velocity = 0.1 * drives(net).flip(0)
    lags = [
        rn.predict_lag(rn.fixed_points_at(n, drive, state), velocity) for n in (net, whole(net))
    ]
    torch.testing.assert_close(lags[0].state, lags[1].state, rtol=0, atol=1e-9)
    torch.testing.assert_close(lags[0].velocity, lags[1].velocity, rtol=0, atol=1e-8)


def test_an_unstable_component_makes_the_whole_unstable() -> None:
    W = blocks(low={"low": 1}, top={"top": 2, "low": 3})
    with torch.no_grad():
        W.blocks["top"]["top"].W.copy_(3.0 * torch.eye(5, dtype=FLOAT))
    net = rn.Network("rate", W)
    rest = torch.zeros(net.units)
    fp = rn.fixed_points_at(net, rest, rest)
    assert float(fp.abscissa()) == pytest.approx(200.0)  # (3 - 1) / 10 ms
    found = rn.find_fixed_points(
        net, torch.zeros(net.units), solver=rn.Anderson(), on_failure="return"
    )
    assert int(found.status) == rn.Status.UNSTABLE


def test_components_follow_changes_of_weights_and_parameters() -> None:
    net = network()
    part = net.components[0]
    with torch.no_grad():
        net.connectivity.blocks["low"]["low"].W.mul_(2.0)
        net.parameters["tau"].mul_(2.0)
    assert net.components[0] is part
    torch.testing.assert_close(
        part.network.connectivity.dense(), net.connectivity.blocks["low"]["low"].dense()
    )
    torch.testing.assert_close(part.network.parameters["tau"], net.parameters["tau"][22:])
    twin = pickle.loads(pickle.dumps(net))
    assert [p.units for p in twin.components] == [p.units for p in net.components]


def test_sparse_components_stay_sparse() -> None:
    mask = torch.rand(40, 40) < 0.03
    sparse = Masked(weights(40, 40, 1) * mask, mask)
    W = Block({"a": {"a": sparse}, "b": {"a": sparse}}, {"a": 40, "b": 40})
    assert rn.Network("rate", W).components[0].network.connectivity is sparse


def test_the_population_that_does_not_come_to_rest_is_named() -> None:
    """A layer of two units that push each other round, between two that settle."""
    turning = Dense(torch.tensor([[2.0, -3.0], [3.0, 2.0]], dtype=FLOAT))
    weak = Dense(torch.full((2, 2), 0.1, dtype=FLOAT))
    rows = {"low": {"low": weak}, "mid": {"mid": turning, "low": weak}, "top": {"mid": weak}}
    net = rn.Network(
        rn.load_model({**rn.load_model("rate").to_table(), "populations": dict.fromkeys(rows, 2)}),
        Block(rows, dict.fromkeys(rows, 2)),
    )
    fp = rn.find_fixed_points(net, [[0.5] * 6, [0.1] * 6], on_failure="return")
    assert not fp.converged.any()
    assert "Not at rest: mid in 2 of 2 samples." in fp.notes
    with pytest.raises(ConvergenceError, match="Not at rest: mid in 1 of 1 sample"):
        rn.find_fixed_points(net, [0.5] * 6)
