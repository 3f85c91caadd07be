"""Whether a tensor is free of NaN and infinity, in one pass."""

import torch
from torch import Tensor


def is_finite(values: Tensor) -> bool:
    """Return whether all entries are finite.

    Their sum decides it, at a tenth of the price of looking at each, unless it overflows.
    """
    values = values.detach()
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
