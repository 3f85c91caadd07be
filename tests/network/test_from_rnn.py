"""A trained torch.nn.RNN as a network: the same map, the same fixed points, layer by layer."""

import copy

import pytest
import torch
from brian2 import ms

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.stimuli import Images, Still

FLOAT = torch.float64


def trained(seed: int = 0, inputs: int = 3, units: int = 12, **options) -> torch.nn.RNN:
    torch.manual_seed(seed)
    return torch.nn.RNN(inputs, units, batch_first=True, dtype=FLOAT, **options)


def iterated(rnn: torch.nn.RNN, inputs: torch.Tensor, steps: int = 400) -> torch.Tensor:
    """Return where the RNN itself settles, (layers, B, N)."""
    with torch.no_grad():
        return rnn(inputs[:, None].expand(-1, steps, -1))[1]


def some_inputs(rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, 3, dtype=FLOAT, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_each_layer_settles_where_the_rnn_settles(nonlinearity, bias):
    rnn = trained(num_layers=3, nonlinearity=nonlinearity, bias=bias)
    inputs = below = some_inputs()
    for layer, settled in enumerate(iterated(rnn, inputs)):
        network, read_in = rn.from_rnn(rnn, layer)
        below = rn.find_fixed_points(network, read_in(below)).rates
        torch.testing.assert_close(below, settled, rtol=0, atol=1e-7)
        assert (read_in.bias is None) is not bias


def test_euler_steps_of_tau_are_the_steps_of_the_rnn():
    rnn, inputs = trained(), some_inputs(2)
    network, read_in = rn.from_rnn(rnn, parameters={"tau": 20 * ms})
    path = rn.simulate(network, read_in(inputs), duration=100 * ms, dt=20 * ms, method="euler")
    with torch.no_grad():
        outputs = rnn(inputs[:, None].expand(-1, 5, -1))[0]
    torch.testing.assert_close(path.rates[1:].transpose(0, 1), outputs, rtol=0, atol=1e-12)


def test_a_cell_is_the_layer_of_its_weights():
    rnn, cell = trained(), torch.nn.RNNCell(3, 12, dtype=FLOAT)
    state = {name.removesuffix("_l0"): values for name, values in rnn.state_dict().items()}
    cell.load_state_dict(state)
    for (network, read_in), (same, same_read_in) in [(rn.from_rnn(rnn), rn.from_rnn(cell))]:
        assert torch.equal(network.connectivity.dense(), same.connectivity.dense())
        assert torch.equal(read_in(some_inputs()), same_read_in(some_inputs()))


def test_further_training_does_not_change_the_network():
    rnn = trained()
    network, read_in = rn.from_rnn(rnn)
    fp = rn.find_fixed_points(network, read_in(some_inputs()))
    before = copy.deepcopy((network.connectivity.dense(), read_in.weights, read_in.bias))
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.add_(1.0)
    after = network.connectivity.dense(), read_in.weights, read_in.bias
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert fp.abscissa([0]) < 0  # not stale


def test_dtype_and_values_are_kept():
    rnn = torch.nn.RNN(3, 12)
    network, read_in = rn.from_rnn(rnn)
    assert network.dtype == read_in.weights.dtype == torch.float32
    assert not read_in.weights.requires_grad
    assert not network.connectivity.dense().requires_grad
    assert torch.equal(read_in([0.0, 0.0, 0.0]), rnn.bias_ih_l0 + rnn.bias_hh_l0)
    assert repr(read_in) == "AffineReadIn(3 inputs to 12 units, bias)"


def test_a_stimulus_is_read_in_with_the_bias():
    read_in = rn.from_rnn(trained())[1]
    inputs = some_inputs().sigmoid()
    still = Still(Images(inputs, torch.zeros(4, dtype=torch.int64)))
    drive = rn.stimuli.ReadIn(still, read_in.weights, read_in.bias)
    torch.testing.assert_close(drive.at(0.0), read_in(inputs), rtol=0, atol=1e-15)
    with pytest.raises(InputError, match=r"ReadIn, bias: expected a tensor \(N,\) with N = 12"):
        rn.stimuli.ReadIn(still, read_in.weights, torch.zeros(5))


@pytest.mark.parametrize(
    ("rnn", "layer", "kind", "sentence"),
    [
        (torch.nn.GRU(2, 3), 0, UnsupportedError, "got GRU.*fixed_points_of"),
        (torch.nn.LSTM(2, 3, proj_size=2), 0, UnsupportedError, "got LSTM.*fixed_points_of"),
        (torch.nn.GRUCell(2, 3), 0, UnsupportedError, "got GRUCell"),
        (torch.nn.RNN(2, 3, bidirectional=True), 0, UnsupportedError, "bidirectional=False"),
        (torch.nn.Linear(2, 3), 0, InputError, "rnn: expected torch.nn.RNN.*got 'Linear'"),
        (None, 0, InputError, "rnn: expected torch.nn.RNN"),
        (torch.nn.RNN(2, 3), 1, InputError, "layer: expected 0, as the RNN has 1 layer, got 1"),
        (torch.nn.RNN(2, 3, 2), -1, InputError, "from 0 to 1, as the RNN has 2 layers, got -1"),
        (torch.nn.RNN(2, 3), True, InputError, "layer: expected"),
        (torch.nn.RNN(2, 3), "0", InputError, "layer: expected"),
    ],
)
def test_other_kinds_are_refused_in_a_sentence(rnn, layer, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        rn.from_rnn(rnn, layer)
    assert "\n" not in str(caught.value)


def test_a_diverged_rnn_is_refused():
    rnn = trained()
    with torch.no_grad():
        rnn.weight_ih_l0[0, 0] = torch.nan
    with pytest.raises(InputError, match="NaN or infinite entries in weight_ih_l0"):
        rn.from_rnn(rnn)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ([[1.0, 2.0]], r"inputs: expected shape \(M,\) or \(B, M\) with M = 3"),
        (1.0, r"inputs: expected shape"),
        ([0.0, float("nan"), 0.0], "inputs: NaN or infinite"),
        ("abc", "inputs"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, sentence):
    read_in = rn.from_rnn(trained())[1]
    with pytest.raises(InputError, match=sentence):
        read_in(inputs)
