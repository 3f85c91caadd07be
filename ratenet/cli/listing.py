"""Lists of named things with their settings: one mechanism for every registry."""

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratenet.equations.registry import Registry


def print_names(registry: "Registry[Any]") -> None:
    """Print a line for each name: what it is called with its settings' defaults, and what it is."""
    lines = {_with_defaults(registry, name): _about(registry, name) for name in registry.names}
    for called, about in lines.items():
        print(f"{called}\n    {about}")


def print_one(registry: "Registry[Any]", name: str) -> None:
    """Print what is said of a name, and its settings with their defaults."""
    from ratenet.validation import descriptions

    print(f"{_with_defaults(registry, name)}\n    {registry.about(name)}")
    said = descriptions(registry.maker_of(name))
    for setting, default in registry.settings(name).items():
        shown = "required" if default is inspect.Parameter.empty else f"default {_shown(default)}"
        about = f": {said[setting]}" if setting in said else ""
        print(f"{setting} ({shown}){about}")


def _about(registry: "Registry[Any]", name: str) -> str:
    """Return a line about a name; of a package that cannot be imported, why."""
    from ratenet.errors import RatenetError

    try:
        return registry.about(name)
    except RatenetError as error:
        return str(error)


def _with_defaults(registry: "Registry[Any]", name: str) -> str:
    from ratenet.errors import RatenetError

    try:
        settings = registry.settings(name)
    except RatenetError:  # of a package that cannot be imported
        return name
    said = [f"{setting}={_shown(default)}" for setting, default in settings.items()]
    return f"{name}({', '.join(said)})" if said else name


def _shown(default: Any) -> str:
    """Return a default as it is written."""
    from ratenet.equations.terms import as_value

    if default is inspect.Parameter.empty:
        return "..."
    return as_value(default) or repr(default)
