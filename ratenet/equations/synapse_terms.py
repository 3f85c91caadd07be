"""Right-hand sides of a synapse as sums of (function of the synapse) x (post) x (pre).

A term whose factors part in this way is an outer product of what two units have, so for a batch it
is one matrix product; whatever does not part is computed synapse by synapse. Products are written
out only where a factor mixes the three, so that (y_post - m_post) (y_pre - m_pre) stays one term.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import sympy

from ratenet.equations.plasticity_parser import side_of

MOST_TERMS = 200


class Term(NamedTuple):
    """A product of three factors; whatever all units share is in `post`, or beside a synapse's."""

    synapse: sympy.Expr
    post: sympy.Expr
    pre: sympy.Expr

    def times(self, other: "Term") -> "Term":
        """Return the product, factor by factor."""
        return Term(*(a * b for a, b in zip(self, other, strict=True)))


def parted(
    expression: sympy.Expr,
    synapse_variables: Collection[str],
    global_signals: Collection[str] = (),
) -> list[Term] | None:
    """Return the terms of a right-hand side, as few as are easily found; None: not parted.

    Parameters
    ----------
    expression : sympy.Expr
    synapse_variables : collection of str
        Names of what a synapse has.
    global_signals : collection of str
        Names of what each stream has, without a side: kept apart from what a synapse has.

    Examples
    --------
    >>> from ratenet.equations.symbolic import symbol
    >>> w, post, pre = map(symbol, ("w", "y_post", "y_pre"))
    >>> for term in parted(post * (pre - post * w), ["w"]):
    ...     print(*term)
    1 y_post y_pre
    w -y_post**2 1
    """
    sort = _Sorter(synapse_variables, global_signals)
    found: list[Term] = []
    for summand in sympy.Add.make_args(expression):
        pure, mixed = sort.parts(summand)
        everything = sympy.expand(mixed, power_base=False, power_exp=False, log=False, basic=False)
        for part in sympy.Add.make_args(everything):
            own, rest = sort.parts(part)
            if rest != 1:
                return None
            found.append(pure.times(own))
        if len(found) > MOST_TERMS:
            return None
    return sorted(_joined(found), key=lambda term: (term.synapse != 1, str(term)))


class _Sorter:
    def __init__(self, synapse_variables: Collection[str], global_signals: Collection[str]) -> None:
        self._kinds = dict.fromkeys(global_signals, "post")
        self._kinds |= dict.fromkeys(synapse_variables, "synapse")

    def parts(self, product: sympy.Expr) -> tuple[Term, sympy.Expr]:
        """Return the factors that belong to one of the three, and those that mix them."""
        parts = {"synapse": sympy.S.One, "post": sympy.S.One, "pre": sympy.S.One}
        mixed = sympy.S.One
        for factor in sympy.Mul.make_args(product):
            kinds = {self._kind(str(name)) for name in factor.free_symbols} - {""}
            if len(kinds) > 1:
                mixed *= factor
            else:
                parts[kinds.pop() if kinds else "post"] *= factor
        return Term(**parts), mixed

    def _kind(self, name: str) -> str:
        """Return whose a name is; an empty string for what everything shares."""
        return self._kinds.get(name, side_of(name).removeprefix("_"))


def _joined(terms: list[Term]) -> list[Term]:
    """Return fewer terms: those that differ in one unit's factor alone are one."""
    terms = _added(terms, "post", lambda term: (term.synapse, term.pre))
    monic = [term._replace(post=p, pre=c * term.pre) for term in terms
             for c, p in [term.post.as_coeff_Mul()]]  # fmt: skip
    fewer = _added(monic, "pre", lambda term: (term.synapse, term.post))
    terms = fewer if len(fewer) < len(terms) else terms
    return [term for term in terms if 0 not in term]


def _added(
    terms: list[Term], which: str, key: Callable[[Term], tuple[sympy.Expr, ...]]
) -> list[Term]:
    """Return terms with the factor `which` added up where the others, the key, are the same."""
    found: dict[tuple[sympy.Expr, ...], Term] = {}
    for term in terms:
        there = found.get(key(term))
        total = getattr(term, which) + (0 if there is None else getattr(there, which))
        found[key(term)] = term._replace(**{which: total})
    return list(found.values())
