"""The reference pages name what there is: keys, functions, distributions, files, columns."""

import dataclasses
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.public import public_objects

import ratenet as rn
from ratenet.equations.files import parse_model, parse_plasticity
from ratenet.equations.functions import FUNCTIONS
from ratenet.equations.parameters import _DRAW
from ratenet.equations.table import ModelTable, PlasticityTable
from ratenet.fixed_points.adjoint import default_adjoint_tolerance
from ratenet.fixed_points.certificate import default_tolerance
from ratenet.training.metrics_table import METRICS, METRICS_OF_TARGETS
from ratenet.training.run_folder import FIGURES, RunFolder

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_the_example_of_the_model_page_is_a_model_with_fixed_points() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("model-file"), flags=re.DOTALL)
    model = parse_model(tomllib.loads(example))
    assert model.unused_parameters == ()
    network = rn.Network(model, {"E": {"E": 0.0, "I": -0.01}}, populations={"E": 8, "I": 2})
    assert rn.find_fixed_points(network, {"E": 10.0, "I": 5.0}).unsettled == 0


def keys(name: str, heading: str) -> set[str]:
    """Return the names in backquotes of the table under a heading, in its first column."""
    section = page(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {found.strip("[]") for cell in cells for found in re.findall("`([^`]+)`", cell)}


def named(name: str, heading: str) -> set[str]:
    """Return all names in backquotes of the table under a heading."""
    section = page(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {found for row in rows for found in re.findall("`([^`]+)`", row)}


@pytest.mark.parametrize(
    ("name", "table"), [("model-file", ModelTable), ("plasticity-file", PlasticityTable)]
)
def test_a_file_page_has_exactly_the_keys_of_the_file(name: str, table: type) -> None:
    assert keys(name, "Keys") == {field.name for field in dataclasses.fields(table)}


def test_the_model_page_has_every_function_and_distribution() -> None:
    text = page("model-file")
    assert all(f"`{name}`" in text for name in FUNCTIONS)
    assert all(f"`{name}(" in text for name in _DRAW)


def test_the_example_of_the_plasticity_page_moves_weights() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("plasticity-file"), flags=re.DOTALL)
    rule = parse_plasticity(tomllib.loads(example))
    assert rule.unused_parameters == ()
    network = rn.Network("rate", torch.zeros(3, 3, dtype=torch.float64))
    run = rn.simulate(
        network, torch.ones(3), 0.1, 1e-3, plasticity=rule, signals={"reward": 1.0}
    )  # fmt: skip
    assert run.final_weights.abs().min() > 0


SLOW = {"hold": 0.04, "fade": 0.01, "tau": 0.01, "unsettled": "include"}
RUNS = {  # between them they take every option that adds to what a run folder records
    "slow": {**SLOW, "hold": 0.0, "correct_lag": True, "validation": 50, "barrier": 0.1},
    "line search": {"presentation": "static", "step": "line-search"},
    "plasticity": {**SLOW, "plasticity": "oja(eta=1e-4*Hz)"},
    "stack": {
        "presentation": "static",
        "layers": [{"kind": "fixed-point", "units": 5}, {"kind": "read-out"}],
    },
    "targets": {**SLOW, "validation": 2, "batch_size": 5},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made, digits = [], rn.stimuli.load_images("mnist-5k")
    few = rn.stimuli.ImageSet.from_arrays(
        train=(digits.train.pixels[::20], digits.train.labels[::20]),
        test=(digits.test.pixels[::20], digits.test.labels[::20]),
    )
    numbers = np.random.default_rng(0).random((12, 18))
    pairs = (numbers[:, :16], numbers[:, 16:])
    regression = rn.stimuli.ImageSet.from_arrays(train=pairs, test=pairs)
    for name, options in RUNS.items():
        data = regression if name == "targets" else few
        given = {"epochs": 1, "batch_size": 50, "data": data, **options}
        given |= {} if "layers" in options else {"units": 5}
        made.append(tmp_path_factory.mktemp("runs") / name.replace(" ", "-"))
        rn.train(rn.TrainingConfig(**given), out=made[-1])
    return made


@pytest.mark.slow
def test_the_run_page_has_exactly_the_keys_of_the_summaries(folders: list[Path]) -> None:
    written = set().union(*(rn.load_run(folder).summary for folder in folders))
    assert keys("run-folder", "summary.json") <= written
    assert written <= named("run-folder", "summary.json")


def test_the_run_page_has_exactly_the_columns_of_the_metrics() -> None:
    assert keys("run-folder", "metrics.csv") == set(METRICS)
    assert set(METRICS_OF_TARGETS) <= named("run-folder", "metrics.csv")


@pytest.mark.slow
def test_the_run_page_has_every_file_and_section(folders: list[Path]) -> None:
    text = page("run-folder")
    for folder in folders:
        files = {path.name for path in folder.iterdir()} | {*FIGURES}
        assert all(f"`{name}" in text for name in files)
        assert f"`{RunFolder(folder).evaluation_file.name}`" in text
        config = tomllib.loads((folder / "config.toml").read_text())
        assert all(f"`[{name}]`" in text or f"`[[{name}]]`" in text for name in config)
        assert set(config["data"]) | set(config["machine"]) <= named("run-folder", "config.toml")


def test_the_solver_page_has_the_tolerance_of_each_function() -> None:
    listed = {}
    for line in page("solvers").split("\n## Tolerances\n")[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            said = (float(cells[2]), float(cells[3]))
            listed |= dict.fromkeys(re.findall("`([^`]+)`", cells[0]), said)
    dtypes = (torch.float64, torch.float32)
    solved = tuple(map(default_tolerance, dtypes))
    of_adjoint = tuple(map(default_adjoint_tolerance, dtypes))
    known = {}
    for name, thing in public_objects().items():
        default = tolerance_of(thing)
        short = name.rpartition(".")[2]
        if default is None:
            known[short] = of_adjoint if "adjoint" in short else solved
        elif default is not inspect.Parameter.empty:
            known[short] = (default, default)
    assert listed == known


def tolerance_of(thing: Any) -> Any:
    """Return the default of a parameter `tol`; empty where there is no such default."""
    try:
        found = inspect.signature(thing).parameters.get("tol")
    except ValueError:  # a builtin
        found = None
    return inspect.Parameter.empty if found is None else found.default
