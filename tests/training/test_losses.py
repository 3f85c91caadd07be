"""Losses in closed form against autograd and by hand; what a function of one's own has to be."""

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, UnknownNameError
from ratenet.plasticity import Euclidean
from ratenet.training.classifier import Classifier
from ratenet.training.learning import learn_from
from ratenet.training.losses import CrossEntropy, SquaredError, check_loss, loss_for, slope_of

OUTPUTS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.3, 3.0]], dtype=torch.float64)
CLASSES = torch.tensor([2, 0])
TARGETS = torch.tensor([[0.5, 0.0, 0.5], [1.0, 1.0, 1.0]], dtype=torch.float64)


def by_autograd(loss, outputs, targets):
    at = outputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(at, targets).sum(), at)
    return slope


@pytest.mark.parametrize(
    ("loss", "targets"),
    [(CrossEntropy(), CLASSES), (SquaredError(), CLASSES), (SquaredError(), TARGETS)],
)
def test_closed_forms_are_the_gradients(loss, targets):
    torch.testing.assert_close(loss.slope(OUTPUTS, targets), by_autograd(loss, OUTPUTS, targets))


def test_losses_by_hand():
    first, second = OUTPUTS.numpy()
    expected = [np.log(np.exp(row).sum()) - row[k] for row, k in ((first, 2), (second, 0))]
    np.testing.assert_allclose(CrossEntropy()(OUTPUTS, CLASSES), expected, rtol=1e-12)
    # (0.25 + 4 + 0) / 2 and (1 + 0.49 + 4) / 2; for classes a one-hot target
    assert SquaredError()(OUTPUTS, TARGETS).tolist() == pytest.approx([2.125, 2.745])
    assert SquaredError()(OUTPUTS, CLASSES).tolist() == pytest.approx([2.625, 5.045])


def huber(outputs, targets):
    return torch.nn.functional.huber_loss(outputs, targets, reduction="none").sum(dim=1)


def test_a_function_of_ones_own_has_its_gradient_by_autograd():
    expected = (OUTPUTS - TARGETS).clamp(-1, 1)
    torch.testing.assert_close(slope_of(huber, OUTPUTS, TARGETS), expected)
    with torch.no_grad():
        torch.testing.assert_close(slope_of(huber, OUTPUTS, TARGETS), expected)
    check_loss(huber, OUTPUTS, TARGETS)
    assert loss_for(huber, has_classes=False) is huber


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda z, t: (z - t).square().mean(), r"one number per sample .*\(2,\), got \(\)"),
        (lambda z, t: (z - t).square(), r"one number per sample .* got \(2, 3\)"),
        (lambda z, t: 1.0, "one number per sample .* got 'float'"),
        (lambda z, t: (z > t).sum(dim=1), "one number per sample"),
        (lambda z, t: (z.detach() - t).square().sum(dim=1), "no gradient for the rates|gradient"),
        (lambda z: z, "the function failed on outputs .*TypeError"),
        (lambda z, t: z[:, 7], "the function failed on outputs .*IndexError"),
    ],
)
def test_what_is_no_loss_is_told_before_a_run(loss, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        check_loss(loss, OUTPUTS, TARGETS)
    assert "\n" not in str(error.value)


def test_losses_are_chosen_by_name():
    assert isinstance(loss_for(None, has_classes=True), CrossEntropy)
    assert isinstance(loss_for(None, has_classes=False), SquaredError)
    assert isinstance(loss_for("squared-error", has_classes=True), SquaredError)
    with pytest.raises(InputError, match="'cross-entropy' requires classes"):
        loss_for("cross-entropy", has_classes=False)
    with pytest.raises(UnknownNameError, match="'squared'; did you mean 'squared-error'"):
        loss_for("squared", has_classes=False)
    with pytest.raises(InputError, match="loss: expected a loss"):
        loss_for(3, has_classes=False)


@pytest.mark.parametrize("loss", [SquaredError(), huber])
def test_changes_are_those_of_gradient_descent_on_the_loss(loss, generator):
    """The linear network y = W y + x: dL/dW, dL/dR_in and dL/dR_out by autograd through it."""

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[-1] ** 0.5

    W, read_in, read_out, pixels = 0.5 * normal(6, 6), normal(6, 4), normal(3, 6), normal(5, 4)
    targets = normal(5, 3)
    shown = Classifier(rn.Network("linear", W), read_in, read_out, loss)
    fp = rn.find_fixed_points(shown.network, shown.drive(pixels))
    learned = learn_from(
        shown, Euclidean(), fp, pixels, targets, learn=("read-in", "read-out"), rate=0.1
    )
    free = [value.clone().requires_grad_() for value in (W, read_in, read_out)]
    rates = torch.linalg.solve(torch.eye(6) - free[0], (pixels @ free[1].T).T).T
    gradients = torch.autograd.grad(loss(rates @ free[2].T, targets).mean(), free)
    changes = learned.changes
    for change, gradient in zip(changes.values(), gradients, strict=True):
        torch.testing.assert_close(change, -0.1 * gradient, rtol=1e-6, atol=1e-9)
    assert list(changes)[1:] == ["read-in", "read-out"]
