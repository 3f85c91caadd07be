"""When the host asks for a number that the device computes, and so waits for it.

On the CPU asking is free, and saves passes that change nothing. An accelerator would stand idle
until the next operation reaches it: there solvers go on without asking, and look every few
evaluations whether all samples have settled.
"""

import torch
from torch import Tensor

ASK_EVERY = 4  # evaluations of the recurrent input on an accelerator


def may_hold(mask: Tensor) -> bool:
    """Return whether any entry holds, or True where asking would wait for a device.

    For a branch that changes nothing where no entry holds.
    """
    return not asking_is_free(mask.device) or bool(mask.any())


def asks(device: torch.device, evaluations: int) -> bool:
    """Return whether to look now at how many samples have settled."""
    return asking_is_free(device) or evaluations % ASK_EVERY == 0


def asking_is_free(device: torch.device) -> bool:
    """Return whether numbers of the device are there at once."""
    return device.type == "cpu"
