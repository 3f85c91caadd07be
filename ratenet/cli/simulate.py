"""``ratenet simulate``: rates over time, as tables and a figure."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.circuit_options import circuit_arguments, value_of
from ratenet.cli.names import check_name
from ratenet.cli.options import (
    Drive,
    FigureFormat,
    ModelOrCircuit,
    Overwrite,
    Radius,
    Units,
    above_zero,
    milliseconds,
    path,
    seed as seed_option,
    whole,
)
from ratenet.cli.output import print_table
from ratenet.errors import counted
from ratenet.files import figure_files

if TYPE_CHECKING:
    from ratenet.cli.scene import Scene
    from ratenet.files import ResultsFolder
    from ratenet.simulation import Trajectory

FILES = ("rates.csv", "rates.nc", *figure_files("rates"))
SHOWN_UNITS = 7
RECORDS = 2_000  # at most, unless --record-every says otherwise
PATIENCE = 100  # times the usual duration, where --until-settled ends it
SETTLED = 1e-3  # residual of a state that is called settled, unless --until-settled says


def simulate(
    context: typer.Context,
    model: ModelOrCircuit,
    units: Units = None,
    radius: Radius = None,
    drive: Drive = None,
    duration: Annotated[
        float | None, milliseconds("Duration in ms; default the circuit's own, or 100.")
    ] = None,
    dt: Annotated[
        float | None, milliseconds("Time step in ms; default the circuit's own, or 0.1.")
    ] = None,
    until_settled: Annotated[
        float | None,
        above_zero("Stop when every residual is at most this; --duration is then the longest."),
    ] = None,
    backend: Annotated[str, typer.Option(help="torch or brian2.")] = "torch",
    method: Annotated[
        str, typer.Option(help="euler, exponential_euler; rk4, dopri5, rkc (torch only).")
    ] = "euler",
    device: Annotated[
        str | None, typer.Option(help="runtime or cpp_standalone (brian2 only).")
    ] = None,
    record_every: Annotated[
        int | None, whole(f"Steps from one record to the next; default: up to {RECORDS} records.")
    ] = None,
    seed: Annotated[
        int | None, seed_option("Seed of random weights, drive and noise; default 0.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the rates.")] = False,
    out: Annotated[Path, path("Folder for the results.")] = Path("simulation"),
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Simulate a circuit with its own weights, or a model with random weights and drive.

    A circuit has its own weights, stimulus, initial state and times. A model starts at zero, with
    normal weights of standard deviation radius/sqrt(N) and a standard normal, constant drive.
    Writes config.toml, rates.csv, rates.nc and, with --plot, a figure, rates.png, and its data,
    rates-figure.csv. A circuit's own arguments
    are options, too; `ratenet simulate CIRCUIT --help` lists them.

    Example: `ratenet simulate ssn_ring --contrast 10,50 --plot`

    Example: `ratenet simulate rate --units 50 --duration 200 --until-settled 1e-6`
    """
    check_name("scene", model)

    from ratenet.cli.scene import load_scene
    from ratenet.errors import InputError
    from ratenet.files import new_results
    from ratenet.report.progress import StepBar
    from ratenet.simulation import simulate as run
    from ratenet.simulation.time_grid import time_grid

    with new_results(out, FILES, overwrite=overwrite) as results:
        scene = load_scene(
            model, units=units, radius=radius, seed=seed,
            drive=None if drive is None else value_of(drive, "drive"),
            arguments=circuit_arguments(context),
        )  # fmt: skip
        if seed is not None and not scene.is_random:
            raise InputError(
                f"seed: {model!r} has neither random weights nor noise; omit --seed.",
                argument="seed",
                got=seed,
            )
        longest = 1 if until_settled is None else PATIENCE
        length = scene.duration * longest if duration is None else duration / 1000
        step = scene.dt if dt is None else dt / 1000
        steps = time_grid(length, step, 1).steps
        options: dict[str, Any] = {
            "backend": backend, "method": method, "device": device, "until_settled": until_settled,
            "record_every": _record_every(steps) if record_every is None else record_every,
            "seed": seed or 0,
        }  # fmt: skip
        with StepBar(steps) as bar:
            trajectory = run(
                scene.network, scene.drive, length, step, initial=scene.initial,
                progress=bar.show, **options,
            )  # fmt: skip
        times = {"duration_ms": 1e3 * length, "dt_ms": 1e3 * step}
        _write(scene, trajectory, {**times, **options}, results, form=form if plot else None)
    _print_table(scene, trajectory, until_settled or SETTLED)
    print(f"tables  {out / 'rates.csv'}, {out / 'rates.nc'}")
    if plot:
        print(f"figure  {out / f'rates.{form}'}")


def _record_every(steps: int) -> int:
    """Return the smallest divisor that leaves at most RECORDS records, and not very few."""
    below = (n for n in range(1, math.isqrt(steps) + 1) if steps % n == 0)
    divisors = sorted({divisor for n in below for divisor in (n, steps // n)})
    return next((n for n in divisors if RECORDS / 10 <= steps / n <= RECORDS), 1)


def _write(
    scene: "Scene",
    trajectory: "Trajectory",
    options: dict[str, Any],
    results: "ResultsFolder",
    *,
    form: str | None,
) -> None:
    """Write config.toml, rates.csv with one row per time and stimulus, rates.nc, the figure."""
    import pandas as pd

    from ratenet.report.figures import figure_writes
    from ratenet.report.rates import rates_by_population
    from ratenet.report.record import write_config

    end = {"end_ms": 1e3 * float(trajectory.t[-1])}
    done = {**scene.origin, **options, **end}
    record = {"simulate": done, "model": scene.network.model.to_table()}
    results.write("config.toml", lambda beside: write_config(beside, record))
    T, B, U = trajectory.rates.shape
    rates = trajectory.rates.numpy().reshape(T * B, U)
    table = pd.DataFrame(rates, columns=[f"unit_{unit}" for unit in trajectory.units.tolist()])
    table.insert(0, "t_s", trajectory.t.numpy().repeat(B))
    if B > 1:
        table.insert(1, "stimulus", list(range(B)) * T)
    results.write("rates.csv", lambda beside: table.to_csv(beside, index=False))
    results.write("rates.nc", trajectory.save)
    if form is not None:
        figure = rates_by_population(trajectory, drive=scene.drive)
        results.write_all(figure_writes(figure, "rates", form))


def _print_table(scene: "Scene", trajectory: "Trajectory", tol: float) -> None:
    """Print the last rates of some units of the first stimulus, and whether it has settled."""
    from rich.table import Table

    from ratenet.fixed_points import fixed_points_at
    from ratenet.report.rates import evenly, unit_name

    network, model = scene.network, scene.network.model
    print(f"{scene.title}: rates at t = {1e3 * float(trajectory.t[-1]):g} ms")
    table, populations = Table(), trajectory.population_names()
    units = {"drive x": model.dimensions(model.drive), "rate y": model.output_dimensions}
    for heading in ("unit", *(f"{what} ({unit_name(unit)})" for what, unit in units.items())):
        table.add_column(heading, justify="right")
    for unit in evenly(network.units, SHOWN_UNITS):
        numbers = (scene.drive[0, unit], trajectory.rates[-1, 0, unit])
        name = f"{populations[unit]} {unit}".strip()
        table.add_row(name, *(f"{float(number):.4g}" for number in numbers))
    print_table(table)
    if model.uses_time or model.noises:
        return
    fp = fixed_points_at(network, scene.drive, trajectory.final, tol=tol)
    settled = "settled" if bool(fp.converged.all()) else "not settled"
    if len(fp) > 1:
        settled = f"{int(fp.converged.sum())} of {counted(len(fp), 'stimulus')} settled"
    print(f"{settled}: largest residual {float(fp.residual.max()):.2g}, tolerance {tol:g}")
