"""How a network prints: a line at a prompt, a table with its equations in a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ratenet.connectivity import AbstractConnectivity
from ratenet.equations import JointSpec, ModelSpec
from ratenet.equations.latex import equations_latex
from ratenet.equations.units import Quantity
from ratenet.errors import counted
from ratenet.notebook import formula, table


@dataclass(frozen=True)
class Shown:
    """What is printed of a network."""

    model: ModelSpec | JointSpec
    connectivity: AbstractConnectivity
    parameters: Mapping[str, Tensor]
    populations: Mapping[str, slice]

    def line(self) -> str:
        """Return model, units, parameters and weights in a line."""
        sizes = ", ".join(f"{name} {p.stop - p.start}" for name, p in self.populations.items())
        units = counted(self.connectivity.shape[0], "unit") + (f" ({sizes})" if sizes else "")
        values = ", ".join(f"{name} = {self._value(name)}" for name in self.parameters)
        parts = [units, *([values] if values else []), repr(self.connectivity)]
        return f"Network({self.model.name}: {'; '.join(parts)})"

    def table(self) -> str:
        """Return the same as a table in HTML, with the equations in LaTeX."""
        sizes = ", ".join(f"{name}: {p.stop - p.start}" for name, p in self.populations.items())
        rows = {
            "equations": formula(equations_latex(self.model)),
            "units": sizes or str(self.connectivity.shape[0]),
            "weights": repr(self.connectivity),
            **{name: self._value(name) for name in self.parameters},
        }
        return table(self.model.title or self.model.name, rows)

    def _value(self, name: str) -> str:
        """Return a parameter's value with its unit, or the range of its values."""
        values, unit = self.parameters[name].detach(), self.model.dimensions(name)
        ends = [values] if values.ndim == 0 else [values.min(), values.max()]
        # By the digits of its own type: float32 holds 10 ms as 9.99999978 ms.
        return " to ".join(str(Quantity(float(str(end.cpu().numpy())), dim=unit)) for end in ends)
