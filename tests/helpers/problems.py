"""Named problems with known answers: a network, its drive, and the rates at which it must rest.

Each answer is written out here by hand, independently of ratenet's equations and solvers. A problem
makes its network anew at each call, in the dtype that is asked for.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ratenet as rn

FLOAT = torch.float64
# What Brian2 generates its code for; compiling takes some 10 s a network.
TARGETS = ("numpy", pytest.param("cython", marks=pytest.mark.slow))
# Shipped models whose states, weights and drives may be any real numbers.
PLAIN_MODELS = ("adaptation", "linear", "rate", "threshold_linear", "voltage")


def random(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    """Return normal numbers of a seed of their own, so that problems do not depend on order."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=FLOAT)


def random_weights(units: int, seed: int, scale: float = 0.5) -> Tensor:
    """Return W with a spectral radius of about `scale`."""
    return random(units, units, seed=seed, scale=scale / units**0.5)


@dataclass(frozen=True)
class Problem:
    """A network and a drive, with the rates of the fixed point that it settles at.

    Attributes
    ----------
    model : str
    W : Tensor, shape (N, N)
    drive, rates : Tensor, shape (B, N)
        `rates` is None where there is no stable fixed point.
    gain : Tensor, shape (B, N)
        Static gain dy/dI in closed form.
    undamped : bool
        Whether y <- f(W y + x) would converge from zero.
    """

    name: str
    model: str
    W: Tensor
    drive: Tensor
    rates: Tensor | None = None
    gain: Tensor | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    undamped: bool = True

    def network(self, dtype: torch.dtype = FLOAT) -> rn.Network:
        return rn.Network(self.model, self.W.to(dtype, copy=True), parameters=self.parameters)

    def __str__(self) -> str:
        return self.name


def scalar_linear() -> Problem:
    """y = x / (1 - w) for one unit."""
    drive = torch.tensor([[1.0], [-3.0]], dtype=FLOAT)
    W = torch.tensor([[0.5]], dtype=FLOAT)
    return Problem("scalar_linear", "linear", W, drive, 2 * drive, torch.ones_like(drive))


def diagonal() -> Problem:
    """Units without a neighbour: y_i = x_i / (1 - w_i)."""
    weights = torch.tensor([0.9, 0.5, 0.0, -0.5, -4.0], dtype=FLOAT)
    drive = random(3, 5, seed=1)
    rates = drive / (1 - weights)
    return Problem(
        "diagonal", "linear", weights.diag(), drive, rates, torch.ones_like(drive), undamped=False
    )


def linear(units: int = 12, samples: int = 4) -> Problem:
    """y = (I - W)^{-1} x."""
    W, drive = random_weights(units, seed=2), random(samples, units, seed=3)
    rates = torch.linalg.solve(torch.eye(units, dtype=FLOAT) - W, drive.T).T
    return Problem("linear", "linear", W, drive, rates, torch.ones_like(rates))


def chosen_rates(samples: int, units: int, seed: int) -> Tensor:
    """Return rates inside (-0.8, 0.8), to be made the fixed points of a tanh network."""
    return 0.8 * torch.tanh(random(samples, units, seed=seed))


def tanh_problem(name: str, W: Tensor, rates: Tensor, **options: Any) -> Problem:
    """Choose the drive so that the rates are a fixed point: x = atanh(y) - W y."""
    drive = torch.atanh(rates) - rates @ W.T
    return Problem(name, "rate", W, drive, rates, 1 - rates**2, **options)


def tanh_rates() -> Problem:
    return tanh_problem("tanh", random_weights(12, seed=4, scale=0.8), chosen_rates(4, 12, seed=5))


def voltage() -> Problem:
    """The v-form of a tanh network: the same rates at the same drive."""
    W, rates = random_weights(10, seed=6, scale=0.7), chosen_rates(3, 10, seed=7)
    drive = torch.atanh(rates) - rates @ W.T
    return Problem("voltage", "voltage", W, drive, rates, 1 - rates**2)


def threshold_linear() -> Problem:
    """Half of the units silent: y = max(z, 0), with the input z chosen below 0 for them."""
    W, z = random_weights(8, seed=8), random(3, 8, seed=9)
    z[:, ::2] = -z[:, ::2].abs() - 0.1  # silent
    z[:, 1::2] = z[:, 1::2].abs() + 0.1  # active
    rates = z.clamp(min=0.0)
    drive = z - rates @ W.T
    return Problem("threshold_linear", "threshold_linear", W, drive, rates, (z > 0).to(FLOAT))


def adaptation() -> Problem:
    """Two state variables and two time constants; at rest a = y and y = tanh(I - b y)."""
    b, W, rates = 0.8, random_weights(9, seed=10), chosen_rates(3, 9, seed=11)
    drive = torch.atanh(rates) + b * rates - rates @ W.T
    slope = 1 - rates**2
    parameters = {"b": b, "tau": 0.01, "tau_a": 0.1}
    return Problem("adaptation", "adaptation", W, drive, rates, slope / (1 + b * slope), parameters)


def inhibitory(strength: float) -> Problem:
    """Strong self-inhibition: eigenvalues of G W far below -1, dynamics stable."""
    W = random_weights(10, seed=12) - strength * torch.eye(10, dtype=FLOAT)
    rates = 0.5 * chosen_rates(3, 10, seed=13)
    return tanh_problem(f"inhibitory_{strength:g}", W, rates, undamped=False)


def rotation() -> Problem:
    """W = 5 (Q - Q^T): imaginary eigenvalues of large size, dynamics stable."""
    Q = random(8, 8, seed=14, scale=1 / 8**0.5)
    return tanh_problem(
        "rotation", 5 * (Q - Q.T), 0.3 * chosen_rates(3, 8, seed=15), undamped=False
    )


def fast_inhibition(W_ei: float = 6.0) -> Problem:
    """An E/I pair that is stable only since inhibition is fast.

    J = diag(1/tau) (-I + G W). With equal time constants its trace, w_EE - 2, is above 0: a
    repelling spiral, for any damping. With tau_I = tau_E / 10 the trace is below 0.
    """
    W = torch.tensor([[3.0, -W_ei], [W_ei, 0.0]], dtype=FLOAT)
    rates = torch.tensor([[0.1, 0.1], [-0.1, 0.05]], dtype=FLOAT)
    parameters = {"tau": [0.01, 0.001]}
    return tanh_problem("fast_inhibition", W, rates, parameters=parameters, undamped=False)


def limit_cycle() -> Problem:
    """The E/I pair with equal time constants: its only fixed point, zero, repels; it oscillates."""
    W = torch.tensor([[3.0, -6.0], [6.0, 0.0]], dtype=FLOAT)
    return Problem("limit_cycle", "rate", W, torch.zeros(1, 2, dtype=FLOAT), undamped=False)


def no_fixed_point() -> Problem:
    """dr/dt = (-r + r + 1) / tau: the rate grows for ever."""
    W = torch.ones(1, 1, dtype=FLOAT)
    return Problem("no_fixed_point", "linear", W, torch.ones(1, 1, dtype=FLOAT), undamped=False)


FACTORIES: tuple[Callable[[], Problem], ...] = (
    scalar_linear,
    diagonal,
    linear,
    tanh_rates,
    voltage,
    threshold_linear,
    adaptation,
    lambda: inhibitory(10.0),
    lambda: inhibitory(30.0),
    rotation,
    fast_inhibition,
)
PROBLEMS = {problem.name: problem for problem in (factory() for factory in FACTORIES)}


def write_model(folder: Path, equations: str, **entries: Any) -> Path:
    """Write a model file with the roles r, I_rec, I_ext unless said otherwise; return its path.

    `parameters` and `functions` are dictionaries; every other entry is a text.
    """
    texts = {"output": "r", "recurrent": "I_rec", "drive": "I_ext"}
    texts |= {key: value for key, value in entries.items() if isinstance(value, str)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in texts.items()]
    lines += ['name = "test"', 'title = "A model of the tests"', 'source = "tests"']
    lines += [f'equations = """{equations}"""']
    for table in ("functions", "parameters"):
        lines += [f"[{table}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in entries.get(table, {}).items()]
    path = folder / "test.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
