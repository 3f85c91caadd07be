"""One plasticity rule in both simulators, and in torch's two ways of computing it."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ratenet.conformance.answers import Check, relative_error
from ratenet.equations import ModelSpec, PlasticitySpec, load_plasticity
from ratenet.equations.units import second, unit_text
from ratenet.network import Network
from ratenet.simulation import Trajectory, simulate
from ratenet.simulation.plasticity import Plasticity, PlasticState, bind

UNITS, STREAMS, STEPS = 5, 2, 1000
BOUND = 1e-11  # relative, after so many steps


def check_plasticity(
    rule: PlasticitySpec | str | Path, seed: int = 0, *, steps: int | None = None
) -> list[Check]:
    """Return what every check finds for a plasticity rule.

    Parameters
    ----------
    rule : PlasticitySpec, str or Path
        A string or path is looked up with `load_plasticity`.
    seed : int
        Seed of the small random network, its stimuli and the rule's signals.
    steps : int
        Steps of the simulations; default 1,000.

    Returns
    -------
    list of Check
        The two simulators with weights of each stimulus, and with shared ones; matrix products
        against synapse by synapse.

    Raises
    ------
    ModelError, UnknownNameError
        If the rule cannot be loaded.
    UnsupportedError
        If Brian2 has no equivalent.

    Examples
    --------
    >>> [check.passed for check in check_plasticity("oja", steps=20)]
    [True, True, True]
    """
    spec = load_plasticity(rule)
    case = _Case(spec, seed, STEPS if steps is None else steps)
    return [case.same("own"), case.same("shared"), case.products()]


class _Case:
    def __init__(self, spec: PlasticitySpec, seed: int, steps: int) -> None:
        self.spec, self.steps = spec, steps
        generator = np.random.default_rng(seed)
        units = _listed(spec) or UNITS
        weights = 0.5 * generator.standard_normal((units, units)) / units**0.5
        self.network = Network(_model(spec), weights)
        self.drive = generator.uniform(0.1, 1.0, (STREAMS, units))
        self.first = {name: generator.uniform(0.1, 0.9, units) for name in spec.unit_variables}
        self.phases = {name: generator.uniform(0, 2 * math.pi) for name, _ in spec.signals}
        times = [p for p in spec.defaults.values() if p.dimensions == second.dim]
        shortest = min((float(np.min(p.values({}, units, 0))) for p in times), default=0.01)
        self.dt = 0.02 * min(shortest, 0.01)

    def same(self, weights: str) -> Check:
        """Compare the two simulators; shared weights with one stimulus, as Brian2 has them."""
        streams = STREAMS if weights == "own" else 1
        runs = [self._run(weights, backend, streams) for backend in ("torch", "brian2")]
        finals = [_joined(run) for run in runs]
        pairs = [(run.rates, other.rates) for run, other in [runs]]
        pairs += [(finals[0][name], finals[1][name]) for name in finals[0]]
        error = max(relative_error(found, expected) for found, expected in pairs)
        sentence = f"torch against Brian2, {self.steps} steps, rates and all variables"
        return Check(f"weights={weights!r} in both backends", sentence, error, BOUND)

    def _run(self, weights: str, backend: str, streams: int) -> Trajectory:
        return simulate(
            self.network, self.drive[:streams], self.steps * self.dt, self.dt,
            backend=backend, plasticity=self.spec, weights=weights, record_every=self.steps,
            initial_plasticity=self.first, signals=self._signals(),
        )  # fmt: skip

    def _signals(self) -> dict[str, Callable[[float], float]]:
        period = self.steps * self.dt / 3

        def wave(phase: float) -> Callable[[float], float]:
            return lambda t: 1 + math.sin(2 * math.pi * t / period + phase)

        return {name: wave(phase) for name, phase in self.phases.items()}

    def products(self) -> Check:
        """Compare right-hand sides that part into factors with those synapse by synapse."""
        name = "matrix products"
        signals, y = self._signals(), torch.as_tensor(0.5 * self.drive)
        rule = bind(self.spec, self.network, STREAMS, "shared", signals, self.first)
        if all(terms is None for terms in rule.terms.values()):
            return Check(name, "the right-hand sides do not part: they run synapse by synapse")
        found, expected = (self._after_steps(rule, y, parted=way) for way in (True, False))
        error = max(relative_error(found[n], expected[n]) for n in found)
        return Check(name, "against synapse by synapse, shared weights", error, BOUND)

    def _after_steps(self, rule: Plasticity, rates: Tensor, *, parted: bool) -> dict[str, Tensor]:
        """Return the variables after three steps."""
        first = {name: value.clone() for name, value in rule.initial.items()}
        rule = dataclasses.replace(rule, initial=first)
        if not parted:
            rule.__dict__["terms"] = dict.fromkeys(rule.terms)  # in place of the cached property
        state = PlasticState(rule)
        for _ in range(3):
            state.advance(rates, 0.0, 10 * self.dt)  # a fifth of the shortest time constant
        return state.values


def _joined(run: Trajectory) -> dict[str, Tensor]:
    assert run.plasticity is not None
    return run.plasticity.final


def _model(spec: PlasticitySpec) -> ModelSpec:
    """Return a saturating rate model in the units of a rule."""
    rate, weight = spec.output_dimensions, spec.weight_dimensions
    r, current = unit_text(rate), unit_text(rate * weight)
    return ModelSpec(
        name="saturating",
        equations=f"""
        dr/dt = (-r + r_1*tanh((I_rec + I_ext) / I_1)) / tau : {r}
        I_rec : {current}
        I_ext : {current}
        """,
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        parameters={"tau": "10*ms", "r_1": _one(r), "I_1": _one(current)},  # type: ignore[arg-type]
    )


def _one(unit: str) -> str | float:
    return 1.0 if unit == "1" else f"1*{unit}"


def _listed(spec: PlasticitySpec) -> int:
    """Return how many units a list among the parameters is for; 0 where there is none."""
    entries = [parameter.entries.get(None) for parameter in spec.defaults.values()]
    return max((np.size(e) for e in entries if e is not None and np.ndim(e)), default=0)  # type: ignore[arg-type]
