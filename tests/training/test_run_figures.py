"""The figures of a run folder: their format, and their numbers beside them."""

from pathlib import Path

import pandas as pd
import pytest

import ratenet as rn
from ratenet.errors import InputError, RunFolderError

QUICK = {"presentation": "static", "units": 10, "epochs": 1, "batch_size": 100, "threads": 1}


@pytest.mark.usefixtures("few_digits", "pictures")
def test_figures_come_in_the_format_that_is_asked_for(tmp_path: Path) -> None:
    config = rn.TrainingConfig(**QUICK)
    result = rn.train(config, out=tmp_path / "run", figure_format="pdf")
    place = tmp_path / "run" / "figures"
    assert (place / "learning_curve.pdf").read_bytes().startswith(b"%PDF")
    assert not list(place.glob("*.png"))
    shown = pd.read_csv(place / "learning_curve-figure.csv")
    each = shown[(shown["panel"] == "A") & (shown["series"] == "each batch")]["y"]
    assert each.to_numpy() == pytest.approx(result.metrics["train_loss"].to_numpy())
    with pytest.raises(RunFolderError, match="already holds a training run"):
        rn.train(config, out=tmp_path / "run")
    rn.train(config, out=tmp_path / "run", overwrite=True)
    assert not list(place.glob("*.pdf"))  # nothing of the run that was replaced is left
    rn.resume(tmp_path / "run", {"epochs": 2}, figure_format="svg")
    assert (place / "learning_curve.svg").exists()


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="figure_format: expected png, pdf or svg, got 'gif'"):
        rn.train(rn.TrainingConfig(**QUICK), out=tmp_path / "run", figure_format="gif")
    assert not list(tmp_path.iterdir())
