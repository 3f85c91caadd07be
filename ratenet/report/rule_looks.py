"""How rules look in every figure: one table of colours, line styles and markers."""

import re
from collections.abc import Iterable
from typing import Any

from ratenet.report.figures import COLOURS, GREY

STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CONTROL = "frozen"
# In the order of the colours, which begins again after seven; then line and marker differ.
_ORDER = (
    "euclidean", "linearized-reparameterized", "gain-free-reparameterized", "reparameterized",
    "first-order-reparameterized", "hebb", "bptt", "recurrent-backpropagation",
    "truncated-adjoint", "feedback-alignment", "equilibrium-propagation", "contrastive-hebbian",
    "weight-perturbation", "bcm", "node-perturbation", "oja", "exponentiated-gradient",
    "mirror-descent", "natural-gradient",
)  # fmt: skip
LABELS = {
    "euclidean": "rule 1, Euclidean",
    "reparameterized": "rule 2, reparameterized",
    "linearized-reparameterized": "rule 3, linearized",
    "gain-free-reparameterized": "rule 4, gain-free",
    CONTROL: "control, $W$ frozen",
}

Look = dict[str, Any]  # color, ls and marker, as matplotlib's plot takes them


def _look(number: int) -> Look:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "ls": STYLES[number % len(STYLES)],
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
    }


def look_of(rule: str) -> Look:
    """Return colour, line style and marker of a rule that ratenet knows by name.

    Examples
    --------
    >>> look_of("euclidean")
    {'color': '#0072B2', 'ls': '-', 'marker': 'o'}
    """
    return looks([rule])[rule]


def looks(rules: Iterable[str]) -> dict[str, Look]:
    """Return the look of each rule: that of its name, else one that no other of them has.

    Parameters
    ----------
    rules : iterable of str
        As they are written, such as ``"truncated-adjoint(terms=5)"`` or ``"bcm, slow threshold"``.
    """
    named = list(dict.fromkeys(rules))
    numbers: dict[str, int] = {}
    others = []
    for rule in named:
        name = re.split("[(,]", rule)[0].strip()
        if name in _ORDER and _ORDER.index(name) not in numbers.values():
            numbers[rule] = _ORDER.index(name)
        elif name != CONTROL:
            others.append(rule)
    taken = {number % len(COLOURS) for number in numbers.values()}
    free = [n for n in range(len(_ORDER) + len(others)) if n not in numbers.values()]
    free.sort(key=lambda number: number % len(COLOURS) in taken)  # colours of their own come first
    numbers |= dict(zip(others, free, strict=False))
    control = {"color": GREY, "ls": ":", "marker": "x"}
    return {rule: _look(numbers[rule]) if rule in numbers else control for rule in named}


def shades(colour: str, count: int) -> list[tuple[float, float, float]]:
    """Return a colour in steps from light to full, such as for the learning rates of a rule."""
    from matplotlib.colors import to_rgb

    full = to_rgb(colour)
    shares = [1.0] if count == 1 else [0.35 + 0.65 * n / (count - 1) for n in range(count)]
    return [tuple(1 - share * (1 - part) for part in full) for share in shares]  # type: ignore[misc]
