"""Results of compare and identify as xarray trees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import ratenet as rn
from ratenet.hypotheses import compare, identify, observe_weights

# Small ones have few seeds, of which they warn.
pytestmark = pytest.mark.filterwarnings("ignore:seeds. [0-9]+ of:ratenet.errors.RatenetWarning")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ratenet.hypotheses.comparison.compare.write_report", lambda *args, **options: None
    )


def test_a_comparison_is_a_tree_of_its_tables(tmp_path: Path) -> None:
    small: dict[str, Any] = {"seeds": 2, "steps": 4, "units": 8, "samples": 20, "batch_size": 20}
    found = compare(["euclidean", "hebb"], [0.01, 0.1], out=tmp_path, **small)
    tree = found.to_xarray()
    assert isinstance(tree, xarray.DataTree)
    assert set(tree) == {"cells", "steps", "best", "differences"}
    assert dict(tree["cells"].sizes) == {"task": 1, "rule": 2, "learning_rate": 2, "seed": 2}
    for _, row in found.cells.iterrows():
        at = {name: row[name] for name in ("task", "rule", "learning_rate", "seed")}
        assert float(tree["cells"]["test_score"].sel(at)) == row["test_score"]
    loss = tree["steps"]["loss"].sel(task="teacher", rule="hebb", learning_rate=0.1, seed=0)
    table = found.steps.query("rule == 'hebb' and learning_rate == 0.1 and seed == 0")
    np.testing.assert_array_equal(loss.dropna("step"), table["loss"])


def test_an_identification_is_a_tree_with_its_verdict() -> None:
    generator = torch.Generator().manual_seed(0)
    W, drive = torch.randn(2, 20, 20, generator=generator, dtype=torch.float64)
    network = rn.Network("rate", 0.1 * W)
    fp = rn.find_fixed_points(network, drive)
    after = 0.1 * W + rn.plasticity.Euclidean().update(fp, fp.rates - 0.1, 0.01)
    rules = ["euclidean", "hebb"]
    found = identify(network, drive, observe_weights(network, after), rules, target=[0.1] * 20)
    tree = found.to_xarray()
    assert isinstance(tree, xarray.DataTree)
    assert tree.attrs["rule"] == "euclidean"
    assert "noise" not in tree.attrs
    np.testing.assert_array_equal(
        tree["alignment"].sel(rule=rules), found.table.loc[rules, "alignment"]
    )
