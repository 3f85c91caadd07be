"""Lists of named things with their settings: one mechanism for every registry."""

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratenet.equations.registry import Registry


def print_names(registry: "Registry[Any]", more: "Callable[[str], str] | None" = None) -> None:
    """Print each name with its settings' defaults, what it is, and more of it.

    Where a package cannot be imported, the reason stands in its place.
    """
    from ratenet.errors import RatenetError

    for name in registry.names:
        try:
            lines = [_with_defaults(registry, name), f"    {registry.about(name)}"]
            lines += [] if more is None else [f"    {more(name)}"]
        except RatenetError as error:
            lines = [name, f"    {error}"]
        print("\n".join(lines))


def print_one(registry: "Registry[Any]", name: str) -> None:
    """Print what is said of a name, and its settings with their defaults."""
    from ratenet.validation import descriptions

    print(f"{_with_defaults(registry, name)}\n    {registry.about(name)}")
    said = descriptions(registry.maker_of(name))
    for setting, default in registry.settings(name).items():
        shown = "required" if default is inspect.Parameter.empty else f"default {_shown(default)}"
        about = f": {said[setting]}" if setting in said else ""
        print(f"{setting} ({shown}){about}")


def _with_defaults(registry: "Registry[Any]", name: str) -> str:
    settings = registry.settings(name)
    said = [f"{setting}={_shown(default)}" for setting, default in settings.items()]
    return f"{name}({', '.join(said)})" if said else name


def _shown(default: Any) -> str:
    """Return a default as it is written."""
    from ratenet.equations.terms import as_value

    if default is inspect.Parameter.empty:
        return "..."
    return as_value(default) or repr(default)
