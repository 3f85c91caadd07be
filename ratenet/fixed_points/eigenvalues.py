"""Eigenvalues at one of several fixed points: of its Jacobian, and of diag(gain) W.

All of them refuse fixed points that are older than the weights, and samples that have none.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ratenet.errors import ConvergenceError, InputError
from ratenet.fixed_points.jacobian import (
    DENSE_EIGENVALUES,
    dense_jacobian,
    jacobian_abscissa,
    map_radius,
)
from ratenet.fixed_points.status import Status
from ratenet.linear_algebra import all_eigenvalues
from ratenet.network import JacobianBlocks

if TYPE_CHECKING:
    from ratenet.fixed_points.results import FixedPoints


def jacobian_at(fp: "FixedPoints", sample: int) -> Tensor:
    """Return J of one sample, shape (k N, k N), in 1/s."""
    return dense_jacobian(fp.network, _blocks(fp, sample))


def eigenvalues_at(fp: "FixedPoints", sample: int) -> Tensor:
    """Return the eigenvalues of J, shape (k N,), in 1/s, rightmost first."""
    found = all_eigenvalues(jacobian_at(fp, sample))
    return found[found.real.argsort(descending=True, stable=True)]


def abscissa_at(fp: "FixedPoints", sample: int) -> float:
    """Return the largest real part of the eigenvalues of J, in 1/s; of a large J matrix-free."""
    if len(fp.state) * fp.network.units <= DENSE_EIGENVALUES:
        return float(eigenvalues_at(fp, sample)[0].real)
    found = jacobian_abscissa(fp.network, _blocks(fp, sample))
    if math.isnan(found):
        raise ConvergenceError(
            f"abscissa: the Arnoldi iteration found no eigenvalue of sample {sample}'s Jacobian; "
            "look at the eigenvalues of `jacobian(sample)`.",
            fp,
        )
    return found


def spectral_radius_at(fp: "FixedPoints", sample: int) -> float:
    """Return the largest modulus of the eigenvalues of diag(gain) W; of a large W matrix-free."""
    _check_sample(fp, sample)
    gain = fp.gain[[sample]]
    if not torch.isfinite(gain).all():
        raise InputError(
            f"sample {sample} has no static gain, and so no spectral radius: "
            f"{Status(int(fp.status[sample])).sentence}",
            argument="samples",
        )
    found = map_radius(fp.network, gain)
    if math.isnan(found):
        raise ConvergenceError(
            f"spectral_radius: the Arnoldi iteration found no eigenvalue of sample {sample}; look "
            "at the eigenvalues of diag(gain) W.",
            fp,
        )
    return found


def _check_sample(fp: "FixedPoints", sample: int) -> None:
    """Refuse weights that changed since, and a sample that is not there."""
    fp.check_current()
    if not -len(fp) <= sample < len(fp):
        raise InputError.at(
            "samples", got=sample, expected=f"numbers of samples, from 0 to {len(fp) - 1}"
        )


def _blocks(fp: "FixedPoints", sample: int) -> JacobianBlocks:
    """Return the parts of one sample's Jacobian; refuse what has none."""
    _check_sample(fp, sample)
    state, drive = fp.state[:, [sample]], fp.drive[[sample]]
    if not torch.isfinite(state).all():
        raise InputError(
            f"sample {sample} has a NaN or infinite state, and so no Jacobian.",
            argument="samples", got=sample,
        )  # fmt: skip
    return fp.network.jacobian_blocks(state, drive)
