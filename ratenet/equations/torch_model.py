"""From a ModelSpec to torch functions: right-hand side, output, gain and Jacobian blocks."""

import functools
from dataclasses import dataclass

import sympy

from ratenet.equations.spec import ModelSpec
from ratenet.equations.symbolic import FUNCTIONS, symbol
from ratenet.equations.torch_expressions import TorchExpressions

DT = symbol("dt")  # the length of a step; no name in a model is called so


@dataclass(frozen=True)
class TorchModel:
    """The functions of one model; each takes a mapping from names to tensors.

    Attributes
    ----------
    right_hand_sides : TorchExpressions
        F, one entry for each of the k state variables, in units of the state a second.
    euler, exponential_euler : TorchExpressions
        The state after a step of length dt, k entries each; the second raises UnsupportedError
        where the method does not fit.
    output : TorchExpressions
        The transmitted variable y = rho(s), one entry.
    noise_strengths : TorchExpressions
        dF_i / d xi_j, k x J entries, row by row.
    own_rates : TorchExpressions
        M of F_k = M s_k + B, in 1/s; raises UnsupportedError where there is none.
    blocks : TorchExpressions
        F_s (k x k entries, row by row), F_I (k entries) and rho_s (k entries).
    response_parts : TorchExpressions
        What a unit's Newton step and its response need: F_s (k x k entries, row by row), F and
        F_I (k entries each), rho_s (k entries). For k = 1 the step -F / F_s stands in place of F,
        which for r' = (-r + f)/tau is -r + f, and the response -F_I / F_s in place of F_I.
    """

    spec: ModelSpec

    @functools.cached_property
    def right_hand_sides(self) -> TorchExpressions:
        """F, compiled when it is first used."""
        return TorchExpressions(self.spec.right_hand_sides, [self.spec.recurrent])

    @functools.cached_property
    def euler(self) -> TorchExpressions:
        """S + dt F, compiled when it is first used."""
        return self._steps([sympy.S.One] * len(self.spec.states))

    @functools.cached_property
    def exponential_euler(self) -> TorchExpressions:
        """S + dt F (e^a - 1) / a with a = M dt, compiled when it is first used."""
        return self._steps([FUNCTIONS["exprel"](DT * rate) for rate in self.spec.own_rates])

    def _steps(self, growth: list[sympy.Expr]) -> TorchExpressions:
        rows = zip(self.spec.states, growth, self.spec.right_hand_sides, strict=True)
        ends = [symbol(state) + DT * grown * F for state, grown, F in rows]
        return TorchExpressions(ends, [self.spec.recurrent])

    @functools.cached_property
    def output(self) -> TorchExpressions:
        """The transmitted variable, compiled when it is first used."""
        return TorchExpressions([self.spec.output_expression])

    @functools.cached_property
    def noise_strengths(self) -> TorchExpressions:
        """What the white noises are multiplied by, compiled when it is first used."""
        return TorchExpressions([entry for row in self.spec.noise_strengths for entry in row])

    @functools.cached_property
    def own_rates(self) -> TorchExpressions:
        """M, compiled when it is first used."""
        return TorchExpressions(self.spec.own_rates)

    @functools.cached_property
    def response_parts(self) -> TorchExpressions:
        """F_s, the step or F, the response or F_I, and rho_s; compiled when first used."""
        F_s, spec = self._own_derivatives, self.spec
        rows = [*spec.right_hand_sides, *spec.input_derivatives]
        if len(F_s) == 1:  # SymPy cancels what they have in common
            rows = [sympy.nan if F_s[0].is_zero else -row / F_s[0] for row in rows]
        return TorchExpressions([*F_s, *rows, *spec.output_derivatives], [spec.recurrent])

    @functools.cached_property
    def blocks(self) -> TorchExpressions:
        """F_s, F_I and rho_s, compiled when they are first used."""
        inputs, outputs = self.spec.input_derivatives, self.spec.output_derivatives
        return TorchExpressions([*self._own_derivatives, *inputs, *outputs])

    @property
    def _own_derivatives(self) -> list[sympy.Expr]:
        return [entry for row in self.spec.state_derivatives for entry in row]


@functools.lru_cache(maxsize=64)
def translate(spec: ModelSpec) -> TorchModel:
    """Return the torch functions of a model (cached: a spec is hashable)."""
    return TorchModel(spec)
