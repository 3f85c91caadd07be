"""The public names of ratenet, as its stubs and the packages that it names export them."""

import ast
import inspect
import types
from importlib import import_module
from pathlib import Path
from typing import Any

import ratenet as rn
from ratenet import errors


def exports(package: types.ModuleType) -> list[str]:
    """Return what a package imports on purpose: `from a import b as b`."""
    nodes = ast.walk(ast.parse(Path(str(package.__file__)).read_text()))
    imports = [name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names]
    return [f"{package.__name__}.{name.name}" for name in imports if name.asname == name.name]


def public_names() -> list[str]:
    """Return the names of ratenet, of the packages that it names, and of its errors.

    The figures of the paper are commands, and linear algebra is for the other rooms.
    """
    names = [f"ratenet.errors.{name}" for name, kind in vars(errors).items() if type(kind) is type]
    for name in set(rn.__all__) - {"reproduce", "linear_algebra"}:
        found = getattr(rn, name)
        names += exports(found) if isinstance(found, types.ModuleType) else [f"ratenet.{name}"]
    return sorted(names)


def public_objects() -> dict[str, Any]:
    """Return each public class and function once, by the name of the place where it is written."""
    found = {}
    for name in public_names():
        module, _, short = name.rpartition(".")
        thing = getattr(import_module(module), short)
        if inspect.isclass(thing) or inspect.isroutine(inspect.unwrap(thing)):
            found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return dict(sorted(found.items()))
