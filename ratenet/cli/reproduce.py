"""``ratenet reproduce``: figures of the paper, a table and a picture each."""

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    figure: Annotated[str, typer.Argument(help="linear, angles or singularities.")],
    seed: Annotated[int, typer.Option(help="Of weights, stimuli and directions.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for what is written. [reproduce/FIGURE]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files in --out.")
    ] = False,
) -> None:
    """Repeat a figure of Zhu and Rosenbaum (2023): numbers as CSV, and a picture.

    docs/reproduce.md puts what the paper claims beside what is found.

    Example: `ratenet reproduce singularities`
    """
    from rich.progress import Progress

    from ratenet.cli.output import plain_warnings
    from ratenet.cli.scene import check_folder
    from ratenet.files import write_whole
    from ratenet.report.figures import save
    from ratenet.report.record import make_folder, write_config
    from ratenet.reproduce import figure_named

    plain_warnings()
    make, folder = figure_named(figure), out or Path("reproduce") / figure
    check_folder(folder, seed, overwrite)
    make_folder(folder)
    with Progress(transient=True) as bar:
        task = bar.add_task(figure, total=None)
        table, picture = make(
            seed, lambda done, total: bar.update(task, completed=done, total=total)
        )
    write_config(folder / "config.toml", {"reproduce": {"figure": figure, "seed": seed}})
    write_whole(folder / f"{figure}.csv", lambda beside: table.to_csv(beside, index=False))
    save(picture, folder / f"{figure}.png")
    print(f"table   {folder / f'{figure}.csv'}\nfigure  {folder / f'{figure}.png'}")
