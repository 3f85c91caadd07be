"""Folds and Hopf points of others, each beside what ratenet's continuation finds."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar

import ratenet as rn
from ratenet import circuits

HOPF_BETWEEN = ((3.0, 4.0), (7.0, 8.0))  # rates E in Hz


class Value(NamedTuple):
    """One number, twice.

    Attributes
    ----------
    what : str
    theirs, ours : float
    allowed : float
        Largest difference: what the digits of `theirs` leave open, or rounding and tolerances.
    """

    what: str
    theirs: float
    ours: float
    allowed: float


def special_points(branch: rn.Branch, expected: list[tuple[str, float, float]]) -> list[Value]:
    """Return the special points of a branch beside expected kinds, values and tolerances.

    Raises
    ------
    ValueError
        If there are others, or they are of another kind.
    """
    kinds = [point.kind.value for point in branch.special]
    if kinds != [kind for kind, *_ in expected] or not branch.ended.complete:
        raise ValueError(f"expected {expected}, found {branch}")
    return [
        Value(kind, theirs, point.value, allowed)
        for (kind, theirs, allowed), point in zip(expected, branch.special, strict=True)
    ]


def along_drive_of(network: rn.Network, unit: int, start: float, stop: float) -> rn.Branch:
    direction = [float(index == unit) for index in range(network.units)]
    nothing = [0.0] * network.units
    return rn.continue_fixed_points(
        network, nothing, rn.DriveShift(direction), start=start, stop=stop
    )


def jansen_rit() -> list[Value]:
    branch = along_drive_of(circuits.jansen_rit().network, 1, -60.0, 400.0)
    return special_points(
        branch,
        [
            ("fold", 113.586, 5e-4),
            ("fold", -41.3014, 5e-5),
            ("Hopf", -12.1475, 5e-5),
            ("Hopf", 89.829, 5e-4),
            ("Hopf", 315.696, 5e-4),
        ],
    )


def tsodyks_markram(alpha: float) -> rn.Network:
    """Return the mean field of Cortes et al. 2013: one population with both kinds of plasticity."""
    model = rn.ModelSpec(
        name="tsodyks_markram",
        equations="""
        dE/dt = (-E + alpha*softplus((I_rec + I_ext)/alpha)) / tau : Hz
        dx/dt = (1 - x)/tau_D - u*x*E : 1
        du/dt = (U - u)/tau_F + U*(1 - u)*E : 1
        I_rec : Hz
        I_ext : Hz
        """,
        output="u*x*E",
        recurrent="I_rec",
        drive="I_ext",
        parameters={
            "alpha": f"{alpha}*Hz", "tau": "13*ms", "tau_D": "200*ms", "tau_F": "1.5*second",
            "U": 0.3,
        },
    )  # fmt: skip
    return rn.Network(model, [[3.07]])


def synaptic_mean_field() -> list[Value]:
    """Beside SciPy: with E given, u, x and then the drive follow; Hopf where Re lambda = 0."""
    J, alpha, tau, tau_D, tau_F, U = 3.07, 1.5, 0.013, 0.2, 1.5, 0.3

    def drive(E: float) -> float:
        u = U * (1 + tau_F * E) / (1 + U * tau_F * E)
        return alpha * np.log(np.expm1(E / alpha)) - J * u * E / (1 + u * tau_D * E)

    def growth(E: float) -> float:
        """Return the largest real part of the Jacobian's complex eigenvalues."""
        u = U * (1 + tau_F * E) / (1 + U * tau_F * E)
        x = 1 / (1 + u * tau_D * E)
        g = 1 - np.exp(-E / alpha)  # slope of the softplus where it is E
        values = np.linalg.eigvals([
            [(-1 + g * J * u * x) / tau, g * J * u * E / tau, g * J * x * E / tau],
            [-u * x, -1 / tau_D - u * E, -x * E],
            [U * (1 - u), 0, -1 / tau_F - U * E],
        ])  # fmt: skip
        return float(values[values.imag > 0].real.max())

    low = minimize_scalar(drive, bounds=(3.0, 5.0), method="bounded", options={"xatol": 1e-9})
    high = minimize_scalar(
        lambda E: -drive(E), bounds=(0.8, 2.0), method="bounded", options={"xatol": 1e-9}
    )
    hopf = [drive(brentq(growth, *ends)) for ends in HOPF_BETWEEN]
    rest = {"E": 0.238616, "x": 0.982747, "u": 0.367876}
    branch = rn.continue_fixed_points(
        tsodyks_markram(alpha), [0.0], rn.DriveShift([1.0]), start=-4.0, stop=-0.9, initial=rest
    )
    expected = [("fold", -high.fun, 1e-8), ("Hopf", hopf[0], 1e-7), ("fold", low.fun, 1e-8),
                ("Hopf", hopf[1], 1e-7)]  # fmt: skip
    theirs = Value("first fold, by BifurcationKit", -1.46309794, branch.special[0].value, 7.1e-5)
    return [*special_points(branch, expected), theirs]


def giannakopoulos_zapp() -> list[Value]:
    model = rn.ModelSpec(
        name="giannakopoulos_zapp",
        equations="""
        dx/dt = (-x + I_rec + I_ext) / tau : 1
        I_rec : 1
        I_ext : 1
        """,
        output="S(x)",
        recurrent="I_rec",
        drive="I_ext",
        functions={"S": "sigmoid(4*u) - 0.5"},
        parameters={"tau": "1*second"},
    )
    branch = along_drive_of(rn.Network(model, [[2.6, 0.0], [1.0, 0.0]]), 0, -1.0, 1.0)
    return special_points(branch, [("fold", 0.49136684, 6e-9), ("fold", -0.49136684, 6e-9)])
