"""Lists of named things with their settings: one mechanism for every registry."""

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratenet.equations.registry import Registry


def print_names(registry: "Registry[Any]", more: "Callable[[str], str]") -> None:
    """Print a line for each name: what it is, its settings with their defaults, and more of it.

    Where a package cannot be imported, the line says why.
    """
    from ratenet.errors import RatenetError

    width = max(map(len, registry.names))
    for name in registry.names:
        try:
            settings = _with_defaults(registry, name)
            parts = [registry.about(name).removesuffix("."), settings, more(name)]
            line = "; ".join(filter(None, parts))
        except RatenetError as error:
            line = str(error)
        print(f"{name:<{width}}  {line}")


def print_one(registry: "Registry[Any]", name: str) -> None:
    """Print what is said of a name, and its settings with their defaults."""
    from ratenet.validation import descriptions

    print(f"{name}: {registry.about(name)}")
    said = descriptions(registry.maker_of(name))
    for setting, default in registry.settings(name).items():
        shown = "required" if default is inspect.Parameter.empty else f"default {_shown(default)}"
        about = f": {said[setting]}" if setting in said else ""
        print(f"  {setting} ({shown}){about}")


def _with_defaults(registry: "Registry[Any]", name: str) -> str:
    said = [f"{each}={_shown(default)}" for each, default in registry.settings(name).items()]
    return f"settings: {', '.join(said)}" if said else ""


def _shown(default: Any) -> str:
    """Return a default as it is written."""
    from ratenet.equations.terms import as_value

    if default is inspect.Parameter.empty:
        return "..."
    return as_value(default) or repr(default)
