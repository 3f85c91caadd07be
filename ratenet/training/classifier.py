"""Classifier: a recurrent network between a random read-in and a random read-out.

x = R_in pixels,   y = rates of the network driven by x,   outputs z = R_out y
loss = softmax cross-entropy, or another one,   s = dL/dz, such as softmax(z) - one-hot
e = dL/dy = R_out^T s,   dL/dR_out = s y^T,   dL/dR_in = lambda pixels^T  (lambda: the adjoint)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.equations import ModelSpec, load_model
from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.training.losses import CROSS_ENTROPY, Loss, slope_of

INITIAL_RADIUS = 0.5  # spectral radius of the initial W


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with its read-in and read-out.

    Attributes
    ----------
    network : Network
        Its weights are what is learned, by a plasticity rule.
    read_in : Tensor, shape (N, M)
    read_out : Tensor, shape (K, N)
        Both stay as they were drawn, unless they are asked to learn.
    loss : callable
        From outputs (B, K), and classes (B,) or targets (B, K), to each sample's loss (B,).
    """

    network: Network
    read_in: Tensor
    read_out: Tensor
    loss: Loss = CROSS_ENTROPY

    @property
    def parameters(self) -> dict[str, Tensor]:
        """All that may learn, by name: the connectivity's parameters, read-in and read-out."""
        own = {"read-in": self.read_in, "read-out": self.read_out}
        return {**self.network.connectivity.parameters, **own}

    def drive(self, pixels: Tensor) -> Tensor:
        """Return the drives (B, N) of images (B, M)."""
        return pixels @ self.read_in.T

    def losses(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return each sample's loss, shape (B,)."""
        return self.loss(self.logits(rates), labels)

    def logits(self, rates: Tensor) -> Tensor:
        """Return the outputs R_out y, shape (B, K); with cross-entropy they are logits."""
        return rates @ self.read_out.T

    def surprise(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return dL_b/dlogits_b, shape (B, K), one row per sample, not divided by B."""
        return slope_of(self.loss, self.logits(rates), labels)

    def error(self, rates: Tensor, labels: Tensor) -> Tensor:
        """Return e = dL_b/dy_b, shape (B, N), one row per sample, not divided by B."""
        return self.surprise(rates, labels) @ self.read_out


def random_classifier(
    model: str | ModelSpec,
    *,
    units: int,
    inputs: int,
    classes: int,
    tau: float | None,
    seed: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    loss: Loss = CROSS_ENTROPY,
) -> Classifier:
    """Return a classifier with random weights.

    W ~ 0.5 N(0, 1)/sqrt(N), read-in ~ N(0, 1)/sqrt(M), read-out ~ N(0, 1)/sqrt(N), drawn in this
    order in float32 on the CPU, so that they depend neither on the device nor on the dtype.

    Raises
    ------
    InputError
        If the model has units at its inputs or output, or no parameter tau to override.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int) -> Tensor:
        drawn = torch.randn(rows, columns, generator=generator) / math.sqrt(columns)
        return drawn.to(device, dtype)

    spec = load_model(model)
    _check_dimensionless(spec)
    W = INITIAL_RADIUS * normal(units, units)
    read_in, read_out = normal(units, inputs), normal(classes, units)
    parameters = {} if tau is None else {"tau": tau}
    return Classifier(Network(spec, W, parameters, seed=seed), read_in, read_out, loss)


def _check_dimensionless(spec: ModelSpec) -> None:
    roles = {name: spec.dimensions(name) for name in (spec.recurrent, spec.drive)}
    for name, dimensions in {**roles, f"the output {spec.output}": spec.output_dimensions}.items():
        if not dimensions.is_dimensionless:
            raise InputError(
                f"Model {spec.name!r}: {name} has a unit; images can only train models whose "
                "inputs and output are dimensionless.",
                argument="model",
            )
