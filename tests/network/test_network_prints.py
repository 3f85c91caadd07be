"""Networks, connectivities and fixed points print as a line, networks as a table in a notebook."""

import re

import pytest
import torch
from brian2 import ms

import ratenet as rn
from ratenet.connectivity import AbstractConnectivity, Block, Dense, LowRank, Masked, Signed, Sum

EYE = torch.eye(3, dtype=torch.float64)
M = torch.ones(3, 1, dtype=torch.float64)
CONNECTIVITIES = {
    "Dense(3 x 3 units; W (3, 3); float64 on cpu)": Dense(EYE),
    "Masked(3 x 3 units; W (3, 3); float64 on cpu)": Masked(EYE, EYE != 0),
    "Signed(3 x 3 units; W (3, 3); float64 on cpu)": Signed(EYE, torch.ones(3)),
    "LowRank(3 x 3 units; m (3, 1), n (3, 1); float64 on cpu)": LowRank(M, M),
    "Sum(3 x 3 units; a.W (3, 3), b.W (3, 3); float64 on cpu)": Sum(
        {"a": Dense(EYE), "b": Dense(EYE)}
    ),
    "Block(9 x 9 units; 9 parameters; float64 on cpu)": Block(
        {post: {pre: Dense(EYE) for pre in "abc"} for post in "abc"}, dict.fromkeys("abc", 3)
    ),
}


@pytest.mark.parametrize(("line", "connectivity"), CONNECTIVITIES.items())
def test_connectivities(line: str, connectivity: AbstractConnectivity) -> None:
    assert repr(connectivity) == line


def test_a_network_with_values_of_its_units() -> None:
    network = rn.Network("rate", EYE, parameters={"tau": [10, 20, 30] * ms})
    line = "Network(rate: 3 units; tau = 10. ms to 30. ms; Dense(3 x 3 units; W (3, 3); "
    assert repr(network) == line + "float64 on cpu))"


def test_a_value_in_float32_has_its_own_digits() -> None:
    assert "tau = 10. ms;" in repr(rn.Network("rate", EYE.float()))


def test_a_table_for_a_notebook() -> None:
    table = rn.Network("rate", EYE)._repr_html_()
    assert r"\frac{\mathrm{d}r}{\mathrm{d}t} &amp;= \frac{- r + f{" in table
    assert "<th>tau</th><td>10. ms</td>" in table
    assert re.sub(r"<[^>]*>", "", table).count("<") == 0


def test_fixed_points_say_what_became_of_them() -> None:
    network = rn.Network("linear", [[0.5]])
    assert repr(rn.fixed_points_at(network, [[1.0], [1.0]], [[2.0], [1.0]])) == (
        "FixedPoints(linear: 2 samples of 1 unit; 1 settled, 1 unsettled, residual at most 0)"
    )
