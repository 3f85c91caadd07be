"""What is measured of the recurrent layers of a stack, by their names."""

import math
from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from ratenet.connectivity import abscissa, norm
from ratenet.errors import ConvergenceError
from ratenet.fixed_points import FixedPoints
from ratenet.layers.core import FixedPointCore
from ratenet.training.step import ABSCISSA_SAMPLES

Cores = Mapping[str, FixedPointCore]


def points_of(core: FixedPointCore) -> FixedPoints:
    """Return a layer's fixed points, or states, of the last call."""
    assert core.fixed_points is not None, "the stack has been shown images"
    return core.fixed_points


def all_settled(cores: Cores) -> Tensor:
    """Return which samples settled in all layers, (B,)."""
    return torch.stack([points_of(core).converged for core in cores.values()]).all(dim=0)


def became(cores: Cores, presentation: str) -> str:
    """Return what became of the samples in each layer; of moving ones, how many are not at rest."""
    if presentation == "static":
        return "; ".join(f"{name}: {core.last}" for name, core in cores.items())
    points = {name: points_of(core) for name, core in cores.items()}
    counts = {name: int((~(fp.residual <= fp.tol)).sum()) for name, fp in points.items()}
    return ", ".join(f"{count} in {name}" for name, count in counts.items())


def abscissas(cores: Cores) -> dict[str, float]:
    """Return each layer's abscissa, of a few settled samples, in 1/s."""
    found = {}
    for name, core in cores.items():
        fp, found[f"abscissa/{name}"] = points_of(core), math.nan
        settled = torch.nonzero(fp.converged)[:ABSCISSA_SAMPLES, 0].tolist()
        with suppress(ConvergenceError):  # of the eigenvalues of a large network
            if settled:
                found[f"abscissa/{name}"] = float(fp.abscissa(settled).max())
    return found


def spectra(cores: Cores) -> dict[str, float]:
    """Return the largest real part of the eigenvalues, and the norm, of each layer's W."""
    found = {}
    for name, core in cores.items():
        W = core.network.connectivity
        found[f"weight_abscissa/{name}"] = abscissa(W)
        found[f"weight_norm/{name}"] = norm(W)
    return found


def largest(values: Mapping[str, float], kind: str) -> float:
    """Return the largest of the layers' values of one kind; NaN if there are none."""
    chosen = (value for name, value in values.items() if name.startswith(f"{kind}/"))
    return max((value for value in chosen if not math.isnan(value)), default=math.nan)
