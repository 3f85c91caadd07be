"""What is known of a network near a state: its Jacobian in parts, and each unit by itself."""

from typing import NamedTuple

from torch import Tensor


class JacobianBlocks(NamedTuple):
    """The parts of J = blockdiag(F_s) + F_I W rho_s, for each stimulus and unit."""

    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    F_I: Tensor  # (k, B, N): dF_i / dI_rec
    rho_s: Tensor  # (k, B, N): dy / ds_j


class UnitResponse(NamedTuple):
    """How each unit by itself goes on from its present input, and answers to a change of it."""

    step: Tensor  # (k, B, N): the Newton step -F_s^{-1} F at fixed input, in units of the state
    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    response: Tensor  # (k, B, N): ds / dI = -F_s^{-1} F_I of the unit at rest
    rho_s: Tensor  # (k, B, N): dy / ds_j
