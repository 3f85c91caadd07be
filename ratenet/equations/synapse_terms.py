"""Right-hand sides of a synapse as sums of (function of the synapse) x (post) x (pre).

A term whose factors part in this way is an outer product of what two units have, so for a batch it
is one matrix product; whatever does not part is computed synapse by synapse.
"""

from collections.abc import Collection
from typing import NamedTuple

import sympy

from ratenet.equations.plasticity_parser import side_of
from ratenet.equations.symbolic import symbol

MOST_TERMS = 200


class Term(NamedTuple):
    """A product of three factors; whatever all units share is in `post`."""

    synapse: sympy.Expr
    post: sympy.Expr
    pre: sympy.Expr


def parted(expression: sympy.Expr, synapse_variables: Collection[str]) -> list[Term] | None:
    """Return the terms of a right-hand side, one for each pair (synapse, pre); None: not parted.

    Examples
    --------
    >>> w, post, pre = map(symbol, ("w", "y_post", "y_pre"))
    >>> for term in parted(post * (pre - post * w), ["w"]):
    ...     print(*term)
    1 y_post y_pre
    w -y_post**2 1
    """
    everything = sympy.expand(expression, power_base=False, power_exp=False, log=False, basic=False)
    summands = sympy.Add.make_args(everything)
    if len(summands) > MOST_TERMS:
        return None
    own = set(map(symbol, synapse_variables))
    posts: dict[tuple[sympy.Expr, sympy.Expr], sympy.Expr] = {}
    for summand in summands:
        term = _product(summand, own)
        if term is None:
            return None
        key = (term.synapse, term.pre)
        posts[key] = posts.get(key, sympy.S.Zero) + term.post
    terms = [Term(synapse, post, pre) for (synapse, pre), post in posts.items() if post != 0]
    return sorted(terms, key=lambda term: (term.synapse != 1, str(term)))


def _product(summand: sympy.Expr, own: set[sympy.Symbol]) -> Term | None:
    """Return the three factors of a product; None where one factor mixes them."""
    parts = {"synapse": sympy.S.One, "post": sympy.S.One, "pre": sympy.S.One}
    for factor in sympy.Mul.make_args(summand):
        names = factor.free_symbols
        kinds = {"synapse"} if names & own else set()
        kinds |= {side_of(str(name)).removeprefix("_") for name in names - own} - {""}
        if len(kinds) > 1:
            return None
        parts[kinds.pop() if kinds else "post"] *= factor
    return Term(**parts)
