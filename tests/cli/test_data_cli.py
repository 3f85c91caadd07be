"""``ratenet data describe``: what is in a file, and a sentence for what cannot be read."""

import numpy as np
from typer.testing import CliRunner

from ratenet.cli import app
from ratenet.hypotheses import Recording


def run(*words):
    return CliRunner().invoke(app, ["data", "describe", *map(str, words)])


def test_a_recording_is_listed(tmp_path):
    rates = np.array([[1.0, np.nan], [2.0, 4.0]])
    Recording(time=[0.5, 1.5], rates=rates).save(tmp_path / "a.npz")
    done = run(tmp_path / "a.npz", "--csv")
    assert done.exit_code == 0
    rows = dict(line.split(",", 1) for line in done.output.splitlines())
    assert rows["rates"] == '"(2, 2)",,0.5 to 1.5 s,0.25,1.0,4.0'
    assert "0.5 to 1.5 s" in run(tmp_path / "a.npz").output


def test_names_of_any_kind_are_listed_without_being_obeyed(tmp_path):
    np.savez(tmp_path / "a.npz", **{"[red]x": np.arange(3), "\x1b[2J": np.zeros(1)})
    done = run(tmp_path / "a.npz")
    assert "[red]x" in done.output
    assert "\x1b[2J" not in done.output


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK")
    assert "cannot be read as .npz" in str(run(tmp_path / "a.npz").exception)
    assert "does not exist" in str(run(tmp_path / "b.npz").exception)
