"""``ratenet reproduce``: published figures, a table and a picture each."""

from pathlib import Path
from typing import Annotated

import typer

from ratenet.cli.names import check_name
from ratenet.cli.options import FigureFormat, Overwrite, path, seed as seed_option


def reproduce(
    figure: Annotated[
        str,
        typer.Argument(
            help="one-unit, linear, angles, singularities, mnist, slow or conv; which-rule-nayebi, "
            "which-rule-portes or which-rule-lim."
        ),
    ],
    seed: Annotated[
        int, seed_option("Seed of weights, stimuli and directions; further draws have the next.")
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images: mnist-5k, mnist or fashion-mnist. [mnist; slow, conv: mnist-5k]"
        ),
    ] = None,
    data_root: Annotated[Path | None, path("Folder with torchvision's data sets. [data]")] = None,
    out: Annotated[Path | None, path("Folder for the results. [reproduce/FIGURE]")] = None,
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Repeat a published figure: a table, a picture and the numbers that it shows.

    Figures of Zhu and Rosenbaum (2024), and three experiments that infer a plasticity rule from
    what can be recorded. docs/reproduce.md puts what the papers claim beside what is found. mnist,
    slow and conv train networks, in --out/runs: an interrupted one is resumed by the same command.

    Example: `ratenet reproduce singularities`
    """
    check_name("figure", figure)

    from ratenet.files import figure_files, new_results
    from ratenet.report.figures import figure_writes
    from ratenet.report.progress import StepBar
    from ratenet.report.record import write_config
    from ratenet.reproduce import figure_named

    folder = out or Path("reproduce") / figure
    root = None if data_root is None else str(data_root)
    make = figure_named(figure, folder, data, root)
    names = (f"{figure}.csv", *figure_files(figure))
    with new_results(folder, names, overwrite=overwrite) as results:
        with StepBar(None, figure) as bar:
            table, picture = make(seed, lambda done, total: bar.show(done, steps=total))
        said = {"figure": figure, "seed": seed, "data": data, "data_root": root}
        results.write("config.toml", lambda path: write_config(path, {"reproduce": said}))
        results.write(f"{figure}.csv", lambda path: table.to_csv(path, index=False))
        results.write_all(figure_writes(picture, figure, form))
    print(f"table   {folder / f'{figure}.csv'}\nfigure  {folder / f'{figure}.{form}'}")
