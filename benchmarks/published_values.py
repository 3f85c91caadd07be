"""Numbers of others, each beside what ratenet finds: published, of other software, in closed form.

`CASES` is what benchmarks/validation.py writes down and tests/test_published_values.py asserts. A
case computes its values through ratenet's models, circuits and continuation; where the other number
is a solution by SciPy, its equations are written out here once more, by hand.
"""

import contextlib
import io
import os
import runpy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from published_branches import Value, giannakopoulos_zapp, jansen_rit, synaptic_mean_field
from published_circuits import (
    hopfield,
    inhibition_stabilized,
    low_rank,
    relu,
    ring_attractor,
    settled,
    ssn_line,
    ssn_stochastic,
    synaptic_currents,
)
from published_courses import chaotic, wilson_cowan_cycle
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import ratenet as rn
from ratenet import circuits

ROOT = Path(__file__).parent.parent
SIDES = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Case:
    """Some numbers of one source.

    Attributes
    ----------
    name, title : str
    source : str
        Who has these numbers, and how they come to them.
    find : callable
        Computes them.
    slow : bool
        Whether that takes more than some seconds.
    """

    name: str
    title: str
    source: str
    find: Callable[[], list[Value]]
    slow: bool = False


def naka_rushton(W: list[list[float]]) -> rn.Network:
    """Return Wilson's network: rates 100 P^2 / (120^2 + P^2) for a positive input P, 20 ms."""
    model = rn.ModelSpec(
        name="naka_rushton",
        equations="dr/dt = (-r + S(I_rec + I_ext)) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        functions={"S": "100*relu(u)**2 / (14400 + relu(u)**2)"},
        parameters={"tau": "20*ms"},
    )
    return rn.Network(model, W)


def short_term_memory() -> list[Value]:
    network = naka_rushton([[0.0, 3.0], [3.0, 0.0]])
    found = rn.find_all_fixed_points(network, [0.0, 0.0], starts=60, span=(0.0, 100.0))
    states = sorted(found.rates[:, 0].tolist())
    at = rn.fixed_points_at(network, [[0.0, 0.0]] * 3, [[0.0, 0.0], [20.0, 20.0], [80.0, 80.0]])
    abscissa = at.abscissa().tolist()
    theirs = (0.0, 20.0, 80.0)
    if len(states) != len(theirs):
        raise ValueError(f"expected the states {theirs}, found {states}")
    return [
        *(Value(f"state E1 = E2, {n}", t, o, 1e-6) for n, (t, o) in
          enumerate(zip(theirs, states, strict=True), 1)),
        *(Value(f"rightmost eigenvalue there (1/s), {n}", t, o, 1e-6) for n, (t, o) in
          enumerate(zip((-50.0, 30.0, -30.0), abscissa, strict=True), 1)),
    ]  # fmt: skip


def winner_take_all() -> list[Value]:
    network = naka_rushton([[0.0, -3.0], [-3.0, 0.0]])
    found = rn.find_all_fixed_points(network, [120.0, 120.0], starts=60, span=(0.0, 100.0))
    stable = sorted(found.rates[found.stable].tolist())
    (saddle,) = found.rates[~found.stable].tolist()
    (low, high), (winner, loser) = stable
    theirs = {"rate of the loser": (0.0, low), "rate of the winner": (50.0, high),
              "the same, units exchanged": (50.0, winner), "the loser then": (0.0, loser),
              "saddle between them": (20.0, saddle[0])}  # fmt: skip
    return [Value(what, t, o, 1e-6) for what, (t, o) in theirs.items()]


def adaptation() -> list[Value]:
    W, x, tau, tau_a, b = np.array([[0.6, -0.9], [1.1, 0.2]]), np.array([0.8, -0.3]), 0.01, 0.1, 0.5

    def f(s: np.ndarray) -> np.ndarray:
        r, a = s[:2], s[2:]
        return np.concatenate([(-r + np.tanh(W @ r + x - b * a)) / tau, (r - a) / tau_a])

    times = np.array([0.01, 0.05, 0.2])
    hand = solve_ivp(lambda _, s: f(s), (0, 0.2), np.zeros(4), t_eval=times, rtol=1e-10, atol=1e-12)
    network = rn.Network("adaptation", W)
    run = rn.simulate(network, x, 0.2, 0.0005, method="rk4")
    point = rn.find_fixed_points(network, x)
    steps = np.round(times / 0.0005).astype(int)
    moving = zip(times, hand.y[0], run.rates[steps, 0, 0].tolist(), strict=True)
    rest = zip(settled(f, np.zeros(4), 2.0)[:2], point.rates[0].tolist(), strict=True)
    return [
        *(Value(f"rate of unit 1 after {1e3 * t:g} ms", y, o, 1e-7) for t, y, o in moving),
        *(Value(f"unit {n} at rest", y, o, 1e-8) for n, (y, o) in enumerate(rest, 1)),
    ]


def ssn_ring() -> list[Value]:
    angle = np.arange(180.0)
    apart = np.abs(angle[:, None] - angle)
    apart = np.minimum(apart, 180 - apart)
    near, shown = np.exp(-(apart**2) / 2 / 32**2), np.exp(-(apart[90] ** 2) / 2 / 30**2)
    W = np.block([[0.044 * near, -0.023 * near], [0.042 * near, -0.018 * near]])
    tau = np.repeat([0.02, 0.01], 180)
    values = []
    for contrast in (5.0, 20.0):
        x = contrast * np.tile(shown, 2)

        def f(r: np.ndarray, x: np.ndarray = x) -> np.ndarray:
            return (-r + 0.04 * relu(W @ r + x) ** 2) / tau

        theirs = settled(f, np.zeros(360), 0.3)
        circuit = circuits.ssn_ring(contrast=contrast)
        ours = rn.find_fixed_points(circuit.network, circuit.drive).rates[0].numpy()
        values += [
            Value(f"contrast {contrast:g}, E at the peak (Hz)", theirs[90], float(ours[90]), 1e-6),
            Value(
                f"contrast {contrast:g}, I 30 degrees aside (Hz)",
                theirs[300],
                float(ours[300]),
                1e-6,
            ),
        ]
    return values


def ssn_four_types() -> list[Value]:
    W = np.array([
        [0.017, -0.956, -0.512, -0.045], [0.8535, -0.99, -0.307, -0.09],
        [1.285, 0.0, 0.0, -0.14], [2.104, -0.184, -0.734, 0.0],
    ])  # fmt: skip
    tau = np.array([0.02, 0.01, 0.01, 0.01])
    theirs = settled(lambda r: (-r + 0.01 * relu(W @ r + 15) ** 2.2) / tau, np.zeros(4), 1.0)
    circuit = circuits.ssn_four_types()
    ours = rn.find_fixed_points(circuit.network, circuit.drive).rates[0].tolist()
    names = zip(("E", "PV", "SOM", "VIP"), theirs, ours, strict=True)
    return [Value(f"{name} at a drive of 15 (Hz)", t, o, 1e-7) for name, t, o in names]


def wilson_cowan_states() -> list[Value]:
    def f(r: np.ndarray) -> np.ndarray:
        u = np.array([12 * r[0] - 4 * r[1], 13 * r[0] - 11 * r[1]])
        a, theta = np.array([1.2, 1.0]), np.array([2.8, 4.0])
        floor = 1 / (1 + np.exp(a * theta))
        ceiling = 1 - floor
        return -r + (ceiling - r) * (1 / (1 + np.exp(-a * (u - theta))) - floor)

    theirs = settled(f, np.array([0.4, 0.2]), 30.0)
    circuit = circuits.wilson_cowan_multistable()
    found = rn.find_fixed_points(circuit.network, circuit.drive, initial=circuit.initial)
    pairs = zip("EI", theirs, found.rates[1].tolist(), strict=True)
    return [Value(f"{name}, active state", t, o, 1e-7) for name, t, o in pairs]


def wong_wang() -> list[Value]:
    """Rates H of both populations in Hz, at rest and after a decision, of the paper's equations."""
    inputs = {"at rest": (0.0, 0.0), "coherence 0.512": (0.512, 30.0)}

    def H(S: np.ndarray, c: float, mu: float) -> np.ndarray:
        other = S[::-1]
        z = 270 * (0.2609 * S - 0.0497 * other + 0.3255 + 5.2e-4 * mu * (1 + c * SIDES)) - 108
        return z / (1 - np.exp(-0.154 * z))

    values = []
    for name, (c, mu) in inputs.items():

        def f(S: np.ndarray, c: float = c, mu: float = mu) -> np.ndarray:
            return -S / 0.1 + (1 - S) * 0.641 * H(S, c, mu)

        theirs = H(settled(f, np.array([0.1, 0.1]), 3.0), c, mu)
        circuit = circuits.wong_wang(coherence=c, rate=mu)
        found = rn.find_fixed_points(
            circuit.network, circuit.drive, initial=circuit.initial, solver=rn.Relaxation()
        )
        S = found.rates[0].numpy()
        ours = S / (0.1 * (1 - S) * 0.641)
        values += [Value(f"population {n}, {name} (Hz)", t, o, 1e-5)
                   for n, (t, o) in enumerate(zip(theirs, ours, strict=True), 1)]  # fmt: skip
    return values


def balanced_amplification() -> list[Value]:
    circuit = circuits.balanced_amplification()
    W = circuit.network.connectivity.dense().numpy()
    w = 4 + 2 / 7
    J = np.array([[w, -1.1 * w], [w, -1.1 * w]]) - np.eye(2)
    times = np.linspace(0, 5, 501)
    grown = [np.linalg.norm(expm(J * t) @ SIDES) / 2**0.5 for t in times]
    run = rn.simulate(
        circuit.network, [0.0, 0.0], 0.1, 0.0002, method="rk4", initial={"r": SIDES.tolist()}
    )
    return [
        Value("smaller eigenvalue of W", -0.43, float(np.linalg.eigvals(W).real.min()), 5e-3),
        Value("feedforward weight", 9.0, float(np.ones(2) @ W @ SIDES) / 2, 1e-9),
        Value("amplification of a difference", max(grown),
              float(run.rates[:, 0].norm(dim=1).max()) / 2**0.5, 1e-4),
    ]  # fmt: skip


def released() -> list[Value]:
    """U x r in closed form: u = U (1 + tau_F r) / (1 + U tau_F r), x = 1 / (1 + u r tau_D)."""
    values = []
    for rate in (1.0, 5.0, 20.0):
        background = 1.5 * np.log(np.expm1(rate / 1.5))
        circuit = circuits.short_term_plasticity(weight=0.0, background=background)
        found = rn.find_fixed_points(
            circuit.network, circuit.drive, initial=circuit.initial, solver=rn.Relaxation()
        )
        u = 0.2 * (1 + 1.5 * rate) / (1 + 0.2 * 1.5 * rate)
        theirs = u * rate / (1 + u * rate * 0.2)
        values.append(
            Value(f"released at {rate:g} Hz (Hz)", theirs, found.rates.item(), 1e-6 * theirs)
        )
    return values


def flip_flop() -> list[Value]:
    """Run examples/12_flip_flop.py, which trains the network, and count its states."""
    with quietly_elsewhere():
        found = runpy.run_path(str(ROOT / "examples" / "12_flip_flop.py"))
    stable, fp = found["stable"], found["fp"]
    return [
        Value("stable fixed points of the map", 8, len(stable), 0),
        Value("memories among them", 8, len(found["corners"]), 0),
        Value("stable fixed points in continuous time", 8, int((fp.abscissa() < 0).sum()), 0),
    ]


@contextlib.contextmanager
def quietly_elsewhere() -> Iterator[None]:
    """Run what prints and writes a figure in a folder that goes away."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


CASES = (
    Case(
        "jansen_rit", "Jansen and Rit's column: folds and Hopf points along the drive",
        "Jansen and Rit 1995, Biol. Cybern. 73:357; points by AUTO-07p, as in the tests of TVB-O; "
        "first described by Grimbert and Faugeras 2006, Neural Comput. 18:3052",
        jansen_rit, slow=True,
    ),
    Case(
        "synaptic_mean_field", "Population with depressing and facilitating synapses",
        "Cortes et al. 2013, PNAS 110:16610; SciPy on the curve in closed form; fold also by "
        "BifurcationKit.jl, as in its tutorial, to the width of its interval",
        synaptic_mean_field, slow=True,
    ),
    Case(
        "giannakopoulos_zapp", "Planar neural system, folds along e1",
        "Giannakopoulos and Zapp 2001, Physica D 159:215, without delay, q12 = 0; closed form: "
        "2.6 S'(x) = 1",
        giannakopoulos_zapp,
    ),
    Case(
        "short_term_memory", "Naka-Rushton units: two that excite one another",
        "Wilson 1999, Spikes, Decisions and Actions; closed form", short_term_memory,
    ),
    Case(
        "winner_take_all", "Naka-Rushton units: two that inhibit one another, drive 120",
        "Wilson 1999, Spikes, Decisions and Actions; closed form", winner_take_all,
    ),
    Case("adaptation", "Two units with adaptation, in time and at rest",
         "Laing and Chow 2002, J. Comput. Neurosci. 12:39; SciPy", adaptation),
    Case("ssn_ring", "Stabilized supralinear ring", "Rubin, Van Hooser and Miller 2015, Neuron "
         "85:402; SciPy", ssn_ring),
    Case("ssn_line", "Stabilized supralinear line: suppression by size",
         "Rubin, Van Hooser and Miller 2015, Neuron 85:402, exponent 2; SciPy", ssn_line),
    Case("ssn_four_types", "Supralinear network of four types of cells",
         "Kuchibhotla et al. 2017, Nat. Neurosci. 20:62; SciPy", ssn_four_types),
    Case(
        "ssn_stochastic", "Stochastic supralinear network in its linear theory",
        "Hennequin et al. 2018, Neuron 98:846; SciPy: fixed point and Lyapunov equation; ours: the "
        "same equation of ratenet's Jacobian and noise strengths",
        ssn_stochastic,
    ),
    Case("wilson_cowan", "Wilson-Cowan populations, active state",
         "Wilson and Cowan 1972, Biophys. J. 12:1; SciPy", wilson_cowan_states),
    Case("wilson_cowan_cycle", "Wilson-Cowan populations, limit cycle",
         "Wilson and Cowan 1972, Biophys. J. 12:1; SciPy", wilson_cowan_cycle, slow=True),
    Case("wong_wang", "Decision network", "Wong and Wang 2006, J. Neurosci. 26:1314; SciPy",
         wong_wang),
    Case(
        "inhibition_stabilized", "Inhibition-stabilized pair, paradoxical response",
        "Tsodyks et al. 1997, J. Neurosci. 17:4382; closed form: r = (1 - W)^-1 x",
        inhibition_stabilized,
    ),
    Case("balanced_amplification", "Balanced amplification",
         "Murphy and Miller 2009, Neuron 61:635; amplification by SciPy's matrix exponential",
         balanced_amplification),
    Case(
        "ring_attractor", "Ring attractor, 1000 units beside infinitely many",
        "Ben-Yishai, Bar-Or and Sompolinsky 1995, PNAS 92:3844; closed form of the bump, its edge "
        "by SciPy",
        ring_attractor,
    ),
    Case(
        "hopfield", "Continuous Hopfield network, recall",
        "Hopfield 1984, PNAS 81:3088; one pattern: v = 0.99 tanh(4 v), closed form; three: SciPy",
        hopfield,
    ),
    Case(
        "chaotic", "Random network, regular and chaotic",
        "Sompolinsky, Crisanti and Sommers 1988, Phys. Rev. Lett. 61:259; SciPy on the same "
        "weights (seed 0): eigenvalues, variational equation",
        chaotic, slow=True,
    ),
    Case(
        "low_rank", "Low-rank network: overlap of its state with the structure",
        "Mastrogiuseppe and Ostojic 2018, Neuron 99:609; self-consistent equation for infinitely "
        "many units, by SciPy, allowed three SDs over seeds at 1000; SciPy on the same weights "
        "(seed 0)",
        low_rank,
    ),
    Case("released", "Synaptic facilitation and depression, u x r",
         "Mongillo, Barak and Tsodyks 2008, Science 319:1543; closed form", released),
    Case(
        "synaptic_currents", "Slow synapses: eigenvalues, and the share of NMDA at the Hopf point",
        "Tegner, Compte and Wang 2002, Biol. Cybern. 87:471; closed form: roots of the loop's "
        "characteristic polynomial",
        synaptic_currents,
    ),
    Case("flip_flop", "RNN that holds three bits", "Sussillo and Barak 2013, Neural Comput. "
         "25:626: a stable fixed point for each memory", flip_flop, slow=True),
)  # fmt: skip
