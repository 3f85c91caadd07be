"""Named things with settings, in one grammar: ``0.5*truncated-adjoint(terms=5)+0.5*hebb``.

    sum      = term ("+" term)*
    term     = [number "*"] name ["(" [setting ("," setting)*] ")"]
    setting  = key "=" value
    value    = number | quantity such as 20*ms | true | false | none | word

Nothing is executed; a name means what its table of names says.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ratenet.equations.quantities import parse_quantity
from ratenet.errors import InputError, ModelError, shorten

LONGEST = 1000  # characters
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WEIGHT = re.compile(rf"\s*({_NUMBER})\s*\*")
_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)\s*")
_SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*([^,()=]+?)\s*(,|\))")
_WORD = re.compile(r"""(["']?)([A-Za-z_][\w-]*)\1""")
_CONSTANTS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Term:
    """One term of a sum: its weight, None where none is written, name and settings."""

    weight: float | None
    name: str
    settings: dict[str, Any] = field(default_factory=dict)


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
    found = _NAME.match(text, at)
    if not found:
        raise _mistake(text, at, where, "a name, or a number and '*'")
    settings: dict[str, Any] = {}
    end = found.end()
    if text[end : end + 1] == "(":
        settings, end = _settings(text, end + 1, where)
    return Term(weight, found[1], settings), end


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
            raise InputError(f"{where}: {shorten(found[1])} is set twice in {shorten(text)!r}.")
        settings[found[1]], at = _value(found[2], f"{where}, {found[1]}"), found.end()
        if found[3] == ")":
            return settings, at + len(text[at:]) - len(text[at:].lstrip())


def _value(text: str, where: str) -> Any:
    """Return what a setting's value means."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if word := _WORD.fullmatch(text):
        return word[2]
    try:
        return parse_quantity(text, where)
    except ModelError as error:
        raise InputError(str(error), argument=where, got=text) from None


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
