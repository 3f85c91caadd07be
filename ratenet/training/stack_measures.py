"""What is measured of the recurrent layers of a stack, by their names."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ratenet.connectivity import abscissa, norm
from ratenet.fixed_points import FixedPoints
from ratenet.layers.core import FixedPointCore
from ratenet.network import Network


def points_of(core: FixedPointCore) -> FixedPoints:
    """Return a layer's fixed points, or states, of the last call."""
    assert core.fixed_points is not None, "the stack has been shown images"
    return core.fixed_points


def all_settled(points: Mapping[str, FixedPoints]) -> Tensor:
    """Return which samples settled in all layers, (B,)."""
    return torch.stack([fp.converged for fp in points.values()]).all(dim=0)


def unsettled_by_layer(cores: Mapping[str, FixedPointCore]) -> str:
    """Return in words how many samples of the last call are not at rest, layer by layer."""
    points = {name: points_of(core) for name, core in cores.items()}
    counts = {name: int((~(fp.residual <= fp.tol)).sum()) for name, fp in points.items()}
    return ", ".join(f"{count} in {name}" for name, count in counts.items())


def spectra(parts: Mapping[str, Network]) -> dict[str, dict[str, float]]:
    """Return the largest real part of the eigenvalues, and the norm, of each layer's W."""
    return {
        name: {
            "weight_abscissa": abscissa(part.connectivity),
            "weight_norm": norm(part.connectivity),
        }
        for name, part in parts.items()
    }


def largest_of(layers: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the largest of the layers' values of each kind."""
    kinds = next(iter(layers.values()))
    return {kind: max(values[kind] for values in layers.values()) for kind in kinds}
