"""Named things with settings, in one grammar: ``0.5*truncated-adjoint(terms=5)+0.5*hebb``.

    sum      = term ("+" term)*
    term     = [number "*"] (name | own) ["(" [setting ("," setting)*] ")"]
    own      = (FILE.py | package.module) ":" NAME        quotes around a FILE that holds +*(),=
    setting  = key "=" value
    value    = number | quantity such as 20*ms | true | false | none | word | path/with/slashes
               | "anything in quotes"

Nothing is executed here; `ratenet.equations.registry` says what a name means.
"""

import math
import re
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from ratenet.equations.parameters import as_text
from ratenet.equations.quantities import parse_quantity
from ratenet.equations.units import Quantity
from ratenet.errors import InputError, ModelError, shorten

LONGEST = 1000  # characters
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WEIGHT = re.compile(rf"\s*({_NUMBER})\s*\*")
_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)\s*")
_MODULE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_BARE_FILE = r"""(?:[A-Za-z]:)?[^\s:*+(),="'][^:*+(),="'\n]*?\.py"""
_PLACE = rf"""(?:"([^"\n]+\.py)"|'([^'\n]+\.py)'|({_BARE_FILE}|{_MODULE}))"""
_OWN = re.compile(rf"\s*{_PLACE}\s*:\s*([A-Za-z_]\w*)\s*")
_NAMELESS_FILE = re.compile(rf"""\s*["']?{_BARE_FILE}["']?\s*(?:[+(]|$)""")
_QUOTED = re.compile(r"""(["'])([^"'\n]*)\1""")
_SETTING = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*((["'])([^"'\n]*)\3|[^,()=]+?)\s*(,|\))""")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_PATH = re.compile(r"""[^\s*,()="']*[/\\][^*,()="'\n]*""")
_CONSTANTS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Term:
    """One term of a sum: its weight, None where none is written, name and settings.

    The name of the user's own is FILE.py:NAME or package.module:NAME, without quotes.
    """

    weight: float | None
    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether it names the user's own code."""
        return ":" in self.name

    def __str__(self) -> str:
        place, colon, name = self.name.rpartition(":")
        if colon and not _OWN.fullmatch(self.name):
            place = f'"{place}"'
        said = ", ".join(f"{key}={as_value(value)}" for key, value in self.settings.items())
        weight = "" if self.weight is None else f"{self.weight!r}*"
        return f"{weight}{place}{colon}{name}" + (f"({said})" if said else "")


def parse_sum(text: str, where: str) -> list[Term]:
    """Return the terms of a sum.

    Parameters
    ----------
    text : str
    where : str
        What an error begins with, such as "rule".

    Raises
    ------
    InputError
        If the string does not follow the grammar.

    Examples
    --------
    >>> parse_sum("1e-3*bptt(duration=50*ms, start=zero)+hebb", "rule")
    [Term(weight=0.001, name='bptt', settings={'duration': 50. * msecond, 'start': 'zero'}), \
Term(weight=None, name='hebb', settings={})]
    """
    if len(text) > LONGEST:
        raise InputError(f"{where}: more than {LONGEST} characters.", argument=where, got=text)
    terms, at = [], 0
    while True:
        term, at = _term(text, at, where)
        terms.append(term)
        if at == len(text):
            return terms
        if text[at] != "+":
            raise _mistake(text, at, where, "'+' or the end")
        at += 1


def _term(text: str, at: int, where: str) -> tuple[Term, int]:
    """Return the term that begins at a place, and where it ends."""
    weight = None
    if found := _WEIGHT.match(text, at):
        weight, at = float(found[1]), found.end()
    name, end = _name(text, at, where)
    settings: dict[str, Any] = {}
    if text[end : end + 1] == "(":
        settings, end = _settings(text, end + 1, where)
    return Term(weight, name, settings), end


def _name(text: str, at: int, where: str) -> tuple[str, int]:
    """Return the name that begins at a place, and where it ends."""
    if own := _OWN.match(text, at):
        return f"{own[1] or own[2] or own[3]}:{own[4]}", own.end()
    if _NAMELESS_FILE.match(text, at):
        raise _mistake(text, at, where, "what in the file is meant, FILE.py:NAME")
    found = _NAME.match(text, at)
    if not found:
        raise _mistake(text, at, where, "a name, or a number and '*'")
    return found[1], found.end()


def _settings(text: str, at: int, where: str) -> tuple[dict[str, Any], int]:
    """Return the settings in brackets, and where these end."""
    settings: dict[str, Any] = {}
    if found := re.compile(r"\s*\)\s*").match(text, at):
        return settings, found.end()
    while True:
        found = _SETTING.match(text, at)
        if not found:
            raise _mistake(text, at, where, "name=value, and ')' after the last one")
        if found[1] in settings:
            raise InputError(
                f"{where}: {shorten(found[1])} is set twice in {shorten(text)!r}.", argument=where
            )
        settings[found[1]], at = read_value(found[2], f"{where}, {found[1]}"), found.end()
        if found[5] == ")":
            return settings, at + len(text[at:]) - len(text[at:].lstrip())


def read_value(text: str, where: str) -> Any:
    """Return what a setting's value means.

    Raises
    ------
    InputError
        If it is not a number, a quantity, a constant, a word, a path or in quotes.
    """
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    if _WORD.fullmatch(text):
        return text
    try:
        return parse_quantity(text, where)
    except ModelError as error:
        if _PATH.fullmatch(text):
            return text
        raise InputError(str(error), argument=where, got=text) from None


def as_value(value: Any) -> str | None:
    """Return how a setting's value is written; None if the grammar has no way to write it."""
    text = str(value).lower() if value is None or isinstance(value, bool) else None
    if isinstance(value, str):
        is_word = _WORD.fullmatch(value) and value.lower() not in _CONSTANTS
        quoted = f'"{value}"'
        text = value if is_word else quoted if _QUOTED.fullmatch(quoted) else None
    elif isinstance(value, Integral) and text is None:
        text = str(int(value))
    elif isinstance(value, Real) and text is None and math.isfinite(value):
        text = repr(float(value))
    elif isinstance(value, Quantity) and value.ndim == 0:
        text = str(as_text(value, "value"))
    return text


def _mistake(text: str, at: int, where: str, expected: str) -> InputError:
    rest = text[at:].strip()
    found = f"{shorten(rest)!r}" if rest else "the end"
    return InputError(
        f"{where} {shorten(text)!r}: expected {expected}, got {found}; write "
        "'NAME', 'NAME(SETTING=VALUE)' or sums such as '0.5*NAME+0.5*NAME'.",
        argument=where,
        got=text,
        expected=expected,
    )
