"""Fixed-point layers as torch modules: optimizers, state, functions, processes, convolutions."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch
from helpers.layer_cases import (
    KINDS,
    M,
    N,
    inputs,
    loss_of,
    low_rank,
    make_layer,
    signed,
)
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Convolution,
    Dense,
    Masked,
    Signed,
    Sum,
)
from ratenet.errors import (
    InputError,
    StaleError,
    UnsupportedError,
)
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    LinearizedReparameterized,
    NodePerturbation,
    Reparameterized,
)

# torch's machinery ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW], ids=["sgd", "adamw"])
def test_any_optimizer_keeps_the_constraint(
    kind: str, optimizer: type[torch.optim.Optimizer]
) -> None:
    layer, x = make_layer(kind, LinearizedReparameterized()), inputs()
    steps = optimizer(layer.parameters(), lr=0.05, weight_decay=0.01)
    for _ in range(20):
        steps.zero_grad()
        loss_of(layer(x)).backward()
        steps.step()
    layer(x)
    for part in parts_of(layer.network.connectivity):
        if isinstance(part, Masked):
            assert (part.W[~part.mask] == 0).all()
        if isinstance(part, Signed):
            assert (part.W * part.signs >= 0).all()


def parts_of(connectivity: AbstractConnectivity) -> list[AbstractConnectivity]:
    match connectivity:
        case Sum(parts=parts):
            return list(parts.values())
        case Block(blocks=blocks):
            return [part for row in blocks.values() for part in row.values()]
    return [connectivity]


def test_descend_makes_the_connectivitys_own_step() -> None:
    W, signs = signed().W, signed().signs
    layer = rn.FixedPointLayer(M, N, connectivity=Signed(W.clone(), signs, "exponentiated"))
    loss_of(layer(inputs())).backward()
    gradient = layer.core.recurrent["W"].grad
    layer.core.descend(0.1)
    expected = W * torch.exp(-0.1 * signs * gradient)
    torch.testing.assert_close(layer.core.recurrent["W"].detach(), expected, rtol=1e-12, atol=0)
    layer(inputs())


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_brings_the_rates_back(kind: str) -> None:
    layer, x = make_layer(kind), inputs()
    with torch.no_grad():
        other = make_layer(kind)
        for p in other.parameters():
            p.mul_(0.5)
        assert not torch.allclose(other(x), layer(x))
        other.load_state_dict(layer.state_dict())
        torch.testing.assert_close(other(x), layer(x), rtol=0, atol=1e-8)
        other.load_state_dict(layer.state_dict(), assign=True)
        torch.testing.assert_close(other(x), layer(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_its_own(kind: str) -> None:
    layer, x = make_layer(kind), inputs()
    before = layer(x)
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin(x), before, rtol=0, atol=1e-8)
    with torch.no_grad():
        for p in twin.core.parameters():
            p.mul_(0.5)
    assert not torch.allclose(twin(x), before)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_dtype_may_change(kind: str) -> None:
    layer, x = make_layer(kind, parameters={"tau": [0.01] * N}), inputs()
    before = layer(x)
    layer.float()
    found = layer(x.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), before, rtol=0, atol=1e-4)
    found.sum().backward()
    assert layer.network.parameters["tau"].dtype == torch.float32
    torch.testing.assert_close(layer.double()(x), before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["masked", "signed", "sum", "block"])
@pytest.mark.parametrize("goes_on", [copy.deepcopy, torch.nn.Module.float], ids=["copy", "dtype"])
def test_a_constraint_survives_what_comes_between_a_step_and_the_next(
    kind: str, goes_on: Callable[[torch.nn.Module], torch.nn.Module]
) -> None:
    layer = make_layer(kind)
    with torch.no_grad():
        for p in layer.core.parameters():
            p.add_(0.1 * torch.sign(random(*p.shape, seed=13)))
    other = goes_on(layer)
    other(inputs().to(other.read_in.weight.dtype))
    for part in parts_of(other.network.connectivity):
        if isinstance(part, Masked):
            assert (part.W[~part.mask] == 0).all()
        if isinstance(part, Signed):
            assert (part.W * part.signs >= 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_rates_and_gradients(kind: str) -> None:
    layer, x = make_layer(kind, LinearizedReparameterized()), inputs()
    loss_of(layer(x)).backward()
    other = copy.deepcopy(layer).cuda()
    other.zero_grad()
    torch.testing.assert_close(other(x.cuda()).cpu(), layer(x), rtol=0, atol=1e-8)
    rates = other(x.cuda())
    (torch.arange(1.0, N + 1, device="cuda") * (rates - 0.3) ** 2).sum(dim=-1).mean().backward()
    for p, q in zip(layer.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(q.grad.cpu(), p.grad, rtol=0, atol=1e-7)


def test_the_weights_share_their_memory_with_the_connectivity() -> None:
    W = random_weights(N, seed=8)
    layer = rn.FixedPointLayer(M, N, connectivity=Dense(W))
    with torch.no_grad():
        layer.core.recurrent["W"].zero_()
    assert (W == 0).all()
    x = inputs()
    torch.testing.assert_close(layer(x), torch.tanh(layer.read_in(x)), rtol=0, atol=1e-9)


def test_weights_replaced_behind_torchs_back_are_seen() -> None:
    layer, x = make_layer(), inputs()
    layer(x)
    layer.core.recurrent["W"].data = torch.zeros(N, N, dtype=FLOAT)
    torch.testing.assert_close(layer(x), torch.tanh(layer.read_in(x)), rtol=0, atol=1e-9)


def test_a_tensor_in_two_places_is_one_parameter() -> None:
    W = random_weights(3, seed=8)
    tied = Block({"a": {"a": Dense(W)}, "b": {"b": Dense(W)}}, {"a": 3, "b": 3})
    layer = rn.FixedPointLayer(M, 6, connectivity=tied)
    assert len(list(layer.core.parameters())) == 1
    loss_of(layer(inputs())).backward()
    free = Block({"a": {"a": Dense(W)}, "b": {"b": Dense(W.clone())}}, {"a": 3, "b": 3})
    other = rn.FixedPointLayer(M, 6, connectivity=free)
    other.read_in.load_state_dict(layer.read_in.state_dict())
    loss_of(other(inputs())).backward()
    both = sum(p.grad for p in other.core.parameters())
    (one,) = layer.core.parameters()
    torch.testing.assert_close(one.grad, both, rtol=0, atol=1e-9)


def test_weights_that_changed_since_are_noticed() -> None:
    layer = make_layer(rule=LinearizedReparameterized())
    loss = loss_of(layer(inputs()))
    with torch.no_grad():
        layer.core.recurrent["W"].add_(1.0)
    with pytest.raises(StaleError):
        loss.backward()


@pytest.mark.parametrize("units", [N, 140])  # 140: large products take another route
def test_torch_func_gives_the_same_gradients(units: int) -> None:
    torch.manual_seed(2)
    layer = rn.FixedPointLayer(M, units, rule=LinearizedReparameterized())
    parameters, x = dict(layer.named_parameters()), inputs(20).float()
    other = copy.deepcopy(layer)  # whose solver has kept nothing either

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return loss_of(torch.func.functional_call(other, parameters, (x,)))

    found = torch.func.grad(loss)(parameters)
    loss_of(layer(x)).backward()
    for name, p in parameters.items():
        torch.testing.assert_close(found[name], p.grad)


def test_jacobians_by_torch_func() -> None:
    layer, x = make_layer(), inputs(2)
    jacobian = torch.func.jacrev(layer)(x)  # (B, N, B, M)
    rows = [torch.autograd.functional.jacobian(layer, x[[b]])[0, :, 0] for b in range(2)]
    for b in range(2):
        torch.testing.assert_close(jacobian[b, :, b], rows[b], rtol=0, atol=1e-8)
        assert (jacobian[b, :, 1 - b] == 0).all()


def test_what_torch_func_cannot_do_is_said() -> None:
    layer, x = make_layer(), inputs().requires_grad_()
    with pytest.raises(UnsupportedError, match=r"torch.vmap cannot map.*one batch"):
        torch.func.vmap(layer)(x)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises(UnsupportedError, match="double backward is not supported"):
        gradient.square().sum().backward()


def test_autocast_leaves_the_fixed_points_exact() -> None:
    layer, x = make_layer().float(), inputs().float()
    with torch.autocast("cpu", torch.bfloat16):
        rates = layer(x)
        rates.sum().backward()
    assert rates.dtype == torch.float32
    assert layer.last.unsettled == 0
    assert torch.isfinite(layer.core.recurrent["W"].grad).all()


def test_leading_dimensions_are_kept() -> None:
    layer, x = make_layer(), random(2, 4, M, seed=11)
    rates = layer(x)
    assert rates.shape == (2, 4, N)
    torch.testing.assert_close(rates[1, 2], layer(x[1, 2]), rtol=0, atol=1e-8)
    assert layer(x[:0, 0]).shape == (0, N)


def worker(rank: int, folder: str) -> None:
    """Compute the gradient of half a batch in one of two processes, and write it."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    layer = make_layer("sum", LinearizedReparameterized())
    if rank:  # the first process's weights are to be taken
        with torch.no_grad():
            for p in layer.parameters():
                p.mul_(0.1)
    parallel = torch.nn.parallel.DistributedDataParallel(layer)
    loss_of(parallel(inputs(8)[rank::2])).backward()
    torch.save({n: p.grad for n, p in layer.named_parameters()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_find_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    layer = make_layer("sum", LinearizedReparameterized())
    loss_of(layer(inputs(8))).backward()
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        for name, p in layer.named_parameters():
            torch.testing.assert_close(found[name], p.grad, rtol=0, atol=1e-7)


# convolutions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("border", ["zero", "circular"])
def test_convolutional_gradients_are_autograds(border: str) -> None:
    torch.manual_seed(3)
    layer = rn.ConvFixedPointLayer(1, 2, 5, 4, 3, border, dtype=FLOAT)
    x = random(3, 1, 5, 4, seed=12).requires_grad_()
    rates = layer(x)
    assert rates.shape == (3, 2, 5, 4)
    kernel = layer.core.recurrent["kernel"]
    own = (x, kernel, *layer.read_in.parameters())
    mode = "circular" if border == "circular" else "constant"
    drive = layer.read_in(x)
    y = torch.zeros_like(drive)
    for _ in range(200):
        padded = torch.nn.functional.pad(y, (1, 1, 1, 1), mode=mode)
        y = torch.tanh(torch.nn.functional.conv2d(padded, kernel) + drive)
    torch.testing.assert_close(rates, y, rtol=0, atol=1e-8)
    expected = torch.autograd.grad(loss_of(y), own)
    found = torch.autograd.grad(loss_of(rates), own)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", [Euclidean(), LinearizedReparameterized()], ids=str)
def test_no_matrix_is_built_for_12544_units(rule: AbstractRule) -> None:
    torch.manual_seed(4)
    layer = rn.ConvFixedPointLayer(1, 16, 28, 28, rule=rule)
    with mock.patch.object(Convolution, "dense", side_effect=AssertionError):
        layer(torch.rand(4, 1, 28, 28)).square().mean().backward()
        assert layer.last.unsettled == 0
        fp = rn.find_fixed_points(layer.network, torch.rand(1, layer.core.units))
        assert fp.examined.all()  # its stability too
    assert layer.core.recurrent["kernel"].grad.abs().max() > 0


# bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: rn.FixedPointLayer(0, 3), "in_features: expected a whole number.*got 0"),
        (lambda: rn.FixedPointLayer(3, 2.5), "units: expected a whole number.*got 2.5"),
        (
            lambda: rn.FixedPointLayer(3, 4, connectivity=low_rank()),
            r"connectivity: expected shape \(4, 4\), got \(6, 6\)",
        ),
        (
            lambda: rn.FixedPointLayer(3, 4, connectivity=torch.ones(4, 4)),
            "connectivity: expected a connectivity.*got Tensor",
        ),
        (
            lambda: rn.FixedPointLayer(3, 4, rule="euclidean"),
            "rule: expected a rule.*got 'euclidean'",
        ),
        (lambda: rn.FixedPointLayer(3, 4, rule=Reparameterized()), "step_size: Reparameterized"),
        (lambda: rn.FixedPointLayer(3, 4, rule=NodePerturbation()), "needs each sample's loss"),
        (
            lambda: rn.FixedPointLayer(3, 4, step_size=-1.0),
            "step_size: expected a finite number above 0, got -1.0",
        ),
        (
            lambda: rn.FixedPointLayer(3, 4, tol=1e-12),
            "tol: expected at least .* precision of float32, got 1e-12",
        ),
        (
            lambda: rn.FixedPointLayer(3, 4, on_unsettled="skip"),
            "on_unsettled: expected one of mask, include, raise",
        ),
        (lambda: rn.FixedPointLayer(3, 4)(torch.ones(2, 4)), r"x: expected .*M = 3.*got \(2, 4\)"),
        (lambda: rn.FixedPointLayer(3, 4)(math.nan * torch.ones(2, 3)), "NaN or infinite"),
        (lambda: rn.FixedPointLayer(3, 4).core(torch.ones(2, 3)), r"N = 4 units, got \(2, 3\)"),
        (lambda: rn.ConvFixedPointLayer(1, 2, 5, 5, 4), "size: expected an odd number.*got 4"),
        (
            lambda: rn.ConvFixedPointLayer(1, 2, 5, 5, 3, "mirror"),
            "border: expected one of .*, got 'mirror'",
        ),
        (
            lambda: rn.ConvFixedPointLayer(1, 2, 5, 5)(torch.ones(3, 1, 5, 6)),
            r"images: expected .*, got \(3, 1, 5, 6\)",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
