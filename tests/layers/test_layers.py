"""Fixed-point layers: exact gradients, rules, memory, what does not settle."""

import math
import warnings
from unittest import mock

import pytest
import torch
from helpers.layer_cases import KINDS, B, M, N, by_iteration, inputs, loss_of, make_layer
from helpers.problems import FLOAT, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    Dense,
)
from ratenet.errors import (
    ConvergenceError,
    RatenetWarning,
)
from ratenet.layers import gradients
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    GainFreeReparameterized,
    Hebb,
    LinearizedReparameterized,
    Reparameterized,
)

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


def test_the_tolerance_is_that_of_both_ways() -> None:
    exact, rough = (make_layer(tol=tol) for tol in (None, 1e-3))
    rough.load_state_dict(exact.state_dict())
    with mock.patch.object(gradients, "adjoint_of", wraps=gradients.adjoint_of) as solve:
        for layer in (exact, rough):
            loss_of(layer(inputs())).backward()
    assert [call.kwargs["tol"] for call in solve.call_args_list] == [1e-10, 1e-3]
    right, found = (layer.core.recurrent["W"].grad for layer in (exact, rough))
    assert 1e-9 < float((found - right).norm() / right.norm()) < 1e-2


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
    with mock.patch.object(gradients, "adjoint_of", side_effect=AssertionError):
        loss_of(layer(inputs())).backward()
    assert layer.core.recurrent["W"].grad.abs().max() > 0


def test_the_adjoint_is_solved_once_for_the_input_and_the_euclidean_rule() -> None:
    layer = make_layer()
    with mock.patch.object(gradients, "adjoint_of", wraps=gradients.adjoint_of) as solve:
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
    with pytest.raises(ConvergenceError, match="1 of 3 samples did not reach a stable fixed point"):
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
    with pytest.warns(RatenetWarning, match="1 of 1 sample without a gradient.*singular"):
        rates.sum().backward()
    assert (drive.grad == 0).all()


def test_a_nan_from_above_is_handed_on() -> None:
    layer, x = make_layer(rule=LinearizedReparameterized()), inputs().requires_grad_()
    (layer(x) * math.nan).sum().backward()
    assert torch.isnan(x.grad).all()
    assert torch.isnan(layer.core.recurrent["W"].grad).all()
