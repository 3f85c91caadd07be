"""``ratenet plasticity``: list, show, LaTeX, check, schema, and a mistake as one sentence."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ratenet as rn
from ratenet.cli import app, main
from ratenet.conformance import plasticity
from ratenet.errors import ModelError, UnknownNameError
from ratenet.training import network_run


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


def test_training_by_equations_says_what_was_fitted_and_ends_with_3_where_weights_explode(
    few_digits: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(network_run, "draw_network_run", lambda *_: None)
    size = ["--units", "20", "--batch-size", "100", "--epochs", "1", "--hold", "40", "--fade", "20"]
    out = tmp_path / "run"
    command = ["ratenet", "train", *size, "--out", str(out), "--plasticity"]

    def exit_code(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", [*command, *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    assert exit_code("bcm", "--rule", "oja") == 2
    said = capsys.readouterr().err
    assert "rule: the plasticity 'bcm' moves the recurrent weights already" in said
    assert "Traceback" not in said and not out.exists()

    assert exit_code("bcm(eta=0.1*Hz)") == 0
    assert "with the weights as drawn, its read-out fitted, too" in capsys.readouterr().out

    exploding = tmp_path / "exploding.toml"
    exploding.write_text(
        'equations = "dw/dt = eta * (1 + w**2) * y_pre**2 : 1"\n[parameters]\neta = "5*kHz"\n'
    )
    assert exit_code(str(exploding), "--overwrite") == 3
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert "synapse w[" in summary["reason"] and "t = 0.0" in summary["reason"]
