"""The metrics in which rules 3 and 4 descend, at gains that are not 1, and what a step gains.

For one stimulus with frozen gains G, the smallest |J dW| with a given decrease of the loss has
J^T J dW = -dL/dW: here J by differentiation of the response itself, and a dense solve.
"""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.problems import FLOAT
from helpers.rules import TIGHT
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import LowRank, Masked, Signed
from ratenet.connectivity.base import as_change
from ratenet.errors import (
    InputError,
    LeftOutWarning,
    SingularError,
    StaleError,
    UnsupportedError,
)
from ratenet.plasticity import (
    RULES,
    AbstractPotential,
    AbstractRule,
    BackpropagationThroughTime,
    Euclidean,
    ExponentiatedGradient,
    FirstOrderReparameterized,
    GainFreeReparameterized,
    LinearizedReparameterized,
    MirrorDescent,
    NaturalGradient,
    NodePerturbation,
    PNorm,
    RecurrentBackpropagation,
    Reparameterized,
    WeightPerturbation,
    rule_named,
)

N = 5
EYE = torch.eye(N, dtype=torch.float64)


@pytest.fixture
def scene(generator: torch.Generator) -> tuple[rn.FixedPoints, Tensor]:
    """Return the fixed point of one stimulus, with gains from 0.3 to 1, and its error."""
    W = 0.8 * torch.randn(N, N, dtype=torch.float64, generator=generator) / N**0.5
    network = rn.Network("rate", W)
    fp = rn.find_fixed_points(network, torch.linspace(-1.2, 1.5, N, dtype=torch.float64), tol=TIGHT)
    assert fp.gain.min() < 0.6
    return fp, torch.randn(1, N, dtype=torch.float64, generator=generator)


def response(W: Tensor, gain: Tensor) -> Callable[[Tensor], Tensor]:
    """Return V -> G^-1 A(V) G^-1 with A(V) = (G^-1 - V)^-1."""
    inverse = torch.diag(1 / gain)
    return lambda V: inverse @ torch.linalg.inv(inverse - V) @ inverse


def without_gains(W: Tensor, gain: Tensor) -> Callable[[Tensor], Tensor]:
    """Return V -> G^(1/2) (I - W G)^-1 V (I - W G)^-1."""
    inverse = torch.linalg.inv(EYE - W * gain)
    return lambda V: gain.sqrt()[:, None] * (inverse @ V @ inverse)


@pytest.mark.parametrize(
    ("rule", "coordinates"),
    [(LinearizedReparameterized(), response), (GainFreeReparameterized(), without_gains)],
    ids=["rule 3", "rule 4"],
)
def test_a_rule_is_steepest_descent_in_its_metric(rule, coordinates, scene):
    fp, error = scene
    W = fp.network.connectivity.W
    gradient = -Euclidean().update(fp, error, 1.0)
    slopes = torch.autograd.functional.jacobian(coordinates(W, fp.gain[0]), W)
    slopes = slopes.reshape(N * N, N * N)  # |slopes dW| is the length of dW
    steepest = -torch.linalg.solve(slopes.T @ slopes, gradient.flatten()).view(N, N)
    torch.testing.assert_close(rule.update(fp, error, 1.0), steepest, rtol=1e-8, atol=1e-10)


LONG, DT = 2.0, 0.002  # s: 20 times the longest, and the shortest, time constant below
CLAIMS = {
    "euclidean": Euclidean(),
    "reparameterized": Reparameterized(),
    "first-order-reparameterized": FirstOrderReparameterized(),
    "gain-free-reparameterized": GainFreeReparameterized(),
    "linearized-reparameterized": LinearizedReparameterized(),
    "natural-gradient": NaturalGradient(damping=0.1),
    "mirror-descent": MirrorDescent(PNorm(3.0)),
    "exponentiated-gradient": ExponentiatedGradient(),
    "bptt": BackpropagationThroughTime(LONG, DT),
    "recurrent-backpropagation": RecurrentBackpropagation(LONG, DT),
}
IN_EXPECTATION = {
    "node-perturbation": NodePerturbation(),
    "weight-perturbation": WeightPerturbation(),
}
IN_WEIGHTS = (FirstOrderReparameterized, GainFreeReparameterized, LinearizedReparameterized)
SMALL = 1e-6  # a learning rate at which finite steps are their first order
NETWORKS = {
    "rate": lambda W: rn.Network("rate", W),
    "voltage": lambda W: rn.Network("voltage", W),
    "adaptation": lambda W: rn.Network("adaptation", W),
    "several time constants": lambda W: rn.Network(
        "rate", W, parameters={"tau": [0.01, 0.03, 0.002, 0.01]}
    ),
}


def quadratic_form(rule: AbstractRule, fp: rn.FixedPoints) -> Tensor:
    """Return Q with squared_length = d^T Q d, d all parameters in a row, by polarization."""
    parameters = fp.network.connectivity.parameters
    sizes = [tensor.numel() for tensor in parameters.values()]

    def length(flat: Tensor) -> float:
        parts = zip(parameters.items(), flat.split(sizes), strict=True)
        named = {name: part.view_as(tensor) for (name, tensor), part in parts}
        return rule.squared_length(fp, as_change(named))

    unit = torch.eye(sum(sizes), dtype=torch.float64)
    alone = torch.tensor([length(row) for row in unit], dtype=torch.float64)
    form = torch.diag(alone)
    for i, j in itertools.combinations(range(sum(sizes)), 2):
        form[i, j] = form[j, i] = (length(unit[i] + unit[j]) - alone[i] - alone[j]) / 2
    return form


def flattened(fp: rn.FixedPoints, change: Any) -> Tensor:
    named = fp.network.connectivity.named(change)
    return torch.cat([named[key].flatten() for key in fp.network.connectivity.parameters])


def one_sample(network: rn.Network) -> tuple[rn.FixedPoints, Tensor]:
    generator = torch.Generator().manual_seed(3)
    units = network.units
    drive, error = torch.randn(2, 1, units, dtype=torch.float64, generator=generator)
    return rn.find_fixed_points(network, drive, tol=TIGHT), error


def steepest(rule: AbstractRule, fp: rn.FixedPoints, error: Tensor) -> Tensor:
    """Return the change d that minimises gradient . d + squared_length(d) / 2."""
    gradient = -flattened(fp, Euclidean().update(fp, error, 1.0))
    return -torch.linalg.solve(quadratic_form(rule, fp), gradient)


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("name", CLAIMS)
def test_a_rule_descends_most_steeply_in_the_length_that_it_claims(name, model, generator):
    assert not CLAIMS[name].metric.startswith("none")
    W = 0.8 * torch.randn(4, 4, dtype=torch.float64, generator=generator) / 2
    fp, error = one_sample(NETWORKS[model](W))
    assert (fp.gain - 1).abs().max() > 0.2
    found = flattened(fp, CLAIMS[name].update(fp, error, SMALL)) / SMALL
    torch.testing.assert_close(found, steepest(CLAIMS[name], fp, error), rtol=1e-4, atol=1e-5)


def mask() -> Tensor:
    return torch.tensor([[0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 1, 0]]).bool()


def factors(generator: torch.Generator) -> list[Tensor]:
    return list(0.6 * torch.randn(2, 4, 2, dtype=torch.float64, generator=generator))


KINDS = {
    "masked": lambda g: Masked(0.5 * torch.randn(4, 4, dtype=FLOAT, generator=g) * mask(), mask()),
    "signed": lambda g: Signed(
        (0.1 + 0.3 * torch.rand(4, 4, dtype=FLOAT, generator=g)) * torch.tensor([1.0, 1, -1, -1]),
        torch.tensor([1, 1, -1, -1]),
    ),
    "low rank": lambda g: LowRank(*factors(g)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLAIMS)
def test_constrained_weights_take_the_steepest_change_or_its_projection(name, kind, generator):
    rule, connectivity = CLAIMS[name], KINDS[kind](generator)
    is_dense_only = isinstance(rule, Reparameterized)
    is_of_weights = isinstance(rule, MirrorDescent | ExponentiatedGradient)
    if is_dense_only or (is_of_weights and kind == "low rank"):
        with pytest.raises(UnsupportedError):
            rule.update(*one_sample(rn.Network("rate", connectivity)), SMALL)
        return
    fp, error = one_sample(rn.Network("rate", connectivity))
    found = flattened(fp, rule.update(fp, error, SMALL)) / SMALL
    if isinstance(rule, IN_WEIGHTS):  # steepest among all W, projected by the parameters
        free, _ = one_sample(rn.Network("rate", connectivity.dense()))
        dW = steepest(rule, free, error).view(4, 4)
        eye = torch.eye(4, dtype=FLOAT)
        expected = flattened(fp, connectivity.accumulate(eye, dW))
    else:
        moves = mask().flatten() if kind == "masked" else torch.ones_like(found).bool()
        gradient = -flattened(fp, Euclidean().update(fp, error, 1.0))[moves]
        form = quadratic_form(rule, fp)[moves][:, moves]
        expected = torch.zeros_like(found)
        expected[moves] = -torch.linalg.solve(form, gradient)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_length_of_a_batch_is_the_mean_over_its_settled_samples(generator):
    W = 0.4 * torch.randn(4, 4, dtype=FLOAT, generator=generator)
    network, drive = rn.Network("rate", W), torch.randn(3, 4, dtype=FLOAT, generator=generator)
    fp, delta = rn.find_fixed_points(network, drive, tol=TIGHT), torch.rand(4, 4, dtype=FLOAT)
    state = fp.state.clone()
    state[..., 1, :] += 5.0
    partly = rn.fixed_points_at(network, drive, state)
    assert partly.converged.tolist() == [True, False, True]
    for rule in (LinearizedReparameterized(), NaturalGradient(), Euclidean()):
        each = [rule.squared_length(fp.select(torch.tensor([i])), delta) for i in (0, 2)]
        assert rule.squared_length(partly, delta) == pytest.approx(sum(each) / 2, rel=1e-9)


@pytest.mark.parametrize("name", sorted(set(RULES) - set(CLAIMS) - set(IN_EXPECTATION)))
def test_a_rule_that_claims_no_metric_says_so(name, scene):
    assert rule_named(name).metric.startswith("none")
    with pytest.raises(UnsupportedError, match="no length of a weight change belongs to"):
        rule_named(name).squared_length(scene[0], torch.zeros(N, N, dtype=FLOAT))


def test_sums_and_functions_have_no_length(scene):
    @rn.plasticity.rule(metric="Euclidean in W")
    def stated(fp, error, learning_rate):
        return Euclidean().update(fp, error, learning_rate)

    for rule in (rule_named("0.5*euclidean+2*bptt"), stated):
        with pytest.raises(UnsupportedError, match="class of your own that defines"):
            rule.squared_length(scene[0], torch.zeros(N, N, dtype=FLOAT))


@pytest.mark.parametrize("name", IN_EXPECTATION)
def test_a_rule_that_estimates_the_gradient_has_its_length(name, generator):
    """That its mean is the gradient, and how it scatters: test_perturbation_rules.py."""
    assert not IN_EXPECTATION[name].metric.startswith("none")
    for kind in KINDS.values():
        fp, _ = one_sample(rn.Network("rate", kind(generator)))
        form = quadratic_form(IN_EXPECTATION[name], fp)
        torch.testing.assert_close(form, torch.eye(len(form), dtype=FLOAT))


class Cosh(AbstractPotential):
    """A potential of a user's own: psi = cosh w, psi'' = cosh w."""

    formula = "cosh w"

    def gradient(self, weights: Tensor) -> Tensor:
        return weights.sinh()

    def inverse(self, dual: Tensor, weights: Tensor) -> Tensor:
        return dual.asinh()


def test_the_length_of_an_own_potential_is_differentiated(scene):
    fp, _ = scene
    delta = torch.rand(N, N, dtype=FLOAT)
    expected = float((fp.network.connectivity.W.cosh() * delta**2).sum())
    found = MirrorDescent(Cosh()).squared_length(fp, delta)
    assert found == pytest.approx(expected, rel=1e-12)


def test_what_cannot_be_measured_is_refused(scene):
    fp, _ = scene
    with pytest.raises(InputError, match=r"squared_length: expected tensors shaped like"):
        Euclidean().squared_length(fp, torch.zeros(3, 3, dtype=FLOAT))
    at_zero = rn.Network("rate", torch.zeros(2, 2, dtype=FLOAT))
    there = rn.find_fixed_points(at_zero, torch.ones(1, 2, dtype=FLOAT))
    assert ExponentiatedGradient().squared_length(there, torch.ones(2, 2, dtype=FLOAT)) == math.inf
    assert ExponentiatedGradient().squared_length(there, torch.zeros(2, 2, dtype=FLOAT)) == 0
    singular = rn.Network("linear", torch.eye(2, dtype=FLOAT))
    neutral = rn.fixed_points_at(singular, torch.zeros(1, 2), torch.zeros(1, 2))
    delta = torch.ones(2, 2, dtype=FLOAT)
    assert LinearizedReparameterized().squared_length(neutral, delta) == math.inf
    fp.network.connectivity.add_(0.01 * torch.ones(N, N, dtype=FLOAT))
    with pytest.raises(StaleError):
        Euclidean().squared_length(fp, torch.zeros(N, N, dtype=FLOAT))


def test_the_first_order_rule_leaves_out_samples_with_a_gain_of_zero(generator):
    W = 0.3 * torch.randn(3, 3, dtype=FLOAT, generator=generator).abs()
    network = rn.Network("threshold_linear", W)
    drive = torch.tensor([[1.0, 1.0, 1.0], [1.0, -9.0, 1.0]], dtype=FLOAT)
    fp = rn.find_fixed_points(network, drive)
    assert (fp.gain == 0).any(dim=1).tolist() == [False, True]
    error = torch.ones(2, 3, dtype=FLOAT)
    rule = FirstOrderReparameterized()
    with pytest.warns(LeftOutWarning, match="1 of 2 samples are left out"):
        delta = rule.update(fp, error, 0.1)
    alone = rule.update(fp.select(torch.tensor([0])), error[:1], 0.1)
    assert torch.equal(delta, alone)
    with pytest.raises(SingularError, match="a unit has gain 0 in every sample"):
        rule.update(fp.select(torch.tensor([1])), error[:1], 0.1)


def with_gains(units: int, seed: int, scale: float, path: Path) -> tuple[rn.FixedPoints, Tensor]:
    """Return fixed points of linear units with gains from 0.4 to 1.4, and errors."""
    path.write_text(
        'name = "gains"\nequations = "dr/dt = (-r + k*(I_rec + I_ext)) / tau : 1"\n'
        'output = "r"\nrecurrent = "I_rec"\ndrive = "I_ext"\n[parameters]\ntau = "10*ms"\nk = 1.0\n'
    )
    generator = torch.Generator().manual_seed(seed)
    W = scale * torch.randn(units, units, dtype=FLOAT, generator=generator) / units**0.5
    network = rn.Network(path, W, parameters={"k": torch.linspace(0.4, 1.4, units)})
    drive, error = torch.randn(2, 2 * units, units, dtype=FLOAT, generator=generator)
    return rn.find_fixed_points(network, drive, tol=TIGHT), error


def test_rule_3_is_some_50_degrees_from_the_first_order_of_rule_2(tmp_path):
    """Weak weights, white drives and errors: the cosine is 1 / (mean g^2 mean g^-2)."""
    angles = []
    for seed in range(10):
        fp, error = with_gains(20, seed, 0.3, tmp_path / "gains.toml")
        exact = Reparameterized().update(fp, error, 1e-7) / 1e-7
        first_order = FirstOrderReparameterized().update(fp, error, 1.0)
        torch.testing.assert_close(exact, first_order, rtol=1e-4, atol=1e-6)
        rule_3 = LinearizedReparameterized().update(fp, error, 1.0)
        cosine = torch.nn.functional.cosine_similarity(exact.flatten(), rule_3.flatten(), dim=0)
        angles.append(math.degrees(math.acos(cosine)))
    assert min(angles) > 49 and max(angles) < 58  # 40 draws: 50.1 to 58.4, mean 53.7
    gain = fp.gain[0]
    weak = math.degrees(math.acos(1 / (gain.square().mean() * (1 / gain.square()).mean())))
    assert sum(angles) / len(angles) == pytest.approx(weak, abs=1.5)  # 53.7


def test_the_first_order_decrease_of_the_loss(scene):
    fp, error = scene
    W, g, y, e = fp.network.connectivity.W, fp.gain[0], fp.rates[0], error[0]
    adjoint = rn.solve_adjoint(fp, error).values[0]
    decreases = {
        Euclidean(): adjoint.square().sum() * y.square().sum(),
        LinearizedReparameterized(): (g * e).square().sum() * (y - g * (W @ y)).square().sum(),
        FirstOrderReparameterized(): e.square().sum() * (y / g - W @ y).square().sum(),
        GainFreeReparameterized(): (g * e.square()).sum() * (y - W @ (g * y)).square().sum(),
    }
    gradient = torch.outer(adjoint, y)
    for rule, decrease in decreases.items():
        change = rule.update(fp, error, 1.0)
        torch.testing.assert_close(-(gradient * change).sum(), decrease, rtol=1e-8, atol=0)
