"""Hebb, Oja and BCM: their formulas, and what they are known to converge to."""

from collections.abc import Callable

import pytest
import torch
from helpers.problems import FLOAT, Problem, adaptation, random, tanh_rates, threshold_linear
from helpers.rules import adding_unit, settled, shown
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError
from ratenet.plasticity import BCM, Hebb, Oja


def by_hand(rule: str, W: Tensor, rates: Tensor) -> Tensor:
    """Return dW / eta by loops over samples and synapses."""
    N, total = len(W), torch.zeros_like(W)
    threshold = [sum(float(y[i]) ** 2 for y in rates) / len(rates) for i in range(N)]
    for y in rates:
        for i in range(N):
            for j in range(N):
                post, pre = float(y[i]), float(y[j])
                total[i, j] += {
                    "hebb": post * pre,
                    "oja": post * (pre - post * float(W[i, j])),
                    "bcm": post * (post - threshold[i]) * pre,
                    "bcm, fixed": post * (post - 0.2) * pre,
                }[rule]
    return total / len(rates)


@pytest.mark.parametrize("make", [tanh_rates, adaptation, threshold_linear])
@pytest.mark.parametrize(
    ("name", "rule"),
    [("hebb", Hebb()), ("oja", Oja()), ("bcm", BCM()), ("bcm, fixed", BCM(threshold=0.2))],
)
def test_the_formula(
    name: str, rule: rn.plasticity.AbstractRule, make: Callable[[], Problem]
) -> None:
    fp = settled(make())
    expected = 0.3 * by_hand(name, fp.network.connectivity.dense(), fp.rates)
    delta = rule.update(fp, torch.zeros_like(fp.rates), 0.3)
    assert delta.abs().max() > 1e-3
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-13)


def taught(rule: rn.plasticity.AbstractRule, patterns: Tensor, weights: Tensor) -> Tensor:
    """Return the weights (M,) onto the adding unit after 400 changes of these alone."""
    network = adding_unit(weights)
    for _ in range(400):
        fp = shown(network, patterns)
        change = rule.update(fp, torch.zeros_like(fp.rates), 0.15)
        change[:-1], change[:, -1] = 0.0, 0.0
        network.connectivity.add_(change)
    return network.connectivity.dense()[-1, :-1]


def test_oja_finds_the_first_principal_component() -> None:
    patterns = random(40, 5, seed=131) @ torch.diag(
        torch.tensor([1.4, 0.8, 0.6, 0.5, 0.3], dtype=FLOAT)
    )
    patterns = patterns @ torch.linalg.qr(random(5, 5, seed=132)).Q
    first = torch.linalg.eigh(patterns.T @ patterns).eigenvectors[:, -1]
    weights = taught(Oja(), patterns, random(5, seed=133, scale=0.3))
    assert float(weights.norm()) == pytest.approx(1.0, abs=1e-9)
    assert abs(float(weights @ first)) == pytest.approx(1.0, abs=1e-9)


def test_bcm_becomes_selective_for_one_stimulus() -> None:
    """Two stimuli: the answer to one tends to 2, to the other to 0 (Intrator and Cooper 1992)."""
    patterns = torch.tensor([[1.0, 0.3], [0.2, 0.9]], dtype=FLOAT)
    weights = taught(BCM(), patterns, torch.tensor([0.5, 0.4], dtype=FLOAT))
    answers = sorted((patterns @ weights).tolist())
    assert answers == pytest.approx([0.0, 2.0], abs=1e-6)


def test_hebb_alone_grows_along_the_correlation() -> None:
    patterns, weights = random(6, 3, seed=134), random(3, seed=135)
    fp = shown(adding_unit(weights), patterns)
    delta = Hebb().update(fp, torch.zeros_like(fp.rates), 0.1)
    expected = 0.1 * patterns.T @ patterns @ weights / 6
    torch.testing.assert_close(delta[-1, :-1], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "mean"])
def test_a_threshold_is_a_number(threshold: object) -> None:
    with pytest.raises(
        InputError, match=r"threshold: expected a finite number, or None for mean y\^2, got"
    ):
        BCM(threshold=threshold)  # type: ignore[arg-type]
