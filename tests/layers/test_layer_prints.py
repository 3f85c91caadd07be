"""Layers print as one line."""

import ratenet as rn
from ratenet.plasticity import LinearizedReparameterized


def test_a_layer_prints_as_one_line() -> None:
    layer = rn.FixedPointLayer(3, 5, rule=LinearizedReparameterized())
    facts = "5 units, model 'rate', Dense, rule LinearizedReparameterized()"
    assert repr(layer) == f"FixedPointLayer({facts})"
    assert repr(layer.core) == f"FixedPointCore({facts})"
