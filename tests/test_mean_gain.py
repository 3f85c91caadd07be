"""When the mean-gain preconditioner is kept, and when it is made anew."""

import pytest
import torch
from problems import FLOAT, random_weights

import ratenet as rn
from ratenet.fixed_points import MeanGain


def network() -> rn.Network:
    return rn.Network("rate", random_weights(6, seed=90, scale=0.5))


@pytest.mark.parametrize(
    ("shift", "changed", "again", "kept"),
    [
        (0.05, False, False, True),
        (0.2, False, False, False),
        (0.2, True, False, True),  # of other weights, it is no better than near anyway
        (0.2, True, True, False),  # a solve that takes long is worth a new one
        (0.4, True, False, False),
        (float("nan"), True, False, False),
    ],
)
def test_it_is_kept_for_as_long_as_it_is_near(
    shift: float, changed: bool, again: bool, kept: bool
) -> None:
    net, gain, maker = network(), torch.full((2, 6), 0.5, dtype=FLOAT), MeanGain(stale_after=5)
    first = maker.make(net, gain)
    if changed:
        net.connectivity.add_({"W": torch.zeros(6, 6, dtype=FLOAT)})
    assert (maker.make(net, gain + shift, again=again) is first) == kept


def test_it_is_made_anew_for_weights_that_changed_too_often() -> None:
    net, gain, maker = network(), torch.full((2, 6), 0.5, dtype=FLOAT), MeanGain()
    first = maker.make(net, gain)
    assert maker.make(net, gain) is first
    net.connectivity.add_({"W": torch.zeros(6, 6, dtype=FLOAT)})
    assert maker.make(net, gain) is not first


def test_what_it_keeps_can_be_stored() -> None:
    net, gain = network(), torch.full((2, 6), 0.5, dtype=FLOAT)
    maker, other = MeanGain(stale_after=5), MeanGain(stale_after=5)
    assert maker.memory() == {}
    first = maker.make(net, gain)
    other.remember(net.connectivity, maker.memory())
    found = other.make(net, gain + 0.2)  # as after a change of the weights
    assert torch.equal(found.matrix, first.matrix)
    other.remember(net.connectivity, {})
    assert other.memory() == {}
