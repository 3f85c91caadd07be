"""``ratenet simulate``: rates over time, tables and a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ratenet.cli.scene import Scene
    from ratenet.simulation import Trajectory

SHOWN_UNITS = 7
RECORDS = 2_000  # at most, unless --record-every says otherwise
PATIENCE = 100  # times the usual duration, where --until-settled ends it
SETTLED = 1e-3  # residual of a state that is called settled, unless --until-settled says


def simulate(
    model: Annotated[
        str, typer.Argument(help="A circuit's or a model's name, or the path of a .toml file.")
    ],
    units: Annotated[
        int | None, typer.Option(help="N, recurrent units of a model; default 100.")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Spectral radius of random weights; default 0.5.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="In ms; default the circuit's own, or 100.")
    ] = None,
    dt: Annotated[
        float | None, typer.Option(help="Time step in ms; default the circuit's own, or 0.1.")
    ] = None,
    until_settled: Annotated[
        float | None,
        typer.Option(help="Stop when every residual is at most this; --duration is the longest."),
    ] = None,
    backend: Annotated[str, typer.Option(help="torch or brian2.")] = "torch",
    method: Annotated[
        str, typer.Option(help="euler, exponential_euler; rk4, dopri5 (torch only).")
    ] = "euler",
    device: Annotated[
        str | None, typer.Option(help="runtime or cpp_standalone (brian2 only).")
    ] = None,
    record_every: Annotated[
        int | None, typer.Option(help=f"In steps; default: up to {RECORDS} records.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random weights, drive and noise.")] = 0,
    plot: Annotated[bool, typer.Option("--plot", help="Draw rates.png.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for what is written.")] = Path("simulation"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files in --out.")
    ] = False,
) -> None:
    """Simulate a published circuit, or a model with random weights and drive.

    A circuit comes with its weights, stimulus, start and times. A model starts from rest, with
    normal weights of a standard deviation of radius/sqrt(N) and a standard normal, constant drive.
    Written are config.toml, rates.csv, rates.nc and, with --plot, rates.png.

    Example: `ratenet simulate ssn_ring --plot`

    Example: `ratenet simulate rate --units 50 --duration 200 --until-settled 1e-6`
    """
    from ratenet.cli.output import plain_warnings
    from ratenet.cli.progress import StepBar
    from ratenet.cli.scene import check_folder, load_scene
    from ratenet.simulation import simulate as run
    from ratenet.simulation.time_grid import time_grid

    plain_warnings()
    check_folder(out, seed, overwrite)
    scene = load_scene(model, units, radius, seed)
    longest = 1 if until_settled is None else PATIENCE
    length = scene.duration * longest if duration is None else duration / 1000
    step = scene.dt if dt is None else dt / 1000
    steps = time_grid(length, step, 1).steps
    options: dict[str, Any] = {
        "backend": backend, "method": method, "device": device, "until_settled": until_settled,
        "record_every": _record_every(steps) if record_every is None else record_every,
        "seed": seed,
    }  # fmt: skip
    with StepBar(steps) as bar:
        trajectory = run(
            scene.network, scene.drive, length, step, initial=scene.initial,
            progress=bar.show, **options,
        )  # fmt: skip
    times = {"duration_ms": 1e3 * length, "dt_ms": 1e3 * step}
    _write(scene, trajectory, {**times, **options}, out)
    _print_table(scene, trajectory, until_settled or SETTLED)
    if plot:
        _draw(scene, trajectory, out / "rates.png")
    for kind, name in (("tables", "rates.csv"), ("", "rates.nc"), ("figure", "rates.png")):
        if (out / name).exists():
            print(f"{kind:7} {out / name}")


def _record_every(steps: int) -> int:
    """Return the smallest divisor that leaves at most RECORDS records, and not very few."""
    return next(
        (n for n in range(1, steps + 1) if steps % n == 0 and RECORDS / 10 <= steps / n <= RECORDS),
        1,
    )


def _write(scene: "Scene", trajectory: "Trajectory", options: dict[str, Any], out: Path) -> None:
    """Write config.toml, rates.csv with one row a time and stimulus, and rates.nc."""
    import pandas as pd

    from ratenet.files import make_folder, write_whole
    from ratenet.report.record import write_config

    make_folder(out)
    (out / "rates.png").unlink(missing_ok=True)  # an older one, where no new one is drawn
    end = {"end_ms": 1e3 * float(trajectory.t[-1])}
    done = {**scene.origin, **options, **end}
    write_config(out / "config.toml", {"simulate": done, "model": scene.network.model.to_table()})
    T, B, U = trajectory.rates.shape
    rates = trajectory.rates.numpy().reshape(T * B, U)
    table = pd.DataFrame(rates, columns=[f"unit_{unit}" for unit in trajectory.units.tolist()])
    table.insert(0, "t_s", trajectory.t.numpy().repeat(B))
    if B > 1:
        table.insert(1, "stimulus", list(range(B)) * T)
    write_whole(out / "rates.csv", lambda beside: table.to_csv(beside, index=False))
    trajectory.save(out / "rates.nc")


def _print_table(scene: "Scene", trajectory: "Trajectory", tol: float) -> None:
    """Print the last rates of some units of the first stimulus, and whether it has settled."""
    from rich.console import Console
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
    Console().print(table)
    if model.uses_time or model.noises:
        return
    fp = fixed_points_at(network, scene.drive, trajectory.final, tol=tol)
    settled = "settled" if bool(fp.converged.all()) else "not settled"
    if len(fp) > 1:
        settled = f"{int(fp.converged.sum())} of {len(fp)} stimuli settled"
    print(f"{settled}: the largest residual is {float(fp.residual.max()):.2g}, allowed {tol:g}")


def _draw(scene: "Scene", trajectory: "Trajectory", path: Path) -> None:
    from ratenet.report.figures import save
    from ratenet.report.rates import rates_by_population

    save(rates_by_population(trajectory, title=scene.title, drive=scene.drive), path)
