"""Names in a model: how they are formed, which are taken, what an unknown one may mean."""

import keyword
import re
import unicodedata
from collections.abc import Iterable

from ratenet.equations.functions import BEYOND_BRIAN2
from ratenet.equations.units import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS
from ratenet.errors import ModelError, UnknownNameError

_OF_EQUATIONS = (
    *("t", "dt", "t_in_timesteps", "xi", "i", "N"),
    *("not_refractory", "refractory", "refractory_until"),
)


def check_name(name: str, where: str) -> None:
    """Refuse a name that is not letters, digits and underscores with a letter first."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ModelError.at(
            where,
            got=name,
            expected="a name",
            remedy="use the letters a to z and A to Z, digits and underscores, a letter first",
        )


def has_control_characters(text: str) -> bool:
    """Return whether a string holds what a terminal would obey or hide; line breaks may be."""
    lines = text.replace("\r\n", "\n").replace("\n", "").replace("\t", "")
    return any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in lines)


def check_identifier(name: str, where: str) -> None:
    """Refuse a name that a variable, parameter or function cannot have."""
    check_name(name, where)
    use = _taken_for(name)
    if use:
        raise ModelError(f"{where}: {name!r} is {use}; choose another name.", argument=where)


def _taken_for(name: str) -> str:
    """Return what a name stands for already, "" for a name that is free."""
    if name in _OF_EQUATIONS or name.startswith("xi_"):
        return "a name that Brian2's equations reserve"
    if name in BEYOND_BRIAN2 or name in DEFAULT_FUNCTIONS:
        return "the name of a function"
    if name in DEFAULT_UNITS:
        return "the name of a unit"
    if name in DEFAULT_CONSTANTS:
        return "the name of a constant"
    if keyword.iskeyword(name):
        return "a keyword of Python"
    if name.endswith(("_pre", "_post")):
        return "kept by Brian2 for synapses, as all names that end in _pre or _post"
    if name.startswith("ratenet_"):
        return "kept by ratenet, as all names that begin with ratenet_"
    return ""


def unknown_name(kind: str, name: str, known: Iterable[str], where: str, remedy: str) -> ModelError:
    """Return the error for a name that is not defined, with the one that may be meant."""
    error = UnknownNameError.among(kind, name, known, remedy)
    sentence = str(error)
    return ModelError(
        f"{where}: {sentence[0].lower()}{sentence[1:]}",
        argument=where,
        got=name,
        expected=error.expected,
    )
