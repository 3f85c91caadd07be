"""Which of many states are the same point: the best one gathers all that are near it."""

from typing import Any

import torch
from torch import Tensor

from ratenet.validation import check_positive


def check_distance(distance: Any, tol: float) -> float:
    """Return the distance below which states are one point; default the root of the tolerance."""
    if distance is None:
        return float(tol) ** 0.5
    return check_positive(distance, "distance")


def clusters(
    state: Tensor, residual: Tensor, candidates: Tensor, group: Tensor, distance: float
) -> tuple[Tensor, Tensor]:
    """Return one sample for each cluster (C,), and the cluster of each sample, -1: none.

    The sample with the least residual gathers all within the distance, then the next of the rest.

    Parameters
    ----------
    state : Tensor, shape (k, S, N)
    residual : Tensor, shape (S,)
    candidates : Tensor of bool, shape (S,)
        Which samples belong to a cluster.
    group : Tensor of int, shape (S,)
        Only samples of one group, such as those of one drive, are the same point.
    distance : float
        The largest difference of an entry, over max(1, largest |s_k|).
    """
    members = torch.full_like(group, -1)
    left = candidates.clone()
    leaders: list[int] = []
    while left.any():
        leader = int(residual.where(left, torch.inf).argmin())
        centre = state[:, leader, None]  # (k, 1, N)
        scale = centre.abs().amax(dim=2).clamp(min=1.0)  # (k, 1)
        apart = ((state - centre).abs().amax(dim=2) / scale).amax(dim=0)  # (S,)
        near = left & (apart <= distance) & (group == group[leader])
        near[leader] = True
        members[near] = len(leaders)
        leaders.append(leader)
        left &= ~near
    return torch.tensor(leaders, dtype=torch.int64, device=members.device), members


def in_order(state: Tensor, first: list[Tensor], distance: float) -> Tensor:
    """Return the order of states (k, C, N): by keys (C,), then by their entries in steps."""
    steps = (state.transpose(0, 1).flatten(1) / distance).round().tolist()  # (C, kN)
    keys = list(zip(*(key.tolist() for key in first), steps, strict=True))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return torch.tensor(order, dtype=torch.int64, device=state.device)
