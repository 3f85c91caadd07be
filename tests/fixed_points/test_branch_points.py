"""Branch points: named at the right value, and passed, from either side and with any step.

The values are known in closed form, or follow from the eigenvalue of a mirror-symmetric network
that belongs to differences between its halves, found by SciPy along the symmetric state.
"""

import numpy as np
import pytest
from scipy.optimize import brentq, root

import ratenet as rn

STEPS = [(0.01, 0.04), (0.1, 0.2)]
X = 0.4  # drive of each unit


def values(branch: rn.Branch) -> list[float]:
    assert branch.ended is rn.BranchEnd.AT_STOP
    assert {point.kind for point in branch.special} <= {rn.SpecialKind.BRANCH, rn.SpecialKind.HOPF}
    return [point.value for point in branch.of_kind(rn.SpecialKind.BRANCH)]


def pitchfork(units: int) -> float:
    """Return where N units that inhibit each other with weight w lose their symmetry."""

    def rate(w: float) -> float:
        return brentq(lambda y: np.tanh(-w * (units - 1) * y + X) - y, -1, 1, xtol=1e-15)

    return brentq(lambda w: w * (1 - rate(w) ** 2) - 1, 0.5, 6, xtol=1e-14)


@pytest.mark.parametrize(("step", "max_step"), STEPS)
@pytest.mark.parametrize(("start", "stop"), [(0.0, 2.0), (2.0, 0.0), (0.5, 1.0404)])
def test_a_pitchfork_of_two_units(start: float, stop: float, step: float, max_step: float) -> None:
    pair = rn.Network("rate", [[0.0, -1.0], [-1.0, 0.0]])
    branch = rn.continue_fixed_points(
        pair, [X, X], rn.WeightScale(), start=start, stop=stop, step=step, max_step=max_step
    )
    assert values(branch) == pytest.approx([pitchfork(2)], abs=1e-7)
    assert (branch.rates[:, 0] - branch.rates[:, 1]).abs().max() < 1e-6  # still symmetric


@pytest.mark.parametrize("units", [3, 4])  # an even and an odd number of modes lose stability
def test_several_modes_at_once(units: int) -> None:
    known = pitchfork(units)
    network = rn.Network("rate", np.eye(units) - np.ones((units, units)))
    branch = rn.continue_fixed_points(
        network, [X] * units, rn.WeightScale(), start=0.5, stop=known + 0.3
    )
    assert values(branch) == pytest.approx([known], abs=1e-7)


@pytest.mark.parametrize(("step", "max_step"), STEPS)
@pytest.mark.parametrize(("start", "stop"), [(-1.0, 1.0), (0.3, -1.0)])
def test_a_transcritical_point_of_one_unit(
    start: float, stop: float, step: float, max_step: float
) -> None:
    model = rn.ModelSpec(
        name="logistic",
        title="Logistic growth",
        source="Strogatz 2015, section 3.2",
        equations="dr/dt = r * (I_ext + I_rec - r) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        parameters=(("tau", "10*ms"),),
    )
    network = rn.Network(model, [[0.0]])
    at_zero = rn.continue_fixed_points(
        network, [1.0], rn.DriveScale(), start=start, stop=stop, step=step, max_step=max_step
    )
    assert values(at_zero) == pytest.approx([0.0], abs=1e-7)
    assert at_zero.rates.abs().max() < 1e-7
    other = rn.continue_fixed_points(
        network, [1.0], rn.DriveScale(), start=start, stop=stop, initial=[start]
    )
    assert values(other) == pytest.approx([0.0], abs=1e-7)
    assert (other.rates[:, 0] - other.values).abs().max() < 1e-7


def mirrored(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    A, B = random.normal(size=(2, n, n)) / n**0.5
    return A, B - 0.3, 0.5 * random.normal(size=n)


@pytest.mark.parametrize(
    ("model", "b", "seed", "n"),
    [("rate", 0.0, 1, 4), ("rate", 0.0, 5, 4), ("voltage", 0.0, 0, 3), ("adaptation", 1.0, 2, 3)],
)
def test_mirror_symmetric_networks(model: str, b: float, seed: int, n: int) -> None:
    A, B, x = mirrored(seed, n)
    network = rn.Network(model, np.block([[A, B], [B, A]]))
    if "b" in network.parameters:
        b = float(network.parameters["b"])

    def determinant(w: float) -> float:
        rates = np.zeros(n)
        for share in np.linspace(0, w, 40):
            rates = root(
                lambda r, s=share: -r + np.tanh(s * (A + B) @ r + x - b * r), rates, tol=1e-13
            ).x
        gain = 1 - rates**2
        return float(np.linalg.det(np.eye(n) - (gain / (1 + b * gain))[:, None] * w * (A - B)))

    grid = np.linspace(0.02, 2, 40)
    signs = [determinant(w) for w in grid]
    known = [
        brentq(determinant, low, high, xtol=1e-9)
        for low, high, first, second in zip(grid, grid[1:], signs, signs[1:], strict=False)
        if first * second < 0
    ]
    branch = rn.continue_fixed_points(
        network, np.r_[x, x], rn.WeightScale(), start=0.0, stop=2.0, step=0.05, max_step=0.1
    )
    assert values(branch) == pytest.approx(known, abs=1e-5)


@pytest.mark.parametrize(("start", "stop"), [(0.2, 3.0), (3.0, 0.2)])
def test_undecided_populations_of_wong_and_wang(start: float, stop: float) -> None:
    circuit = rn.circuits.wong_wang(coherence=0.0)
    branch = rn.continue_fixed_points(
        circuit.network, circuit.drive[0], rn.DriveScale(), start=start, stop=stop
    )
    low, high = sorted(values(branch))  # between them a decision is made
    for share, stable in ((0.99 * low, True), (1.01 * low, False), (1.01 * high, True)):
        state = branch.states[:, [int((branch.values - share).abs().argmin())]]
        fp = rn.fixed_points_at(circuit.network, share * circuit.drive[[0]], state, tol=0.1)
        solved = rn.find_fixed_points(
            circuit.network, share * circuit.drive[0], initial=fp.state, on_failure="return",
            certificate="residual", solver=rn.NewtonKrylov(),
        )  # fmt: skip
        assert bool(solved.abscissa()[0] < 0) is stable


def test_weak_evidence_makes_folds_of_it() -> None:
    circuit = rn.circuits.wong_wang(coherence=0.1)
    branch = rn.continue_fixed_points(
        circuit.network, circuit.drive[0], rn.DriveScale(), start=3.0, stop=0.2
    )
    assert branch.ended is rn.BranchEnd.AT_STOP
    assert [point.kind for point in branch.special] == [rn.SpecialKind.FOLD] * 2
