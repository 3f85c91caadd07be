"""ConvFixedPointLayer: a convolutional read-in and a convolutional recurrent network."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Convolution, random_kernel
from ratenet.equations import ModelSpec
from ratenet.errors import InputError
from ratenet.fixed_points import AbstractSolver
from ratenet.layers.base import RADIUS, AbstractFixedPointLayer, check_counts, new_seed
from ratenet.layers.core import FixedPointCore, OnUnsettled
from ratenet.layers.full import check_units
from ratenet.layers.saving import has_bias
from ratenet.network import Network
from ratenet.plasticity import AbstractRule


class ConvFixedPointLayer(AbstractFixedPointLayer):
    """Images (B, C_in, H, W) to the rates (B, C, H', W') at which a recurrent network settles.

    Like `FixedPointLayer`, with convolutions for the read-in and the recurrent weights.

    Parameters
    ----------
    in_channels, channels : int
        C_in and C.
    height, width : int
        H and W.
    kernel_size : int
        k of the recurrent kernel, odd.
    border : {"zero", "circular"}
        Border of read-in and recurrent weights, see `Convolution`.
    model, rule, parameters, populations
        As for `FixedPointLayer`.
    connectivity : AbstractConnectivity, optional
        Recurrent weights of C H' W' units; default a `Convolution` with a normal kernel that has a
        spectral radius of 0.5 where borders are circular.
    stride : int
        Stride of the read-in: there are H' = ceil(H / stride) by W' = ceil(W / stride) places with
        units.
    read_in_size : int, optional
        Size of the read-in's kernel, odd; default k.
    bias : bool
        Whether each channel's drive has a constant of its own.
    step_size, tol, solver, max_iterations, on_unsettled : optional
        See `FixedPointCore`.
    dtype, device : optional
        Default: those of the connectivity, or torch's own.

    Attributes
    ----------
    read_in : torch.nn.Conv2d
        With torch's own initial weights.
    core : FixedPointCore
        Of C H' W' units, channel by channel, row by row.

    Raises
    ------
    InputError
        If an argument does not fit; from forward, if shapes do not fit.

    Notes
    -----
    No matrix of C H' W' units is ever built; products are convolutions.

    Examples
    --------
    >>> layer = ConvFixedPointLayer(1, 4, 8, 8)
    >>> layer(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    saved_as = "convolutional"

    def __init__(
        self,
        in_channels: int,
        channels: int,
        height: int,
        width: int,
        kernel_size: int = 3,
        border: Literal["zero", "circular"] = "zero",
        model: ModelSpec | str = "rate",
        rule: AbstractRule | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        populations: Mapping[str, int] | None = None,
        connectivity: AbstractConnectivity | None = None,
        stride: int = 1,
        read_in_size: int | None = None,
        bias: bool = True,
        step_size: float | None = None,
        tol: float | None = None,
        solver: AbstractSolver | None = None,
        max_iterations: int = 2000,
        on_unsettled: OnUnsettled = "mask",
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, channels=channels, stride=stride)
        check_counts(height=height, width=width)
        self.image = (in_channels, height, width)
        height, width = -(-height // stride), -(-width // stride)
        self.grid = (channels, height, width)
        seed = new_seed()
        if connectivity is None:
            dtype = torch.get_default_dtype() if dtype is None else dtype
            kernel = random_kernel(
                channels, kernel_size, height=height, width=width, radius=RADIUS, seed=seed,
                dtype=dtype,
            ).to(device or torch.get_default_device())  # fmt: skip
            connectivity = Convolution(kernel, height, width, border)
        check_units(connectivity, channels * height * width)
        network = Network(
            model, connectivity, parameters, populations=populations, seed=seed,
            dtype=dtype, device=device,
        )  # fmt: skip
        size = kernel_size if read_in_size is None else read_in_size
        if not isinstance(size, int) or size % 2 == 0 or not 1 <= size <= min(self.image[1:]):
            raise InputError.at(
                "read_in_size",
                got=size,
                expected=f"an odd whole number up to the size of the images, {min(self.image[1:])}",
            )
        self.read_in = torch.nn.Conv2d(
            in_channels, channels, size, stride, padding=size // 2, bias=bias,
            padding_mode="circular" if border == "circular" else "zeros",
            dtype=network.dtype, device=network.device,
        )  # fmt: skip
        self.core = FixedPointCore(
            network, rule, step_size=step_size, tol=tol, solver=solver,
            max_iterations=max_iterations, on_unsettled=on_unsettled,
        )  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the class, those of the core left out."""
        read_in = self.read_in
        channels, height, width = self.image
        return {
            "in_channels": channels,
            "channels": self.grid[0],
            "height": height,
            "width": width,
            "border": "circular" if read_in.padding_mode == "circular" else "zero",
            "stride": read_in.stride[0],
            "read_in_size": read_in.kernel_size[0],
            "bias": has_bias(read_in),
        }

    def forward(self, images: Tensor) -> Tensor:
        """Return the rates at the fixed points.

        Parameters
        ----------
        images : Tensor, shape (B, C_in, H, W)
            Inputs, one image per sample.

        Returns
        -------
        Tensor, shape (B, C, H', W')
        """
        wanted = self.image
        if images.ndim != 4 or tuple(images.shape[1:]) != wanted:
            raise InputError.at(
                "images",
                got=tuple(images.shape),
                expected=f"shape (B, C_in, H, W) with C_in, H, W = {wanted}",
            )
        rates: Tensor = self.core(self.read_in(images).flatten(1))
        return rates.unflatten(1, self.grid)
