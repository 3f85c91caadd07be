"""The residual: how far a state is from rest, the same for solved and for simulated states.

With step = -F_s^{-1} F, each unit's Newton step at fixed recurrent input, it is

    max |step_k| / max(1, max |s_k|)     over the units of a sample, the largest over k
"""

import torch
from torch import Tensor


def relative_size(step: Tensor, state: Tensor) -> Tensor:
    """Return the residual of each sample, shape (B,).

    Parameters
    ----------
    step : Tensor, shape (k, B, N)
        From `Network.unit_response`, in units of the state.
    state : Tensor, shape (k, B, N)
    """
    scale = _largest(state).clamp(min=1.0)  # (k, B)
    return (_largest(step) / scale).amax(dim=0).abs()  # a step of zero has no sign


def _largest(values: Tensor) -> Tensor:
    """Return the largest absolute entry over units, without a copy of the absolute values."""
    return torch.maximum(values.amax(dim=2), -values.amin(dim=2))
