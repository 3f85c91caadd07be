"""Names that are known without torch and Brian2, so that a slip is told at once.

Only plain words are looked at; settings, sums, paths and code of one's own are read where they are
used. A test compares names and sentences with those of the registries.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ratenet.circuits.titles import TITLES
from ratenet.equations.shipped import (
    MODEL_GROUP,
    REMEDY,
    model_names,
    offered_models,
    plasticity_names,
)
from ratenet.errors import UnknownNameError

_PLAIN = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class _Known:
    """The names of one kind of thing, and what an error says of an unknown one."""

    title: str
    names: Callable[[], Iterable[str]]
    group: str = ""  # of the entry points by which packages offer more
    remedy: str = ""

    def check(self, word: Any) -> None:
        if not isinstance(word, str) or not _PLAIN.fullmatch(word):
            return
        names = list(self.names())
        names += [n for n in entry_points(group=self.group).names if n not in names]
        if word not in names:
            raise UnknownNameError.among(self.title, word, names, self.remedy)


RULES = (
    "euclidean", "reparameterized", "linearized-reparameterized", "first-order-reparameterized",
    "gain-free-reparameterized", "bptt", "recurrent-backpropagation", "truncated-adjoint",
    "feedback-alignment", "equilibrium-propagation", "contrastive-hebbian", "hebb", "oja", "bcm",
    "node-perturbation", "weight-perturbation", "exponentiated-gradient", "mirror-descent",
    "natural-gradient", "frozen",
)  # fmt: skip
DATA = (
    "mnist-5k", "mnist", "fashion-mnist", "kmnist", "emnist", "usps", "cifar-10", "svhn", "npz",
    "folder",
)  # fmt: skip
STIMULI = (
    "hold-and-fade", "morphing", "random-dwell", "gaps", "drift", "rotate", "scale", "shear",
    "contrast", "walk", "moving-mnist",
)  # fmt: skip
FIGURES = (
    "one-unit", "linear", "angles", "singularities", "which-rule-nayebi", "which-rule-portes",
    "which-rule-lim", "mnist", "slow", "conv",
)  # fmt: skip

KNOWN = {
    "rule": _Known("rule", lambda: RULES, "ratenet.rules",
                   "sums such as '0.5*euclidean+0.5*hebb' are rules, too"),
    "data": _Known("data set", lambda: DATA, "ratenet.data",
                   "own images are an .npz file, a folder with train and test in it, or "
                   "FILE.py:NAME"),
    "model": _Known("model", lambda: [*model_names(), *offered_models()], MODEL_GROUP, REMEDY),
    "plasticity": _Known("plasticity rule", plasticity_names, "ratenet.plasticity", REMEDY),
    "stimulus": _Known("stimulus", lambda: STIMULI, "ratenet.stimuli"),
    "loss": _Known("loss", lambda: ("cross-entropy", "squared-error"), "ratenet.losses",
                   "a function of one's own is FILE.py:NAME"),
    "task": _Known("task", lambda: ("linear", "teacher", "association", "mnist"), "ratenet.tasks"),
    "figure": _Known("figure", lambda: FIGURES),
    "scene": _Known("model or circuit",
                    lambda: [*model_names(), *offered_models(), *sorted(TITLES)], "", REMEDY),
}  # fmt: skip
_SEVERAL = {"rules": "rule", "tasks": "task"}


def check_name(kind: str, word: Any) -> None:
    """Refuse a plain word that is none of the names of its kind.

    Raises
    ------
    UnknownNameError
    """
    if not (kind == "data" and isinstance(word, str) and Path(word).is_dir()):
        KNOWN[kind].check(word)


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse options that are plain words and no names of what they stand for."""
    for option, value in options.items():
        kind = _SEVERAL.get(option, option)
        words = value if option in _SEVERAL and isinstance(value, list | tuple) else [value]
        if kind in KNOWN:
            for word in words:
                check_name(kind, word)
