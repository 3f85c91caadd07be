"""How much must be recorded for intervals of coefficients that are as narrow as is wanted.

Experiments are simulated whose rule is known, and `infer` is asked. Each design and experiment is a
cell: kept in a file when it is finished, and run where a comparison's cells are.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ratenet.connectivity.computation import shielded
from ratenet.equations import PlasticitySpec, load_plasticity
from ratenet.errors import ConvergenceError, DivergenceError, InputError, RunFolderError
from ratenet.files import CONFIG, make_folder, open_folder, remove_parts
from ratenet.hypotheses.comparison.cell_files import CellFiles, Progress
from ratenet.hypotheses.comparison.config import Cell
from ratenet.hypotheses.comparison.schedulers import AbstractScheduler, InProcess
from ratenet.hypotheses.inference.experiments import Design, simulated
from ratenet.hypotheses.inference.families import read_family
from ratenet.hypotheses.inference.infer import infer
from ratenet.notebook import frame, table
from ratenet.report.record import write_config
from ratenet.validation import (
    check_choice,
    check_positive,
    check_seed,
    check_whole,
    read_toml,
)

SHOWN = ("dense", "sparse", "single")
WHOLE = ("units", "stimuli", "recorded", "synapses", "sightings", "animals")
ENOUGH = 0.8  # of the experiments, in which an interval is as narrow as is wanted
NAMES = tuple(each.name for each in fields(Design))


@dataclass(frozen=True, eq=False)
class InferencePower:
    """How narrow intervals become.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each design and coefficient: width, the median width of the interval over
        experiments; reached, the share of experiments in which it is at most the wanted one;
        identifiable, the share in which the data see the coefficient by itself; value and sd, mean
        and standard deviation of the estimates; failed, the share of experiments without one.
    width : float
        The wanted width.
    experiments : int
        One for each design.
    """

    table: pd.DataFrame
    width: float
    experiments: int

    @property
    def designs(self) -> pd.DataFrame:
        """A row for each design: the widest interval, and the share in which all are reached."""
        found = self.table.groupby(list(NAMES), sort=False)
        return found.agg(width=("width", "max"), reached=("reached", "min")).reset_index()

    def summary(self) -> str:
        """Return which design suffices, in a sentence."""
        enough = self.designs[self.designs["reached"] >= ENOUGH]
        if enough.empty:
            best = self.designs["width"].min()
            return (
                f"No design gives intervals of at most {self.width:g} in {ENOUGH:.0%} of the "
                f"experiments; the narrowest that hold for all coefficients are {best:.3g} wide."
            )
        first = enough.sort_values(["animals", "minutes", "synapses", "units"]).iloc[0]
        moving = [name for name in NAMES if self.table[name].nunique() > 1] or list(NAMES)
        shown = ", ".join(f"{name} {first[name]}" for name in moving)
        return (
            f"Intervals of at most {self.width:g} in at least {ENOUGH:.0%} of the experiments, "
            f"with the fewest animals and minutes: {shown}."
        )

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return table(self.summary(), {"widths": frame(self.table)})

    def plot(self, ax: Any = None) -> Any:
        """Draw the median width of each coefficient's interval in each design.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ratenet.report.pictures import plot_inference_power

        return plot_inference_power(self, ax)


@shielded()
def power_of_inference(
    rule: Any,
    family: str,
    *,
    width: float,
    model: str = "rate",
    experiments: int = 10,
    level: float = 0.95,
    seed: int = 0,
    out: str | Path | None = None,
    scheduler: AbstractScheduler | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **design: Any,
) -> InferencePower:
    """Simulate experiments in which a rule is known, and see how narrow `infer`'s intervals are.

    Parameters
    ----------
    rule : str, Path, mapping or PlasticitySpec
        By which the networks learn, a rule in time as `load_plasticity` takes it.
    family : str
        As for `infer`, such as ``"taylor(2, 2, 1)"``.
    width : float
        The wanted width of the intervals, in the unit of the coefficients (SI).
    model : str
        Name of the network's model.
    experiments : int
        For each design.
    level, seed
        As for `infer`; the seed is that of everything that is drawn.
    out : path, optional
        A folder that keeps finished experiments, and is continued by the same call.
    scheduler : AbstractScheduler, optional
        `InProcess` (default), `Processes` or `Dask`; the numbers are the same.
    overwrite : bool
        Whether another analysis in the folder is replaced.
    progress : callable, optional
        Called as progress(done, total) after each experiment.
    **design
        Fields of `Design`, each one value or several: units, stimuli, shown ("dense", "sparse" or
        "single" units), minutes, every (seconds), recorded (units) and synapses, sightings, noise
        and animals. None stands for all units or synapses. Every combination is a design.

    Returns
    -------
    InferencePower

    Raises
    ------
    InputError, UnknownNameError
        If a value cannot be used.
    RunFolderError
        If the folder holds something else.
    OtherProcessError
        If a worker died for good; finished experiments are kept.

    Examples
    --------
    >>> found = power_of_inference(
    ...     "oja", "taylor(1, 2, 1)", width=1.0, units=8, minutes=0.5, experiments=1
    ... )
    >>> len(found.table)
    12
    """
    spec = rule if isinstance(rule, PlasticitySpec) else load_plasticity(rule)
    designs = list(_designs(design))
    check_positive(width, "width")
    given = {"rule": spec.to_table(), "family": family, "model": model, "level": level,
             "seed": check_seed(seed)}  # fmt: skip
    labels = read_family(family, None, 2).labels  # says what is wrong with it
    number, where = check_whole(experiments, "experiments"), scheduler or InProcess()
    where.check()
    cells = [{"kind": "infer", **given, "design": asdict(each), "experiment": n}
             for each in designs for n in range(number)]  # fmt: skip
    with _folder(out, {**given, "designs": [asdict(each) for each in designs]}, overwrite) as files:
        run = partial(where.run, data_root="", work=run_experiment)
        files.finish(cells, run, progress or (lambda done, total: None))
        found = [files.kept(cell) or {} for cell in cells]
    return InferencePower(_table(cells, found, labels, width), width, number)


def run_experiment(cell: Cell, data_root: str, own: object = None) -> dict[str, Any]:
    """Simulate one experiment and infer its rule; return the estimates, or why there are none."""
    seed = [cell["seed"], cell["experiment"]]  # the same networks for all designs, where they can
    spec, design = load_plasticity(cell["rule"]), Design(**cell["design"])
    try:
        recordings = simulated(design, spec, cell["model"], np.random.default_rng(seed))
        found = infer(
            recordings, cell["family"], against=(), level=cell["level"], seed=cell["seed"]
        )
    except (DivergenceError, ConvergenceError) as error:
        return {"failed": str(error), "estimates": []}
    columns = ["name", "value", "low", "high", "identifiable"]
    rows = found.estimates[columns].astype({"identifiable": bool}).to_dict("records")
    return {"failed": "", "estimates": rows}


def _designs(given: Mapping[str, Any]) -> Iterator[Design]:
    """Return every combination of the numbers, each checked."""
    for name in given:
        check_choice(name, "design", NAMES)
    several = {
        name: [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
        for name, value in given.items()
    }
    for name, values in several.items():
        if not values:
            raise InputError.at(name, got=values, expected="one value or several")
        several[name] = [_checked(name, value) for value in values]
    for chosen in itertools.product(*several.values()):
        yield _whole(dict(zip(several, chosen, strict=True)))


def _whole(given: dict[str, Any]) -> Design:
    """Return a design in which all units, or all synapses, are a number."""
    units = given.get("units", Design.units)
    for name, most in (("recorded", units), ("synapses", units**2)):
        if given.get(name) is None:
            given[name] = most if name in given or name == "recorded" else Design.synapses
        given[name] = min(given[name], most)
    return Design(**given)


def _checked(name: str, value: Any) -> Any:
    if name == "shown":
        check_choice(value, name, SHOWN)
        return value
    if value is None and name in ("recorded", "synapses"):
        return None
    if name in WHOLE:
        return check_whole(value, name, least=2 if name in ("units", "sightings") else 1)
    if name == "noise" and value == 0:
        return 0.0
    return check_positive(value, name)


@contextmanager
def _folder(out: str | Path | None, record: dict[str, Any], overwrite: bool) -> Iterator[CellFiles]:
    """Give the files of an analysis, in a folder that holds this very one or nothing."""
    if out is None:
        with TemporaryDirectory() as place:
            yield CellFiles(Path(place))
        return
    folder = Path(out)
    files = CellFiles(folder / "cells")
    with open_folder(folder):
        config = folder / CONFIG
        known = read_toml(config).get("infer_power") if config.exists() else record
        if known != record and not overwrite:
            raise RunFolderError(
                f"out: {str(folder)!r} holds other results; choose another folder, or replace them "
                "with --overwrite.",
                argument="out",
            )
        make_folder(files.path)
        remove_parts(files.path)
        if overwrite:
            for file in files.path.glob("*.json"):
                file.unlink()
        write_config(config, {"infer_power": record})
        yield files


def _table(
    cells: Sequence[Cell],
    found: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    width: float,
) -> pd.DataFrame:
    designs: dict[str, tuple[dict[str, Any], list[Mapping[str, Any]]]] = {}
    for cell, each in zip(cells, found, strict=True):
        designs.setdefault(repr(cell["design"]), (cell["design"], []))[1].append(each)
    return pd.DataFrame(
        [
            {**design, **_row(label, parts, width)}
            for design, parts in designs.values()
            for label in labels
        ]
    )


def _row(label: str, parts: Sequence[Mapping[str, Any]], width: float) -> dict[str, Any]:
    rows = [row for part in parts for row in part["estimates"] if row["name"] == label]
    widths = np.array([row["high"] - row["low"] for row in rows])
    values = np.array([row["value"] for row in rows])
    enough = np.sum(widths <= width) / len(parts)  # NaN, and what failed, are not
    return {
        "coefficient": label,
        "width": float(np.median(widths)) if len(rows) else np.nan,
        "reached": float(enough),
        "identifiable": float(np.mean([row["identifiable"] for row in rows])) if rows else 0.0,
        "value": float(values.mean()) if len(rows) else np.nan,
        "sd": float(values.std(ddof=1)) if len(rows) > 1 else np.nan,
        "failed": 1 - len(rows) / len(parts),
    }
