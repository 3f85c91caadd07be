"""Long tables of measurements: one row per entry, animal, session and trial.

weights     post, pre           and before, after; or value, of each session
rates       stimulus, unit      and before, after; or value, of each session
optional    animal, session, control, trial, error
"""

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ratenet.errors import InputError, shorten

MEASURED = (("before", "after"), ("value",))
LABELS = ("animal", "session")
EXTRA = (*LABELS, "control", "trial", "error")
LARGEST = 2**31  # stimulus
YES_OR_NO = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class Layout(NamedTuple):
    """What the rows of a table are about."""

    name: str
    entry: str  # what a row measures
    keys: tuple[str, str]
    sizes: tuple[str, str]  # whose number bounds the keys


SYNAPSES = Layout("synapses", "synapse", ("post", "pre"), ("units", "units"))
RATES = Layout("rates", "unit at each stimulus", ("stimulus", "unit"), ("stimuli", "units"))


@dataclass(frozen=True, eq=False)
class Sheet:
    """What was measured of one animal in one session, each entry once.

    Attributes
    ----------
    animal, session : str or None
    control : bool
        Whether nothing was taught.
    rows, columns : ndarray of int, shape (M,)
    before : ndarray of shape (M,), or None
        None: only one session was measured, and `after` is to be compared with what is known.
    after : ndarray, shape (M,)
    error : ndarray of shape (M,), or None
        Standard deviation of the error of each change.
    """

    animal: str | None
    session: str | None
    control: bool
    rows: np.ndarray
    columns: np.ndarray
    before: np.ndarray | None
    after: np.ndarray
    error: np.ndarray | None


# Of an animal in a session: units by units, or stimuli (None: not known) by units.
Sizes = Callable[[str | None, str | None], tuple[int | None, int]]


def read_sheets(table: pd.DataFrame, layout: Layout, sizes: Sizes) -> list[Sheet]:
    """Return what a table holds, one sheet per animal and session, in the order of the table.

    Raises
    ------
    InputError
        If columns are missing, entries are not numbers, an entry does not exist, or it stands
        there twice in one session of an animal.
    """
    table = table.reset_index(drop=table.index.names == [None])  # animals may be its index
    names = _measured(table, layout)
    if table.empty:
        raise _nothing(layout.name, names)
    frame = _numbers(table, layout, names)
    for name in LABELS:
        frame[name] = _labels(table, layout, name)
    animals: dict[str, dict[str, _Part]] = {}
    for place, rows in frame.groupby(list(LABELS), sort=False):
        animal, session = map(str, place)
        where = _where(layout, animal, session)
        _check_keys(rows, layout, sizes(animal or None, session or None), where)
        part = _Part(_entries(rows, layout, names, where), _control(rows, where))
        animals.setdefault(animal, {})[session] = part
    return [sheet for animal, parts in animals.items() for sheet in _sheets(animal, parts, layout)]


def read_along(
    table: pd.DataFrame, layout: Layout, by: str, units: int | None
) -> list[tuple[float, pd.DataFrame]]:
    """Return the entries at each value of a column of numbers, such as time: keys, value, error.

    Raises
    ------
    InputError
        As `read_sheets`.
    """
    names = ("value",)
    missing = [name for name in (by, *layout.keys, *names) if name not in table.columns]
    if missing or table.columns.has_duplicates:
        wanted = ", ".join((by, *layout.keys, *names))
        raise InputError.at(layout.name, got=list(table.columns), expected=f"the columns {wanted}")
    at = _floats(table[by])
    if at.isna().any():
        where = f"{layout.name}, column {by}, row {int(np.argmax(at.isna()))}"
        raise InputError.at(where, got=str(table[by][at.isna()].iloc[0]), expected="a number")
    frame, found = _numbers(table, layout, names), []
    for value in np.unique(at):
        rows = frame[at.to_numpy() == value]
        where = f"{layout.name}, {by} {value:g}"
        _check_keys(rows, layout, (units, units) if units else (None, LARGEST), where)
        found.append((float(value), _entries(rows, layout, names, where)))
    return found


class _Part(NamedTuple):
    entries: pd.DataFrame  # keys, what was measured, and error where it is known
    control: bool


def _measured(table: pd.DataFrame, layout: Layout) -> tuple[str, ...]:
    """Return the columns that hold what was measured."""
    found = [names for names in MEASURED if set(names) <= set(table.columns)]
    missing = [name for name in layout.keys if name not in table.columns]
    if missing or len(found) != 1 or table.columns.has_duplicates:
        wanted = ", ".join((*layout.keys, *MEASURED[0]))
        raise InputError.at(
            layout.name,
            got=list(table.columns),
            expected=f"the columns {wanted} (or value in place of before and after)",
        )
    return found[0]


def _labels(table: pd.DataFrame, layout: Layout, name: str) -> list[str]:
    """Return the names of animals or sessions; all empty where there is no such column."""
    if name not in table.columns:
        return [""] * len(table)
    found = ["" if missing else label(each) for each, missing in
             zip(table[name], table[name].isna(), strict=True)]  # fmt: skip
    if "" in found:
        where = f"{layout.name}, column {name}, row {found.index('')}"
        raise InputError.at(where, got="", expected="a name or a number")
    return found


def label(value: Any) -> str:
    """Return the name of an animal or a session: 3, 3.0 and "3" are the same."""
    is_whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value) if is_whole else value).strip()


def _in_order(sessions: Iterable[str]) -> list[str]:
    """Return sessions by number if all are numbers, and as they come otherwise."""
    try:
        return sorted(sessions, key=float)
    except ValueError:
        return list(sessions)


def in_words(animal: str | None, session: str | None) -> str:
    """Return an animal and a session as an error names them; empty where they have no names."""
    pairs = zip(LABELS, (animal, session), strict=True)
    return ", ".join(f"{name} {shorten(each)}" for name, each in pairs if each)


def _where(layout: Layout, animal: str, session: str) -> str:
    """Return what a sentence begins with."""
    return ", ".join(filter(None, [layout.name, in_words(animal, session)]))


def _floats(column: pd.Series) -> pd.Series:
    """Return a column as floats; what is not a number, or too large for a float, becomes NaN."""

    def number(entry: Any) -> float:
        try:
            return float(entry)
        except (TypeError, ValueError, OverflowError):
            return math.nan

    return column.map(number).astype(np.float64)


def _numbers(table: pd.DataFrame, layout: Layout, names: tuple[str, ...]) -> pd.DataFrame:
    """Return keys, what was measured and error as floats; trial and control as they are."""
    columns = [*layout.keys, *names, *(["error"] if "error" in table.columns else [])]
    given = table[columns]
    numbers = given.apply(_floats).astype(np.float64)
    # What was not measured is empty; which entry it is must be there.
    broken = numbers.isna() & (given.notna() | [name in layout.keys for name in columns])
    if broken.to_numpy().any():
        row, column = np.argwhere(broken.to_numpy())[0]
        raise InputError.at(
            f"{layout.name}, column {columns[column]}, row {row}",
            got=str(given.iloc[row, column]),
            expected="a number",
            remedy=f"leave {' or '.join(names)} empty where it was not measured",
        )
    if np.isinf(numbers.to_numpy()).any():
        raise InputError.at(
            layout.name,
            found="infinite entries",
            expected="finite numbers, or an empty cell where nothing was measured",
        )
    return numbers.assign(**{name: table[name] for name in ("trial", "control") if name in table})


def _check_keys(
    numbers: pd.DataFrame, layout: Layout, sizes: tuple[int | None, int], where: str
) -> None:
    for name, size, what in zip(layout.keys, sizes, layout.sizes, strict=True):
        ends = numbers[name].to_numpy()
        most = LARGEST if size is None else size - 1
        if ((ends < 0) | (ends > most) | (ends % 1 != 0)).any():
            limit = "" if size is None else f" to {most}, the {what} of the network"
            both = " and ".join(dict.fromkeys(layout.keys)) if sizes[0] == sizes[1] else name
            raise InputError.at(
                f"{where}, {both}",
                found=f"{ends.min():g} to {ends.max():g}",
                expected=f"whole numbers from 0{limit}",
            )
    repeated = ["trial"] if "trial" in numbers.columns else []
    twice = numbers.duplicated([*layout.keys, *repeated])
    if twice.any():
        first = numbers[twice].iloc[0]
        shown = ", ".join(f"{name} {first[name]:g}" for name in layout.keys)
        shown += f", trial {shorten(str(first['trial']))}" if repeated else ""
        raise InputError.at(
            where,
            found=f"{shown} twice",
            expected=f"each {layout.entry} once",
            remedy="average these rows, or tell them apart by a column animal, session or trial",
        )


def _control(rows: pd.DataFrame, where: str) -> bool:
    if "control" not in rows.columns:
        return False
    said = {YES_OR_NO.get(str(each).strip().lower()) for each in rows["control"]}
    if len(said) > 1 or None in said:
        found = ", ".join(dict.fromkeys(str(each) for each in rows["control"]))
        raise InputError.at(
            f"{where}, column control",
            got=found,
            expected="true or false, the same for all rows of a session",
        )
    return bool(said.pop())


def _entries(
    numbers: pd.DataFrame, layout: Layout, names: tuple[str, ...], where: str
) -> pd.DataFrame:
    """Return what was measured, each entry once: the mean of its trials where there are some."""
    if "trial" in numbers.columns:
        numbers = _mean_of_trials(numbers, layout, names, where)
    found = numbers.dropna(subset=list(names)).astype(dict.fromkeys(layout.keys, np.int64))
    if not len(found):
        raise _nothing(where, names)
    if "error" in found.columns and not (found["error"] > 0).all():
        row = int(np.argmin(found["error"] > 0))
        raise InputError.at(
            f"{where}, column error",
            got=float(found["error"].iloc[row]),
            expected="finite numbers above 0",
            remedy="leave the column out where the error is not known",
        )
    return found


def _nothing(where: str, names: tuple[str, ...]) -> InputError:
    return InputError.at(where, found="none", expected=f"rows with {' and '.join(names)}")


def _mean_of_trials(
    numbers: pd.DataFrame, layout: Layout, names: tuple[str, ...], where: str
) -> pd.DataFrame:
    """Return the mean of each entry over trials, and its error from how much trials differ.

    The variance of a trial is pooled over all entries of the session.
    """
    if "error" in numbers.columns:
        raise InputError.at(
            where,
            found="the columns trial and error",
            expected="one of the two",
            remedy="the error of a mean over trials follows from how much they differ",
        )
    groups = numbers.groupby(list(layout.keys), sort=False)[list(names)]
    mean, count = groups.mean(), groups.count()
    freedom = (count - 1).clip(lower=0).sum()
    spread = (groups.var(ddof=1) * (count - 1)).sum() / freedom.where(freedom > 0)
    error = np.sqrt((spread / count).sum(axis=1, skipna=False))
    if (spread == 0).any():
        raise InputError.at(
            where, found="trials that are all equal", expected="trials that differ",
            remedy="leave the column trial out and give each entry once",
        )  # fmt: skip
    known = {} if error[mean.notna().all(axis=1)].isna().any() else {"error": error}
    return mean.assign(**known).reset_index()


def _sheets(animal: str, parts: dict[str, _Part], layout: Layout) -> list[Sheet]:
    """Return the changes of one animal: of each session, or from each session to the next."""
    has_both = all("after" in part.entries for part in parts.values())
    if has_both or len(parts) == 1:
        return [_sheet(animal, session, part, layout) for session, part in parts.items()]
    order = _in_order(parts)
    return [
        _sheet(animal, second, _between(parts[first], parts[second], layout), layout)
        for first, second in itertools.pairwise(order)
    ]


def _between(first: _Part, second: _Part, layout: Layout) -> _Part:
    """Return what was measured in both of two sessions, which is a control if the second is."""
    both = first.entries.merge(second.entries, on=list(layout.keys), suffixes=("_before", ""))
    both = both.rename(columns={"value_before": "before", "value": "after"})
    if "error_before" in both:
        both["error"] = np.hypot(both["error_before"], both["error"])
    elif "error" in both:  # known of one session only, by its trials
        both = both.drop(columns="error")
    return _Part(both, second.control)


def _sheet(animal: str, session: str, part: _Part, layout: Layout) -> Sheet:
    columns = {str(name): column.to_numpy() for name, column in part.entries.items()}
    return Sheet(
        animal or None,
        session or None,
        part.control,
        columns[layout.keys[0]],
        columns[layout.keys[1]],
        columns.get("before"),
        columns["after" if "after" in columns else "value"],
        columns.get("error"),
    )
