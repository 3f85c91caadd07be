"""Numbers in sentences: one sample, two samples, in what prints of each kind of object."""

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "sample", "0 samples"),
        (1, "fixed point", "1 fixed point"),
        (1, "stimulus", "1 stimulus"),
        (3, "stimulus", "3 stimuli"),
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
        (np.int64(1), "unit", "1 unit"),
    ],
)
def test_a_number_and_its_noun_agree(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words


def test_one_of_each_in_what_prints() -> None:
    network = rn.Network("rate", [[0.5]])
    fp = rn.find_fixed_points(network, [1.0])
    found = rn.find_all_fixed_points(network, [0.0], starts=1)
    run = rn.simulate(network, [1.0], duration=0.01, dt=1e-3, record_every=10)
    layer = rn.FixedPointLayer(1, 1)
    assert repr(network).startswith("Network(rate: 1 unit; ")
    assert fp.summary().startswith("1 of 1 sample settled: ")
    assert found.summary().startswith("1 fixed point, 1 stable, from 1 start.\n")
    assert "2 records" in repr(run)
    assert "1 stimulus, 1 unit, rates" in repr(run)
    assert layer.core.extra_repr().startswith("1 unit, ")


def test_several_of_each_in_what_prints() -> None:
    network = rn.Network("rate", torch.zeros(2, 2))
    assert rn.find_fixed_points(network, [[1.0, 0.0]] * 3).summary().startswith("3 of 3 samples")
    found = rn.find_all_fixed_points(rn.Network("rate", [[2.0]]), [0.0], starts=20)
    assert found.summary().startswith("3 fixed points, 2 stable, from 20 starts.\n")


def test_one_of_each_in_an_error() -> None:
    with pytest.raises(rn.errors.InputError, match="W has 1 entry of the wrong sign, the first"):
        rn.connectivity.Signed(torch.tensor([[0.0, 0.1], [0.2, -0.3]]), [1, -1])
    with pytest.raises(rn.errors.InputError, match=r"N = 1 unit, got \(1, 2\)"):
        rn.find_fixed_points(rn.Network("rate", [[0.5]]), [1.0, 2.0])
