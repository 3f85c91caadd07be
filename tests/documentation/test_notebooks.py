"""The notebooks of the documentation run from top to bottom."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="the notebooks need: pip install '.[test]'")
nbclient = pytest.importorskip("nbclient", reason="the notebooks need: pip install '.[test]'")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.py"))


def test_there_are_six() -> None:
    assert len(NOTEBOOKS) == 6


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    notebook = jupytext.read(path)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert not [o for o in outputs if o["output_type"] == "stream" and o["name"] == "stderr"]
