"""Fixed points of ready circuits beside closed forms, or SciPy on equations written out here.

Random weights are drawn here once more, in the order that the circuit's seed fixes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from published_branches import Value, special_points
from scipy.integrate import solve_ivp
from scipy.linalg import solve_continuous_lyapunov
from scipy.optimize import brentq, root
from torch import Tensor

import ratenet as rn
from ratenet import circuits


def relu(u: Any) -> Any:
    return np.maximum(u, 0.0)


def settled(f: Callable[..., np.ndarray], start: np.ndarray, duration: float) -> np.ndarray:
    """Return the root of f(y) that dy/dt = f(y) leads to, by SciPy."""
    ends = solve_ivp(lambda _, y: f(y), (0, duration), start, method="LSODA").y[:, -1]
    found = root(f, ends, tol=1e-12)
    if not np.abs(f(found.x)).max() <= 1e-6 * np.abs(f(0.9 * found.x)).max():
        raise ValueError(f"SciPy found no root: {found.message}")
    return found.x


def inhibition_stabilized() -> list[Value]:
    """Beside r = (1 - W)^-1 x, whose slope of r_I in x_I is (1 - w_EE) / det(1 - W)."""
    values = []
    for w_EE, slope in ((2.0, -4 / 7), (0.5, 2 / 19)):
        circuit = circuits.inhibition_stabilized(w_EE=w_EE, drive_I=[20.0, 21.0])
        r_I = rn.find_fixed_points(circuit.network, circuit.drive).rates[:, 1]
        ours = float(r_I[1] - r_I[0])
        values.append(Value(f"change of I by 1 Hz more drive, w_EE = {w_EE:g} (Hz)", slope, ours,
                            1e-6))  # fmt: skip
    circuit = circuits.inhibition_stabilized()
    found = rn.find_fixed_points(circuit.network, circuit.drive)
    r_E, r_I = found.rates[0].tolist()
    rightmost = found.eigenvalues(0)[0]
    alone = rn.Network("linear", circuit.network.connectivity.dense()[:1, :1],
                       parameters={"tau": 0.02})  # fmt: skip
    grows = rn.find_fixed_points(alone, [30.0], certificate="residual").abscissa().item()
    return [
        *values,
        Value("rate of E (Hz)", 120 / 7, r_E, 1e-6),
        Value("rate of I (Hz)", 220 / 7, r_I, 1e-6),
        Value("rightmost eigenvalues, real part (1/s)", -75.0, float(rightmost.real), 1e-6),
        Value("and imaginary part (1/s)", 3125**0.5, abs(float(rightmost.imag)), 1e-6),
        Value("eigenvalue of E alone (1/s)", 50.0, grows, 1e-6),
    ]


def low_rank() -> list[Value]:
    """Beside kappa of infinitely many units, and the state of these 1000 by SciPy."""
    values = []
    for overlap in (0.8, 1.5, 2.5):
        circuit = circuits.low_rank(overlap=overlap)
        m = circuit.initial["v"]
        found = rn.find_fixed_points(
            circuit.network, circuit.drive, initial=circuit.initial, solver=rn.Relaxation()
        )
        kappa = overlap * float(found.rates[0].numpy() @ m) / len(m)
        values.append(Value(f"kappa at overlap {overlap:g}, infinitely many units",
                            kappa_of_mean_field(overlap), kappa,
                            0.035 if overlap > 1 else 1e-6))  # fmt: skip
        if overlap > 1:
            values.append(Value(f"kappa at overlap {overlap:g}, these 1000",
                                kappa_of_network(overlap), kappa, 1e-6))  # fmt: skip
    return values


def kappa_of_mean_field(overlap: float, gain: float = 0.5) -> float:
    """Return the root of overlap <1 - tanh^2> = 1 over v ~ N(0, D), D = g^2 <tanh^2> + kappa^2."""
    z, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()

    def square(D: float) -> float:
        return weights @ np.tanh(D**0.5 * z) ** 2

    if overlap * (1 - square(1e-9)) < 1:
        return 0.0
    D = brentq(lambda D: overlap * (1 - square(D)) - 1, 1e-9, 50.0)
    return float((D - gain**2 * square(D)) ** 0.5)


def kappa_of_network(overlap: float, gain: float = 0.5) -> float:
    """Return n^T tanh(v) / N where v' = -v + W tanh(v) settles from v = m, W of seed 0."""
    draws = np.random.default_rng(0)
    chi, m = draws.standard_normal((1000, 1000)) / 1000**0.5, draws.standard_normal(1000)
    m *= (1000 / (m @ m)) ** 0.5

    def f(_: float, v: np.ndarray) -> np.ndarray:
        y = np.tanh(v)
        return -v + gain * chi @ y + overlap * m * (m @ y) / 1000

    v = solve_ivp(f, (0, 60.0), m, t_eval=[60.0], rtol=1e-9, atol=1e-11).y[:, 0]
    return float(overlap * m @ np.tanh(v) / 1000)


def ssn_line() -> list[Value]:
    """Beside SciPy: rates of the middle, at the best of the whole degrees and at 17."""
    position = (np.arange(101) - 50) / 3
    apart, here = position[:, None] - position, np.eye(101)
    W = np.block([
        [np.exp(-(apart**2) / 2 / (2 / 3) ** 2), -here],
        [1.25 * np.exp(-(apart**2) / 2 / (4 / 3) ** 2), -0.75 * here],
    ])  # fmt: skip
    tau = np.repeat([0.02, 0.01], 101)

    def middle(contrast: float, size: float) -> float:
        edges = np.exp(-24 * (size / 2 + position)), np.exp(-24 * (size / 2 - position))
        x = np.tile(contrast / (1 + edges[0]) / (1 + edges[1]), 2)
        return settled(lambda r: (-r + 0.01 * relu(W @ r + x) ** 2) / tau, np.zeros(202), 0.5)[50]

    values = []
    for contrast, best in ((10.0, 2.0), (50.0, 1.0)):
        sizes = np.array([best, 17.0])
        circuit = circuits.ssn_line(contrast=contrast, size=sizes)
        found = rn.find_fixed_points(circuit.network, circuit.drive, tol=1e-12)
        ours = found.rates[:, 50].tolist()
        theirs = [middle(contrast, size) for size in sizes]
        values += [Value(f"contrast {contrast:g}, {size:g} deg, E in the middle (Hz)", t, o, 1e-6)
                   for size, t, o in zip(sizes, theirs, ours, strict=True)]  # fmt: skip
        index = Value(f"contrast {contrast:g}, suppression index", 1 - theirs[1] / theirs[0],
                      1 - ours[1] / ours[0], 1e-6)  # fmt: skip
        values.append(index)
    return values


def ssn_stochastic() -> list[Value]:
    """Return SDs of V in mV: J C + C J^T + Q = 0 about the fixed point, for V and eta."""
    W, tau = np.array([[1.25, -0.65], [1.2, -0.5]]), np.array([0.02, 0.01])
    variance = np.array([0.2, 0.1]) ** 2 * (1 + tau / 0.05)  # of eta, mV^2
    drives = (0.0, 2.0, 15.0)  # mV
    circuit = circuits.ssn_stochastic(drive=[1e-3 * h for h in drives])
    found = rn.find_fixed_points(circuit.network, circuit.drive)
    strengths = circuit.network.noise_strengths(found.state, found.drive)[:, 0]
    values = []
    for sample, h in enumerate(drives):
        u = settled(lambda u, h=h: (-u + W @ (0.3 * relu(u) ** 2) + h) / tau, np.zeros(2), 1.0)
        J = np.block([
            [(W * 0.6 * relu(u) - np.eye(2)) / tau[:, None], np.diag(1 / tau)],
            [np.zeros((2, 2)), -np.eye(2) / 0.05],
        ])  # fmt: skip
        Q = np.diag([0, 0, *(2 * variance / 0.05)])
        theirs = np.diag(solve_continuous_lyapunov(J, -Q))[:2] ** 0.5
        noise = np.diag(strengths[:, sample].flatten().numpy() ** 2)
        covariance = solve_continuous_lyapunov(found.jacobian(sample).numpy(), -noise)
        ours = 1e3 * np.diag(covariance)[:2] ** 0.5
        values += [Value(f"SD of V_{name} at {h:g} mV (mV)", t, float(o), 1e-6)
                   for name, t, o in zip("EI", theirs, ours, strict=True)]  # fmt: skip
    return values


def ring_attractor() -> list[Value]:
    """Beside the bump r = A (cos 2 theta - cos 2 c)+ of infinitely many units, c by SciPy.

    Its mean over the ring is A m0(c) and that of r cos 2 theta A m1(c), so that A = h_1 + 11 A m1
    and -A cos 2c = h_0 - 7.3 A m0, for a drive h_0 + h_1 cos 2 theta.
    """
    values = []
    for tuning in (0.1, 0.0):
        h_0, h_1 = 16 * (1 - tuning), 16 * tuning
        c, A = bump(h_0, h_1)
        half = np.degrees(np.arccos((1 + np.cos(2 * c)) / 2))  # both halves of the width together
        tuned = circuits.ring_attractor(units=1000)
        state = rn.find_fixed_points(
            tuned.network, tuned.drive, solver=rn.Relaxation(), certificate="residual"
        )
        if not tuning:
            flat = circuits.ring_attractor(tuning=0.0, units=1000)
            state = rn.find_fixed_points(
                flat.network, flat.drive, initial=state.state, solver=rn.Relaxation(),
                certificate="residual",
            )  # fmt: skip
        rates = state.rates[0].numpy()
        name = "weakly tuned drive" if tuning else "uniform drive"
        values += [
            Value(f"{name}, peak (Hz)", A * (1 - np.cos(2 * c)), rates.max(), 1e-3),
            Value(f"{name}, full width at half maximum (deg)", half, width(rates), 1e-3),
        ]
    return values


def bump(h_0: float, h_1: float) -> tuple[float, float]:
    """Return where the bump ends, c in radians, and its amplitude A."""

    def m0(c: float) -> float:
        return (np.sin(2 * c) - 2 * c * np.cos(2 * c)) / np.pi

    def m1(c: float) -> float:
        return (c - np.sin(4 * c) / 4) / np.pi

    # A = h_1 / (1 - 11 m1) in the other equation, without the division
    c = brentq(lambda c: h_1 * (7.3 * m0(c) - np.cos(2 * c)) - h_0 * (1 - 11 * m1(c)), 0.3, 1.5)
    return c, h_0 / (7.3 * m0(c) - np.cos(2 * c))


def width(rates: np.ndarray) -> float:
    """Return the full width at half maximum in degrees of one bump, by linear interpolation."""
    angles, half, peak = 180 * np.arange(len(rates)) / len(rates), rates.max() / 2, rates.argmax()
    right = np.interp(-half, -rates[peak:], angles[peak:])
    return float(right - np.interp(half, rates[: peak + 1], angles[: peak + 1]))


def hopfield() -> list[Value]:
    """One pattern in closed form, v = a xi, a = 0.99 tanh(4 a); three patterns by SciPy."""
    a = brentq(lambda a: a - 0.99 * np.tanh(4 * a), 0.5, 1.0)
    slope = 4 * (1 - np.tanh(4 * a) ** 2)
    one = circuits.hopfield(patterns=1)
    found = rn.find_fixed_points(one.network, one.drive, initial=one.initial)
    at_zero = rn.fixed_points_at(one.network, one.drive, np.zeros((1, 100)))
    xi = np.random.default_rng(0).choice([-1.0, 1.0], size=(1, 100))
    values = [
        Value("one pattern, its overlap", np.tanh(4 * a),
              float(found.rates[0].numpy() @ xi[0]) / 100, 1e-8),
        Value("rightmost eigenvalue there (1/s)", -100 * min(1 - 0.99 * slope, 1 + 0.01 * slope),
              found.abscissa().item(), 1e-6),
        Value("rightmost eigenvalue at zero (1/s)", 100 * (0.99 * 4 - 1),
              at_zero.abscissa().item(), 1e-6),
    ]  # fmt: skip
    return values + three_patterns()


def three_patterns() -> list[Value]:
    draws = np.random.default_rng(0)
    xi = draws.choice([-1.0, 1.0], size=(3, 100))
    W = xi.T @ xi / 100 - 0.03 * np.eye(100)
    circuit = circuits.hopfield()
    ours = rn.find_fixed_points(circuit.network, circuit.drive, initial=circuit.initial).rates
    values = []
    for p in range(3):
        v = settled(lambda v: -v + W @ np.tanh(4 * v), circuit.initial["v"][p], 20.0)
        values.append(Value(f"three patterns, overlap with pattern {p + 1}",
                            np.tanh(4 * v) @ xi[p] / 100, float(ours[p].numpy() @ xi[p]) / 100,
                            1e-8))  # fmt: skip
    return values


def synaptic_currents() -> list[Value]:
    """Return the rightmost complex eigenvalue beside the loop's polynomial, and the Hopf point.

    The roots lose digits where two nearly coincide, so 1e-5 of them is allowed.
    """
    values = []
    for nmda in (0.0, 0.5, 1.0):
        circuit = circuits.synaptic_currents(nmda=nmda)
        found = rn.find_fixed_points(circuit.network, circuit.drive, certificate="residual")
        theirs = rightmost_pair(loop_roots(nmda))
        ours = rightmost_pair(found.eigenvalues(0).numpy())
        values += [
            Value(f"NMDA {nmda:g}, real part of the rightmost pair (1/s)", theirs.real, ours.real,
                  1e-5 * abs(theirs)),
            Value(f"NMDA {nmda:g}, its imaginary part (1/s)", theirs.imag, ours.imag,
                  1e-5 * abs(theirs)),
        ]  # fmt: skip
    circuit = circuits.synaptic_currents(nmda=0.2)

    def share(network: rn.Network, drive: Tensor, value: float) -> tuple[rn.Network, Tensor]:
        return network.changed(parameters={"nmda": {"E": value, "I": 0.0}}), drive

    branch = rn.continue_fixed_points(circuit.network, circuit.drive[0], share, start=0.2, stop=0.5)
    border = brentq(lambda nmda: rightmost_pair(loop_roots(nmda)).real, 0.2, 0.5, xtol=1e-12)
    return [*values, *special_points(branch, [("Hopf", border, 1e-6)])]


def rightmost_pair(eigenvalues: np.ndarray) -> complex:
    """Return the upper one of the rightmost complex pair."""
    upper = eigenvalues[eigenvalues.imag > 1]
    return complex(upper[upper.real.argmax()])


def loop_roots(nmda: float) -> np.ndarray:
    """Return the roots of det(1 - W H(p)), H = [share slow + rest fast] / (1 + p tau) by unit."""
    P = np.polynomial.Polynomial
    rise, decay = P([1.0, 0.002]), P([1.0, 0.1])

    def loop(tau: float, fast: float, share: float) -> tuple[Any, Any]:
        """Return the numerator and the denominator of H."""
        above = share * P([1.0, fast]) + (1 - share) * rise * decay
        return above, P([1.0, tau]) * P([1.0, fast]) * rise * decay

    n_E, d_E = loop(0.02, 0.005, nmda)
    n_I, d_I = loop(0.01, 0.01, 0.0)
    return ((d_E - 3 * n_E) * (d_I + n_I) + 8 * n_E * n_I).roots()
