"""Courses in time of ready circuits beside SciPy's, of equations that are written out here.

Random weights are drawn here once more, in the order that the circuit's seed fixes.
"""

from collections.abc import Callable

import numpy as np
from published_branches import Value
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import root

import ratenet as rn
from ratenet import circuits


def wilson_cowan_cycle() -> list[Value]:
    """Return frequency and extremes of the cycle once it is reached, and the point within it."""
    a, theta, tau = np.array([1.3, 2.0]), np.array([4.0, 3.7]), 0.008
    floor = 1 / (1 + np.exp(a * theta))
    values = []
    for w_II, start in ((4.0, 1.5), (3.0, 0.4)):
        W = np.array([[16.0, -12.0], [15.0, -w_II]])

        def rise(r: np.ndarray, W: np.ndarray = W) -> np.ndarray:
            return 1 / (1 + np.exp(-a * (W @ r + [1.25, 0.0] - theta)))

        def f(r: np.ndarray, rise: Callable[[np.ndarray], np.ndarray] = rise) -> np.ndarray:
            return (-r + (1 - floor - r) * (rise(r) - floor)) / tau

        centre = root(f, np.array([0.2, 0.1]), tol=1e-13).x
        S = rise(centre)
        gain = (1 - floor - centre) * a * S * (1 - S)
        J = (gain[:, None] * W - np.diag(1 + S - floor)) / tau
        circuit = circuits.wilson_cowan_oscillating(w_II=w_II)
        run = rn.simulate(circuit.network, circuit.drive, start + 0.3, 0.0005, method="rk4",
                          initial=circuit.initial)  # fmt: skip
        late = run.t.numpy() >= start
        ours = cycle(run.t.numpy()[late], run.rates[late, 0, 0].numpy(), centre[0])
        found = rn.find_fixed_points(
            circuit.network, circuit.drive, initial={"r": [0.2, 0.1]}, solver=rn.NewtonKrylov(),
            certificate="residual",
        )  # fmt: skip
        names = ("frequency (Hz)", "lowest E", "highest E")
        values += [
            *(Value(f"w_II = {w_II:g}, {what}", t, o, 1e-5 * t) for what, t, o in
              zip(names, cycle_by_scipy(f, centre[0], start), ours, strict=True)),
            Value(f"w_II = {w_II:g}, E at the fixed point", centre[0], found.rates[0, 0].item(),
                  1e-8),
            Value(f"w_II = {w_II:g}, real part of its eigenvalues (1/s)",
                  np.linalg.eigvals(J).real.max(), found.abscissa().item(), 1e-6),
        ]  # fmt: skip
    return values


def cycle_by_scipy(
    f: Callable[..., np.ndarray], level: float, start: float
) -> tuple[float, float, float]:
    """Return a cycle's frequency and extremes of its first variable, at SciPy's events."""

    def crossing(_: float, r: np.ndarray) -> float:
        return r[0] - level

    def turning(_: float, r: np.ndarray) -> float:
        return f(r)[0]

    crossing.direction = 1.0  # type: ignore[attr-defined]
    run = solve_ivp(lambda _, r: f(r), (0, start + 0.3), np.array([0.1, 0.05]),
                    events=(crossing, turning), rtol=1e-10, atol=1e-12)  # fmt: skip
    crossed = run.t_events[0][run.t_events[0] > start]
    turned = run.y_events[1][run.t_events[1] > start, 0]
    return 1 / np.diff(crossed).mean(), turned.min(), turned.max()


def cycle(t: np.ndarray, E: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return the same three numbers of a sampled course, of the cubic spline through it."""
    course = CubicSpline(t, E)
    crossed = course.solve(level, extrapolate=False)
    turned = course(course.derivative().roots(extrapolate=False))
    rising = crossed[course(crossed, 1) > 0]
    return 1 / np.diff(rising).mean(), turned.min(), turned.max()


def chaotic() -> list[Value]:
    """Growth of a small distance in one network of 400 units, seed 0, beside SciPy's solution.

    SciPy solves the network with its variational equation, from the same state and in the same
    direction, so that what is left is the error of both solutions. It grows with the distance,
    and faster where g is larger, so the time is shorter there.
    """
    circuit = circuits.chaotic(gain=0.8)
    calm = rn.find_fixed_points(circuit.network, circuit.drive).abscissa().item() / 100
    rightmost = float(np.linalg.eigvals(random_network(0.8)[0]).real.max()) - 1
    values = [Value("rightmost eigenvalue at zero, g = 0.8 (1/tau)", rightmost, calm, 1e-8)]
    for gain, start, stop in ((1.5, 0.5, 2.5), (2.0, 0.3, 1.3)):
        aside = np.random.default_rng(1).standard_normal(400)
        aside /= np.linalg.norm(aside)
        theirs = growth_of_a_tangent(*random_network(gain), aside, start, stop)
        ours = growth_of_a_distance(circuits.chaotic(gain=gain), aside, start, stop)
        what = f"exponent from {start:g} to {stop:g} s, g = {gain:g} (1/tau)"
        values.append(Value(what, theirs, ours, 2e-4))
    return values


def random_network(gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and initial state of 400 units, of seed 0."""
    draws = np.random.default_rng(0)
    return gain / 20 * draws.standard_normal((400, 400)), draws.standard_normal(400)


def growth_of_a_tangent(
    W: np.ndarray, v: np.ndarray, aside: np.ndarray, start: float, stop: float
) -> float:
    """Return log |d(stop)| / |d(start)| per tau of d' = -d + W (1 - tanh^2 v) d."""
    N = len(v)

    def f(_: float, s: np.ndarray) -> np.ndarray:
        y = np.tanh(s[:N])
        flow = W @ np.stack([y, (1 - y**2) * s[N:]], axis=1)
        return -s + flow.T.flatten()

    ends = [100 * start, 100 * stop]  # in tau
    run = solve_ivp(f, (0, ends[1]), np.concatenate([v, aside]), t_eval=ends, method="DOP853",
                    rtol=1e-9, atol=1e-11)  # fmt: skip
    length = np.linalg.norm(run.y[N:], axis=0)
    return float(np.log(length[1] / length[0]) / (ends[1] - ends[0]))


def growth_of_a_distance(
    circuit: circuits.Circuit, aside: np.ndarray, start: float, stop: float
) -> float:
    """Return the same from two trajectories at a distance of 1e-7, renewed every 20 ms."""
    v = circuit.initial["v"]
    drive, grown = np.zeros((2, len(v))), 0.0
    for window in range(round(stop / 0.02)):
        pair = {"v": np.stack([v, v + 1e-7 * aside])}
        run = rn.simulate(circuit.network, drive, 0.02, 0.0005, initial=pair, method="rk4",
                          record_every=40)  # fmt: skip
        v, other = run.states["v"][-1].numpy()
        length = np.linalg.norm(other - v)
        aside = (other - v) / length
        if window >= round(start / 0.02):
            grown += np.log(length / 1e-7)
    return float(grown / (100 * (stop - start)))
