"""``ratenet fixed-points``: where the dynamics of one drive come to rest, a table and a picture."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from ratenet.cli.scene import Scene
    from ratenet.fixed_points import FixedPointSet

SHOWN_UNITS = 2
SHOWN_POINTS = 20


def fixed_points(
    model: Annotated[
        str, typer.Argument(help="A circuit's or a model's name, or the path of a .toml file.")
    ],
    units: Annotated[
        int | None, typer.Option(help="N, recurrent units of a model; default 100.")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Spectral radius of random weights; default 0.5.")
    ] = None,
    stimulus: Annotated[int, typer.Option(help="Which of a circuit's stimuli, from 0.")] = 0,
    starts: Annotated[int, typer.Option(help="Random states to begin from.")] = 50,
    span: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Lowest and highest of these, in the state's SI unit; default: up to twice what "
            "the network reaches from its start."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random weights, drive and starts.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for what is written.")] = Path("fixed-points"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files in --out.")
    ] = False,
) -> None:
    """Find the fixed points of a circuit, or of a model with random weights and drive.

    Written are config.toml, fixed_points.csv with every fixed point's certificate, and a picture:
    the phase plane of two units, else the eigenvalues of the Jacobian in the complex plane. Noise
    is left out.

    Example: `ratenet fixed-points wilson_cowan_multistable`

    Example: `ratenet fixed-points rate --units 2 --radius 3`
    """
    from ratenet.cli.output import plain_warnings
    from ratenet.cli.scene import check_folder, load_scene
    from ratenet.errors import InputError
    from ratenet.fixed_points import find_all_fixed_points

    plain_warnings()
    check_folder(out, seed, overwrite)
    scene = load_scene(model, units, radius, seed)
    if not 0 <= stimulus < len(scene.drive):
        raise InputError(
            f"stimulus: there is no stimulus {stimulus}; there are {len(scene.drive)}, from 0."
        )
    drive = scene.drive[stimulus]
    reached = _from_start(scene, drive)
    found = find_all_fixed_points(
        scene.network, drive, starts=_starts(scene, reached, starts, span, seed), seed=seed
    )
    options = {"stimulus": stimulus, "starts": starts, "span": span, "seed": seed}
    _write(scene, found, options, out)
    _print_table(scene, found)
    picture = _draw(scene, found, out)
    print(f"table   {out / 'fixed_points.csv'}\n{picture}")


def _from_start(scene: "Scene", drive: "Tensor") -> "Tensor":
    """Return the state (k, N) that is reached from the scene's start, and say what it is."""
    from ratenet.fixed_points import find_fixed_points

    initial = scene.initial
    if initial is not None:
        initial = scene.network.as_state(initial, len(scene.drive))[:, :1]
    fp = find_fixed_points(scene.network, drive, initial=initial, on_failure="return")
    print(f"{scene.title}\nFrom its start: {fp.summary()}")
    return fp.state[:, 0]


def _starts(
    scene: "Scene", reached: "Tensor", number: int, span: tuple[float, float] | None, seed: int
) -> "Tensor":
    """Return random states (k, S, N): up to twice what was reached, below 0 only if that was.

    Dimensionless variables go up to 1 at least; one with a unit that stayed at 0 remains there.
    """
    import torch

    from ratenet.errors import InputError

    if number < 1:
        raise InputError(f"starts: {number} is not at least 1.")
    if span is not None and not -math.inf < span[0] < span[1] < math.inf:
        raise InputError(f"span: {span[0]:g} {span[1]:g} is no finite range, lowest then highest.")
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


def _write(scene: "Scene", found: "FixedPointSet", options: dict[str, Any], out: Path) -> None:
    from ratenet.files import make_folder, write_whole
    from ratenet.fixed_points import estimate_distances
    from ratenet.report.record import write_config

    make_folder(out)
    for name in ("phase_plane.png", "eigenvalues.png"):  # of an earlier command
        (out / name).unlink(missing_ok=True)
    done = {**scene.origin, **options}
    model = scene.network.model.to_table()
    write_config(out / "config.toml", {"fixed_points": done, "model": model})
    table = found.to_pandas()
    if len(found):
        table.insert(3, "distance", estimate_distances(found.points).cpu().numpy())
    write_whole(out / "fixed_points.csv", lambda beside: table.to_csv(beside, index=False))


def _print_table(scene: "Scene", found: "FixedPointSet") -> None:
    from rich.console import Console
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
            "stable" if bool(found.stable[index]) else "unstable",
            f"{float(found.abscissa[index]):.4g}",
            f"{float(found.residual[index]):.1e}",
            str(int(found.found_from[index])),
            str(int(found.basin[index])),
            *(f"{float(found.rates[index, which]):.4g}" for which in shown),
        )
    print(found.summary())
    if len(found):
        Console().print(table)
    if len(found) > SHOWN_POINTS:
        print(f"{len(found) - SHOWN_POINTS} more are in the file.")


def _draw(scene: "Scene", found: "FixedPointSet", out: Path) -> str:
    """Draw the picture that fits; return where it is, or why there is none."""
    from ratenet.errors import UnsupportedError
    from ratenet.report.figures import save
    from ratenet.report.phase_plane import eigenvalue_plane, phase_plane

    network = scene.network
    try:
        if network.units == 2 and len(network.model.states) == 1 and network.time_constants():
            path, figure = out / "phase_plane.png", phase_plane(found, title=scene.title)
        elif len(found):
            path, figure = out / "eigenvalues.png", eigenvalue_plane(found, title=scene.title)
        else:
            return "No picture: there is no fixed point to draw the eigenvalues of."
    except UnsupportedError as error:
        return f"No picture: {error}"
    save(figure, path)
    return f"figure  {path}"
