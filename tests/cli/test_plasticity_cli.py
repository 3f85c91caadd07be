"""``ratenet plasticity``: list, show, LaTeX, check, schema, and a mistake as one sentence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ratenet as rn
from ratenet.cli import app
from ratenet.conformance import plasticity
from ratenet.errors import ModelError, UnknownNameError


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["plasticity", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_rules_are_listed_and_shown() -> None:
    listed = run()
    for name in rn.plasticity_names():
        assert rn.load_plasticity(name).title in listed
    assert run("bcm") == run("show", "bcm") == f"{rn.load_plasticity('bcm')}\n"
    assert r"\frac{\mathrm{d}\theta}{\mathrm{d}t} &=" in run("bcm", "--latex")
    assert r"\sum_{\mathrm{post}} w y_{post}" in run("subspace", "--latex")


def test_the_schema_names_every_key() -> None:
    schema = json.loads(run("schema"))
    assert set(schema["properties"]) == {
        "name", "title", "source", "equations", "weight", "functions", "parameters", "signals",
    }  # fmt: skip
    assert schema["required"] == ["equations"]


@pytest.mark.brian2
def test_a_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plasticity, "STEPS", 5)
    path = tmp_path / "mine.toml"
    path.write_text('equations = "dw/dt = nu*tanh(y_post*y_pre) : 1"\nparameters = {nu = "1*Hz"}')
    said = run("check", str(path))
    assert said.count("passed") == 2
    assert "-       matrix products: the right-hand sides do not part" in said
    path.write_text('equations = "dw/dt = y : 1"')
    with pytest.raises(ModelError, match=r"mine\.toml: equations, dw/dt: both units"):
        run("check", str(path))
    with pytest.raises(UnknownNameError, match="Unknown plasticity rule 'nope'"):
        run("nope")
