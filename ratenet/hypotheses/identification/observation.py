"""What was measured: changes of synapses, or of rates at the same stimuli."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.hypotheses.identification.model_comparison import FOLDS
from ratenet.network import Network
from ratenet.network.coerce import as_tensor
from ratenet.validation import check_positive

COLUMNS = ("post", "pre", "before", "after")
LEAST = 10  # entries, below which nothing can be told
FAR = 0.5  # of the size of what is known before: measurements further off are not of this network


@dataclass(frozen=True, eq=False)
class Observation:
    """Measured changes.

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
        (N, N), or (B, N).
    noise : float or None
        Standard deviation of the measurement error of a change; None: not known.
    """

    kind: Literal["weights", "rates"]
    changes: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    before: np.ndarray
    shape: tuple[int, ...]
    noise: float | None = None

    def __post_init__(self) -> None:
        if self.noise is not None:
            check_positive(self.noise, "noise", remedy="None estimates it")
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
                found=f"{units} recorded units",
                expected=f"at least {FOLDS}, since rules are judged by units held out",
            )
        if not np.any(self.changes):
            raise InputError(
                f"{self.kind}: nothing has changed; check that after is not before.",
                argument=self.kind,
            )

    def select(self, kept: np.ndarray) -> "Observation":
        """Return some of the changes, given by a mask (M,)."""
        return Observation(
            self.kind,
            self.changes[kept],
            self.rows[kept],
            self.columns[kept],
            self.before[kept],
            self.shape,
            self.noise,
        )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse measurements of other units or stimuli than those of a network and its drive."""
        if shape != self.shape:
            raise InputError.at(
                self.kind,
                got=self.shape,
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


def observe_weights(network: Network, after: Any, *, noise: Any = None) -> Observation:
    """Take weights after learning, all or some of them, beside those of the network before.

    Parameters
    ----------
    network : Network
        Before learning, with all its weights.
    after : array_like of shape (N, N), or pandas.DataFrame
        W[post, pre], NaN where it was not measured; or a table of synapses with the columns post,
        pre (from 0), before and after, both as measured.
    noise : float or Quantity, optional
        Standard deviation of the error of a change: sqrt(2) times that of one weight where both
        are measured.

    Returns
    -------
    Observation
        The changes of all weights that were measured; for `identify`.

    Raises
    ------
    InputError
        If columns are missing, shapes, units or indices do not fit, or fewer than 10 are given.

    Examples
    --------
    >>> import numpy as np, ratenet as rn
    >>> network = rn.Network("linear", np.zeros((5, 5)))
    >>> observe_weights(network, np.full((5, 5), 0.1)).changes.shape
    (25,)
    """
    dimensions = network.model.weight_dimensions
    noise = _noise(noise, dimensions)
    if isinstance(after, pd.DataFrame):
        return _from_table(after, network.units, noise)
    before = network.connectivity.dense().double().cpu().numpy()
    values = _array(after, dimensions, "after", before.shape, "(N, N)")
    rows, columns = np.nonzero(~np.isnan(values))
    known = before[rows, columns]
    changes = values[rows, columns] - known
    return Observation("weights", changes, rows, columns, known, before.shape, noise)


def observe_rates(network: Network, before: Any, after: Any, *, noise: Any = None) -> Observation:
    """Take rates at the same stimuli before and after learning.

    Parameters
    ----------
    network : Network
        Before learning.
    before, after : array_like, shape (B, N)
        NaN where a unit was not recorded.
    noise : float or Quantity, optional
        Standard deviation of the error of a change: sqrt(2) times that of one rate.

    Returns
    -------
    Observation
        The changes of all rates that were recorded both times; for `identify`.

    Raises
    ------
    InputError
        If shapes or units do not fit, or fewer than 10 rates, or 5 units, are recorded both times.

    Examples
    --------
    >>> import numpy as np, ratenet as rn
    >>> network = rn.Network("linear", np.zeros((5, 5)))
    >>> drive = np.arange(10.0).reshape(2, 5)  # without weights, the rates before
    >>> observe_rates(network, drive, 1.1 * drive).kind
    'rates'
    """
    dimensions = network.model.output_dimensions
    first = _array(before, dimensions, "rates before", (None, network.units), "(B, N)")
    second = _array(after, dimensions, "rates after", first.shape, "as before, (B, N)")
    rows, columns = np.nonzero(~np.isnan(first + second))
    old, new = first[rows, columns], second[rows, columns]
    noise = _noise(noise, dimensions)
    return Observation("rates", new - old, rows, columns, old, first.shape, noise)


def _noise(noise: Any, dimensions: Dimension) -> float | None:
    if noise is None:
        return None
    values = _array(noise, dimensions, "noise", (), "one number")
    return float(values)


def _array(
    value: Any, dimensions: Dimension, where: str, shape: tuple[int | None, ...], wanted: str
) -> np.ndarray:
    """Return an SI array; NaN is allowed. A size of None is any."""
    tensor = as_tensor(value, dimensions, where, torch.float64, torch.device("cpu"), finite=False)
    found = tuple(tensor.shape)
    fits = len(found) == len(shape) and all(
        b in (a, None) for a, b in zip(found, shape, strict=True)
    )
    if not fits:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError.at(where, got=found, expected=f"{wanted}, ({sizes})")
    if torch.isinf(tensor).any():
        raise InputError.at(
            where,
            found="infinite entries",
            expected="finite numbers, or NaN where nothing was measured",
        )
    return tensor.numpy()


def _from_table(table: pd.DataFrame, units: int, noise: float | None) -> Observation:
    table = checked_table(table, units)
    post, pre = (table[name].to_numpy(dtype=np.int64) for name in ("post", "pre"))
    before, after = (table[name].to_numpy(dtype=np.float64) for name in ("before", "after"))
    return Observation("weights", after - before, post, pre, before, (units, units), noise)


def _floats(column: pd.Series) -> pd.Series:
    """Return a column as floats; what is not a number, or too large for a float, becomes NaN."""

    def number(entry: Any) -> float:
        try:
            return float(entry)
        except (TypeError, ValueError, OverflowError):
            return math.nan

    return column.map(number).astype(np.float64)


def checked_table(table: pd.DataFrame, units: int) -> pd.DataFrame:
    """Return the synapses that were measured both times, after looking at columns and indices.

    Raises
    ------
    InputError
        If columns are missing, entries are not numbers, or a synapse does not exist or is there
        twice.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError.at(
            "synapses", got=list(table.columns), expected=f"the columns {', '.join(COLUMNS)}"
        )
    numbers = table[list(COLUMNS)].apply(_floats)
    # What was not measured is empty; which synapse it is must be there.
    broken = numbers.isna() & (table[list(COLUMNS)].notna() | [True, True, False, False])
    if broken.to_numpy().any():
        row, column = np.argwhere(broken.to_numpy())[0]
        entry = table[COLUMNS[column]].iloc[row]
        raise InputError.at(
            f"synapses, column {COLUMNS[column]}, row {row}",
            got=str(entry),
            expected="a number",
            remedy="leave before or after empty where it was not measured",
        )
    found = numbers.dropna()
    if not len(found):
        raise InputError.at("synapses", found="none", expected="rows with before and after")
    if np.isinf(found.to_numpy()).any():
        raise InputError.at(
            "synapses",
            found="infinite entries",
            expected="finite numbers, or an empty cell where nothing was measured",
        )
    ends = found[["post", "pre"]].to_numpy()
    if ((ends < 0) | (ends >= units) | (ends % 1 != 0)).any():
        raise InputError.at(
            "synapses, post and pre",
            found=f"{ends.min():g} to {ends.max():g}",
            expected=f"whole numbers from 0 to {units - 1}, the units of the network",
        )
    if found.duplicated(["post", "pre"]).any():
        post, pre = found[found.duplicated(["post", "pre"])].iloc[0][["post", "pre"]]
        raise InputError.at(
            "synapses",
            found=f"post {post:g}, pre {pre:g} twice",
            expected="each synapse once",
            remedy="average these rows",
        )
    return found
