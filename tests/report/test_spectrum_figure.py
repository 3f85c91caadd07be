"""The picture of a connectivity's spectrum: what is drawn, and where."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.problems import FLOAT

from ratenet.connectivity import Dense
from ratenet.errors import InputError
from ratenet.report.figures import save
from ratenet.report.spectrum import spectrum

W = torch.tensor([[0.5, -2.0], [2.0, 0.5]], dtype=FLOAT)  # eigenvalues 0.5 +- 2 i


@pytest.mark.parametrize("radius", [None, 1.2])
def test_the_spectrum_shows_eigenvalues_circle_and_border(
    radius: float | None, tmp_path: Path
) -> None:
    figure = spectrum(Dense(W), radius=radius, title="Two units")
    (axis,) = figure.axes
    (points,) = axis.collections
    shown = np.asarray(points.get_offsets())
    np.testing.assert_allclose(shown[np.argsort(shown[:, 1])], [[0.5, -2.0], [0.5, 2.0]])
    circle, border = axis.lines
    x, y = circle.get_data()
    np.testing.assert_allclose(np.hypot(x, y), radius or np.hypot(0.5, 2.0))
    assert list(border.get_xdata()) == [1, 1]
    assert "real part" in axis.get_xlabel()
    assert "imaginary part" in axis.get_ylabel()
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert any("2 eigenvalues" in label for label in labels)
    assert any("unstable at gain 1" in label for label in labels)
    low, high = axis.get_ylim()
    assert low < -2
    assert high > 2
    assert axis.get_aspect() == 1
    save(figure, tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").stat().st_size > 5000


def test_a_rectangular_block_has_no_spectrum() -> None:
    with pytest.raises(InputError, match="W: expected a square matrix"):
        spectrum(Dense(torch.ones(2, 3)))
