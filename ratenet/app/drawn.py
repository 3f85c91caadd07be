"""What was drawn by hand, brought to the size and the place of the images of a data set."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import InputError
from ratenet.stimuli.images import as_pixels

BOX = 20 / 28  # of the frame: how large MNIST's digits are
ALIKE = 0.15  # a drawing whose size differs by no more keeps it
INK = 0.1  # a pixel is drawn on above that
EMPTY = "drawing: expected a digit, got an empty frame; draw with the mouse or a finger."


def as_digit(pixels: Any, frame: tuple[int, ...]) -> Tensor:
    """Return a drawing as MNIST's digits are made: scaled into a box, the centre of mass central.

    Parameters
    ----------
    pixels : array_like, shape (M,) or the frame's
        From 0 to 1.
    frame : tuple of int
        Height and width, after the channels where there are some: all get the same drawing.

    Returns
    -------
    Tensor, shape (M,)

    Raises
    ------
    InputError
        If nothing is drawn, or it does not fit the frame.

    Examples
    --------
    >>> corner = torch.zeros(28, 28)
    >>> corner[:8, :4] = 1.0
    >>> as_digit(corner, (28, 28)).view(28, 28).nonzero().amin(dim=0)
    tensor([4, 9])
    """
    height, width = frame[-2:]
    drawing = as_pixels(np.asarray(pixels).reshape(1, -1), "drawing")[0]
    if len(drawing) != height * width:
        raise InputError.at(
            "drawing", got=len(drawing), expected=f"{height} x {width} pixels, one after another"
        )
    drawing = drawing.view(height, width)
    inked = torch.nonzero(drawing > INK)
    if not len(inked):
        raise InputError(EMPTY, argument="drawing")
    (top, left), (bottom, right) = inked.amin(dim=0).tolist(), (inked.amax(dim=0) + 1).tolist()
    cut = drawing[top:bottom, left:right]
    scale = BOX * min(height, width) / max(cut.shape)
    if abs(scale - 1) <= ALIKE:
        placed = _moved(drawing, cut, (top, left))
    else:
        placed = _framed(_scaled(cut, scale), height, width)
    return placed.expand(*frame[:-2], height, width).flatten()


def _scaled(cut: Tensor, scale: float) -> Tensor:
    size = [max(1, round(scale * side)) for side in cut.shape]
    return torch.nn.functional.interpolate(
        cut[None, None], size, mode="bilinear", antialias=True, align_corners=False
    )[0, 0].clamp(0, 1)


def _moved(drawing: Tensor, cut: Tensor, corner: tuple[int, int]) -> Tensor:
    """Return a drawing of the right size in its place; it stays where a pixel is all that lacks."""
    place = _place(cut, *drawing.shape)
    if all(abs(to - at) <= 1 for to, at in zip(place, corner, strict=True)):
        return drawing
    return _framed(cut, *drawing.shape)


def _framed(cut: Tensor, height: int, width: int) -> Tensor:
    """Return a frame with the cut in its place."""
    frame = torch.zeros(height, width, dtype=cut.dtype)
    top, left = _place(cut, height, width)
    frame[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return frame


def _place(cut: Tensor, height: int, width: int) -> tuple[int, int]:
    """Return where the corner of the cut is if its centre of mass is central, as far as it fits."""
    mass = cut.sum()
    rows, columns = torch.arange(cut.shape[0]) + 0.5, torch.arange(cut.shape[1]) + 0.5
    y = float((cut.sum(dim=1) * rows).sum() / mass)
    x = float((cut.sum(dim=0) * columns).sum() / mass)
    top = min(max(0, round(height / 2 - y)), height - cut.shape[0])
    left = min(max(0, round(width / 2 - x)), width - cut.shape[1])
    return top, left
