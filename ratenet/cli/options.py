"""Options that several commands have, each checked where it is given, before anything is loaded.

A check names the option as it is written in Python: ``--record-every 0`` is about record_every.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ratenet.errors import InputError
from ratenet.files import FIGURE_FORMATS

SHORTEST, LONGEST = 1e-6, 1e12  # ms: a nanosecond, 30 years
_NO_PATH = Path("\0")


def path(help: str, *, name: str | None = None) -> Any:
    """Return an option that is the path of a file or folder; `name` if its variable has another."""
    check = _check("the path of a file or folder", lambda given: given != _NO_PATH)
    names = () if name is None else (name,)
    return typer.Option(*names, help=help, parser=_path, metavar="PATH", callback=check)


def _path(text: str | Path) -> Path:
    """Return a path; not the current folder, which Path("") is, where nothing was given."""
    return Path(text) if str(text).strip() else _NO_PATH


def whole(help: str, *, least: int = 1, most: float = math.inf) -> Any:
    """Return an option that is a whole number."""
    if most == math.inf:
        expected = f"a whole number of at least {least}"
    else:
        expected = f"a whole number from {least} to {most}"
    return typer.Option(help=help, callback=_check(expected, lambda n: least <= n <= most))


def above_zero(help: str, *, below: float = math.inf) -> Any:
    """Return an option that is a finite number above 0."""
    expected = "a finite number above 0" + (f" and below {below:g}" if below < math.inf else "")
    return typer.Option(help=help, callback=_check(expected, lambda x: 0 < x < below))


def not_negative(help: str) -> Any:
    """Return an option that is a finite number of at least 0."""
    expected = "a finite number of at least 0"
    return typer.Option(help=help, callback=_check(expected, lambda x: 0 <= x < math.inf))


def milliseconds(help: str) -> Any:
    """Return an option that is a time in milliseconds."""
    expected = f"a time from {SHORTEST:g} to {LONGEST:g} ms"
    return typer.Option(help=help, callback=_check(expected, lambda x: SHORTEST <= x <= LONGEST))


def seed(help: str) -> Any:
    """Return an option that is a seed, as torch and NumPy take it."""
    expected = "a whole number from 0 to 2**63 - 1"
    return typer.Option(help=help, callback=_check(expected, lambda n: 0 <= n < 2**63))


def _check(expected: str, fits: Callable[[Any], bool]) -> Callable[[typer.CallbackParam, Any], Any]:
    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value is not None and not fits(value):  # NaN fits nowhere
            got = "" if value == _NO_PATH else value
            raise InputError.at(
                param.opts[-1].lstrip("-").replace("-", "_"), got=got, expected=expected
            )
        return value

    return check


def given(context: typer.Context) -> list[str]:
    """Return the names of the options that stand on the command line."""
    source = context.get_parameter_source
    return [name for name in context.params if getattr(source(name), "name", "") == "COMMANDLINE"]


ModelOrCircuit = Annotated[
    str, typer.Argument(help="Name of a circuit or a model, or path of a .toml file.")
]
Units = Annotated[
    int | None, whole("Number of units (N) of a model, or of a circuit that takes it; default 100.")
]
Radius = Annotated[
    float | None, not_negative("Spectral radius of the random weights of a model; default 0.5.")
]
Drive = Annotated[
    str | None,
    typer.Option(
        help="Constant drive of all units: a number in SI units, or a quantity such as `5*mV`; "
        "`1*mV,5*mV` are two stimuli. Default: the circuit's own, or random.",
        metavar="VALUE",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
FigureFormat = Annotated[
    str,
    typer.Option(
        "--format",
        help="Format of figures: png, pdf or svg.",
        metavar="FORMAT",
        callback=_check("png, pdf or svg", lambda form: form in FIGURE_FORMATS),
    ),
]
