"""The figure of a simulation: rates over time by population, and the drive where it varies.

Each population has a colour and a line style of its own; thin lines are single units, the thick
one is the population's mean. Without populations every line is a unit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ratenet.equations.units import Dimension, show_unit
from ratenet.errors import InputError
from ratenet.network.populations import check_known
from ratenet.report.figures import COLOURS, GREY, entitle, new_figure
from ratenet.simulation import Trajectory
from ratenet.simulation.drives import ConstantDrive, drive_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_UNITS = 6  # without populations, and of each population
SHOWN_STIMULI = 3
_STYLES = ("-", "--", "-.", ":")
_BY_CONVENTION = {"E": COLOURS[1], "I": COLOURS[0]}  # excitation is red, inhibition blue


@dataclass(frozen=True)
class _Line:
    """One line: columns of an array (T, U) that are averaged."""

    label: str
    units: list[int]
    colour: str
    style: str
    width: float


def rates_by_population(
    trajectory: Trajectory,
    *,
    title: str = "",
    drive: Any = None,
    stimuli: Any = None,
    units: Any = None,
    populations: Any = None,
    on: Any = None,
) -> "Figure":
    """Plot the rates over time, one column per stimulus.

    Parameters
    ----------
    trajectory : Trajectory
        At most 3 of its stimuli are shown, evenly chosen, unless told which.
    title : str
        Title of the figure.
    drive : as for `simulate`, optional
        Drawn above the rates if it changes in time.
    stimuli : int or sequence of int, optional
        Which stimuli, in the place of 3.
    units : int or sequence of int, optional
        Numbers of recorded units, each of which is then a line.
    populations : str or sequence of str, optional
        Which populations.
    on : Axes or sequence of Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the drive does not fit the network, or there is no such stimulus, unit or population.

    Examples
    --------
    >>> import ratenet as rn
    >>> run = rn.simulate(rn.Network("rate", [[0.5]]), [1.0], duration=0.05, dt=0.001)
    >>> rates_by_population(run, title="One unit").axes[0].get_xlabel()
    'time (ms)'
    """
    stimulus_count = trajectory.rates.shape[1]
    shown = evenly(stimulus_count, SHOWN_STIMULI)
    if stimuli is not None:
        shown = chosen_numbers(stimuli, range(stimulus_count), "stimuli")
    drawn = list(_lines(trajectory, units, populations))
    inputs = _drive_in_time(trajectory, drive)  # (T, B, U) or None
    rows = 1 if inputs is None else 2
    figure, axes = new_figure(
        on=on, figsize=(4 + 4 * len(shown), 2 + 2.4 * rows), nrows=rows, ncols=len(shown),
        sharex=True, sharey="row", squeeze=False,
    )  # fmt: skip
    model = trajectory.network.model
    t, unit = time_axis(trajectory.t.cpu().numpy())
    rates = trajectory.rates.detach().cpu().numpy()
    panels = [(axes[-1], rates, f"rate $y$ ({unit_name(model.output_dimensions)})")]
    if inputs is not None:
        panels.append((axes[0], inputs, f"drive $x$ ({unit_name(model.dimensions(model.drive))})"))
    for row, values, label in panels:
        for axis, stimulus in zip(row, shown, strict=True):
            _draw(axis, t, values[:, stimulus], drawn)
        row[0].set_ylabel(label)
    for axis, stimulus in zip(axes[0], shown if len(shown) > 1 else [], strict=False):
        axis.set_title(f"stimulus {stimulus}", fontsize="medium")
    for axis in axes[-1]:
        axis.set_xlabel(f"time ({unit})")
        axis.set_xlim(t[0], t[-1])
    if any(line.get_label() == "_single unit" for line in axes[-1][-1].lines):
        axes[-1][-1].plot([], [], color=GREY, lw=0.5, label="thin: single units")
    axes[-1][-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    entitle(figure, title)
    return figure


def _draw(axis: Any, t: np.ndarray, values: np.ndarray, lines: list[_Line]) -> None:
    """Draw the lines of one stimulus, values (T, U)."""
    for line in lines:
        mean = values[:, line.units].mean(axis=1)
        axis.plot(t, mean, color=line.colour, ls=line.style, lw=line.width, label=line.label)


def _lines(trajectory: Trajectory, units: Any = None, chosen: Any = None) -> Iterator[_Line]:
    """Yield single units first, so that the means lie above them."""
    names = np.array(trajectory.population_names())
    populations = list(dict.fromkeys(names))
    recorded = trajectory.units.tolist()
    if units is not None or populations in ([""], []):
        columns = evenly(len(names), SHOWN_UNITS)
        if units is not None:
            columns = [recorded.index(u) for u in chosen_numbers(units, recorded, "units")]
        for index, column in enumerate(columns):
            colour = COLOURS[index % len(COLOURS)]
            yield _Line(f"unit {recorded[column]}", [column], colour, _STYLES[index % 4], 1.4)
        return
    spare = iter([colour for colour in COLOURS if colour not in _BY_CONVENTION.values()])
    colours = [_BY_CONVENTION.get(name) or next(spare) for name in populations]
    peaks = trajectory.rates.detach().abs().amax(dim=(0, 1)).cpu().numpy()  # (U,)
    members = [np.flatnonzero(names == name) for name in populations]
    wanted = list(range(len(populations)))
    if chosen is not None:
        wanted = [populations.index(name) for name in chosen_names(chosen, populations)]
    for group, colour in [(members[place], colours[place]) for place in wanted]:
        if len(group) > 1:  # from the quietest to the most active
            ranked = group[np.argsort(peaks[group], kind="stable")].tolist()
            for rank in evenly(len(ranked), SHOWN_UNITS):
                yield _Line("_single unit", [ranked[rank]], colour, "-", 0.5)
    for index in wanted:
        name = populations[index]
        of = f", mean of {len(members[index])}" if len(members[index]) > 1 else ""
        columns = members[index].tolist()
        yield _Line(f"{name}{of}", columns, colours[index], _STYLES[index % 4], 2.0)


def _drive_in_time(trajectory: Trajectory, drive: Any) -> np.ndarray | None:
    """Return the drive of the recorded units at the recorded times; None if it is constant."""
    if drive is None:
        return None
    times = [float(t) for t in trajectory.t]
    bound = drive_for(trajectory.network, drive, times[0])
    if isinstance(bound, ConstantDrive):
        return None
    units = trajectory.units.cpu().numpy()
    return np.stack([bound.at(t).detach().cpu().numpy()[:, units] for t in times])


def evenly(count: int, shown: int) -> list[int]:
    """Return at most `shown` of the numbers below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, shown)).round().astype(int)).tolist()


def chosen_numbers(value: Any, allowed: Sequence[int], name: str) -> list[int]:
    """Return numbers that a user chose; refuse what is not among those that there are."""
    numbers = np.atleast_1d(np.asarray(value)).tolist()
    if not numbers or any(isinstance(n, bool) or n not in allowed for n in numbers):
        expected = f"some of the numbers {allowed[0]} to {allowed[-1]}"
        raise InputError.at(name, got=value, expected=expected)
    return [int(number) for number in numbers]


def chosen_names(value: Any, allowed: Sequence[str]) -> list[str]:
    """Return populations that a user chose; refuse other names."""
    names = [value] if isinstance(value, str) else list(value)
    for name in names:
        check_known(name, dict.fromkeys(allowed), "populations")
    return names


def time_axis(t: np.ndarray) -> tuple[np.ndarray, str]:
    """Return times for an axis, in seconds or milliseconds, and which of them."""
    return (t, "s") if t[-1] - t[0] >= 2 else (1e3 * t, "ms")


def unit_name(dimensions: Dimension) -> str:
    """Return the name of a physical unit for an axis or a table: "Hz", "dimensionless"."""
    if dimensions.is_dimensionless:
        return "dimensionless"
    return show_unit(dimensions)
