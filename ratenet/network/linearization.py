"""What is known of a network near a state: its Jacobian in parts, and each unit by itself."""

from typing import NamedTuple

from torch import Tensor


class JacobianBlocks(NamedTuple):
    """The parts of J = blockdiag(F_s) + F_I W rho_s, for each stimulus and unit.

    Attributes
    ----------
    F_s : Tensor, shape (k, k, B, N)
        dF_i / ds_j, in 1/s where the state variables have one unit.
    F_I : Tensor, shape (k, B, N)
        dF_i / dI_rec.
    rho_s : Tensor, shape (k, B, N)
        dy / ds_j.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]], parameters={"tau": 0.01})
    >>> zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> blocks = network.jacobian_blocks(zero, zero[0])
    >>> blocks.F_s.item(), blocks.F_I.item(), blocks.rho_s.item()
    (-100.0, 100.0, 1.0)
    """

    F_s: Tensor
    F_I: Tensor
    rho_s: Tensor


class UnitResponse(NamedTuple):
    """How each unit by itself goes on from its present input, and answers to a change of it.

    Attributes
    ----------
    step : Tensor, shape (k, B, N)
        The Newton step -F_s^{-1} F at fixed input, in the units of the state.
    F_s : Tensor, shape (k, k, B, N)
        dF_i / ds_j, in 1/s where the state variables have one unit.
    response : Tensor, shape (k, B, N)
        ds / dI = -F_s^{-1} F_I of the unit at rest.
    rho_s : Tensor, shape (k, B, N)
        dy / ds_j.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> network.unit_response(zero, torch.ones(1, 1, dtype=torch.float64)).step.item()
    1.0
    """

    step: Tensor
    F_s: Tensor
    response: Tensor
    rho_s: Tensor
