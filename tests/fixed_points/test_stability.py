"""Which fixed points are stable: the quick tests against all eigenvalues, and the eigenvalues."""

import pytest
import torch
from helpers.problems import FLOAT, PROBLEMS, chosen_rates, random, random_weights, tanh_problem

import ratenet as rn
from ratenet.fixed_points import FixedPoints, stability


def points(W: torch.Tensor, samples: int = 4, seed: int = 111, **options) -> FixedPoints:
    """Fixed points of a tanh network, stable or not, at rates of our choice."""
    rates = chosen_rates(samples, len(W), seed)
    problem = tanh_problem("points", W, rates, **options)
    return rn.fixed_points_at(problem.network(), problem.drive, rates, tol=1e-8)


def truth(fp: FixedPoints) -> torch.Tensor:
    """Whether they are unstable, by the eigenvalues of each Jacobian, written out."""
    W = fp.network.connectivity.dense()
    tau = fp.network.parameters["tau"].expand(len(W))
    identity = torch.eye(len(W), dtype=FLOAT)
    jacobians = (fp.gain[:, :, None] * W - identity) / tau[:, None]
    return torch.linalg.eigvals(jacobians).real.amax(dim=1) >= 0


TAU = {"tau": [0.02, 0.005] * 35}  # two populations, interleaved


@pytest.mark.parametrize("scale", [0.4, 0.9, 1.3, 1.45, 1.6, 3.0])
@pytest.mark.parametrize("parameters", [{}, TAU], ids=["one tau", "two"])
@pytest.mark.parametrize("inhibition", [0.0, 3.0])
def test_every_route_agrees_with_all_eigenvalues(
    scale: float, parameters: dict, inhibition: float, monkeypatch
) -> None:
    """Gains of about 0.7: the border is near a scale of 1.4. N = 70 is above the dense route."""
    W = random_weights(70, seed=112, scale=scale) - inhibition / 70
    fp = points(W, samples=12, parameters=parameters)
    expected = truth(fp)
    assert torch.equal(stability.verdicts(fp) == rn.Status.UNSTABLE, expected)
    monkeypatch.setattr(stability, "DENSE", 100)
    assert torch.equal(stability.verdicts(fp) == rn.Status.UNSTABLE, expected)


def test_the_scales_above_hold_both_kinds() -> None:
    kinds = [
        truth(points(random_weights(70, seed=112, scale=s), samples=12)) for s in (0.9, 1.45, 3.0)
    ]
    assert not kinds[0].any()
    assert kinds[2].all()


def outlying(seed: int) -> torch.Tensor:
    """Random weights with outlying eigenvectors that are not at right angles, as training makes."""
    W = random_weights(70, seed=seed, scale=0.6)
    left, right = random(70, 4, seed=seed + 1), random(70, 4, seed=seed + 2)
    return W + 0.4 * left @ right.T / 70**0.5 - torch.outer(left[:, 0], left[:, 0]) / 70


@pytest.mark.parametrize("dtype", [FLOAT, torch.float32], ids=str)
@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_near_the_border_no_unstable_point_is_called_stable(seed: int, dtype: torch.dtype) -> None:
    """Weights scaled so that the outermost eigenvalue is from 20 % below to 20 % above the border.

    Most of them have a numerical abscissa far above 0, so that the bound decides nothing.
    """
    W = outlying(seed)
    gain = points(W, samples=1, seed=seed).gain
    outermost = torch.linalg.eigvals(gain[0, :, None] * W).real.max()
    for factor in (0.8, 0.97, 1.03, 1.2):
        fp = points(W * factor / outermost, samples=8, seed=seed)
        expected = truth(fp)
        network = rn.Network("rate", fp.network.connectivity.dense().to(dtype))
        given = rn.fixed_points_at(network, fp.drive.to(dtype), fp.rates.to(dtype))
        abscissa = torch.linalg.eigvals(fp.gain[:, :, None] * fp.network.connectivity.dense())
        clear = (abscissa.real.amax(dim=1) - 1).abs() > 1e-3
        unstable = stability.verdicts(given) == rn.Status.UNSTABLE
        assert torch.equal(unstable[clear], expected[clear])


def test_a_bound_is_computed_once_for_the_same_weights(monkeypatch) -> None:
    """And anew after a change of them, also one that nobody told of."""
    calls, compute = [], stability._largest_of_symmetric_part
    W = random_weights(70, seed=112, scale=0.4)
    network = rn.Network("rate", W)

    def counted(network: rn.Network) -> float:
        calls.append(network)
        return compute(network)

    monkeypatch.setattr(stability, "_largest_of_symmetric_part", counted)
    drives = random(2, 3, 70, seed=5)
    for drive in drives:
        assert rn.find_fixed_points(network, drive).converged.all()
    assert len(calls) == 1
    W.mul_(0.5)
    rn.find_fixed_points(network, drives[0])
    network.connectivity.add_({"W": -0.1 * W})
    rn.find_fixed_points(network, drives[0])
    assert len(calls) == 3


def test_a_second_call_gives_what_the_first_one_gave() -> None:
    """What is kept for the next call saves time alone."""
    W = 0.8 * random_weights(60, seed=64, scale=1.2) - torch.eye(60, dtype=FLOAT)
    network, drive = rn.Network("rate", W), random(20, 60, seed=65, scale=0.5)
    first = rn.find_fixed_points(network, drive)
    rn.find_fixed_points(network, 0.9 * drive)
    again = rn.find_fixed_points(network, drive)
    torch.testing.assert_close(again.rates, first.rates, rtol=0, atol=1e-9)
    fresh = rn.Network("rate", W)
    twice = [rn.find_fixed_points(fresh, drive).rates for _ in range(2)]
    assert torch.equal(*twice)


def test_weak_feedback_is_proved_stable_by_a_bound_alone(monkeypatch) -> None:
    fp = points(random_weights(70, seed=112, scale=0.4), samples=12, parameters=TAU)

    def refuse(*arguments: object) -> None:
        raise AssertionError("more than the bound was needed")

    monkeypatch.setattr(stability, "_arnoldi", refuse)
    monkeypatch.setattr(stability, "_abscissa_dense", refuse)
    assert not (stability.verdicts(fp) == rn.Status.UNSTABLE).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_never_calls_an_unstable_point_stable(seed: int) -> None:
    """Over time constants from 1 to 1000, for weights about where the bound stops to hold."""
    W = random_weights(30, seed=seed, scale=0.75)
    tau = 10 ** (3 * torch.rand(30, generator=torch.Generator().manual_seed(seed)))
    fp = points(W, samples=6, parameters={"tau": (1e-3 * tau).tolist()})
    blocks = fp.network.jacobian_blocks(fp.state, fp.drive)
    proved = stability._surely_stable(fp.network, blocks, fp.gain)
    assert not (proved & truth(fp)).any()


def test_gains_of_both_signs_are_bounded_by_the_norm(tmp_path) -> None:
    """f = -tanh turns strong inhibition into excitation: the symmetric part would say stable."""
    from helpers.problems import write_model

    path = write_model(
        tmp_path, "dr/dt = (-r + f(I_rec + I_ext)) / tau : 1", functions={"f": "-tanh(u)"},
        parameters={"tau": "10*ms"},
    )  # fmt: skip
    network = rn.Network(rn.load_model(path), -2.0 * torch.eye(3, dtype=FLOAT))
    fp = rn.fixed_points_at(network, [0.0] * 3, [0.0] * 3)
    assert (fp.gain == -1).all()
    assert (stability.verdicts(fp) == rn.Status.UNSTABLE).all()
    assert fp.abscissa().item() == pytest.approx(100.0)  # (-1 + 2) / tau


@pytest.mark.parametrize("name", PROBLEMS)
def test_settled_problems_are_examined_and_stable(name: str) -> None:
    fp = rn.find_fixed_points(PROBLEMS[name].network(), PROBLEMS[name].drive)
    assert fp.examined.all()
    assert not (stability.verdicts(fp) == rn.Status.UNSTABLE).any()


def test_two_state_variables_with_oscillations_through_adaptation() -> None:
    """J of one unit: [[(g w - 1) / tau, -b g / tau], [1 / tau_a, -1 / tau_a]]: its trace decides.

    With g = 1, w = 1.15, tau = 10 ms, tau_a = 100 ms it is 15 - 10 > 0, and 5 - 10 < 0 for 1.05.
    """
    for w, unstable in ((1.15, True), (1.05, False)):
        W = torch.eye(80, dtype=FLOAT) * w  # 160 entries of the state: Arnoldi
        network = rn.Network("adaptation", W, parameters={"tau": 0.01, "tau_a": 0.1, "b": 1.0})
        fp = rn.fixed_points_at(network, [0.0] * 80, torch.zeros(2, 1, 80))
        assert (stability.verdicts(fp) == rn.Status.UNSTABLE).tolist() == [unstable]


def test_abscissa_above_the_dense_limit_is_that_of_all_eigenvalues() -> None:
    W = random_weights(520, seed=113, scale=0.9)
    fp = points(W, samples=1)
    expected = torch.linalg.eigvals(fp.jacobian(0)).real.max()
    torch.testing.assert_close(fp.abscissa()[0], expected, rtol=1e-6, atol=0)


def test_a_leading_pair_above_the_dense_limit() -> None:
    """Rotation in one plane on top of weak weights: Re = (1.2 g - 1) / tau, far from the others."""
    W = 0.05 * random(520, 520, seed=114) / 520**0.5
    W[:2, :2] += torch.tensor([[1.2, -3.0], [3.0, 1.2]], dtype=FLOAT)
    network = rn.Network("linear", W, parameters={"tau": 0.01})
    fp = rn.fixed_points_at(network, [0.0] * 520, [0.0] * 520)
    assert fp.abscissa().item() == pytest.approx(20.0, abs=1.0)  # W's rest moves it a little
    assert (stability.verdicts(fp) == rn.Status.UNSTABLE).all()
