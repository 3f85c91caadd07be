"""``ratenet identify``: which plasticity rule made the changes that were measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.animals import FILES as ANIMALS, print_animals, write_animals
from ratenet.cli.config_options import split_list
from ratenet.cli.names import check_names
from ratenet.cli.options import FigureFormat, Overwrite, path, seed as seed_option
from ratenet.cli.output import print_table
from ratenet.files import figure_files

if TYPE_CHECKING:
    from ratenet.files import ResultsFolder
    from ratenet.hypotheses import Identification
    from ratenet.plasticity import AbstractRule

USUAL = "euclidean,linearized-reparameterized,gain-free-reparameterized,feedback-alignment,hebb"
FILES = ("identification.csv", *figure_files("alignment"), *ANIMALS)


def identify(
    data: Annotated[
        Path, typer.Argument(help="A folder of CSV tables, an .npz file or a zarr group.")
    ],
    rules: Annotated[
        str,
        typer.Option(
            help="Candidates, separated by commas; sums as `0.5*hebb+0.5*oja`, your own as "
            "FILE.py:NAME."
        ),
    ] = USUAL,
    model: Annotated[str, typer.Option(help="A model's name, or the path of a .toml.")] = "rate",
    observed: Annotated[
        Path | None,
        path("A long table (CSV) of synapses or rates, with animals and sessions, for DATA's own."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="weights or rates; default: weights if they are there.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the error of a change; default: not known."),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Largest probability of naming a rule where there was none.")
    ] = 0.05,
    seed: Annotated[
        int, seed_option("Seed of the folds, the resamples and the random changes.")
    ] = 0,
    out: Annotated[Path, path("Folder for the results.")] = Path("identified"),
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Say which plasticity rule made changes of weights, or of rates, and how surely.

    DATA holds, as NAME.csv without headings or as arrays of an .npz file or a zarr group: weights
    (N, N) before learning; drive (B, N); targets or errors (B, N); and what was measured: synapses
    (columns post, pre, before, after, with a heading), or weights_after (N, N), or rates (columns
    stimulus, unit, before, after), or rates_before and rates_after (B, N). Writes config.toml,
    identification.csv, summary.json, and a figure, alignment.png, with its data.

    Both tables may have columns animal, session, control, trial, error, and value in place of
    before and after; and a folder in DATA for each animal holds what is its own. Of several animals
    it writes frequencies.csv, animals.csv, evidence.csv, summary.json and the figure frequencies.

    Example: `ratenet identify data --rules euclidean,hebb --noise 0.001`

    Example: `ratenet identify data --observed animals.csv`
    """
    check_names({"rules": split_list(rules), "model": model})

    from ratenet.files import new_results
    from ratenet.hypotheses import GroupIdentification, Observations, identify as run
    from ratenet.hypotheses.data_files import load_measurements
    from ratenet.plasticity import RULES, rule_named

    candidates = [rule_named(name) for name in split_list(rules)]
    with new_results(out, FILES, overwrite=overwrite) as results:
        measured = load_measurements(data)
        if observed is not None:
            measured = measured.with_table(observed)
        which = measured.kind(kind)
        networks = measured.networks(model)
        changes = measured.observed(networks, noise, which)
        found = run(
            networks,
            measured.drive(),
            changes[0] if isinstance(changes, Observations) and len(changes) == 1 else changes,
            candidates,
            level=level,
            seed=seed,
            **measured.taught(),
        )
        options = {"data": str(data), "observed": None if observed is None else str(observed),
                   "rules": [*map(RULES.written, candidates)], "kind": which, "noise": noise,
                   "level": level, "seed": seed}  # fmt: skip
        network = next(iter(networks.values())) if isinstance(networks, Mapping) else networks
        record = {"identify": options, "model": network.model.to_table(), **code_of(candidates)}
        if isinstance(found, GroupIdentification):
            write_animals(found, record, results, form)
        else:
            _write(found, record, results, form)
    name = "frequencies" if isinstance(found, GroupIdentification) else "identification"
    drawn = "frequencies" if isinstance(found, GroupIdentification) else "alignment"
    if isinstance(found, GroupIdentification):
        print_animals(found)
    else:
        _print_table(found)
    print(f"{found.summary()}\ntable   {out / f'{name}.csv'}\nfigure  {out / f'{drawn}.{form}'}")


def code_of(rules: "list[AbstractRule]") -> dict[str, Any]:
    """Return what is recorded of the user's own code, a section of config.toml."""
    from ratenet.plasticity import RULES

    files = {source.file: source for rule in rules for source in RULES.sources(rule)}
    entries = [{"file": file, "sha256": source.sha256} for file, source in files.items()]
    return {"code": entries} if entries else {}


def _write(
    found: "Identification", record: dict[str, Any], results: "ResultsFolder", form: str
) -> None:
    from ratenet.report.figures import figure_writes
    from ratenet.report.identification import alignment_figure
    from ratenet.report.record import write_config, write_json

    results.write("config.toml", lambda path: write_config(path, record))
    results.write("identification.csv", found.table.to_csv)
    keys = ("rule", "best", "confidence", "kind", "measured", "unsettled", "noise", "residual",
            "size", "level", "ceiling", "misfit", "explained", "fits")  # fmt: skip
    summary = {key: getattr(found, key) for key in keys}
    results.write("summary.json", lambda path: write_json(path, summary))
    figure = alignment_figure(found.table, ceiling=found.ceiling)
    results.write_all(figure_writes(figure, "alignment", form))


def _print_table(found: "Identification") -> None:
    from rich.table import Table

    table = Table()
    for heading in ("rule", "alignment", "chance", "p", "posterior", "wins"):
        is_rule = heading == "rule"
        table.add_column(heading, justify="left" if is_rule else "right", no_wrap=is_rule)
    for name, row in found.table.iterrows():
        posterior = f"{row['posterior']:.3f}"
        if row.isna()["p_value"]:  # what competes with the rules
            table.add_row(str(name), "", "", "", posterior, "")
            continue
        numbers = (f"{row['alignment']:.3f}", f"{row['chance']:.3f}", f"{row['p_value']:.2g}")
        table.add_row(str(name), *numbers, posterior, f"{row['wins']:.3f}")
    print_table(table)
