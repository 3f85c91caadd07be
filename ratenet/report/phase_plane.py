"""Figures of a drive's fixed points: the phase plane of two units, or eigenvalues.

Stable fixed points are filled, unstable ones open; colours are those that colour-blind readers can
tell apart, and nothing is told by colour alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import UnsupportedError
from ratenet.fixed_points import FixedPointSet, Relaxation, find_fixed_points
from ratenet.network import Network
from ratenet.report.figures import COLOURS, GREY, entitle, new_figure
from ratenet.report.rates import unit_name
from ratenet.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NULLCLINE_GRID = 200  # points along each side
BASIN_GRID = 80
TRAJECTORIES = 4  # starts along each side
DURATION = 15  # of a trajectory, in longest time constants
STEPS = 600
LARGEST_MATRIX = 2000  # k N up to which eigenvalues are drawn
SHOWN_POINTS = 6
_PALE = ("#CCE3F1", "#F6DCCC", "#CCECE2", "#F4E3ED", "#FAEBCC", "#DDF0FB")  # of COLOURS
_MARKERS = ("o", "s", "^", "D", "v", "P")


def phase_plane(
    found: FixedPointSet,
    *,
    span: tuple[float, float] | None = None,
    title: str = "",
    on: Any = None,
) -> "Figure":
    """Return the plane of a network of two units: nullclines, basins, trajectories.

    Parameters
    ----------
    found : FixedPointSet
        Fixed points of a network with two units and one state variable each.
    span : pair of float, optional
        Range of both axes, in the state's SI unit; default that of its starts and fixed points.
    title : str
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UnsupportedError
        If the network has more units or state variables, or no time constant.

    Notes
    -----
    Basins are coloured by where the dynamics go from a grid of 80 x 80 starts.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.0, -2.0], [-2.0, 0.0]])  # two units inhibit one another
    >>> found = rn.find_all_fixed_points(network, [0.0, 0.0], starts=20)
    >>> len(found), phase_plane(found).axes[0].get_xlabel()
    (3, 'r of unit 0 (dimensionless)')
    """
    network, drive = found.points.network, found.points.drive[:1]
    if network.units != 2 or len(network.model.states) != 1:
        raise UnsupportedError(
            f"phase_plane: two units with one state variable are needed, got "
            f"{network.units} with {len(network.model.states)}; draw eigenvalues instead."
        )
    low, high = span or _span(found)
    figure, axis = new_figure(on=on, figsize=(7.6, 5.2))
    _draw_basins(axis, found, low, high)
    _draw_nullclines(axis, network, drive, low, high)
    _draw_trajectories(axis, network, drive, low, high)
    _mark_points(axis, found)
    name = network.model.states[0]
    unit = unit_name(network.model.dimensions(name))
    names = unit_names(network)
    axis.set_xlabel(f"{name} of {names[0]} ({unit})")
    axis.set_ylabel(f"{name} of {names[1]} ({unit})")
    axis.set_xlim(low, high)
    axis.set_ylim(low, high)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    entitle(figure, title)
    return figure


def eigenvalue_plane(found: FixedPointSet, *, title: str = "", on: Any = None) -> "Figure":
    """Return the eigenvalues of the Jacobian at each fixed point, in the complex plane.

    Parameters
    ----------
    found : FixedPointSet
        At most SHOWN_POINTS of its fixed points are drawn, stable ones first.
    title : str
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UnsupportedError
        If k N is above 2,000.

    Examples
    --------
    >>> import ratenet as rn
    >>> found = rn.find_all_fixed_points(rn.Network("rate", [[2.0]]), [0.0], starts=10)
    >>> eigenvalue_plane(found).axes[0].get_xlabel()
    'real part of the eigenvalues (1/s)'
    """
    size = found.points.state[:, 0].numel() if len(found) else 0
    if size > LARGEST_MATRIX:
        raise UnsupportedError(
            f"eigenvalue_plane: k N = {size} is above {LARGEST_MATRIX}, too many eigenvalues to "
            "compute; `FixedPoints.abscissa` finds the largest alone."
        )
    figure, axis = new_figure(on=on, figsize=(7.6, 4.6))
    for index in range(min(len(found), SHOWN_POINTS)):
        values = torch.linalg.eigvals(found.points.jacobian(index).double()).cpu().numpy()
        stable = bool(found.stable[index])
        colour = COLOURS[index]
        label = f"fixed point {index}, {found.stability[index]}"
        style = {"color": colour, "marker": _MARKERS[index], "ms": 4, "ls": "none"}
        face = colour if stable else "none"
        axis.plot(values.real, values.imag, markerfacecolor=face, label=label, **style)
    low, high = axis.get_xlim()
    high = max(high, 0.1 * abs(low))
    axis.axvspan(0, 2 * high, color=GREY, alpha=0.12, lw=0, label="growing perturbations")
    axis.axvline(0, color=GREY, lw=1.0)
    axis.set_xlim(low, high)
    height = max(0.05 * (high - low), 1.1 * max(map(abs, axis.dataLim.intervaly)))
    axis.set_ylim(-height, height)
    axis.set_xlabel("real part of the eigenvalues (1/s)")
    axis.set_ylabel("imaginary part (1/s)")
    hidden = len(found) - SHOWN_POINTS
    legend = axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    if hidden > 0:
        legend.set_title(f"{hidden} further ones\nare not drawn")
    entitle(figure, title)
    return figure


def _span(found: FixedPointSet) -> tuple[float, float]:
    """Return a range that holds all starts and, well inside, all fixed points."""
    points = found.points.state
    low, high = float(found.starts.min()), float(found.starts.max())
    if points.numel():
        least, most = float(points.min()), float(points.max())
        margin = 0.08 * max(high - low, most - least)
        low, high = min(low, least - margin), max(high, most + margin)
    return low, high


def _grid(network: Network, drive: Tensor, low: float, high: float, side: int) -> Any:
    """Return the values along a side, states (1, side^2, 2) and their drives."""
    values = torch.linspace(low, high, side, dtype=network.dtype, device=network.device)
    states = torch.cartesian_prod(values, values)[None]
    return values.cpu().numpy(), states, drive.expand(side * side, -1)


def nullclines(
    network: Network, drive: Tensor, low: float, high: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return where each of the two units is at rest, as lines (P, 2) in the plane.

    Parameters
    ----------
    network : Network
        Two units with one state variable each.
    drive : Tensor, shape (1, 2)
    low, high : float
        Range of both axes, in the state's SI unit.
    """
    from contourpy import contour_generator

    values, states, drives = _grid(network, drive, low, high, NULLCLINE_GRID)
    speeds = network.derivative(states, drives)[0].unflatten(0, (NULLCLINE_GRID, -1)).cpu().numpy()
    # Rows: the second unit.
    first, second = (
        list(map(np.asarray, contour_generator(values, values, speeds[:, :, n].T).lines(0.0)))
        for n in (0, 1)
    )
    return first, second


def _draw_nullclines(axis: Any, network: Network, drive: Tensor, low: float, high: float) -> None:
    names, both = unit_names(network), nullclines(network, drive, low, high)
    for name, style, lines in zip(names, ("-", "--"), both, strict=True):
        for line in lines:
            axis.plot(*line.T, color="k", ls=style, lw=1.6)
        axis.plot([], [], color="k", ls=style, lw=1.6, label=f"nullcline of {name}")


def basins(
    found: FixedPointSet,
    low: float,
    high: float,
    *,
    side: int = BASIN_GRID,
    iterations: int = 2_000,
) -> Tensor:
    """Return which fixed point the dynamics come to from a grid of starts; -1: none.

    Parameters
    ----------
    found : FixedPointSet
        Fixed points for one drive, of two units with one state variable each.
    low, high : float
        Range of both axes, in the state's SI unit.
    side : int
        Starts along each axis.
    iterations : int
        Most evaluations of the recurrent input from each.

    Returns
    -------
    Tensor of int, shape (side, side)
        Rows: the first unit.
    """
    network, stable = found.points.network, torch.nonzero(found.stable)[:, 0]
    _, states, drives = _grid(network, found.drives[:1], low, high, side)
    if len(stable) == 0:
        return torch.full((side, side), -1)
    ends = find_fixed_points(
        network, drives, tol=1e-5, initial=states, solver=Relaxation(iterations),
        certificate="residual", on_failure="return",
    )  # fmt: skip
    apart = torch.cdist(ends.state[0], found.points.state[0, stable])  # (side^2, stable ones)
    came = ends.converged & (apart.amin(dim=1) <= 1e-2 * (high - low))
    return torch.where(came, stable[apart.argmin(dim=1)], -1).unflatten(0, (side, -1))


def _draw_basins(axis: Any, found: FixedPointSet, low: float, high: float) -> None:
    """Colour each start by the stable fixed point that the dynamics come to; white: none."""
    stable = torch.nonzero(found.stable)[:, 0]
    if len(stable) == 0:
        return
    basin = basins(found, low, high).cpu().numpy()
    picture = np.ma.masked_less(np.where(basin < 0, -1, basin % len(_PALE)).T, 0)
    values = np.linspace(low, high, BASIN_GRID)
    from matplotlib.colors import BoundaryNorm, ListedColormap

    norm = BoundaryNorm(np.arange(-0.5, len(_PALE)), len(_PALE))
    axis.pcolormesh(values, values, picture, cmap=ListedColormap(_PALE), norm=norm, zorder=0)
    for index in range(min(len(stable), len(_PALE))):
        shown = {"marker": "s", "ms": 9, "ls": "none", "color": _PALE[index]}
        axis.plot([], [], label=f"basin of fixed point {index}", **shown)


def _draw_trajectories(axis: Any, network: Network, drive: Tensor, low: float, high: float) -> None:
    margin = (high - low) / (2 * TRAJECTORIES)
    _, states, drives = _grid(network, drive, low + margin, high - margin, TRAJECTORIES)
    duration = DURATION * network.longest_time_constant()
    run = simulate(network, drives, duration, duration / STEPS, initial=states, method="rk4")
    paths = run.states[network.model.states[0]].cpu().numpy()  # (T, B, 2)
    for path in paths.transpose(1, 0, 2):
        axis.plot(path[:, 0], path[:, 1], color=GREY, lw=0.8, zorder=2)
        length = np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()
        middle = int(np.searchsorted(length, 0.3 * length[-1]))
        arrow = {"arrowstyle": "->", "color": GREY, "lw": 0.8}
        axis.annotate("", xy=path[middle + 1], xytext=path[middle], arrowprops=arrow)
    axis.plot([], [], color=GREY, lw=0.8, label="trajectories")


def _mark_points(axis: Any, found: FixedPointSet) -> None:
    states = found.points.state[0].cpu().numpy()  # (C, 2)
    stable = found.stable.cpu().numpy()
    for which, face, label in ((stable, "k", "stable"), (~stable, "w", "unstable")):
        if which.any():
            axis.plot(
                states[which, 0], states[which, 1], "o", color="k", markerfacecolor=face, ms=7,
                ls="none", zorder=5, label=f"{label} fixed point",
            )  # fmt: skip
    for index in np.flatnonzero(stable):
        place = {"textcoords": "offset points", "xytext": (8, 8)}
        ground = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85}
        axis.annotate(str(index), states[index], zorder=6, bbox=ground, **place)


def unit_names(network: Network) -> list[str]:
    """Return what the two units are called: by population, where there is one for each."""
    alone = [name for name, place in network.populations.items() if place.stop - place.start == 1]
    return alone if len(alone) == 2 else ["unit 0", "unit 1"]
