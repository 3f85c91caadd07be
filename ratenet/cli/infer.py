"""``ratenet infer``: the form of an unknown rule, from weights or activity over time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.config_options import split_list
from ratenet.cli.options import FigureFormat, Overwrite, path, seed as seed_option, whole
from ratenet.cli.output import print_table
from ratenet.files import figure_files

if TYPE_CHECKING:
    from ratenet.files import ResultsFolder
    from ratenet.hypotheses import Inferred

TABLES = ("estimates.csv", "held_out.csv")
FIGURES = ("surface", "coefficients", "predicted")
SUMMARY = "summary.json"
NWB = ("rates", "weights", "drive", "stimulus")  # any other name is a signal


def infer(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A recording: .npz, .zarr, .nc, .nwb, a folder of CSV tables, or a folder of "
            "these.",
        ),
    ],
    family: Annotated[
        str,
        typer.Option(
            help="`taylor(a,b,c)`, powers of y_pre, y_post and w; with a signal, "
            "`taylor(a,b,c,reward)`; or a plasticity rule, by name or .toml."
        ),
    ] = "taylor(2,2,1)",
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Where an NWB file holds rates, weights, drive, stimulus or a signal; repeat it.",
        ),
    ] = None,
    free: Annotated[
        str | None,
        typer.Option(help="Parameters of a rule to estimate, by commas; default all."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Where only activity was observed: a model, or a .toml.")
    ] = "rate",
    starts: Annotated[int, whole("Starts of a fit that is not linear.")] = 3,
    against: Annotated[
        str | None,
        typer.Option(help="Named rules to compare with, by commas; default all."),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Probability that an interval holds its coefficient.")
    ] = 0.95,
    seed: Annotated[int, seed_option("Seed of the folds, resamples and starts.")] = 0,
    out: Annotated[Path, path("Folder for the results.")] = Path("inferred"),
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Infer the coefficients of a plasticity rule from what was recorded while a network learned.

    Writes config.toml, estimates.csv (value and interval of each coefficient, and whether the data
    see it), held_out.csv (R2 on held-out data, of each named rule as well), summary.json, and
    figures with their data: surface, coefficients and predicted, as .png and -figure.csv.

    Example: `ratenet infer mouse.npz --family "taylor(2,2,1)" --out inferred`

    Example: `ratenet infer animals --family bcm --free eta,tau_theta`

    For an NWB file give the paths that `ratenet data describe` lists; names other than rates,
    weights, drive and stimulus are signals, such as `--at reward=trials/outcome=hit`.

    Example: `ratenet infer session.nwb --at rates=DfOverF/RoiResponseSeries --at weights=spines`
    """
    from ratenet.files import new_results
    from ratenet.hypotheses import infer as run, load_recordings

    with new_results(
        out, (*TABLES, *figure_files(*FIGURES), SUMMARY), overwrite=overwrite
    ) as results:
        found = run(
            load_recordings(data, **_places(at or [])),
            family,
            free=None if free is None else split_list(free),
            model=model,
            starts=starts,
            against=None if against is None else split_list(against),
            level=level,
            seed=seed,
            progress=lambda sentence: print(f"{sentence} ...", flush=True),
        )
        options = {"data": str(data), "at": at, "family": family, "free": free, "model": model,
                   "starts": starts, "against": against, "level": level, "seed": seed}  # fmt: skip
        _write(found, {"infer": options}, results, form)
    _print_table(found)
    print(found.report(), end="\n\n")
    for name in TABLES:
        print(f"table   {out / name}")
    for name in FIGURES:
        print(f"figure  {out / f'{name}.{form}'}")


def _places(given: list[str]) -> dict[str, Any]:
    """Return paths inside an NWB file by argument, from NAME=PATH."""
    from ratenet.errors import InputError

    found: dict[str, Any] = {}
    for text in given:
        name, _, place = text.partition("=")
        if not name or not place or name in found:
            raise InputError.at("at", got=text, expected="NAME=PATH, each name once")
        found[name] = place
    named = {name: found.pop(name) for name in NWB if name in found}
    return {**named, "signals": found} if found else named


def _write(found: "Inferred", record: dict[str, Any], results: "ResultsFolder", form: str) -> None:
    from ratenet.report.figures import figure_writes
    from ratenet.report.inference import coefficients_figure, predicted_figure, surface_figure
    from ratenet.report.record import write_config, write_json

    results.write("config.toml", lambda place: write_config(place, record))
    results.write("estimates.csv", lambda place: found.estimates.to_csv(place, index=False))
    results.write("held_out.csv", found.held_out.to_csv)
    summary = found.summary()
    results.write(SUMMARY, lambda place: write_json(place, summary))
    pictures = {
        "surface": surface_figure(**found.surface()),
        "coefficients": coefficients_figure(found.estimates),
        "predicted": predicted_figure(found.predictions, r2=found.r2),
    }
    for name, figure in pictures.items():
        results.write_all(figure_writes(figure, name, form))


def _print_table(found: "Inferred") -> None:
    from rich.table import Table

    table = Table()
    for heading in ("term", "value", "low", "high", "kept", "stable", "seen"):
        is_term = heading == "term"
        table.add_column(heading, justify="left" if is_term else "right", no_wrap=is_term)
    for row in found.estimates.to_dict("records"):
        numbers = [f"{row[name]:.3g}" for name in ("value", "low", "high")]
        table.add_row(
            str(row["name"]), *numbers, "yes" if row["kept"] else "", f"{row['stability']:.2f}",
            "yes" if row["identifiable"] else "no",
        )  # fmt: skip
    print_table(table)
