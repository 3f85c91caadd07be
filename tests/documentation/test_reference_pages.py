"""The reference pages name what there is: keys, functions, distributions, files, columns."""

import dataclasses
import re
import tomllib
from pathlib import Path

import ratenet as rn
from ratenet.equations import ModelSpec
from ratenet.equations.files import parse_model
from ratenet.equations.functions import FUNCTIONS
from ratenet.equations.parameters import _DRAW
from ratenet.training.run_folder import FIGURES, RunFolder

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_example_of_the_model_page_is_a_model_with_fixed_points() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("model-file.md"), flags=re.DOTALL)
    model = parse_model(tomllib.loads(example))
    assert model.unused_parameters == ()
    network = rn.Network(model, {"E": {"E": 0.0, "I": -0.01}}, populations={"E": 8, "I": 2})
    assert rn.find_fixed_points(network, {"E": 10.0, "I": 5.0}).unsettled == 0


def test_the_model_page_has_every_key_function_and_distribution() -> None:
    text = page("model-file.md")
    for field in dataclasses.fields(ModelSpec):
        assert field.name.startswith("_") or re.search(rf"`\[?{field.name}\]?`", text), field.name
    assert all(f"`{name}`" in text for name in FUNCTIONS)
    assert all(f"`{name}(" in text for name in _DRAW)


def test_the_run_page_has_every_file_column_and_key(tmp_path: Path) -> None:
    text, out = page("run-folder.md"), tmp_path / "run"
    config = rn.TrainingConfig(
        epochs=1, units=5, batch_size=500, validation=500, hold=0.04, fade=0.01, tau=0.01,
        unsettled="include",
    )  # fmt: skip
    rn.train(config, out=out)
    named = {path.name for path in out.iterdir() if path.name != "tensorboard"}
    assert all(f"`{name}" in text for name in {*named, *FIGURES})
    assert RunFolder(out).evaluation_file.name in text
    run = rn.load_run(out)
    for name in (*run.metrics.columns, *run.summary):
        assert f"`{name}`" in text, name
    sections = tomllib.loads((out / "config.toml").read_text())
    assert all(f"`[{name}]`" in text for name in sections)
