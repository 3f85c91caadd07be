"""``ratenet power --infer``: how much must be recorded for intervals of a wanted width."""

import math
import sys
from pathlib import Path
from typing import Any

from ratenet.cli.compare import scheduler_of
from ratenet.cli.config_options import split_list
from ratenet.cli.power import numbers_in

COUNTS = ("units", "stimuli", "synapses", "recorded", "sightings", "animals")


def power_of_inference(
    rule: str,
    family: str,
    *,
    width: float | None,
    processes: int | None,
    scheduler: str | None,
    out: Path,
    model: str,
    experiments: int,
    level: float,
    seed: int,
    overwrite: bool,
    form: str,
    **numbers: str,
) -> None:
    """Run simulated experiments, and write how narrow intervals become.

    `numbers` are fields of `Design`, each a list of numbers separated by commas.
    """
    from ratenet.errors import InputError
    from ratenet.files import write_text
    from ratenet.hypotheses import power_of_inference as run
    from ratenet.report.figures import save
    from ratenet.report.inference_power import width_figure
    from ratenet.report.progress import StepBar
    from ratenet.training.interruption import caught_signals

    if width is None:
        raise InputError.at("width", got=width, expected="with --infer a wanted width, --width")
    design = {name: _several(name, text) for name, text in numbers.items()}
    total = experiments * math.prod(map(len, design.values()))
    try:
        with (
            caught_signals(at_once=True) as ended_by,
            StepBar(total, "simulating experiments") as bar,
        ):
            found = run(
                rule, family, width=width, out=out, scheduler=scheduler_of(processes, scheduler),
                progress=lambda done, total: bar.show(done), model=model, level=level, seed=seed,
                experiments=experiments, overwrite=overwrite, **design,
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        print(interrupt, file=sys.stderr)
        sys.exit(128 + ended_by[0])
    write_text(out / "power.csv", found.table.to_csv(index=False))
    write_text(out / "designs.csv", found.designs.to_csv(index=False))
    save(width_figure(found.table, width), out / f"power.{form}")
    print(found.summary())
    print(f"tables  {out / 'power.csv'}, {out / 'designs.csv'}\nfigure  {out / f'power.{form}'}")


def _several(name: str, text: str) -> list[Any]:
    if name == "shown":
        return split_list(text)
    where = "observed" if name == "synapses" else name  # as its option is called
    return numbers_in(text, where, int if name in COUNTS else float)
