"""``ratenet data``: what is in files of measurements."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ratenet.cli.output import print_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """List what is in files of measurements, such as those for `identify` and `infer`."""


@app.command()
def describe(
    file: Annotated[
        Path,
        typer.Argument(help="An .npz, .nc, .nwb or .csv file, a zarr group, or a folder of these."),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List what is in a file: arrays with shapes, units, times and the share that is missing.

    From an NWB file it lists the paths of time series and of columns of intervals, as
    `Recording.from_nwb` takes them. Nothing is unpickled.

    Example: `ratenet data describe session.nwb`
    """
    from ratenet.hypotheses import describe as listed

    table = listed(file)
    if as_csv:
        print(table.to_csv(index=False), end="")
        return
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for name in table.columns:
        is_word = name in ("name", "unit", "times")
        # Paths stay whole, to be copied; whatever else is long may be broken.
        overflow: Any = "ellipsis" if name == "name" else "fold"
        shown.add_column(name, justify="left" if is_word else "right", overflow=overflow)
    for _, row in table.iterrows():
        shape = " x ".join(map(str, row["shape"])) or "one value"
        ends = [each if isinstance(each, str) else f"{each:.4g}"
                for each in (row["lowest"], row["highest"])]  # fmt: skip
        share = f"{100 * row['missing']:.3g} %" if row["missing"] == row["missing"] else ""
        cells = (row["name"], shape, row["unit"], row["times"], share, *ends)
        shown.add_row(*map(Text, cells))  # names are shown as they are, brackets and all
    print_table(shown)
