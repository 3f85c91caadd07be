"""``ratenet power``: how much must be measured to tell plasticity rules apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.config_options import split_list
from ratenet.cli.identify import USUAL, code_of
from ratenet.cli.options import Overwrite, path, seed as seed_option

if TYPE_CHECKING:
    from ratenet.files import ResultsFolder
    from ratenet.hypotheses import Power

FILES = ("power.csv", "accuracy.csv", "power.png", "confusion.png")


def power(
    rules: Annotated[str, typer.Option(help="Two or more, separated by commas.")] = USUAL,
    units: Annotated[str, typer.Option(help="N; several separated by commas.")] = "50",
    stimuli: Annotated[str, typer.Option(help="B; several separated by commas.")] = "20",
    observed: Annotated[
        str, typer.Option(help="Synapses (neurons, for rates) measured; all, or several numbers.")
    ] = "all",
    noise: Annotated[
        str, typer.Option(help="Sd of the measurement error over the size of the changes.")
    ] = "0.1,1,3",
    kind: Annotated[str, typer.Option(help="What is measured: weights or rates.")] = "weights",
    model: Annotated[str, typer.Option(help="A model's name, or the path of a .toml.")] = "rate",
    radius: Annotated[float, typer.Option(help="Spectral radius of random weights.")] = 0.5,
    experiments: Annotated[int, typer.Option(help="For each design and each truth.")] = 20,
    level: Annotated[float, typer.Option(help="As for ratenet identify.")] = 0.05,
    seed: Annotated[int, seed_option("Seed of everything that is drawn.")] = 0,
    out: Annotated[Path, path("Folder for the results.")] = Path("power"),
    overwrite: Overwrite = False,
) -> None:
    """Simulate experiments under each rule, and count which rule is named.

    Every combination of the numbers is a design. Writes config.toml, power.csv (a row for each
    design, truth and named rule), accuracy.csv (for each design and truth), both with 95 %
    intervals, power.png, and confusion.png of the first design.

    Example: `ratenet power --rules euclidean,hebb --observed 20,50,200,all --noise 1`
    """
    from ratenet.files import new_results
    from ratenet.hypotheses import power as run
    from ratenet.hypotheses.identification.power_analysis import number_of_steps
    from ratenet.plasticity import RULES, rule_named
    from ratenet.report.progress import StepBar

    options: dict[str, Any] = {
        "units": _numbers(units, "units", int),
        "stimuli": _numbers(stimuli, "stimuli", int),
        "observed": _numbers(observed, "observed", int),
        "noise": _numbers(noise, "noise", float),
        "kind": kind, "model": model, "radius": radius, "experiments": experiments,
        "level": level, "seed": seed,
    }  # fmt: skip
    candidates = [rule_named(name) for name in split_list(rules)]
    steps = number_of_steps(options["units"], options["stimuli"], experiments)
    with new_results(out, FILES, overwrite=overwrite) as results:
        with StepBar(steps, "simulating experiments") as bar:
            found = run(candidates, progress=bar.show, **options)
        shown = {**options, "observed": ["all" if n is None else n for n in options["observed"]]}
        record = {"power": {"rules": [*map(RULES.written, candidates)], **shown}}
        _write(found, {**record, **code_of(candidates)}, results)
    print(found.summary())
    print(f"tables  {out / 'power.csv'}, {out / 'accuracy.csv'}")
    print(f"figures {out / 'power.png'}, {out / 'confusion.png'}")


def _numbers(text: str, where: str, kind: type) -> list[Any]:
    """Return the numbers of a list that is separated by commas; all is None, for `observed`."""
    from ratenet.errors import InputError

    try:
        return [
            None if where == "observed" and part.strip() == "all" else kind(part)
            for part in text.split(",")
        ]
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise InputError.at(where, got=text, expected=f"{wanted}, separated by commas") from None


def _write(found: "Power", record: dict[str, Any], results: "ResultsFolder") -> None:
    from ratenet.report.figures import as_png
    from ratenet.report.identification import confusion_figure, power_figure
    from ratenet.report.record import write_config

    results.write("config.toml", lambda path: write_config(path, record))
    accuracy = found.accuracy
    results.write("power.csv", lambda path: found.table.to_csv(path, index=False))
    results.write("accuracy.csv", lambda path: accuracy.to_csv(path, index=False))
    title = f"Telling {len(found.rules)} rules apart by changes of {found.kind}"
    results.write("power.png", as_png(power_figure(accuracy, level=found.level, title=title)))
    design = found.designs()[0]
    title = ", ".join(f"{name} {value:g}" for name, value in design.items())
    results.write("confusion.png", as_png(confusion_figure(found.confusion(), title=title)))
