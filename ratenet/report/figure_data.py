"""The numbers that a figure shows, read from the figure itself: one table for any of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("panel", "x_axis", "y_axis", "series", "x", "y", "low", "high", "value")
_COLLECTIONS = ("PathCollection", "PolyCollection", "QuadMesh")
Part = tuple[str, dict[str, Any]]  # what is drawn together is called, and its columns


def figure_data(figure: "Figure") -> pd.DataFrame:
    """Return a row for each point that a figure shows.

    Parameters
    ----------
    figure : Figure
        With lines, points, error bars, bands, bars, contours or maps; what only guides the eye,
        such as lines across the axes, is left out.

    Returns
    -------
    pandas.DataFrame
        panel: its letter; x_axis and y_axis: their labels; series: as in the legend; x, y; low and
        high: ends of an error bar or band; value: what the colour of a map or the third axis says.

    Examples
    --------
    >>> from ratenet.report.figures import new_figure
    >>> figure, axis = new_figure(figsize=(4, 3))
    >>> _ = axis.plot([0, 1], [2.0, 3.0], label="rate")
    >>> figure_data(figure)[["series", "x", "y"]].to_dict("records")
    [{'series': 'rate', 'x': 0.0, 'y': 2.0}, {'series': 'rate', 'x': 1.0, 'y': 3.0}]
    """
    tables = []
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    for number, axis in enumerate(panels):
        letter = chr(ord("A") + number) if len(panels) > 1 else ""
        place = {"panel": letter, "x_axis": axis.get_xlabel(), "y_axis": axis.get_ylabel()}
        for count, (label, columns) in enumerate(_parts(axis)):
            series = f"series {count}" if label.startswith("_") or not label else label
            values = {name: np.ravel(value).astype(float) for name, value in columns.items()}
            tables.append(pd.DataFrame({**place, "series": series, **values}))
    empty = pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(tables, ignore_index=True).reindex(columns=list(COLUMNS)) if tables else empty


def _parts(axis: Any) -> Iterator[Part]:
    """Give what is drawn on axes."""
    from matplotlib.container import BarContainer, ErrorbarContainer

    known: set[int] = set()
    for container in axis.containers:
        if isinstance(container, ErrorbarContainer):
            known |= {id(each) for each in container.get_children()}
            yield str(container.get_label()), _of_error_bars(container)
        elif isinstance(container, BarContainer):
            yield str(container.get_label()), _of_bars(container)
    for line in axis.lines:
        if (
            id(line) not in known
            and line.get_transform() == axis.transData
            and len(line.get_xdata())
        ):
            names = ("x", "y", "value")
            points = line.get_data_3d() if hasattr(line, "get_data_3d") else line.get_data()
            yield line.get_label(), dict(zip(names, points, strict=False))
    for collection in axis.collections:
        if id(collection) not in known:
            yield from _of_collection(collection, axis)
    for image in axis.images:
        shown = np.ma.filled(image.get_array(), np.nan)
        if shown.ndim == 2:
            left, right, bottom, top = image.get_extent()
            x, y = _middles(left, right, shown.shape[1]), _middles(top, bottom, shown.shape[0])
            yield image.get_label(), _map(x, y, shown)


def _of_error_bars(container: Any) -> dict[str, Any]:
    drawn = [each for bars in container[2][:1] for each in bars.get_segments()]
    segments = np.array([each for each in drawn if len(each) == 2]).reshape(-1, 2, 2)  # not of NaN
    along = 0 if container.has_xerr and not container.has_yerr else 1
    ends = segments[:, :, along]
    line = container[0]
    middle = segments.mean(axis=1) if line is None else np.column_stack(line.get_data())
    if len(ends) != len(middle):
        return {"x": middle[:, 0], "y": middle[:, 1]}
    return {"x": middle[:, 0], "y": middle[:, 1], "low": ends[:, 0], "high": ends[:, 1]}


def _of_bars(container: Any) -> dict[str, Any]:
    boxes = [bar.get_bbox() for bar in container]
    middles = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
    if container.orientation == "horizontal":
        return {"x": [box.x1 for box in boxes], "y": [y for _, y in middles]}
    return {"x": [x for x, _ in middles], "y": [box.y1 for box in boxes]}


def _of_collection(collection: Any, axis: Any) -> Iterator[Part]:
    from matplotlib import collections
    from matplotlib.contour import ContourSet

    label = str(collection.get_label())
    # By class; matplotlib's own types are too wide for what each of them holds.
    is_a = {name: isinstance(collection, getattr(collections, name)) for name in _COLLECTIONS}
    is_contour, in_data = isinstance(collection, ContourSet), collection.get_transform()
    if is_a["QuadMesh"]:
        corners, values = collection.get_coordinates(), collection.get_array()
        x, y = corners[0, :, 0], corners[:, 0, 1]
        middles = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
        yield label, _map(*middles, np.ma.filled(values, np.nan))
    elif is_contour:
        for level, path in zip(collection.levels, collection.get_paths(), strict=True):
            points = path.vertices
            yield label, {"x": points[:, 0], "y": points[:, 1], "value": [level] * len(points)}
    elif is_a["PathCollection"]:
        points = np.ma.filled(collection.get_offsets(), np.nan)
        yield label, {"x": points[:, 0], "y": points[:, 1]}
    elif is_a["PolyCollection"] and in_data == axis.transData:
        for path in collection.get_paths():  # fill_between: there along one end, back along other
            points = path.vertices
            half = (len(points) - 3) // 2
            there, back = points[1 : half + 1], points[half + 2 : 2 * half + 2][::-1]
            ends = np.sort([there[:, 1], back[:, 1]], axis=0)
            yield label, {"x": there[:, 0], "low": ends[0], "high": ends[1]}


def _middles(start: float, stop: float, count: int) -> np.ndarray:
    edges = np.linspace(start, stop, count + 1)
    return (edges[1:] + edges[:-1]) / 2


def _map(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    grid = np.meshgrid(x, y)
    return {"x": grid[0], "y": grid[1], "value": values}
