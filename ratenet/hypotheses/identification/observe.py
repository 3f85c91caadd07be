"""Measurements at the door: arrays, or long tables of animals and sessions, as observations."""

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
import pandas as pd
import torch

from ratenet.equations.units import Dimension
from ratenet.errors import InputError
from ratenet.hypotheses.identification.long_tables import (
    RATES,
    SYNAPSES,
    Layout,
    Sheet,
    in_words,
    read_sheets,
)
from ratenet.hypotheses.identification.observation import Observation, Observations, of_animal
from ratenet.network import Network
from ratenet.network.coerce import as_tensor

Networks = Network | Mapping[Any, Network]


@overload
def observe_weights(
    network: Networks, after: pd.DataFrame, *, noise: Any = None
) -> Observation | Observations: ...
@overload
def observe_weights(network: Networks, after: Any, *, noise: Any = None) -> Observation: ...
def observe_weights(
    network: Networks, after: Any, *, noise: Any = None
) -> Observation | Observations:
    """Take weights after learning, all or some of them, beside those of the network before.

    Parameters
    ----------
    network : Network, or mapping of animals, or of (animal, session), to Network
        Before learning, with all its weights.
    after : array_like of shape (N, N), or pandas.DataFrame
        W[post, pre], NaN where it was not measured; or a table of synapses with the columns post
        and pre (from 0), and before and after, both as measured, or value. Optional columns are
        animal, session, control (whether nothing was taught), trial (repeated measurements, which
        are averaged) and error (standard deviation of the error of a change, or of a value). A
        value is compared with that of the session before, or with the network if there is one
        session only.
    noise : float, Quantity or array_like of shape (N, N), optional
        Standard deviation of the error of a change: sqrt(2) times that of one weight where both
        are measured.

    Returns
    -------
    Observation or Observations
        The changes of all weights that were measured, for `identify`; `Observations`, one per
        animal and session, of a table with a column animal or session.

    Raises
    ------
    InputError
        If columns are missing, shapes, units or indices do not fit, a synapse is there twice in a
        session of an animal, or fewer than 10 are given.

    Examples
    --------
    >>> import numpy as np, ratenet as rn
    >>> network = rn.Network("linear", np.zeros((5, 5)))
    >>> observe_weights(network, np.full((5, 5), 0.1)).changes.shape
    (25,)
    """
    if isinstance(after, pd.DataFrame):
        return _from_table(network, after, SYNAPSES, noise)
    network = one_network(network)
    dimensions = network.model.weight_dimensions
    before = _weights(network)
    values = _array(after, dimensions, "after", before.shape, "(N, N)")
    rows, columns = np.nonzero(~np.isnan(values))
    known = before[rows, columns]
    noise = _noise(noise, dimensions, rows, columns, before.shape)
    changes = values[rows, columns] - known
    return Observation("weights", changes, rows, columns, known, before.shape, noise)


@overload
def observe_rates(network: Networks, before: pd.DataFrame, *, noise: Any = None) -> Any: ...
@overload
def observe_rates(
    network: Network, before: Any, after: Any, *, noise: Any = None
) -> Observation: ...
def observe_rates(network: Networks, before: Any, after: Any = None, *, noise: Any = None) -> Any:
    """Take rates at the same stimuli before and after learning.

    Parameters
    ----------
    network : Network, or mapping of animals, or of (animal, session), to Network
        Before learning.
    before, after : array_like, shape (B, N)
        NaN where a unit was not recorded. In place of both a table (pandas.DataFrame): the columns
        stimulus and unit (from 0), and before and after, or value, which is compared with that of
        the session before; and, as for `observe_weights`, animal, session, control, trial, error.
    noise : float, Quantity or array_like of shape (B, N), optional
        Standard deviation of the error of a change: sqrt(2) times that of one rate.

    Returns
    -------
    Observation or Observations
        The changes of all rates that were recorded both times, for `identify`; `Observations`, one
        per animal and session, of a table with a column animal or session.

    Raises
    ------
    InputError
        If shapes or units do not fit, a unit is there twice at a stimulus in a session of an
        animal, or fewer than 10 rates, or 5 units, are recorded both times.

    Examples
    --------
    >>> import numpy as np, ratenet as rn
    >>> network = rn.Network("linear", np.zeros((5, 5)))
    >>> drive = np.arange(10.0).reshape(2, 5)  # without weights, the rates before
    >>> observe_rates(network, drive, 1.1 * drive).kind
    'rates'
    """
    if isinstance(before, pd.DataFrame):
        if after is not None:
            raise InputError.at(
                "after", found="a table and rates after", expected="one table of both"
            )
        return _from_table(network, before, RATES, noise)
    network = one_network(network)
    dimensions = network.model.output_dimensions
    first = _array(before, dimensions, "rates before", (None, network.units), "(B, N)")
    second = _array(after, dimensions, "rates after", first.shape, "as before, (B, N)")
    rows, columns = np.nonzero(~np.isnan(first + second))
    old, new = first[rows, columns], second[rows, columns]
    noise = _noise(noise, dimensions, rows, columns, first.shape)
    return Observation("rates", new - old, rows, columns, old, first.shape, noise)


def one_network(network: Any) -> Network:
    """Refuse anything but a single network."""
    if not isinstance(network, Network):
        raise InputError.at(
            "network",
            found="several" if isinstance(network, Mapping) else "",
            got=network,
            expected="a network",
            remedy="several animals are measured in a table with a column animal",
        )
    return network


def _weights(network: Network) -> np.ndarray:
    return network.connectivity.dense().double().cpu().numpy()


def _noise(
    noise: Any, dimensions: Dimension, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> float | np.ndarray | None:
    if noise is None:
        return None
    values = as_tensor(noise, dimensions, "noise", torch.float64, torch.device("cpu"), finite=False)
    if values.ndim == 0:
        return float(values)
    each = _array(values, dimensions, "noise", shape, "one number, or one for each change")
    return each[rows, columns]


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


def _from_table(
    networks: Networks, table: pd.DataFrame, layout: Layout, noise: Any
) -> Observation | Observations:
    """Return one observation, or those of each animal and session where a table names them."""

    def network(animal: str | None, session: str | None) -> Network:
        return one_network(of_animal(networks, animal, session, "network"))

    def sizes(animal: str | None, session: str | None) -> tuple[int | None, int]:
        units = network(animal, session).units
        return (units if layout is SYNAPSES else None), units

    sheets = read_sheets(table, layout, sizes)
    if noise is not None and any(sheet.error is not None for sheet in sheets):
        raise InputError.at("noise", found="errors in the table as well", expected="one of the two")
    found = []
    for sheet in sheets:
        try:
            found.append(_from_sheet(network(sheet.animal, sheet.session), sheet, layout, noise))
        except InputError as error:
            if sheet.animal is None and sheet.session is None:
                raise
            raise error.within(in_words(sheet.animal, sheet.session)) from None
    is_single = found[0].animal is None and found[0].session is None
    return found[0] if is_single else Observations(tuple(found))


def _from_sheet(network: Network, sheet: Sheet, layout: Layout, noise: Any) -> Observation:
    is_weights = layout is SYNAPSES
    model, units = network.model, network.units
    before = sheet.before
    if before is None and is_weights:
        before = _weights(network)[sheet.rows, sheet.columns]
    if before is None:
        raise InputError.at(
            layout.name,
            found="values of one session",
            expected="two sessions or more, before and after",
        )
    dimensions = model.weight_dimensions if is_weights else model.output_dimensions
    shape = (units if is_weights else int(sheet.rows.max()) + 1, units)
    error = _noise(noise, dimensions, sheet.rows, sheet.columns, shape)
    return Observation(
        "weights" if is_weights else "rates",
        sheet.after - before,
        sheet.rows,
        sheet.columns,
        before,
        (units if is_weights else None, units),
        error if sheet.error is None else sheet.error,
        sheet.animal,
        sheet.session,
        sheet.control,
    )
