"""How models and plasticity rules are printed; imports no simulator."""

from collections.abc import Iterable, Mapping
from typing import Any

Pairs = Iterable[tuple[str, Any]]


def show(value: Any) -> str:
    """Return the value of a parameter as one writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {show(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def heading(name: str, title: str, source: str) -> str:
    """Return name, title and source in one line."""
    said = f"{name}: {title}" if title not in ("", name) else name
    return " ".join(f"{said} ({source})".split()) if source else " ".join(said.split())


def lines(equations: str, functions: Pairs, parameters: Pairs) -> list[str]:
    """Return equations, functions and parameters, a line each."""
    found = [line.strip() for line in equations.strip().splitlines() if line.strip()]
    found += [f"{name}(u) = {body}" for name, body in functions]
    return [*found, *(f"{name} = {show(value)}" for name, value in parameters)]


def roles_of_model(populations: Pairs, output: str, recurrent: str, drive: str) -> list[str]:
    """Return what else a model file says, a line each."""
    found = [f"population {name}: {size}" for name, size in populations]
    return [*found, f"output {output}, recurrent input {recurrent}, drive {drive}"]


def roles_of_plasticity(signals: Pairs, weight: str) -> list[str]:
    """Return what else a plasticity file says, a line each."""
    return [*(f"signal {name} in {unit}" for name, unit in signals), f"weight {weight}"]


def text_of(table: Mapping[str, Any]) -> str:
    """Return a model or a rule from the table of its file, as printing it shows it."""

    def pairs(key: str) -> Pairs:
        found: Mapping[str, Any] = table.get(key, {})
        return found.items()

    roles = (
        roles_of_model(pairs("populations"), table["output"], table["recurrent"], table["drive"])
        if "output" in table
        else roles_of_plasticity(pairs("signals"), table.get("weight", "w"))
    )
    first = heading(table["name"], table.get("title", ""), table.get("source", ""))
    body = lines(table["equations"], pairs("functions"), pairs("parameters"))
    return "\n".join([first, *body, *roles])
