"""Families of rules: dw/dt with free coefficients.

taylor(a, b, c)            sum of theta_ijk y_pre^i y_post^j w^k, i <= a, j <= b, k <= c
taylor(a, b, c, reward)    the same terms, and each times a signal
a PlasticitySpec           its parameters are free, or those that are named
"""

import functools
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ratenet.equations import PlasticitySpec, load_plasticity
from ratenet.equations.names import check_identifier
from ratenet.equations.plasticity_parser import OUTPUT
from ratenet.equations.symbolic import symbol
from ratenet.errors import InputError, ModelError, UnknownNameError, UnsupportedError, show_any

MOST_POWER = 4
MOST_TERMS = 100
FACTORS = ("y_pre", "y_post", "w")
SCALE = "scale"  # what a rule in a comparison is multiplied by
_TAYLOR = re.compile(r"\s*taylor\s*\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Family:
    """Equations of synapses and units with free coefficients.

    Attributes
    ----------
    name : str
    labels : tuple of str
        How the coefficients are called in tables.
    free : tuple of str
        Their symbols in the equations, in the same order.
    start : ndarray, shape (K,)
        Where the fit begins.
    synapses, units : dict of str to sympy.Expr
        Right-hand sides; the first variable of a synapse is the weight.
    held : dict of str to float or ndarray of shape (N,)
        Values of the other parameters.
    signals : tuple of str
        Third factors that a recording must have.
    shared : frozenset of str
        Those that all units share.
    is_linear : bool
        Whether dw/dt is a sum of coefficients times terms, so that terms may be left out.
    """

    name: str
    labels: tuple[str, ...]
    free: tuple[str, ...]
    start: np.ndarray
    synapses: dict[str, sympy.Expr]
    units: dict[str, sympy.Expr]
    held: dict[str, Any]
    signals: tuple[str, ...]
    shared: frozenset[str]
    is_linear: bool

    @property
    def weight(self) -> str:
        """Name of the weight in the equations."""
        return next(iter(self.synapses))


def read_family(given: Any, free: Sequence[str] | None, units: int) -> Family:
    """Return a family from a string, a rule in time, or a `Family`.

    Parameters
    ----------
    given : str, Path, mapping, PlasticitySpec or Family
        ``"taylor(a, b, c)"``, or what `load_plasticity` takes.
    free : sequence of str, optional
        Parameters of a rule to estimate; default all that are one number.
    units : int
        N.

    Raises
    ------
    InputError
        If the powers of a Taylor family are out of range, or nothing is free.
    UnknownNameError
        If there is no such rule or parameter.
    UnsupportedError
        If the rule names t, or sums over the synapses of a unit.
    """
    if isinstance(given, Family):
        return given
    found = _TAYLOR.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        return _of_spec(_spec(given), free, units)
    if free is not None:
        raise InputError.at(
            "free", got=free, expected="None: all coefficients of a Taylor family are free"
        )
    return _taylor(given.strip(), found[1])


@functools.lru_cache(maxsize=64)
def scaled_rule(name: str, units: int) -> Family:
    """Return a named rule in time of which only the speed is free."""
    spec = load_plasticity(name)
    family = _of_spec(spec, (), units, needs_free=False)
    synapses = dict(family.synapses)
    synapses[spec.weight] = symbol(SCALE) * synapses[spec.weight]
    return Family(
        name, (SCALE,), (SCALE,), np.zeros(1), synapses, family.units, family.held, family.signals,
        family.shared, is_linear=True,
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def constant_rule() -> Family:
    """Return dw/dt = c, what every rule is judged against."""
    return Family(
        "constant", (SCALE,), (SCALE,), np.zeros(1), {"w": symbol(SCALE)}, {}, {}, (),
        frozenset(), is_linear=True,
    )  # fmt: skip


def _spec(given: Any) -> PlasticitySpec:
    try:
        return load_plasticity(given)
    except UnknownNameError as error:
        raise UnknownNameError(
            f"family: {str(error).rstrip('.')}; or taylor(a, b, c), powers of y_pre, y_post and w.",
            argument="family",
            got=given,
        ) from None
    except (InputError, ModelError) as error:
        raise error.within("family") from None


def _taylor(text: str, inside: str) -> Family:
    parts = [part.strip() for part in inside.split(",")]
    signal = parts.pop() if len(parts) == 4 else None
    powers = [int(part) if re.fullmatch(r"\d{1,3}", part) else -1 for part in parts]
    if len(powers) != 3 or not all(0 <= power <= MOST_POWER for power in powers):
        raise InputError.at(
            "family",
            got=text,
            expected=f"taylor(a, b, c) or taylor(a, b, c, signal), with the largest powers of "
            f"y_pre, y_post and w from 0 to {MOST_POWER}",
        )
    if signal is not None:
        _check_signal(signal)
    largest = [*powers, 1] if signal else powers
    sets = list(itertools.product(*(range(power + 1) for power in largest)))
    if len(sets) > MOST_TERMS:
        raise InputError.at(
            "family", got=text, expected=f"at most {MOST_TERMS} terms", found=f"{len(sets)} terms"
        )
    names = (*FACTORS, *([signal] if signal else []))
    terms = {label_of(names, each): _product(names, each) for each in sorted(sets, key=sum)}
    free = tuple(f"theta_{n}" for n in range(len(terms)))
    total = sum(symbol(name) * term for name, term in zip(free, terms.values(), strict=True))
    signals = (signal,) if signal else ()
    return Family(
        text, tuple(terms), free, np.zeros(len(free)), {"w": total}, {}, {}, signals,
        frozenset(signals), is_linear=True,
    )  # fmt: skip


def _check_signal(name: str) -> None:
    if name in (*FACTORS, OUTPUT):
        raise InputError.at("family", got=name, expected="a signal as the fourth argument")
    try:
        check_identifier(name, "family")
    except ModelError as error:
        raise InputError(str(error), argument="family", got=name) from None


def label_of(names: Sequence[str], powers: Sequence[int]) -> str:
    """Return a product of powers as it is written in equations.

    Examples
    --------
    >>> label_of(("y_pre", "y_post", "w"), (0, 2, 1)), label_of(("y_pre",), (0,))
    ('y_post**2*w', '1')
    """
    ordered = sorted(zip(names, powers, strict=True), key=lambda pair: pair[0] != "y_post")
    last = [pair for pair in ordered if pair[0] == "w"]
    ordered = [pair for pair in ordered if pair[0] != "w"] + last
    factors = [name if power == 1 else f"{name}**{power}" for name, power in ordered if power]
    return "*".join(factors) or "1"


def _product(names: Sequence[str], powers: Sequence[int]) -> sympy.Expr:
    return math.prod(
        (symbol(n) ** p for n, p in zip(names, powers, strict=True)), start=sympy.S.One
    )


def _of_spec(
    spec: PlasticitySpec, free: Sequence[str] | None, units: int, *, needs_free: bool = True
) -> Family:
    if spec.uses_time or spec.sums:
        what = "t" if spec.uses_time else "sums over the synapses of a unit"
        raise UnsupportedError(
            f"family: the equations of {spec.name!r} name {what}, which is not inferred; give "
            "another rule, or a Taylor family."
        )
    numbers = {n: np.asarray(p.values({}, units, 0)) for n, p in spec.defaults.items()}
    single = [n for n, value in numbers.items() if value.ndim == 0]
    names = _free_names(free, numbers, single)
    if needs_free and not names:
        raise InputError.at(
            "family",
            found=f"{spec.name!r} without a free parameter",
            expected="at least one parameter that is one number for all units",
        )
    synapses = {spec.weight: spec.synapses[spec.weight]} | spec.synapses
    held = {n: float(v) if v.ndim == 0 else v for n, v in numbers.items() if n not in names}
    start = np.array([float(numbers[n]) for n in names])
    return Family(
        spec.name, names, names, start, synapses, spec.units, held,
        tuple(n for n, _ in spec.signals), spec.global_signals, is_linear=False,
    )  # fmt: skip


def _free_names(
    free: Sequence[str] | None, numbers: dict[str, np.ndarray], single: list[str]
) -> tuple[str, ...]:
    if free is None:
        return tuple(single)
    names = (free,) if isinstance(free, str) else tuple(free)
    for name in names:
        if name not in numbers:
            raise UnknownNameError.among("free parameter", name, single)
        if name not in single:
            raise InputError.at(
                "free", got=name, expected=f"parameters that are one number: {', '.join(single)}"
            )
    if len(set(names)) < len(names):
        raise InputError.at("free", got=show_any(list(names)), expected="each parameter once")
    return names
