"""``ratenet simulate``: rates over time, a table and a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from ratenet.network import Network
    from ratenet.results import Trajectory
    from ratenet.spec import ModelSpec

SHOWN_UNITS = 7


def simulate(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of a .toml file.")],
    units: Annotated[int, typer.Option(help="N, recurrent units.")] = 100,
    radius: Annotated[float, typer.Option(help="Spectral radius of the random weights.")] = 0.5,
    duration: Annotated[float, typer.Option(help="In ms.")] = 100.0,
    dt: Annotated[float, typer.Option(help="Time step in ms.")] = 0.1,
    backend: Annotated[str, typer.Option(help="torch or brian2.")] = "torch",
    method: Annotated[
        str, typer.Option(help="euler, exponential_euler or rk4 (torch only).")
    ] = "euler",
    seed: Annotated[int, typer.Option(help="Of weights and drive.")] = 0,
    plot: Annotated[bool, typer.Option("--plot", help="Draw rates.png.")] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for config.toml, rates.csv and rates.png.")
    ] = Path("simulation"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files in --out.")
    ] = False,
) -> None:
    """Simulate a random network with a random constant drive from rest.

    Weights are normal, with a standard deviation of radius/sqrt(N); the drive is standard normal.

    Example: `ratenet simulate rate --units 50 --duration 200 --plot`
    """
    import math

    import torch

    from ratenet.cli.output import plain_warnings
    from ratenet.errors import InputError, RunFolderError
    from ratenet.network import Network
    from ratenet.report.record import make_folder, write_config
    from ratenet.simulation import simulate as run

    plain_warnings()
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: {seed} is not from 0 to 2**63 - 1.")
    if units < 1:
        raise InputError(f"units: {units} is not at least 1.")
    if (out / "checkpoint.safetensors").exists():
        raise RunFolderError(f"out: {str(out)!r} holds a training run; choose another folder.")
    if (out / "config.toml").exists() and not overwrite:
        raise RunFolderError(
            f"out: {str(out)!r} already holds a simulation; choose another folder, or replace it "
            "with --overwrite."
        )
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(units, units, generator=generator, dtype=torch.float64)
    drive = torch.randn(units, generator=generator, dtype=torch.float64)
    network = Network(model, radius / math.sqrt(units) * W)
    trajectory = run(network, drive, duration / 1000, dt / 1000, backend=backend, method=method)
    make_folder(out)
    (out / "rates.png").unlink(missing_ok=True)  # an older one, where no new one is drawn
    options = {
        "units": units, "radius": radius, "duration_ms": duration, "dt_ms": dt,
        "backend": backend, "method": method, "seed": seed,
    }  # fmt: skip
    write_config(out / "config.toml", {"simulate": options, "model": network.model.to_table()})
    _write_rates(trajectory, out / "rates.csv")
    _print_table(network, drive, trajectory)
    print(f"rates   {out / 'rates.csv'}")
    if plot:
        _draw(trajectory, network.model, out / "rates.png")
        print(f"figure  {out / 'rates.png'}")


def _write_rates(trajectory: "Trajectory", path: Path) -> None:
    import pandas as pd

    from ratenet.report.record import write_whole

    rates = trajectory.rates[:, 0].numpy()
    table = pd.DataFrame(rates, columns=[f"unit_{unit}" for unit in range(rates.shape[1])])
    table.insert(0, "t_s", trajectory.t.numpy())
    write_whole(path, lambda beside: table.to_csv(beside, index=False))


def _print_table(network: "Network", drive: "Tensor", trajectory: "Trajectory") -> None:
    from rich.console import Console
    from rich.table import Table

    from ratenet.fixed_points import fixed_points_at

    final = trajectory.rates[-1, 0]
    table = Table(title=f"{network.model.title}: rates at t = {1e3 * float(trajectory.t[-1]):g} ms")
    for heading in ("unit", "drive x", "rate y"):
        table.add_column(heading, justify="right")
    for unit in range(min(SHOWN_UNITS, network.units)):
        table.add_row(str(unit), f"{float(drive[unit]):.4f}", f"{float(final[unit]):.4f}")
    console = Console()
    console.print(table)
    if not network.model.uses_time:
        fp = fixed_points_at(network, drive, trajectory.final)
        settled = "settled" if bool(fp.converged[0]) else "not settled"
        print(f"{settled}: the residual is {float(fp.residual[0]):.2g}")


def _draw(trajectory: "Trajectory", model: "ModelSpec", path: Path) -> None:
    from ratenet.report.figures import rates_over_time, save
    from ratenet.spec import unit_text

    dimensions = model.output_dimensions
    unit = "dimensionless" if dimensions.is_dimensionless else unit_text(dimensions)
    shown = trajectory.rates[:, 0, :SHOWN_UNITS].numpy()
    save(rates_over_time(trajectory.t.numpy(), shown, unit=unit, title=model.title), path)
