"""One pass says whether all entries are finite, also where their sum is not."""

import math

import pytest
import torch

from ratenet.linear_algebra import is_finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_is_found(bad):
    values = torch.ones(3, 4)
    values[2, 1] = bad
    assert not is_finite(values)


def test_infinities_of_both_signs_do_not_cancel():
    assert not is_finite(torch.tensor([math.inf, -math.inf]))


def test_a_sum_that_overflows_is_no_bad_entry():
    assert is_finite(torch.full((4,), torch.finfo(torch.float32).max))


def test_nothing_is_finite():
    assert is_finite(torch.empty(0, 3))
