"""What was measured: changes of synapses or of rates, of each animal and session."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import numpy as np

from ratenet.errors import InputError, counted
from ratenet.hypotheses.held_out import FOLDS
from ratenet.hypotheses.identification.long_tables import in_words, label
from ratenet.validation import check_positive

LEAST = 10  # entries, below which nothing can be told
LARGEST = 1e100  # change, so that sums of squares are finite
FAR = 0.5  # of the size of what is known before: measurements further off are not of this network


@dataclass(frozen=True, eq=False)
class Observation:
    """Measured changes of one animal in one session.

    Attributes
    ----------
    kind : {"weights", "rates"}
    changes : ndarray, shape (M,)
        After less before, in SI units.
    rows, columns : ndarray of int, shape (M,)
        Post- and presynaptic unit of each weight; stimulus and unit of each rate.
    before : ndarray, shape (M,)
        As measured.
    shape : tuple of int
        (N, N), or (B, N); B is None where a table did not say it.
    noise : float or ndarray of shape (M,), or None
        Standard deviation of the measurement error of a change; None: not known.
    animal, session : str or None
        Entries of the same indices in two animals are two entries.
    control : bool
        Whether nothing was learned, so that the changes are those of chance.
    """

    kind: Literal["weights", "rates"]
    changes: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    columns: np.ndarray = field(repr=False)
    before: np.ndarray = field(repr=False)
    shape: tuple[int | None, int]
    noise: float | np.ndarray | None = field(default=None, repr=False)
    animal: str | None = None
    session: str | None = None
    control: bool = False

    def __post_init__(self) -> None:
        if self.noise is not None:
            _check_noise(self.noise)
        if len(self.changes) < LEAST:
            raise InputError.at(
                self.kind,
                found=f"{len(self.changes)} measured changes",
                expected=f"at least {LEAST}, to tell rules apart",
            )
        units = len(np.unique(self.columns))
        if self.kind == "rates" and units < FOLDS:
            raise InputError.at(
                "rates",
                found=counted(units, "recorded unit"),
                expected=f"at least {FOLDS}, since rules are judged by units held out",
            )
        largest = float(np.abs(self.changes).max())
        if largest > LARGEST:
            raise InputError.at(
                self.kind,
                found=f"a change of {largest:.3g}",
                expected=f"changes of at most {LARGEST:g} in SI units",
            )
        if not np.any(self.changes):
            raise InputError(
                f"{self.kind}: nothing has changed; check that after is not before.",
                argument=self.kind,
            )

    @property
    def place(self) -> str:
        """The animal and session in words; empty where they have no names."""
        return in_words(self.animal, self.session)

    def select(self, kept: np.ndarray) -> "Observation":
        """Return some of the changes, given by a mask (M,)."""
        parts = {
            name: getattr(self, name)[kept] for name in ("changes", "rows", "columns", "before")
        }
        noise = self.noise[kept] if isinstance(self.noise, np.ndarray) else self.noise
        return replace(self, **parts, noise=noise)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse measurements of other units or stimuli than those of a network and its drive."""
        fits = self.shape[0] in (None, shape[0]) and self.shape[1] == shape[1]
        if not fits or self.rows.max() >= shape[0]:
            rows = int(self.rows.max()) + 1 if self.shape[0] is None else self.shape[0]
            raise InputError.at(
                self.kind,
                got=(rows, self.shape[1]),
                expected=f"shape {shape}, that of the network and its drive",
                remedy="give the same units and stimuli in the same order",
            )

    def check_before(self, known: np.ndarray) -> None:
        """Refuse measurements that are not of the network that is known.

        Parameters
        ----------
        known : ndarray
            Weights (N, N), or rates (B, N), before learning.
        """
        expected = known[self.rows, self.columns]
        size = float(np.sqrt(np.mean(expected**2)))
        off = float(np.sqrt(np.mean((self.before - expected) ** 2)))
        if off > FAR * size:
            what = "its weights" if self.kind == "weights" else "its fixed points"
            raise InputError(
                f"{self.kind}: before learning they differ from {what} by {off:.3g} (root mean "
                f"square) at a size of {size:.3g}; check the units, the order of post and pre or "
                "of the stimuli, and the model.",
                argument=self.kind,
            )


def _check_noise(noise: float | np.ndarray) -> None:
    """Refuse an error that is 0, negative or unknown in some entries."""
    values = np.atleast_1d(noise)
    wrong = values[~((values > 0) & (values < np.inf))]
    first = float(wrong[0]) if len(wrong) else float(values[0])
    check_positive(first, "noise", remedy="None estimates it")


@dataclass(frozen=True, eq=False, repr=False)
class Observations(Sequence[Observation]):
    """Measured changes of several animals and sessions: a list of `Observation`, checked.

    Observations without names are those of as many animals, which are numbered from 1; or of one
    animal, if sessions are named.

    Parameters
    ----------
    parts : sequence of Observation
        All of weights, or all of rates; each animal and session once.

    Attributes
    ----------
    animals : tuple of str
        Each once, in order.
    changes : tuple of ndarray
        Those of each observation: entries of the same indices in two animals are two entries.

    Examples
    --------
    >>> import numpy as np, pandas as pd, ratenet as rn
    >>> network = rn.Network("linear", np.zeros((4, 4)))
    >>> post, pre = np.divmod(np.arange(16), 4)
    >>> one = pd.DataFrame({"post": post, "pre": pre, "before": 0.0, "after": 0.1})
    >>> table = pd.concat([one.assign(animal=name) for name in ("m1", "m2")])
    >>> rn.hypotheses.observe_weights(network, table)
    Observations of weights: 2 animals, 2 sessions, 32 changes
    """

    parts: tuple[Observation, ...]

    def __post_init__(self) -> None:
        parts = tuple(self.parts)
        wrong = [part for part in parts if not isinstance(part, Observation)]
        if wrong or not parts:
            got = wrong[0] if wrong else list(parts)
            raise InputError.at("observed", got=got, expected="one or more of type Observation")
        if len({part.kind for part in parts}) > 1:
            raise InputError.at(
                "observed", found="weights and rates", expected="changes of one kind"
            )
        named = [part.animal is not None for part in parts]
        if any(named) and not all(named):
            raise InputError.at(
                "observed", found="observations without an animal", expected="an animal for all"
            )
        if not any(named):
            by_session = any(part.session is not None for part in parts)
            names = ["1" if by_session else str(n) for n in range(1, len(parts) + 1)]
            parts = tuple(replace(p, animal=name) for p, name in zip(parts, names, strict=True))
        places = [part.place for part in parts]
        if len(set(places)) < len(places):
            twice = next(place for place in places if places.count(place) > 1)
            raise InputError.at(
                "observed", found=f"{twice} twice", expected="each animal and session once"
            )
        object.__setattr__(self, "parts", parts)

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> "Observations": ...
    def __getitem__(self, index: int | slice) -> "Observation | Observations":
        """Return one observation, or some."""
        found = self.parts[index]
        return Observations(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.parts)

    def __repr__(self) -> str:
        controls = sum(part.control for part in self)
        some = f" ({controls} of them control)" if controls else ""
        return (
            f"Observations of {self[0].kind}: {counted(len(self.animals), 'animal')}, "
            f"{counted(len(self), 'session')}{some}, "
            f"{counted(sum(map(len, self.changes)), 'change')}"
        )

    @property
    def animals(self) -> tuple[str, ...]:
        """The names of the animals, each once."""
        return tuple(dict.fromkeys(str(part.animal) for part in self))

    @property
    def changes(self) -> tuple[np.ndarray, ...]:
        """The changes (M,) of each observation."""
        return tuple(part.changes for part in self)


def of_animal(value: Any, animal: str | None, session: str | None, where: str) -> Any:
    """Return what belongs to an animal and session, of a mapping; anything else is for all.

    Raises
    ------
    InputError
        If the mapping has neither the session, as (animal, session), nor the animal.
    """
    if not isinstance(value, Mapping):
        return value
    named: dict[Any, Any] = {
        tuple(map(label, key)) if isinstance(key, tuple) else label(key): each
        for key, each in value.items()
    }
    for key in ((animal, session), animal):
        if key in named:
            return named[key]
    raise InputError.at(
        where,
        got=list(value),
        expected=f"one for {in_words(animal, session) or 'an animal'}, or one for all",
    )
