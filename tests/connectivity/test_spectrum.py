"""The rightmost eigenvalue and the norm of W: by products as by the matrix."""

import pytest
import torch
from helpers.problems import FLOAT, random

from ratenet.connectivity import Block, Convolution, Dense, LowRank, abscissa, norm, spectrum
from ratenet.connectivity.base import AbstractConnectivity
from ratenet.errors import InputError


def cases() -> dict[str, AbstractConnectivity]:
    blocks = {
        "a": {"a": Dense(random(20, 20, seed=1)), "b": Dense(random(20, 30, seed=2))},
        "b": {"a": Dense(random(30, 20, seed=3))},
    }
    return {
        "dense": Dense(random(70, 70, seed=4)),
        "low rank": LowRank(random(80, 3, seed=5), random(80, 3, seed=6)),
        "convolution": Convolution(random(2, 2, 3, 3, seed=7), 6, 7),
        "block": Block(blocks, {"a": 20, "b": 30}),
    }


@pytest.mark.parametrize("kind", list(cases()))
@pytest.mark.parametrize("largest", [1000, 10], ids=["matrix", "products"])
def test_rightmost_eigenvalue_and_norm(
    kind: str, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "DENSE", largest)
    W = cases()[kind]
    matrix = W.dense()
    expected = float(torch.linalg.eigvals(matrix).real.max())
    assert abscissa(W) == pytest.approx(expected, rel=1e-3)
    assert norm(W) == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=1e-3)


def test_a_rectangular_matrix_has_a_norm_and_no_eigenvalues() -> None:
    W = Dense(torch.tensor([[3.0, 0.0, 4.0]], dtype=FLOAT))
    assert norm(W) == pytest.approx(5.0)
    with pytest.raises(InputError, match="square"):
        abscissa(W)
