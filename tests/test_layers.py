"""Fixed-point layers: exact gradients, rules, what does not settle, torch's machinery."""

import copy
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch
from problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Convolution,
    Dense,
    LowRank,
    Masked,
    Signed,
    Sum,
)
from ratenet.errors import (
    ConvergenceError,
    InputError,
    RatenetWarning,
    StaleError,
    UnsupportedError,
)
from ratenet.layers import gradients
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    GainFreeReparameterized,
    Hebb,
    LinearizedReparameterized,
    NodePerturbation,
    Reparameterized,
)

N, M, B = 6, 3, 5


def masked(units: int = N) -> Masked:
    mask = torch.rand(units, units, generator=torch.Generator().manual_seed(1)) < 0.5
    return Masked(random_weights(units, seed=2) * mask, mask)


def signed(units: int = N) -> Signed:
    signs = torch.tensor([1.0, 1.0, -1.0], dtype=FLOAT).repeat(units)[:units]
    return Signed(0.5 * random_weights(units, seed=3).abs() * signs, signs)


def low_rank() -> LowRank:
    return LowRank(random(N, 2, seed=4), random(N, 2, seed=5))


def layers_with_feedback() -> Block:
    parts = {
        "lower": {"lower": masked(4), "upper": Dense(random(4, 2, seed=6, scale=0.3))},
        "upper": {"lower": Dense(random(2, 4, seed=7, scale=0.3))},
    }
    return Block(parts, {"lower": 4, "upper": 2})


KINDS: dict[str, Callable[[], AbstractConnectivity]] = {
    "dense": lambda: Dense(random_weights(N, seed=8)),
    "masked": masked,
    "signed": signed,
    "low_rank": low_rank,
    "convolution": lambda: Convolution(random(2, 2, 1, 1, seed=9, scale=0.4), 1, 3),
    "sum": lambda: Sum({"random": masked(), "structure": low_rank()}),
    "block": layers_with_feedback,
}


def make_layer(kind: str = "dense", rule: AbstractRule | None = None, **options: object):
    torch.manual_seed(0)
    return rn.FixedPointLayer(M, N, rule=rule, connectivity=KINDS[kind](), **options)


def inputs(samples: int = B, seed: int = 10) -> Tensor:
    return random(samples, M, seed=seed)


def loss_of(rates: Tensor) -> Tensor:
    """Return a mean over samples of a loss that weighs each unit differently."""
    weights = torch.arange(1.0, rates.shape[-1] + 1, dtype=rates.dtype)
    return (weights * (rates - 0.3) ** 2).sum(dim=-1).mean()


def by_iteration(layer: rn.FixedPointLayer, x: Tensor, W: Tensor) -> Tensor:
    """Return the rates of the rate model by iterating the map, for autograd to unroll."""
    drive = x @ layer.read_in.weight.T + layer.read_in.bias
    rates = torch.zeros_like(drive)
    for _ in range(200):
        rates = torch.tanh(rates @ W.T + drive)
    return rates


# gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_euclidean_rule_is_autograds_gradient(kind: str) -> None:
    """Of the read-in, of the input and of every recurrent parameter, by unrolled iteration."""
    layer, x = make_layer(kind), inputs().requires_grad_()
    loss_of(layer(x)).backward()
    leaves = {
        name: p.detach().clone().requires_grad_()
        for name, p in layer.network.connectivity.parameters.items()
    }
    connectivity = layer.network.connectivity.with_parameters(leaves)
    own = (layer.read_in.weight, layer.read_in.bias, x, *leaves.values())
    W = connectivity.apply(torch.eye(N, dtype=FLOAT)).T
    expected = torch.autograd.grad(loss_of(by_iteration(layer, x, W)), own)
    found = (layer.read_in.weight.grad, layer.read_in.bias.grad, x.grad)
    for one, other in zip(found, expected, strict=False):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    for name, gradient in zip(leaves, expected[3:], strict=True):
        own_gradient = layer.core.recurrent[name.replace(".", "/")].grad
        is_masked = name == "random.W" or name == "lower_from_lower.W" or kind == "masked"
        on = (leaves[name] != 0) if is_masked else 1.0
        torch.testing.assert_close(own_gradient, gradient * on, rtol=0, atol=1e-8)


@pytest.mark.parametrize("model", ["rate", "voltage", "adaptation"])
def test_gradcheck(model: str) -> None:
    torch.manual_seed(0)
    layer = rn.FixedPointLayer(M, N, model, connectivity=Dense(random_weights(N, seed=8)))
    names = [name for name, _ in layer.named_parameters()]

    def forward(x: Tensor, *tensors: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, tensors, strict=True)), (x,))

    tensors = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(forward, (inputs(2).requires_grad_(), *tensors))


@pytest.mark.parametrize(
    "rule", [Euclidean(), LinearizedReparameterized(), GainFreeReparameterized()], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_the_sum_of_the_rules_direction(kind: str, rule: AbstractRule) -> None:
    layer, x = make_layer(kind, rule), inputs()
    rates = layer(x)
    loss = loss_of(rates)
    (mean_error,) = torch.autograd.grad(loss, rates, retain_graph=True)
    loss.backward()
    fp = rn.find_fixed_points(layer.network, layer.read_in(x).detach())
    change = rule.update(fp, mean_error, 0.01)  # a mean over samples, of errors already over B
    for name, delta in layer.network.connectivity.named(change).items():
        gradient = layer.core.recurrent[name.replace(".", "/")].grad
        torch.testing.assert_close(gradient, -delta * B / 0.01, rtol=0, atol=1e-7)


def test_the_input_gradient_is_exact_whatever_the_rule() -> None:
    found = []
    for rule in (Euclidean(), LinearizedReparameterized()):
        layer, x = make_layer(rule=rule), inputs().requires_grad_()
        loss_of(layer(x)).backward()
        found.append((x.grad, layer.read_in.weight.grad))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_the_step_size_makes_no_difference_to_rules_in_proportion_to_it() -> None:
    found = []
    for step_size in (None, 0.01, 7.0):
        layer = make_layer(rule=LinearizedReparameterized(), step_size=step_size)
        loss_of(layer(inputs())).backward()
        found.append(layer.core.recurrent["W"].grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=1e-12, atol=0)


def test_the_finite_step_is_exact_by_plain_descent() -> None:
    """A = (I - W)^{-1} goes to A - eta dL/dA, where L is the loss that backward was called on."""
    eta, W = 0.02, random_weights(N, seed=8)
    layer = rn.FixedPointLayer(
        M, N, "linear", Reparameterized(), connectivity=Dense(W.clone()), step_size=eta
    )
    x = inputs(8)
    A = torch.linalg.inv(torch.eye(N, dtype=FLOAT) - W).requires_grad_()
    drive = layer.read_in(x).detach()
    (gradient,) = torch.autograd.grad(loss_of(drive @ A.T), A)
    optimizer = torch.optim.SGD(layer.core.parameters(), lr=eta)
    loss_of(layer(x)).backward()
    optimizer.step()
    after = torch.linalg.inv(torch.eye(N, dtype=FLOAT) - layer.core.recurrent["W"].detach())
    torch.testing.assert_close(after, A.detach() - eta * gradient, rtol=0, atol=1e-8)


def test_a_rule_that_ignores_errors_gives_its_mean_direction() -> None:
    layer, x = make_layer(rule=Hebb()), inputs()
    layer(x).sum().backward()
    fp = rn.find_fixed_points(layer.network, layer.read_in(x).detach())
    change = Hebb().update(fp, torch.zeros(B, N, dtype=FLOAT), 1.0)
    torch.testing.assert_close(layer.core.recurrent["W"].grad, -change, rtol=0, atol=1e-7)


def test_no_adjoint_is_solved_where_nothing_asks_for_it() -> None:
    layer = make_layer(rule=LinearizedReparameterized())
    layer.read_in.requires_grad_(False)
    with mock.patch.object(gradients, "solve_adjoint", side_effect=AssertionError):
        loss_of(layer(inputs())).backward()
    assert layer.core.recurrent["W"].grad.abs().max() > 0


def test_the_adjoint_is_solved_once_for_the_input_and_the_euclidean_rule() -> None:
    layer = make_layer()
    with mock.patch.object(gradients, "solve_adjoint", wraps=gradients.solve_adjoint) as solve:
        loss_of(layer(inputs().requires_grad_())).backward()
    assert solve.call_count == 1


def test_no_rule_is_asked_where_the_weights_are_frozen() -> None:
    layer, x = make_layer(rule=LinearizedReparameterized()), inputs().requires_grad_()
    layer.core.requires_grad_(False)
    with mock.patch.object(LinearizedReparameterized, "update", side_effect=AssertionError):
        loss_of(layer(x)).backward()
    assert x.grad.abs().max() > 0
    assert layer.core.recurrent["W"].grad is None


def test_one_part_of_a_sum_may_be_frozen() -> None:
    layer = make_layer("sum", LinearizedReparameterized())
    layer.core.recurrent["random/W"].requires_grad_(False)
    loss_of(layer(inputs())).backward()
    assert layer.core.recurrent["random/W"].grad is None
    assert layer.core.recurrent["structure/m"].grad.abs().max() > 0


def test_a_stack_learns() -> None:
    """Layers of another rule, model and time constant each, with a read-out."""
    torch.manual_seed(1)
    stack = torch.nn.Sequential(
        rn.FixedPointLayer(M, 20, "adaptation", LinearizedReparameterized()),
        rn.FixedPointLayer(20, 10, parameters={"tau": 0.05}),
        torch.nn.Linear(10, 2),
    )
    x, labels = inputs(40).float(), torch.arange(40) % 2
    optimizer = torch.optim.Adam(stack.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(stack(x), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
    assert float(loss.detach()) < 0.5  # log 2 = 0.69 at the beginning


# memory -----------------------------------------------------------------------------------------


def saved_bytes(layer: rn.FixedPointLayer, x: Tensor) -> int:
    """Return the memory that the graph of one forward pass keeps, the node's own included."""
    rates = layer(x)
    node = rates.grad_fn.next_functions[0][0]
    fp = node.passage.found
    kept = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in vars(fp).values() if isinstance(t, Tensor)}  # fmt: skip
    return sum(kept.values())


def test_memory_does_not_depend_on_the_iterations() -> None:
    found = []
    for tol in (1e-2, 1e-12):
        layer = make_layer(solver=rn.DampedIteration(), tol=tol)
        found.append((saved_bytes(layer, inputs()), layer.last.iterations))
    assert found[1][1] > 3 * found[0][1]
    assert found[1][0] == found[0][0]


def test_the_graph_goes_with_its_rates() -> None:
    """No cycle holds what the backward pass needs."""
    import gc
    import weakref

    layer = make_layer()
    gc.disable()
    try:
        rates = layer(inputs())
        passage = weakref.ref(rates.grad_fn.next_functions[0][0].passage)
        assert passage() is not None
        del rates
        assert passage() is None
    finally:
        gc.enable()


# what does not settle ---------------------------------------------------------------------------


def partly_settling(**options: object) -> tuple[rn.FixedPointCore, Tensor]:
    """Return a threshold-linear unit with feedback of 2: it grows for ever where it is driven."""
    network = rn.Network("threshold_linear", torch.tensor([[2.0]], dtype=FLOAT))
    drive = torch.tensor([[-1.0], [1.0], [-2.0]], dtype=FLOAT)
    return rn.FixedPointCore(network, max_iterations=300, **options), drive


def test_unsettled_samples_are_counted_and_get_no_gradient() -> None:
    core, drive = partly_settling()
    drive.requires_grad_()
    with pytest.warns(RatenetWarning, match="1 of 3 samples did not settle and get no gradient"):
        rates = core(drive)
    assert core.last.samples == 3
    assert core.last.unsettled == 1
    assert core.last.residual <= 1e-9
    assert rates.shape == (3, 1)
    rates.nan_to_num().sum().backward()
    assert drive.grad[1] == 0
    assert torch.isfinite(core.recurrent["W"].grad).all()
    core(drive)  # warned once: a second warning would be an error here


def test_unsettled_samples_are_left_out_of_the_rules_sum() -> None:
    layer = make_layer(rule=LinearizedReparameterized())
    x = inputs()
    with mock.patch.object(rn.FixedPoints, "converged", new=property(
        lambda fp: torch.arange(len(fp)) != 1 if len(fp) == B else torch.ones(len(fp)).bool()
    )), warnings.catch_warnings():  # fmt: skip
        warnings.simplefilter("ignore", RatenetWarning)
        layer(x).square().sum().backward()
    found = layer.core.recurrent["W"].grad.clone()
    layer.zero_grad()
    layer(x[torch.arange(B) != 1]).square().sum().backward()
    torch.testing.assert_close(found, layer.core.recurrent["W"].grad, rtol=0, atol=1e-8)


def test_unsettled_samples_may_be_an_error() -> None:
    core, drive = partly_settling(on_unsettled="raise")
    with pytest.raises(ConvergenceError, match="1 of 3 samples have no fixed point"):
        core(drive)


def test_a_batch_in_which_none_settles_changes_nothing() -> None:
    core, drive = partly_settling(rule=LinearizedReparameterized())
    with pytest.warns(RatenetWarning):
        core(drive[1:2]).nan_to_num().sum().backward()
    assert core.recurrent["W"].grad == 0
    assert math.isnan(core.last.residual)


def test_a_singular_adjoint_is_said_and_left_out() -> None:
    W = torch.diag(torch.tensor([1.0, 0.5], dtype=FLOAT))
    core = rn.FixedPointCore(rn.Network("linear", W))
    drive = torch.tensor([[0.0, 1.0]], dtype=FLOAT, requires_grad=True)
    rates = core(drive)
    with pytest.warns(RatenetWarning, match="1 of 1 samples get no gradient.*singular"):
        rates.sum().backward()
    assert (drive.grad == 0).all()


def test_a_nan_from_above_is_handed_on() -> None:
    layer, x = make_layer(rule=LinearizedReparameterized()), inputs().requires_grad_()
    (layer(x) * math.nan).sum().backward()
    assert torch.isnan(x.grad).all()
    assert torch.isnan(layer.core.recurrent["W"].grad).all()


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

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return loss_of(torch.func.functional_call(layer, parameters, (x,)))

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
    with pytest.raises(UnsupportedError, match="first derivatives only"):
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
        (lambda: rn.FixedPointLayer(0, 3), "in_features: 0 is no whole number"),
        (lambda: rn.FixedPointLayer(3, 2.5), "units: 2.5 is no whole number"),
        (lambda: rn.FixedPointLayer(3, 4, connectivity=low_rank()), r"\(6, 6\) does not fit"),
        (lambda: rn.FixedPointLayer(3, 4, connectivity=torch.ones(4, 4)), "Tensor is none"),
        (lambda: rn.FixedPointLayer(3, 4, rule="euclidean"), "rule: 'euclidean' is no rule"),
        (lambda: rn.FixedPointLayer(3, 4, rule=Reparameterized()), "step_size: Reparameterized"),
        (lambda: rn.FixedPointLayer(3, 4, rule=NodePerturbation()), "needs each sample's loss"),
        (lambda: rn.FixedPointLayer(3, 4, step_size=-1.0), "-1.0 is not a finite number above 0"),
        (lambda: rn.FixedPointLayer(3, 4, tol=1e-12), "tol: 1e-12 is below what float32"),
        (lambda: rn.FixedPointLayer(3, 4, on_unsettled="skip"), "neither 'mask' nor 'raise'"),
        (lambda: rn.FixedPointLayer(3, 4)(torch.ones(2, 4)), r"input shape \(2, 4\).*M = 3"),
        (lambda: rn.FixedPointLayer(3, 4)(math.nan * torch.ones(2, 3)), "NaN or infinite"),
        (lambda: rn.FixedPointLayer(3, 4).core(torch.ones(2, 3)), r"\(2, 3\).*N = 4 units"),
        (lambda: rn.ConvFixedPointLayer(1, 2, 5, 5, 4), "size: 4 is not odd"),
        (lambda: rn.ConvFixedPointLayer(1, 2, 5, 5, 3, "mirror"), "border: 'mirror' is unknown"),
        (
            lambda: rn.ConvFixedPointLayer(1, 2, 5, 5)(torch.ones(3, 1, 5, 6)),
            r"input shape \(3, 1, 5, 6\) does not fit",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
