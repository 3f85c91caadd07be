"""The order in which images are shown: a new permutation each epoch, by seed and epoch alone."""

import functools

import numpy as np
import torch
from torch import Tensor


@functools.lru_cache(maxsize=2)  # it is asked for at every step
def batches_of_epoch(number: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Return the images of each batch of one epoch.

    Parameters
    ----------
    number : int
        How many images there are.
    batch_size : int
        B, at most `number`.
    seed, epoch : int
        Together they fix the order, so a run that is resumed needs no generator's state.

    Returns
    -------
    Tensor of int64, shape (number // B, B)
        Indices of images. Column b is stream b of a slow presentation; the last partial batch is
        dropped, since every stream shows an image at every time.

    Raises
    ------
    ZeroDivisionError
        If the batch size is 0.

    Examples
    --------
    >>> batches_of_epoch(10, batch_size=3, seed=0, epoch=0).shape
    torch.Size([3, 3])
    """
    (state,) = np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
    order = torch.randperm(number, generator=generator)
    steps = number // batch_size
    return order[: steps * batch_size].view(steps, batch_size)
