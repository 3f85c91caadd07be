"""Drawings are placed as the digits of MNIST are."""

import pytest
import torch

import ratenet as rn
from ratenet.app.drawn import as_digit
from ratenet.errors import InputError


def test_a_stored_digit_stays_what_it_is():
    digits = rn.stimuli.load_images("mnist-5k").test.pixels[::100]
    apart = [float((as_digit(d, (28, 28)) - d).norm() / d.norm()) for d in digits]
    assert sorted(apart)[len(apart) // 2] < 0.25


def test_a_small_drawing_in_a_corner_is_scaled_and_centred():
    ring = torch.zeros(28, 28)
    ring[1:11, 1:9] = 1.0
    ring[3:9, 3:7] = 0.0
    found = as_digit(ring.flatten(), (28, 28)).view(28, 28)
    inked = (found > 0.1).nonzero()
    assert (inked.amax(0) - inked.amin(0) + 1).tolist() == [20, 16]
    rows = torch.arange(28) + 0.5
    assert abs(float((found.sum(1) * rows).sum() / found.sum()) - 14) < 0.6
    assert abs(float((found.sum(0) * rows).sum() / found.sum()) - 14) < 0.6


def test_a_single_dot_fits_the_frame():
    dot = torch.zeros(28, 28)
    dot[0, 27] = 1.0
    assert as_digit(dot.flatten(), (28, 28)).view(28, 28)[4:24, 4:24].eq(1).all()


def test_channels_all_get_the_drawing():
    found = as_digit(torch.ones(64), (3, 8, 8)).view(3, 8, 8)
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    "pixels, said",
    [
        ([0.0] * 784, "got an empty frame"),
        ([1.0] * 783, "drawing: expected 28 x 28 pixels"),
        ([], "drawing"),
        ([2.0] * 784, "drawing"),
        (["a"] * 784, "drawing"),
        ([float("nan")] * 784, "drawing"),
    ],
)
def test_what_is_no_drawing_is_refused(pixels, said):
    with pytest.raises(InputError, match=said):
        as_digit(pixels, (28, 28))
