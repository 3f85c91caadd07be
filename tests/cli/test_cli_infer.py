"""``ratenet infer``: tables and pictures from a recording, and mistakes in one sentence."""

import datetime
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ratenet.cli import app
from ratenet.errors import RatenetError
from ratenet.hypotheses import Recording


def saved(folder: Path) -> Path:
    """Return the file of a recording under a rule y_post*y_pre - 0.5*w."""
    rng = np.random.default_rng(0)
    y, w = rng.random((30, 6)), np.zeros((30, 6, 6))
    for t in range(29):
        w[t + 1] = w[t] + 0.1 * (np.outer(y[t], y[t]) - 0.5 * w[t])
    weights = np.where(rng.random(w.shape) < 0.5, w + 0.001 * rng.normal(size=w.shape), np.nan)
    path = folder / "mouse.npz"
    Recording(time=0.1 * np.arange(30), rates=y, weights=weights).save(path)
    return path


@pytest.mark.slow
def test_tables_and_pictures(tmp_path: Path) -> None:
    out = tmp_path / "inferred"
    options = ["--family", "taylor(1,1,1)", "--against", "hebb", "--out", str(out)]
    result = CliRunner().invoke(app, ["infer", str(saved(tmp_path)), *options])
    assert result.exit_code == 0, result.output
    assert "y_post*y_pre" in result.output
    table = pd.read_csv(out / "estimates.csv", index_col="name")
    assert table["value"]["y_post*y_pre"] == pytest.approx(1, abs=0.05)
    assert table["value"]["w"] == pytest.approx(-0.5, abs=0.05)
    assert list(pd.read_csv(out / "held_out.csv")["rule"]) == ["taylor(1,1,1)", "hebb"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["kept"] == ["w", "y_post*y_pre"]
    for name in ("surface", "coefficients", "predicted"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(app, ["infer", str(saved(tmp_path)), *options])
    assert isinstance(again.exception, RatenetError)


@pytest.fixture(scope="module")
def nwb_file(tmp_path_factory) -> Path:
    """Return an NWB file with rates, weights and outcomes of trials."""
    pynwb = pytest.importorskip("pynwb")
    contents = Recording.load(saved(tmp_path_factory.mktemp("nwb")))
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    file = pynwb.NWBFile("spines", "id", start)
    for name, values in (("firing", contents.rates), ("spines", contents.weights)):
        file.add_acquisition(
            pynwb.TimeSeries(name=name, data=values, unit="a.u.", timestamps=contents.time)
        )
    file.add_trial_column(name="outcome", description="of the trial")
    for number in range(3):
        outcome = ("hit", "miss")[number % 2]
        file.add_trial(start_time=float(number), stop_time=number + 0.5, outcome=outcome)
    path = tmp_path_factory.mktemp("nwb") / "day1.nwb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "w") as io:
            io.write(file)
    return path


@pytest.mark.slow
def test_paths_inside_an_nwb_file(nwb_file, tmp_path) -> None:
    out = tmp_path / "out"
    places = ["rates=firing", "weights=acquisition/spines", "reward=trials/outcome=hit"]
    options = ["--family", "taylor(1,1,1)", "--against", "hebb", "--out", str(out)]
    given = [part for place in places for part in ("--at", place)]
    result = CliRunner().invoke(app, ["infer", str(nwb_file), *options, *given])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out / "estimates.csv", index_col="name")
    assert table["value"]["y_post*y_pre"] == pytest.approx(1, abs=0.05)
    assert "reward=trials/outcome=hit" in (out / "config.toml").read_text()


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], "acquisition/firing"),
        (["rates=nix"], "acquisition/firing"),
        (["rates"], "NAME=PATH"),
        (["rates=firing", "rates=spines"], "each name once"),
        (["rates=firing", "reward=trials/outcome=nix"], "hit"),
    ],
)
def test_paths_that_are_not_there_are_said_with_those_that_are(nwb_file, places, words) -> None:
    given = [part for place in places for part in ("--at", place)]
    result = CliRunner().invoke(app, ["infer", str(nwb_file), *given])
    assert isinstance(result.exception, RatenetError)
    assert words in str(result.exception)
    assert not Path("inferred").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--family", "taylor(9,9,9)"], "from 0 to 4"),
        (["--family", "bcm", "--free", "nix"], "Unknown free parameter"),
        (["--against", "ojja"], "did you mean 'oja'"),
        (["--level", "2"], "level"),
    ],
)
def test_mistakes_are_said_in_a_sentence_and_leave_no_folder(tmp_path, options, words) -> None:
    out = tmp_path / "out"
    line = ["infer", str(saved(tmp_path)), *options, "--out", str(out)]
    result = CliRunner().invoke(app, line)
    assert isinstance(result.exception, RatenetError)
    assert words in str(result.exception)
    assert not out.exists()
