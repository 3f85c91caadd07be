"""What `.plot()` draws: one function for each kind of object, on axes given or new.

Each takes the object, a user's axes or None, and choices; and returns the axes. New axes are
pyplot's, so that a notebook shows them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ratenet.circuits.base import Circuit
from ratenet.equations import JointSpec, ModelSpec, PlasticitySpec
from ratenet.equations.units import show_unit
from ratenet.errors import UnknownNameError
from ratenet.fixed_points import Branch, FixedPoints, FixedPointSet, Sweep, find_fixed_points
from ratenet.network import Network
from ratenet.network.scales import typical_input
from ratenet.plasticity import AbstractRule, Euclidean
from ratenet.quasi_static import Lag, QuasiStatic
from ratenet.report.bifurcation import bifurcation_diagram, hysteresis_loop
from ratenet.report.comparison_figures import score_figure
from ratenet.report.figures import COLOURS, GREY, NOTEBOOK, learning_curve, new_figure
from ratenet.report.identification import alignment_figure, frequency_figure, power_figure
from ratenet.report.inference import coefficients_figure
from ratenet.report.inference_power import width_figure
from ratenet.report.phase_plane import eigenvalue_plane, phase_plane
from ratenet.report.plasticity_lag import speeds_figure
from ratenet.report.rates import (
    chosen_names,
    chosen_numbers,
    evenly,
    rates_by_population,
    time_axis,
    unit_name,
)
from ratenet.report.recording import recording_figure
from ratenet.report.spectrum import spectrum
from ratenet.simulation import Trajectory, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_CURVES = 5
RESPONSE_POINTS = 201
GRID = 61  # rates of a plasticity rule's curves
STYLES = ("-", "--", "-.", ":")


def plot_trajectory(trajectory: Trajectory, ax: Any, **choices: Any) -> Any:
    """Draw rates over time; see `Trajectory.plot`."""
    return _drawn(rates_by_population(trajectory, title="", on=_place(ax), **choices), ax)


def plot_network(network: Network, ax: Any) -> Any:
    """Draw the eigenvalues of W; see `Network.plot`."""
    return _drawn(spectrum(network.connectivity, on=_place(ax)), ax)


def plot_set(found: FixedPointSet, ax: Any) -> Any:
    """Draw the phase plane of two units, of others the eigenvalues; see `FixedPointSet.plot`."""
    network = found.points.network
    has_plane = network.units == 2 and len(network.model.states) == 1
    draw = phase_plane if has_plane else eigenvalue_plane
    return _drawn(draw(found, on=_place(ax)), ax)


def plot_branch(branch: Branch, ax: Any, unit: int) -> Any:
    """Draw the bifurcation diagram; see `Branch.plot`."""
    return _drawn(bifurcation_diagram(branch, unit=unit, on=_place(ax)), ax)


def plot_sweep(sweep: Sweep, ax: Any, unit: int) -> Any:
    """Draw the way up and the way down; see `Sweep.plot`."""
    return _drawn(hysteresis_loop(sweep, unit=unit, on=_place(ax)), ax)


def plot_fixed_points(
    fp: FixedPoints, ax: Any, stimuli: Any = None, units: Any = None, populations: Any = None
) -> Any:
    """Draw the rates of units at fixed points; see `FixedPoints.plot`."""
    label = f"rate $y$ ({unit_name(fp.network.model.output_dimensions)})"
    columns = _columns(fp.network, units, populations)
    rows = list(range(len(fp)))
    if stimuli is not None:
        rows = chosen_numbers(stimuli, rows, "stimuli")
    figure, axis = new_figure(on=_place(ax), figsize=(6.4, 3.8))
    values = fp.rates.detach().cpu().numpy()[np.ix_(rows, columns)]
    settled = fp.converged.cpu().numpy()[rows]
    if len(rows) <= SHOWN_CURVES:
        _draw_rows(axis, columns, values, [f"stimulus {row}" for row in rows], settled)
        axis.set_ylabel(label)
    else:
        _draw_map(figure, axis, values, label, rows, columns, settled)
    axis.set_xlabel("unit")
    return _drawn(figure, ax)


def plot_lag(lag: Lag, ax: Any) -> Any:
    """Draw how far each unit trails; see `Lag.plot`."""
    figure, axis = new_figure(on=_place(ax), figsize=(6.4, 3.8))
    rows = evenly(len(lag.rates), SHOWN_CURVES)
    values = lag.rates.detach().cpu().numpy()[rows]
    columns = list(range(values.shape[1]))
    _draw_rows(axis, columns, values, [f"stimulus {row}" for row in rows], np.full(len(rows), True))
    axis.axhline(0, color=GREY, lw=0.8)
    axis.set_xlabel("unit")
    axis.set_ylabel("lag y - y* (unit of the rates)")
    return _drawn(figure, ax)


def plot_quasi_static(found: QuasiStatic, ax: Any) -> Any:
    """Draw measured, predicted and remaining lag over time; see `QuasiStatic.plot`."""
    figure, axis = new_figure(on=_place(ax), figsize=(6.4, 3.8))
    t, unit = time_axis(found.t.cpu().numpy())
    parts = (
        ("measured", found.relative_lag, "-", COLOURS[0]),
        ("predicted", found.relative_predicted, "--", COLOURS[1]),
        ("left after correction", found.relative_corrected, ":", COLOURS[2]),
    )
    for name, values, style, colour in parts:
        rows = 100 * values.detach().cpu().numpy()  # (T, B)
        axis.plot(t, np.median(rows, axis=1), style, color=colour, lw=1.8, label=name)
        if rows.shape[1] > 1:
            ends = rows.min(axis=1), rows.max(axis=1)
            axis.fill_between(t, *ends, color=colour, alpha=0.15, lw=0)
    axis.set_xlabel(f"time ({unit})")
    axis.set_ylabel("lag |y - y*| (% of |y*|)")
    spread = ", median; shaded: all stimuli" if found.rates.shape[1] > 1 else ""
    axis.legend(frameon=False, title=f"lag{spread}" if spread else None)
    return _drawn(figure, ax)


def plot_plasticity_lag(found: Any, ax: Any) -> Any:
    """Draw the difference to the change at fixed points; see `PlasticityLag.plot`."""
    return _drawn(speeds_figure(found.to_dataframe(), on=_place(ax)), ax)


def plot_model(model: ModelSpec | JointSpec, ax: Any) -> Any:
    """Draw the rate at rest of single units against their drive; see `ModelSpec.plot`."""
    names = [name for name, _ in model.populations] or [""]
    sizes = dict.fromkeys(names, 1) if names != [""] else None
    count = len(names)
    network = Network(model, np.zeros((count, count)), populations=sizes)
    reach = 2 * typical_input(network)
    drive = np.linspace(-reach, reach, RESPONSE_POINTS)
    drives = np.repeat(drive[:, None], count, axis=1)
    fp = find_fixed_points(network, drives, on_failure="return", certificate="residual")
    rates = np.where(fp.converged[:, None].cpu(), fp.rates.cpu(), np.nan)
    figure, axis = new_figure(on=_place(ax), figsize=(5.4, 3.8))
    for index, name in enumerate(names):
        look = {"color": COLOURS[index % len(COLOURS)], "ls": STYLES[index % 4]}
        axis.plot(drive, rates[:, index], lw=1.8, label=name, **look)
    axis.set_xlabel(f"drive $x$ ({unit_name(model.dimensions(model.drive))})")
    axis.set_ylabel(f"rate $y$ at rest ({unit_name(model.output_dimensions)})")
    if sizes:
        axis.legend(frameon=False)
    return _drawn(figure, ax)


def plot_plasticity(spec: PlasticitySpec, ax: Any) -> Any:
    """Draw dw/dt against the postsynaptic rate; see `PlasticitySpec.plot`."""
    size = _size_of_rates(spec)
    rule = spec.rule(values={name: 1.0 for name, _ in spec.signals})
    figure, axis = new_figure(on=_place(ax), figsize=(5.8, 3.8))
    post = torch.linspace(0, 2 * size, GRID, dtype=torch.float64)
    pair = Network("linear", [[0.0, 0.0], [0.5, 0.0]])  # unit 0 onto unit 1
    for index, share in enumerate((0.25, 0.5, 1.0)):
        pre = torch.full_like(post, share * size)
        fp = find_fixed_points(pair, torch.stack([pre, post - 0.5 * pre], dim=1))
        slopes = [
            rule.of_numbers(fp.select(torch.tensor([row])), torch.zeros(1, 2).double(), 1.0)[1, 0]
            for row in range(GRID)
        ]
        look = {"color": COLOURS[index], "ls": STYLES[index]}
        axis.plot(post, torch.stack(slopes), lw=1.8, label=f"y_pre = {share * size:g}", **look)
    axis.axhline(0, color=GREY, lw=0.8)
    rate = unit_name(spec.output_dimensions)
    axis.set_xlabel(f"postsynaptic rate y_post ({rate})")
    axis.set_ylabel(f"d{spec.weight}/dt at {spec.weight} = 0.5 ({_per_second(spec)})")
    axis.legend(frameon=False)
    return _drawn(figure, ax)


def plot_rule(rule: AbstractRule, fp: FixedPoints, error: Tensor, ax: Any, loss: Any) -> Any:
    """Draw the change of each parameter against gradient descent; see `AbstractRule.plot`."""
    named = fp.network.connectivity.named
    changes = [rule.update(fp, error, 1.0, loss=loss), Euclidean().update(fp, error, 1.0)]
    own, euclidean = (
        torch.cat([part.flatten() for part in named(change).values()]).cpu().numpy()
        for change in changes
    )
    cosine = own @ euclidean / (np.linalg.norm(own) * np.linalg.norm(euclidean))
    figure, axis = new_figure(on=_place(ax), figsize=(4.8, 4.4))
    axis.axhline(0, color=GREY, lw=0.8)
    axis.axvline(0, color=GREY, lw=0.8)
    axis.plot(
        euclidean, own, ".", color=COLOURS[0], ms=3 if len(own) > 400 else 6, alpha=0.6,
        label=f"each weight; cosine {cosine:.3f}",
    )  # fmt: skip
    axis.set_xlabel("change by gradient descent on W, learning rate 1")
    axis.set_ylabel(f"change by {type(rule).__name__}")
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _drawn(figure, ax)


def plot_circuit(circuit: Circuit, ax: Any, stimuli: Any = None) -> Any:
    """Draw tuning curves, or rates over time where units have none; see `Circuit.plot`."""
    network, rows = circuit.network, evenly(len(circuit.drive), SHOWN_CURVES)
    if stimuli is not None:
        rows = chosen_numbers(stimuli, range(len(circuit.drive)), "stimuli")
    initial = circuit.initial and {
        name: value if np.ndim(value) < 2 else value[rows]
        for name, value in circuit.initial.items()
    }
    steps = max(1, round(circuit.duration / circuit.dt))
    has_curve = circuit.coordinate is not None
    run = simulate(
        network, circuit.drive[rows], steps * circuit.dt, circuit.dt, initial=initial,
        record_every=steps if has_curve else _divisor(steps),
    )  # fmt: skip
    if circuit.coordinate is None:
        return plot_trajectory(run, ax)
    figure, axis = new_figure(on=_place(ax), figsize=(6.4, 3.8))
    values, rates = np.asarray(circuit.coordinate.values), run.rates[-1].cpu().numpy()
    places = network.populations or {"": slice(0, network.units)}
    for index, (name, place) in enumerate(places.items()):
        order = np.argsort(values[place], kind="stable")
        for shown, row in enumerate(rows):
            words = [name, f"stimulus {row}" if len(rows) > 1 else ""]
            look = {"color": COLOURS[shown % len(COLOURS)], "ls": STYLES[index % 4]}
            label = ", ".join(word for word in words if word) or None
            axis.plot(values[place][order], rates[shown, place][order], label=label, **look)
    axis.set_xlabel(circuit.coordinate.label)
    axis.set_ylabel(f"rate $y$ ({unit_name(network.model.output_dimensions)})")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _drawn(figure, ax)


def plot_identification(found: Any, ax: Any) -> Any:
    """Draw alignments and probabilities; see `Identification.plot`."""
    figure = alignment_figure(found.table, ceiling=found.ceiling, title="", on=_place(ax))
    return _drawn(figure, ax)


def plot_group(found: Any, ax: Any) -> Any:
    """Draw frequencies of rules among animals; see `GroupIdentification.plot`."""
    figure = frequency_figure(found.frequencies, found.posteriors, title="", on=_place(ax))
    return _drawn(figure, ax)


def plot_recording(recording: Any, ax: Any, units: Any, what: str | None) -> Any:
    """Draw what was recorded along time; see `Recording.plot`."""
    labels = {
        "rates": f"rate ({recording.rate_unit or 'dimensionless'})",
        "weights": "weight",
        "drive": "drive",
    }
    there = [name for name in labels if getattr(recording, name) is not None]
    if what is not None and what not in there:
        raise UnknownNameError.among("recorded array", what, there)
    name = what or there[0]
    figure = recording_figure(
        recording.time, getattr(recording, name), labels[name],
        units=units, names=recording.names, on=_place(ax),
    )  # fmt: skip
    return _drawn(figure, ax)


def plot_inferred(found: Any, ax: Any) -> Any:
    """Draw coefficients with their intervals; see `Inferred.plot`."""
    return _drawn(coefficients_figure(found.estimates, on=_place(ax)), ax)


def plot_inference_power(found: Any, ax: Any) -> Any:
    """Draw widths of intervals; see `InferencePower.plot`."""
    return _drawn(width_figure(found.table, found.width, on=_place(ax)), ax)


def plot_power(found: Any, ax: Any) -> Any:
    """Draw shares of right and wrong names; see `Power.plot`."""
    return _drawn(power_figure(found.accuracy, level=found.level, title="", on=_place(ax)), ax)


def plot_comparison(found: Any, ax: Any) -> Any:
    """Draw test scores; see `Comparison.plot`."""
    figure = score_figure(found.judged, found.best, found.config.level, on=_place(ax))
    return _drawn(figure, ax)


def plot_run(run: Any, ax: Any) -> Any:
    """Draw a learning curve; see `LoadedRun.plot` and `TrainingResult.plot`."""
    summary, score = run.summary, "accuracy" if "test_accuracy" in run.summary else "loss"
    epochs = summary.get("epochs") or 1
    figure = learning_curve(
        run.metrics,
        steps_per_epoch=max(1, round(len(run.metrics) / epochs)),
        control=summary.get(f"control_{score}", np.nan),
        test=summary.get(f"test_{score}", np.nan),
        test_slow=summary.get(f"test_{score}_slow"),
        abscissa_limit=summary.get("abscissa_limit"),
        title="",
        score=score,
        unit=summary.get("loss_unit", ""),
        on=_place(ax),
    )
    return _drawn(figure, ax)


def _place(ax: Any) -> Any:
    return NOTEBOOK if ax is None else ax


def _drawn(figure: "Figure", ax: Any) -> Any:
    """Return the axes that were given, or the new ones: one, or an array of several."""
    if ax is not None:
        return ax
    axes = [each for each in figure.axes if each.get_label() != "<colorbar>"]
    return axes[0] if len(axes) == 1 else np.array(axes)


def _columns(network: Network, units: Any, populations: Any) -> list[int]:
    """Return the numbers of the units that were chosen."""
    everyone = list(range(network.units))
    if units is not None:
        return chosen_numbers(units, everyone, "units")
    if populations is None:
        return everyone
    names = chosen_names(populations, list(network.populations))
    return [unit for name in names for unit in everyone[network.populations[name]]]


def _draw_rows(
    axis: Any, units: list[int], rows: np.ndarray, names: list[str], settled: np.ndarray
) -> None:
    """Draw a few stimuli as lines with points over the units."""
    for index, (name, values) in enumerate(zip(names, rows, strict=True)):
        label = name if settled[index] else f"{name}, not settled"
        look = {"color": COLOURS[index % len(COLOURS)], "ls": STYLES[index % 4], "lw": 0.8}
        marker = "o" if settled[index] else "x"
        axis.plot(units, values, marker=marker, ms=4 if len(units) < 60 else 2, label=label, **look)
    if len(names) > 1 or not settled.all():
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_map(
    figure: "Figure", axis: Any, values: np.ndarray, label: str, rows: list[int],
    units: list[int], settled: np.ndarray,
) -> None:  # fmt: skip
    """Draw many stimuli as a map; those that did not settle are marked at its left border."""
    finite = values[np.isfinite(values)]
    reach = float(np.abs(finite).max()) if len(finite) else 1.0
    is_signed = bool((finite < 0).any())
    look: dict[str, Any] = {"cmap": "viridis", "vmin": 0.0, "vmax": reach}
    if is_signed:
        look = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
    image = axis.imshow(values, aspect="auto", interpolation="none", **look)
    figure.colorbar(image, ax=axis, label=label)
    for axes, numbers in ((axis.xaxis, units), (axis.yaxis, rows)):
        ticks = evenly(len(numbers), 6)
        axes.set_ticks(ticks, [str(numbers[tick]) for tick in ticks])
    lost = np.flatnonzero(~settled)
    if len(lost):
        left = np.full(len(lost), -0.5)
        axis.plot(left, lost, "x", color=COLOURS[6], clip_on=False, label="not settled")
        axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axis.set_ylabel("stimulus")


def _divisor(steps: int) -> int:
    """Return the smallest divisor of a number of steps that leaves at most 2,000 records."""
    return next(each for each in range(1, steps + 1) if not steps % each and steps / each <= 2000)


def _size_of_rates(spec: PlasticitySpec) -> float:
    """Return a size of rates in the unit of a plasticity rule, SI."""
    if spec.output_dimensions.is_dimensionless:
        return 1.0
    rates = [
        float(np.max(np.abs(np.asarray(entry))))
        for parameter in spec.defaults.values()
        if parameter.dimensions == spec.output_dimensions
        for entry in parameter.entries.values()
    ]
    return max(rates, default=1.0) or 1.0


def _per_second(spec: PlasticitySpec) -> str:
    unit = spec.weight_dimensions
    return "1/s" if unit.is_dimensionless else f"{show_unit(unit)}/s"
