"""``ratenet fixed-points``: all fixed points found for one drive, as a table and a figure."""

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
    path,
    seed as seed_option,
    whole,
)
from ratenet.cli.output import print_table
from ratenet.files import figure_files

if TYPE_CHECKING:
    from torch import Tensor

    from ratenet.cli.scene import Scene
    from ratenet.files import ResultsFolder
    from ratenet.fixed_points import FixedPointSet

FILES = ("fixed_points.csv", *figure_files("phase_plane", "eigenvalues"))
SHOWN_UNITS = 2
SHOWN_POINTS = 20
_COPIES = 20  # of a batch of states, which a solver holds at least


def fixed_points(
    context: typer.Context,
    model: ModelOrCircuit,
    units: Units = None,
    radius: Radius = None,
    drive: Drive = None,
    stimulus: Annotated[int, whole("Number of one of the circuit's stimuli.", least=0)] = 0,
    starts: Annotated[int, whole("Number of random initial states.")] = 50,
    span: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Lowest and highest initial value, in the state's SI unit; default: up to twice "
            "what the network reaches from its own initial state."
        ),
    ] = None,
    seed: Annotated[int, seed_option("Seed of random weights, drive and initial states.")] = 0,
    out: Annotated[Path, path("Folder for the results.")] = Path("fixed-points"),
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Find the fixed points of a circuit, or of a model with random weights and drive.

    Writes config.toml, fixed_points.csv with residual and stability of each fixed point, and a
    figure with its data: the phase plane of two units, else the eigenvalues of the Jacobian. Noise
    is left out.

    A circuit's own arguments are options, too; `ratenet fixed-points CIRCUIT --help` lists them.

    Example: `ratenet fixed-points wilson_cowan_multistable`

    Example: `ratenet fixed-points inhibition_stabilized --drive-I 40`

    Example: `ratenet fixed-points rate --units 2 --radius 3`
    """
    check_name("scene", model)

    from ratenet.cli.scene import load_scene
    from ratenet.errors import InputError
    from ratenet.files import new_results
    from ratenet.fixed_points import find_all_fixed_points

    with new_results(out, FILES, overwrite=overwrite) as results:
        scene = load_scene(
            model, units=units, radius=radius, seed=seed,
            drive=None if drive is None else value_of(drive, "drive"),
            arguments=circuit_arguments(context),
        )  # fmt: skip
        if not stimulus < len(scene.drive):
            last = len(scene.drive) - 1
            raise InputError.at(
                "stimulus",
                got=stimulus,
                expected=f"a whole number from 0 to {last}" if last else "0, the only stimulus",
            )
        shown = scene.drive[stimulus]
        states = _starts(scene, _from_start(scene, shown, stimulus), starts, span, seed)
        found = find_all_fixed_points(scene.network, shown, starts=states, seed=seed)
        options = {"stimulus": stimulus, "starts": starts, "span": span, "seed": seed}
        figure = _write(scene, found, options, results, form)
    _print_table(scene, found)
    print(f"table   {out / 'fixed_points.csv'}\n{figure}")


def _from_start(scene: "Scene", drive: "Tensor", stimulus: int) -> "Tensor":
    """Return the state (k, N) that is reached from the scene's initial one, and say what it is."""
    from ratenet.fixed_points import find_fixed_points

    initial = scene.initial
    if initial is not None:
        initial = scene.network.as_state(initial, len(scene.drive))[:, stimulus : stimulus + 1]
    fp = find_fixed_points(scene.network, drive, initial=initial, on_failure="return")
    print(f"{scene.title}\nFrom its initial state: {fp.summary()}")
    return fp.state[:, 0]


def _starts(
    scene: "Scene", reached: "Tensor", number: int, span: tuple[float, float] | None, seed: int
) -> "Tensor":
    """Return random states (k, S, N): up to twice what was reached, below 0 only if that was.

    Dimensionless variables go up to 1 at least; one with a unit that stayed at 0 remains there.
    """
    import torch

    from ratenet.errors import InputError
    from ratenet.linear_algebra import require_memory

    if span is not None and not -math.inf < span[0] < span[1] < math.inf:
        raise InputError.at("span", got=span, expected="two finite numbers, the lower one first")
    require_memory(
        8 * _COPIES * number * reached.numel(),
        f"starts: {number:,} initial states of {reached.shape[1]:,} units",
        "choose fewer",
    )
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(len(reached), number, reached.shape[1], generator=generator)
    shares = shares.to(reached)
    if span is not None:
        return span[0] + (span[1] - span[0]) * shares
    known = reached.nan_to_num(0.0, 0.0, 0.0)
    model = scene.network.model
    least = [float(model.dimensions(name).is_dimensionless) for name in model.states]
    size = torch.maximum(2 * known.abs().amax(dim=1), known.new_tensor(least))  # (k,)
    low = torch.where((known < -1e-6 * size[:, None]).any(dim=1), -size, 0.0)
    return (low + (size - low) * shares.permute(1, 2, 0)).permute(2, 0, 1)


def _write(
    scene: "Scene",
    found: "FixedPointSet",
    options: dict[str, Any],
    results: "ResultsFolder",
    form: str,
) -> str:
    """Write the record, the table and the figure; return where that is, or why there is none."""
    from ratenet.fixed_points import estimate_distances
    from ratenet.report.record import write_config

    done = {**scene.origin, **options}
    record = {"fixed_points": done, "model": scene.network.model.to_table()}
    results.write("config.toml", lambda beside: write_config(beside, record))
    table = found.to_pandas()
    if len(found):
        table.insert(3, "distance", estimate_distances(found.points).cpu().numpy())
    results.write("fixed_points.csv", lambda beside: table.to_csv(beside, index=False))
    return _draw(scene, found, results, form)


def _print_table(scene: "Scene", found: "FixedPointSet") -> None:
    from rich.table import Table

    from ratenet.report.rates import evenly, unit_name

    unit = unit_name(scene.network.model.output_dimensions)
    shown = evenly(scene.network.units, SHOWN_UNITS)
    table = Table()
    headings = ("", "stability", "abscissa (1/s)", "residual", "found from", "basin")
    suffix = "" if unit == "dimensionless" else f" ({unit})"
    for heading in (*headings, *(f"y_{index}{suffix}" for index in shown)):
        table.add_column(heading, justify="right")
    for index in range(min(len(found), SHOWN_POINTS)):
        table.add_row(
            str(index),
            found.stability[index],
            f"{float(found.abscissa()[index]):.4g}",
            f"{float(found.residual[index]):.1e}",
            str(int(found.found_from[index])),
            str(int(found.basin[index])),
            *(f"{float(found.rates[index, which]):.4g}" for which in shown),
        )
    print(found.summary())
    if len(found):
        print_table(table)
    if len(found) > SHOWN_POINTS:
        print(f"{len(found) - SHOWN_POINTS} more are in the file.")


def _draw(scene: "Scene", found: "FixedPointSet", results: "ResultsFolder", form: str) -> str:
    """Draw the figure that fits; return where it is, or why there is none."""
    from ratenet.errors import UnsupportedError
    from ratenet.report.figures import figure_writes
    from ratenet.report.phase_plane import eigenvalue_plane, phase_plane

    network = scene.network
    try:
        if network.units == 2 and len(network.model.states) == 1 and network.time_constants():
            name, figure = "phase_plane", phase_plane(found)
        elif len(found):
            name, figure = "eigenvalues", eigenvalue_plane(found)
        else:
            return "No figure: there is no fixed point whose eigenvalues could be drawn."
    except UnsupportedError as error:
        return f"No figure: {error}"
    results.write_all(figure_writes(figure, name, form))
    return f"figure  {results.path / f'{name}.{form}'}"
