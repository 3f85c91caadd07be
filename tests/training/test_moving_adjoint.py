"""An adjoint that moves in time: its equation, its limit of no time at all, and its runs."""

import dataclasses
from pathlib import Path

import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError
from ratenet.fixed_points import adjoint_of
from ratenet.layers import Stack
from ratenet.training import TrainingConfig
from ratenet.training.moving_adjoint import MovingAdjoint

FLOAT = torch.float64
TAU = 0.01


def one_unit() -> tuple[rn.Network, rn.Trajectory]:
    network = rn.Network("linear", torch.tensor([[0.5]], dtype=FLOAT), parameters={"tau": TAU})
    return network, rn.simulate(network, [[1.0]], duration=0.02, dt=1e-3)


def test_one_unit_goes_to_its_adjoint_exponentially() -> None:
    """tau dlambda/dt = -lambda + 0.5 lambda + e: to 2 e, at the rate 1 / (2 tau)."""
    _, run = one_unit()
    adjoint = MovingAdjoint(0.02)
    adjoint.follow(run, lambda t: torch.ones(1, 1, dtype=FLOAT), lambda t, y: torch.ones_like(y))
    steps = 20  # of 1 ms, a twentieth of the time constant
    expected = 2 * (1 - (1 - 0.5 / 20) ** steps)
    assert float(adjoint.values) == pytest.approx(expected, rel=1e-12)


def moving_stack() -> Stack:
    torch.manual_seed(0)
    layers = (
        rn.FixedPointLayer(6, 8, dtype=FLOAT),
        rn.layers.FeedbackLayers(8, (5, 4)).double(),
        rn.FixedPointLayer(4, 5, "adaptation", dtype=FLOAT),
    )
    return Stack(*layers, torch.nn.Linear(5, 3, dtype=FLOAT))


def followed(time_constant: float, duration: float) -> tuple[rn.FixedPoints, torch.Tensor]:
    """Return states under a moving drive, with an adjoint that followed them; and the errors."""
    stack = moving_stack()
    network, images = stack.network(), torch.randn(2, 3, 6, dtype=FLOAT)

    def drive(t: float) -> torch.Tensor:
        return stack.drive(torch.lerp(*images, min(1.0, t / 0.1)))

    def errors(t: float, rates: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            at = rates.detach().requires_grad_()
            return torch.autograd.grad(stack.outputs(at).square().sum(), at)[0]

    start = rn.find_fixed_points(network, drive(0.0))
    run = rn.simulate(network, drive, duration=duration, dt=1e-3, initial=start.state)
    adjoint = MovingAdjoint(time_constant)
    adjoint.follow(run, drive, errors)
    reached = rn.fixed_points_at(network, drive(duration), run.final, tol=torch.inf)
    assert adjoint.values is not None
    return reached, (adjoint.values, errors(duration, reached.rates))


def distance(time_constant: float, duration: float) -> float:
    """Return how far a moving adjoint is from the solved one, relative to that."""
    fp, (values, error) = followed(time_constant, duration)
    solved = rn.solve_adjoint(fp, error).values
    return float((values - solved).norm() / solved.norm())


def test_at_rest_it_is_the_solved_adjoint() -> None:
    assert distance(0.02, duration=1.0) < 1e-4


def test_in_the_limit_of_no_time_it_is_the_solved_adjoint() -> None:
    """While rates move, what is left falls with the time constant."""
    distances = [distance(tau, duration=0.08) for tau in (0.02, 0.002, 0.0002)]
    assert distances[0] > 0.1
    assert distances[1] < 0.25 * distances[0]
    assert distances[2] < 0.25 * distances[1]


SLOW = {
    "hold": 0.05,
    "fade": 0.02,
    "unsettled": "include",
    "learning_rate": 0.1,
    "dtype": "float64",
    "batch_size": 100,
    "epochs": 1,
    "threads": 1,
    "rule": "euclidean",
    "method": "euler",
}
TABLES = (
    {"kind": "fixed-point", "units": 10},
    {"kind": "fixed-point", "units": 8, "rule": "linearized-reparameterized"},
    {"kind": "read-out"},
)
ONE = {"units": 12, "learn": ("read-in",)}


def weights(run: rn.training.TrainingResult) -> torch.Tensor:
    every = run.classifier.parameters
    tensors = every.values() if isinstance(every, dict) else every()
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@pytest.mark.parametrize("what", [ONE, {"layers": TABLES}], ids=["one network", "stack"])
def test_a_long_hold_learns_what_solved_adjoints_do(what: dict, few_digits, tmp_path: Path) -> None:
    runs = [
        rn.train(TrainingConfig(**{**SLOW, **what, **own}), out=tmp_path / name)
        for name, own in {
            "solved": {"hold": 0.6},
            "moving": {"hold": 0.6, "adjoint_tau": 0.01},
            "slow": {"hold": 0.6, "adjoint_tau": 0.5},
        }.items()
    ]
    solved, moving, slow = map(weights, runs)
    assert float((solved - moving).abs().max()) < 1e-6
    assert float((solved - slow).abs().max()) > 1e-4
    assert runs[1].summary["adjoint_left_out"] == 0


def test_its_state_is_in_the_checkpoint(few_digits, tmp_path: Path) -> None:
    config = TrainingConfig(**{**SLOW, **ONE, "adjoint_tau": 0.03})

    def stop(run: object, row: dict) -> None:
        if row["step"] == 2:
            raise OSError("the power fails")

    whole = rn.train(config, out=tmp_path / "whole")
    with pytest.raises(OSError, match="power"):
        rn.train(config, out=tmp_path / "stopped", callbacks=[stop])
    assert torch.equal(weights(rn.training.resume(tmp_path / "stopped")), weights(whole))


def test_fixed_points_that_come_with_an_adjoint_are_not_solved_for_another() -> None:
    network, _ = one_unit()
    fp = rn.find_fixed_points(network, [[1.0], [2.0]])
    error = torch.ones(2, 1, dtype=FLOAT)
    given = dataclasses.replace(fp, adjoint=torch.tensor([[3.0], [torch.nan]], dtype=FLOAT))
    assert adjoint_of(given, error).converged.tolist() == [True, False]
    assert "1 of 2 simulated adjoints are finite" in adjoint_of(given, error).summary()
    with pytest.warns(rn.errors.LeftOutWarning, match="simulated"):
        delta = rn.plasticity.Euclidean().update(given, error, learning_rate=1.0)
    assert float(delta) == pytest.approx(-3 * float(fp.rates[0]))
    assert torch.equal(given.select(torch.tensor([0])).adjoint, given.adjoint[:1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"adjoint_tau": 0}, "adjoint_tau: "),
        ({"adjoint_tau": "5*mV"}, "adjoint_tau: "),
        ({"adjoint_tau": float("nan")}, "adjoint_tau: "),
        ({"adjoint_tau": 0.01, "presentation": "static", "hold": None, "fade": None},
         "adjoint_tau: has no effect on static presentation"),
        ({"adjoint_tau": 0.01, "plasticity": "oja(eta=1e-4*Hz)", "rule": None, "units": 5},
         "adjoint_tau: has no effect, since the plasticity 'oja'"),
    ],
)  # fmt: skip
def test_bad_options_are_one_sentence(options: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        TrainingConfig(**{**SLOW, **options})


def test_an_adjoint_that_is_too_fast_or_not_taken_is_refused(few_digits, tmp_path: Path) -> None:
    fast = TrainingConfig(**SLOW, adjoint_tau=1e-5)
    with pytest.raises(InputError, match=r"adjoint_tau: expected at least 0.0001 s.*, got 1e-05"):
        rn.train(fast, out=tmp_path)
    idle = TrainingConfig(**{**SLOW, "rule": "linearized-reparameterized"}, adjoint_tau=0.01)
    with pytest.raises(InputError, match="adjoint_tau: has no effect, since rule 'lin"):
        rn.train(idle, out=tmp_path)
    assert not list(tmp_path.iterdir())
