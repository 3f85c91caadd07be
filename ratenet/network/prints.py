"""How a network prints: a line at a prompt, a table with its equations in a notebook."""

from html import escape
from typing import TYPE_CHECKING

from ratenet.equations.latex import equations_latex
from ratenet.equations.units import Quantity

if TYPE_CHECKING:
    from ratenet.network.network import Network


def as_line(network: "Network") -> str:
    """Return model, units, parameters and weights of a network in a line."""
    sizes = ", ".join(f"{name} {p.stop - p.start}" for name, p in network.populations.items())
    units = f"{network.units} units" + (f" ({sizes})" if sizes else "")
    values = ", ".join(f"{name} = {_value(network, name)}" for name in network.parameters)
    parts = [units, *([values] if values else []), repr(network.connectivity)]
    return f"Network({network.model.name}: {'; '.join(parts)})"


def as_table(network: "Network") -> str:
    """Return the same as a table in HTML, with the equations in LaTeX."""
    model = network.model
    sizes = ", ".join(f"{name}: {p.stop - p.start}" for name, p in network.populations.items())
    rows = {
        "equations": f"<div>$${escape(equations_latex(model))}$$</div>",
        "units": escape(sizes or str(network.units)),
        "weights": escape(repr(network.connectivity)),
        **{escape(name): escape(_value(network, name)) for name in network.parameters},
    }
    cells = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{escape(model.title or model.name)}</caption>{cells}</table>"


def _value(network: "Network", name: str) -> str:
    """Return a parameter's value with its unit, or the range of its values."""
    values, unit = network.parameters[name].detach(), network.model.dimensions(name)
    ends = [values] if values.ndim == 0 else [values.min(), values.max()]
    return " to ".join(str(Quantity(float(end), dim=unit)) for end in ends)
