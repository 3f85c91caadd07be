"""A stack as one network: the same fixed points, the same dynamics, the same memory."""

import copy
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from helpers.problems import TARGETS
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import Block, Chain, Convolution, Dense, Masked, Pooling
from ratenet.errors import InputError, StaleError, UnsupportedError
from ratenet.layers import FeedbackLayers, Stack

FLOAT = torch.float64


def layer(pre: int, units: int, **options: object) -> rn.FixedPointLayer:
    return rn.FixedPointLayer(pre, units, dtype=FLOAT, tol=1e-12, **options)


def linear(pre: int, post: int) -> torch.nn.Linear:
    return torch.nn.Linear(pre, post, dtype=FLOAT)


def two(**options: object) -> Stack:
    torch.manual_seed(1)
    return Stack(layer(6, 5), layer(5, 4, **options), linear(4, 3))


def every_kind() -> Stack:
    """Return a stack of all kinds of layers, and of all modules that may lie between them."""
    torch.manual_seed(0)
    conv = {"dtype": FLOAT, "tol": 1e-12}
    mask = torch.rand(9, 9) < 0.5
    sparse = Masked(0.2 * torch.randn(9, 9, dtype=FLOAT) * mask, mask)
    feedback = FeedbackLayers(8, [6, 4]).double()
    feedback.core.tol = 1e-12
    return Stack(
        torch.nn.Tanh(),
        torch.nn.Unflatten(1, (1, 13, 12)),
        rn.ConvFixedPointLayer(1, 2, 13, 12, **conv),
        torch.nn.AvgPool2d(2),
        rn.ConvFixedPointLayer(
            2, 3, 6, 6, stride=2, border="circular", parameters={"tau": 0.02}, **conv
        ),
        torch.nn.Sequential(torch.nn.Flatten(), linear(27, 8)),
        feedback,
        layer(4, 9, connectivity=sparse),
        linear(9, 3),
    )


@torch.no_grad()
def by_hand(stack: Stack, images: Tensor, steps: int, dt: float) -> Tensor:
    """Return the rates of tanh layers after Euler steps, each layer by the modules themselves."""
    layers = stack._layers()
    rates = [torch.zeros(len(images), part.core.units, dtype=FLOAT) for part in layers]
    for _ in range(steps):
        new, below = [], images
        for part, y in zip(layers, rates, strict=True):
            network = part.core.network
            drive = part.padded(part.read_in(below))
            target = torch.tanh(y @ network.connectivity.dense().T + drive)
            new.append(y + dt / network.parameters["tau"] * (target - y))
            below = part.read(y)
        rates = new
    return torch.cat(rates, dim=1)


def test_its_fixed_points_are_those_of_the_layers_one_after_the_other() -> None:
    stack, images = every_kind(), torch.randn(3, 156, dtype=FLOAT)
    network = stack.network()
    fp = rn.find_fixed_points(network, stack.drive(images), tol=1e-12)
    torch.testing.assert_close(stack.outputs(fp.rates), stack(images), rtol=0, atol=1e-10)
    assert list(network.populations) == [
        "layer3", "layer5", "layer7_1", "layer7_2", "layer8",
    ]  # fmt: skip
    for part, core in zip(stack.split(fp).values(), _cores(stack), strict=True):
        torch.testing.assert_close(part.rates, core.fixed_points.rates, rtol=0, atol=1e-10)
        torch.testing.assert_close(part.gain, core.fixed_points.gain, rtol=0, atol=1e-9)
        assert part.network is core.network


def _cores(stack: Stack) -> list[rn.FixedPointCore]:
    return [module for module in stack.modules() if isinstance(module, rn.FixedPointCore)]


def test_every_layer_moves_by_its_own_equations_and_the_rates_below() -> None:
    stack, images = every_kind(), torch.randn(2, 156, dtype=FLOAT)
    run = rn.simulate(stack.network(), stack.drive(images), duration=0.05, dt=1e-3)
    torch.testing.assert_close(run.rates[-1], by_hand(stack, images, 50, 1e-3), rtol=0, atol=1e-13)


def test_blocks_are_what_the_layers_are() -> None:
    W = every_kind().network().connectivity
    assert isinstance(W, Block)
    assert isinstance(W.blocks["layer3"]["layer3"], Convolution)
    chain = W.blocks["layer5"]["layer3"]
    assert isinstance(chain, Chain)
    assert [type(part) for part in chain.parts.values()] == [Pooling, Convolution]
    assert isinstance(W.blocks["layer7_1"]["layer7_2"], Dense)
    assert isinstance(W.blocks["layer8"]["layer8"], Masked)
    assert set(W.blocks["layer8"]) == {"layer8", "layer7_2"}


def test_a_step_of_an_optimizer_changes_the_network_and_makes_fixed_points_stale() -> None:
    stack, images = two(), torch.randn(4, 6, dtype=FLOAT)
    network = stack.network()
    fp = rn.find_fixed_points(network, stack.drive(images))
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.1)
    stack(images).square().sum().backward()
    optimizer.step()
    assert stack.network() is network
    with pytest.raises(StaleError):
        fp.check_current()
    again = rn.find_fixed_points(network, stack.drive(images), tol=1e-12)
    torch.testing.assert_close(stack.outputs(again.rates), stack(images), rtol=0, atol=1e-10)


def test_a_change_of_the_network_changes_the_layers() -> None:
    stack = two()
    W = stack.network().connectivity
    W.add_({name: torch.ones_like(p) for name, p in W.parameters.items()})
    assert W.parameters["layer2_from_layer1.W"].data_ptr() == stack[1].read_in.weight.data_ptr()
    torch.testing.assert_close(W.blocks["layer2"]["layer1"].dense(), stack[1].read_in.weight.data)


def test_copies_and_other_dtypes_have_a_network_of_their_own() -> None:
    stack = two()
    network = stack.network()
    twin = copy.deepcopy(stack)
    assert twin.network() is not network
    with torch.no_grad():
        twin[1].read_in.weight.zero_()
    assert float(network.connectivity.blocks["layer2"]["layer1"].dense().abs().sum()) > 0
    assert stack.float().network().dtype == torch.float32


def test_the_drive_can_be_differentiated() -> None:
    stack, images = two(), torch.randn(4, 6, dtype=FLOAT)
    assert not stack.drive(images).requires_grad
    stack.drive(images, keep_graph=True).sum().backward()
    first, second = stack[0].read_in, stack[1].read_in
    torch.testing.assert_close(first.weight.grad, images.sum(dim=0).expand(5, -1))
    assert torch.equal(second.bias.grad, torch.full((4,), 4.0, dtype=FLOAT))
    assert float(second.weight.grad.abs().sum()) == 0


@pytest.mark.brian2
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
def test_both_simulators_agree_to_rounding() -> None:
    stack, images = two(parameters={"tau": 0.03}), torch.randn(2, 6, dtype=FLOAT)
    network, drive = stack.network(), stack.drive(images)
    torch_run, brian2_run = (
        rn.simulate(network, drive, duration=1.0, dt=1e-3, backend=backend).rates
        for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(torch_run, brian2_run, rtol=0, atol=1e-11)


def test_a_stack_and_its_network_come_back_from_a_file(tmp_path: Path) -> None:
    stack, images = every_kind(), torch.randn(2, 156, dtype=FLOAT)
    network, drive = stack.network(), stack.drive(images)
    network.save(tmp_path / "joint.safetensors")
    loaded = rn.load_network(tmp_path / "joint.safetensors")
    state = torch.randn(1, 2, network.units, dtype=FLOAT)
    assert torch.equal(loaded.derivative(state, drive), network.derivative(state, drive))
    assert loaded.populations == network.populations
    rest = Stack(*list(stack)[1:])  # Tanh cannot be saved
    rn.layers.save(rest, tmp_path / "stack.safetensors")
    again = rn.layers.load(tmp_path / "stack.safetensors")
    assert type(again) is Stack
    assert torch.equal(again.drive(images), rest.drive(images))


def mixed() -> Stack:
    """Return layers of three models, one of them with populations of its own."""
    torch.manual_seed(2)
    two_types = layer(6, 7, model="wilson_cowan", populations={"E": 5, "I": 2})
    adapting = layer(7, 5, model="adaptation", parameters={"tau": 0.03})
    return Stack(two_types, adapting, layer(5, 6), layer(6, 4), linear(4, 3))


def test_each_layer_keeps_its_own_model() -> None:
    stack, images = mixed(), torch.randn(3, 6, dtype=FLOAT)
    network, drive = stack.network(), stack.drive(images)
    assert network.model.states == ("r", "a_adaptation")  # wilson_cowan has a parameter a
    fp = rn.find_fixed_points(network, drive, tol=1e-12)
    torch.testing.assert_close(stack.outputs(fp.rates), stack(images), rtol=0, atol=1e-10)
    for part, core in zip(stack.split(fp).values(), _cores(stack), strict=True):
        assert part.network is core.network
        torch.testing.assert_close(part.state, core.fixed_points.state, rtol=0, atol=1e-9)
        assert float(part.residual.max()) < 1e-11
    run = rn.simulate(network, drive, duration=3.0, dt=2e-3)
    torch.testing.assert_close(run.rates[-1], fp.rates, rtol=0, atol=1e-6)


def test_the_rules_of_a_joint_network_are_those_of_its_layers() -> None:
    """The Euclidean rule changes each weight as backpropagation through the layers does."""
    stack, images = mixed(), torch.randn(3, 6, dtype=FLOAT)
    network, target = stack.network(), torch.randn(3, 3, dtype=FLOAT)
    fp = rn.find_fixed_points(network, stack.drive(images), tol=1e-12)
    rates = fp.rates.clone().requires_grad_()
    (stack.outputs(rates) - target).square().sum().backward()
    delta = rn.plasticity.Euclidean().update(fp, rates.grad, learning_rate=1.0)
    stack.zero_grad()
    (stack(images) - target).square().sum().backward()
    recurrent = [core.recurrent["W"].grad for core in _cores(stack)]
    for n, gradient in enumerate(recurrent, start=1):
        change = -3 * delta[f"layer{n}_from_layer{n}.W"]  # 3 samples
        torch.testing.assert_close(change, gradient, rtol=0, atol=1e-8)
    read_in = -3 * delta["layer3_from_layer2.W"]
    torch.testing.assert_close(read_in, stack[2].read_in.weight.grad, rtol=0, atol=1e-8)


@pytest.mark.brian2
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
def test_mixed_layers_agree_in_both_simulators() -> None:
    stack, images = mixed(), torch.randn(2, 6, dtype=FLOAT)
    network, drive = stack.network(), stack.drive(images)
    torch_run, brian2_run = (
        rn.simulate(network, drive, duration=1.0, dt=1e-3, backend=backend).rates
        for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(torch_run, brian2_run, rtol=0, atol=1e-11)


REFUSED = {
    "ReLU": (
        lambda: Stack(layer(6, 5), torch.nn.ReLU(), layer(5, 4)),
        UnsupportedError,
        r"layers, 1 \(ReLU\): it lies between two recurrent layers and is not known to be linear",
    ),
    "max pooling": (
        lambda: Stack(
            rn.ConvFixedPointLayer(1, 1, 6, 6),
            torch.nn.MaxPool2d(2),
            rn.ConvFixedPointLayer(1, 1, 3, 3),
        ),
        UnsupportedError,
        r"layers, 1 \(MaxPool2d\)",
    ),
    "sizes": (
        lambda: Stack(layer(6, 5), layer(7, 4)),
        InputError,
        r"layers, 1.read_in \(Linear\): expected 7 numbers a sample, got \(5,\)",
    ),
    "images": (
        lambda: Stack(rn.ConvFixedPointLayer(1, 1, 4, 4), layer(4, 4)),
        InputError,
        "put a torch.nn.Flatten before it",
    ),
    "dilated": (
        lambda: Stack(
            rn.ConvFixedPointLayer(1, 1, 4, 4),
            torch.nn.Conv2d(1, 1, 3, dilation=2, padding=2),
            rn.ConvFixedPointLayer(1, 1, 4, 4),
        ),
        UnsupportedError,
        r"layers, 1 \(Conv2d\).*padding = k // 2",
    ),
    "overlapping squares": (
        lambda: Stack(
            rn.ConvFixedPointLayer(1, 1, 4, 4),
            torch.nn.AvgPool2d(2, stride=1),
            rn.ConvFixedPointLayer(1, 1, 3, 3),
        ),
        UnsupportedError,
        r"layers, 1 \(AvgPool2d\).*side by side",
    ),
    "noise": (
        lambda: Stack(layer(6, 5), layer(5, 4, model="ssn_stochastic")),
        UnsupportedError,
        r"layers, layer2: model 'ssn_stochastic' has noise \(xi\)",
    ),
    "no layer": (lambda: Stack(linear(3, 2)), InputError, "none of them is recurrent"),
    "hidden": (
        lambda: Stack(torch.nn.ModuleList([layer(6, 5)]), layer(5, 4)),
        UnsupportedError,
        r"layers, 0 \(ModuleList\): its recurrent layer is inside",
    ),
    "dtypes": (
        lambda: Stack(layer(6, 5), rn.FixedPointLayer(5, 4, dtype=torch.float32)),
        InputError,
        "float32",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_network_is_refused(name: str) -> None:
    make, kind, sentence = REFUSED[name]
    with pytest.raises(kind, match=sentence):
        make().network()


def test_a_model_whose_inputs_do_not_add_up_is_refused() -> None:
    model = rn.ModelSpec(
        name="apart",
        equations="dr/dt = (-r + tanh(I_rec) + I_ext) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        parameters={"tau": "10*ms"},
    )
    with pytest.raises(UnsupportedError, match="do not enter as a sum"):
        Stack(layer(6, 5, model=model), layer(5, 4)).network()


def test_arguments_that_do_not_fit_are_refused() -> None:
    stack, images = two(), torch.randn(3, 6, dtype=FLOAT)
    with pytest.raises(InputError, match=r"images: .*got \(3, 7\); at 0.read_in torch says"):
        stack.drive(torch.zeros(3, 7))
    with pytest.raises(InputError, match=r"rates: .* N = 9 units"):
        stack.outputs(torch.zeros(3, 4))
    other = two()
    fp = rn.find_fixed_points(other.network(), other.drive(images))
    with pytest.raises(InputError, match="fp: expected fixed points of this stack's network"):
        stack.split(fp)
    with pytest.raises(InputError, match="network: expected"):
        rn.certify_state(stack, stack.drive(images), fp.state)


def test_names_of_populations() -> None:
    named = Stack(OrderedDict({"höher": layer(6, 5), "2nd one": layer(5, 5), "0": layer(5, 5)}))
    assert list(named.network().populations) == ["h_her", "layer_2nd_one", "layer1"]
    with pytest.raises(InputError, match="two of them would be called layer1"):
        Stack(OrderedDict({"layer1": layer(6, 5), "0": layer(5, 5)})).network()


def test_a_layer_may_stand_in_two_places() -> None:
    again, images = layer(5, 5), torch.randn(3, 6, dtype=FLOAT)
    stack = Stack(layer(6, 5), again, again)
    fp = rn.find_fixed_points(stack.network(), stack.drive(images), tol=1e-12)
    torch.testing.assert_close(stack.outputs(fp.rates), stack(images), rtol=0, atol=1e-8)
    assert len(stack.network().populations) == 3


def test_one_layer_moves_as_it_does_by_itself_to_the_last_bit() -> None:
    stack, images = Stack(layer(6, 5)), torch.randn(3, 6, dtype=FLOAT)
    run = rn.simulate(stack.network(), stack.drive(images), duration=0.1, dt=1e-3)
    drive = stack[0].read_in(images).detach()
    assert torch.equal(run.rates, rn.simulate(stack[0].network, drive, duration=0.1, dt=1e-3).rates)


@pytest.mark.parametrize("images", [torch.ones(6), [["a"] * 6], [[float("nan")] * 6]])
def test_images_that_are_none_are_refused(images: object) -> None:
    with pytest.raises(InputError, match="images"):
        two().drive(images)
