"""``ratenet power``: how much must be measured to tell plasticity rules apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.config_options import split_list
from ratenet.cli.identify import USUAL, code_of
from ratenet.cli.names import check_names
from ratenet.cli.options import (
    FigureFormat,
    Overwrite,
    above_zero,
    path,
    seed as seed_option,
    whole,
)
from ratenet.files import figure_files

if TYPE_CHECKING:
    from ratenet.files import ResultsFolder
    from ratenet.hypotheses import Power

ALL = ("observed", "recorded")  # of which a number may be all
FILES = ("power.csv", "accuracy.csv", *figure_files("power", "confusion"))


def power(
    rules: Annotated[str, typer.Option(help="Two or more, separated by commas.")] = USUAL,
    data: Annotated[
        Path | None,
        path(
            "Your own design, as for ratenet identify: weights, drive and targets that are there."
        ),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="N; several separated by commas. Default 50, or DATA's.")
    ] = None,
    stimuli: Annotated[
        str | None, typer.Option(help="B; several separated by commas. Default 20, or DATA's.")
    ] = None,
    observed: Annotated[
        str, typer.Option(help="Synapses (neurons, for rates) measured; all, or several numbers.")
    ] = "all",
    noise: Annotated[
        str, typer.Option(help="Sd of the measurement error over the size of the changes.")
    ] = "0.1,1,3",
    correlation: Annotated[
        float, typer.Option(help="Share of an error's variance that a neuron's synapses share.")
    ] = 0.0,
    weight_error: Annotated[
        float, typer.Option(help="Sd of the error of W before, over the size of W.")
    ] = 0.0,
    steps: Annotated[int, whole("Steps of learning.")] = 1,
    change: Annotated[
        float, above_zero("What is learned in all steps, over the size of W.", below=1)
    ] = 0.01,
    animals: Annotated[str, typer.Option(help="Animals; several numbers by commas.")] = "1",
    others: Annotated[
        str | None,
        typer.Option(help="Truths that are not candidates: rules, separated by commas."),
    ] = None,
    kind: Annotated[str, typer.Option(help="What is measured: weights or rates.")] = "weights",
    model: Annotated[
        str | None, typer.Option(help="A model's name, or the path of a .toml; default rate.")
    ] = None,
    radius: Annotated[float, typer.Option(help="Spectral radius of random weights.")] = 0.5,
    experiments: Annotated[int, typer.Option(help="For each design and each truth.")] = 20,
    level: Annotated[float, typer.Option(help="As for ratenet identify.")] = 0.05,
    infer: Annotated[
        str | None,
        typer.Option(
            help="A family, such as 'taylor(2, 2, 1)': power of ratenet infer, see below."
        ),
    ] = None,
    width: Annotated[float | None, above_zero("With --infer: wanted width of intervals.")] = None,
    minutes: Annotated[str, typer.Option(help="With --infer: minutes; several numbers.")] = "2",
    shown: Annotated[
        str, typer.Option(help="With --infer: stimuli that are dense, sparse or single; several.")
    ] = "dense",
    sightings: Annotated[
        str, typer.Option(help="With --infer: times at which synapses are observed.")
    ] = "10",
    recorded: Annotated[
        str, typer.Option(help="With --infer: units whose rates are seen.")
    ] = "all",
    processes: Annotated[int | None, typer.Option(help="With --infer: processes.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="With --infer: address of a Dask scheduler.")
    ] = None,
    seed: Annotated[int, seed_option("Seed of everything that is drawn.")] = 0,
    out: Annotated[Path, path("Folder for the results.")] = Path("power"),
    form: FigureFormat = "png",
    overwrite: Overwrite = False,
) -> None:
    """Simulate experiments under each rule, and count which rule is named.

    Every combination of the numbers is a design; several animals are judged together. Writes
    config.toml, power.csv (a row for each design, truth and named rule), accuracy.csv (for each
    design and truth), both with 95 % intervals and counts of wrong names, power.png, and
    confusion.png of the first design.

    Example: `ratenet power --rules euclidean,hebb --observed 20,50,200,all --noise 1`

    With --infer networks learn by --rules, one rule in time such as oja, and every design is asked
    how narrow the intervals of the family's coefficients are, at level 1 - --level: --units,
    --stimuli, --observed (synapses), --animals, --noise (of rates and weights, over their size),
    --experiments and the options above. Writes config.toml, power.csv, designs.csv and power.png;
    finished experiments are kept in --out, and the same command resumes.

    Example: `ratenet power --data data --others oja --animals 6,10 --weight-error 0.3`

    Example: `ratenet power --infer "taylor(1, 2, 1)" --rules oja --width 0.05 --minutes 1,2,5`
    """
    if infer is not None:
        from ratenet.cli.power_of_inference import power_of_inference

        power_of_inference(
            rules, infer, width=width, model=model or "rate", experiments=experiments,
            level=1 - level, seed=seed, processes=processes, scheduler=scheduler, out=out,
            overwrite=overwrite, units=units or "20", stimuli=stimuli or "20", synapses=observed,
            recorded=recorded, minutes=minutes, sightings=sightings, noise=noise, animals=animals,
            shown=shown, form=form,
        )  # fmt: skip
        return
    check_names({"rules": [*split_list(rules), *split_list(others or "")], "model": model})

    from ratenet.files import new_results
    from ratenet.hypotheses import power as run
    from ratenet.hypotheses.identification.power_analysis import number_of_steps
    from ratenet.plasticity import RULES, rule_named
    from ratenet.report.progress import StepBar

    options: dict[str, Any] = {
        "units": None if units is None else numbers_in(units, "units", int),
        "stimuli": None if stimuli is None else numbers_in(stimuli, "stimuli", int),
        "observed": numbers_in(observed, "observed", int),
        "noise": numbers_in(noise, "noise", float),
        "correlation": correlation, "weight_error": weight_error, "steps": steps, "change": change,
        "animals": numbers_in(animals, "animals", int),
        "kind": kind, "model": model, "radius": radius, "experiments": experiments,
        "level": level, "seed": seed,
    }  # fmt: skip
    candidates = [rule_named(name) for name in split_list(rules)]
    outside = [] if others is None else [rule_named(name) for name in split_list(others)]
    number = number_of_steps(options["units"], options["stimuli"], experiments)
    with new_results(out, FILES, overwrite=overwrite) as results:
        own = {} if data is None else _design(data, model)
        given = {name: value for name, value in options.items() if name != "model" or not own}
        with StepBar(number, "simulating experiments") as bar:
            found = run(candidates, others=outside, progress=bar.show, **own, **given)
        sizes = {name: found.table[name].unique().tolist() for name in ("units", "stimuli")}
        resolved = {**options, **sizes, "model": model or "rate",
                 "observed": ["all" if n is None else n for n in options["observed"]],
                 "data": None if data is None else str(data),
                 "others": [*map(RULES.written, outside)]}  # fmt: skip
        record = {"power": {"rules": [*map(RULES.written, candidates)], **resolved}}
        _write(found, {**record, **code_of([*candidates, *outside])}, results, form)
    print(found.summary())
    print(f"tables  {out / 'power.csv'}, {out / 'accuracy.csv'}")
    print(f"figures {out / f'power.{form}'}, {out / f'confusion.{form}'}")


def _design(data: Path, model: str | None) -> dict[str, Any]:
    """Return network, drive and target of one's own design, as far as files say them."""
    from ratenet.errors import InputError
    from ratenet.hypotheses.data_files import load_measurements
    from ratenet.network import Network

    measured = load_measurements(data)
    network = measured.networks(model or "rate")
    if not isinstance(network, Network):
        raise InputError.at("data", found="several", expected="one network, that of all animals")
    names = {"drive": "drive", "targets": "target"}
    arrays = {names[key]: value for key, value in measured.arrays.items() if key in names}
    return {"network": network, **arrays}


def numbers_in(text: str, where: str, kind: type) -> list[Any]:
    """Return the numbers of a list, separated by commas; all is None, for what is observed."""
    from ratenet.errors import InputError

    try:
        return [
            None if where in ALL and part.strip() == "all" else kind(part)
            for part in text.split(",")
        ]
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise InputError.at(where, got=text, expected=f"{wanted}, separated by commas") from None


def _write(found: "Power", record: dict[str, Any], results: "ResultsFolder", form: str) -> None:
    from ratenet.report.figures import figure_writes
    from ratenet.report.identification import confusion_figure, power_figure
    from ratenet.report.record import write_config

    results.write("config.toml", lambda path: write_config(path, record))
    accuracy = found.accuracy
    results.write("power.csv", lambda path: found.table.to_csv(path, index=False))
    results.write("accuracy.csv", lambda path: accuracy.to_csv(path, index=False))
    figures = {
        "power": power_figure(accuracy, level=found.level),
        "confusion": confusion_figure(found.confusion()),
    }
    for name, figure in figures.items():
        results.write_all(figure_writes(figure, name, form))
