"""Architectures as data: from tables, as a TOML file holds them, to layers in a row.

[[layers]]                    # images (B, 784) to rates (B, 300)
kind = "fixed-point"
units = 300
rule = "linearized-reparameterized"

[[layers]]                    # rates (B, 300) to logits (B, 10)
kind = "read-out"
"""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch

from ratenet.errors import (
    InputError,
    ModelError,
    SingularError,
    UnknownNameError,
    UnsupportedError,
)
from ratenet.layers.core import FixedPointCore
from ratenet.layers.stack import Stack
from ratenet.layers.tables import AbstractRecurrentTable, AbstractTable, LayerDefaults, Shape


def build_stack(
    tables: Sequence[AbstractTable],
    image: tuple[int, ...],
    defaults: LayerDefaults,
    *,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> Stack:
    """Return layers in a row, from pixels (B, M) to outputs (B, K), named layer1, layer2 and on.

    Parameters
    ----------
    tables : sequence of AbstractTable
        What `read_tables` returned.
    image : tuple of int
        Its shape: (H, W), (C, H, W), or (M,) where it is none.
    defaults : LayerDefaults
    seed : int
        Seed of the random weights, which are drawn on the CPU in float32.
    dtype : torch.dtype
        To which they are converted.

    Raises
    ------
    InputError, UnknownNameError, UnsupportedError
        If a layer cannot be built; it says which.
    """
    shape: Shape = (math.prod(image),)
    modules: OrderedDict[str, torch.nn.Module] = OrderedDict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for n, table in enumerate(tables, start=1):
            reshaping, shape = _reshaping(table, shape, image, f"layers, {n}.", is_first=n == 1)
            if reshaping is not None:
                modules[f"shape{n}"] = reshaping
            try:
                modules[f"layer{n}"] = table.build(shape, defaults, dtype)
            except (InputError, ModelError, UnknownNameError, UnsupportedError) as error:
                raise type(error)(f"layers, {n}. ({table.kind}): {error}") from None
            except (SingularError, OverflowError) as error:  # of first weights
                raise InputError(f"layers, {n}. ({table.kind}): {error}") from None
            except RuntimeError as error:  # torch knows no class of its own for this
                if "alloc" not in str(error):
                    raise
                raise InputError(
                    f"layers, {n}. ({table.kind}): there is not the memory for it; make it smaller."
                ) from None
            shape = table.shape_after(shape, defaults)
    return Stack(modules)


def cores_of(stack: torch.nn.Module) -> dict[str, FixedPointCore]:
    """Return the recurrent parts of a stack by their layers' names, in their order."""
    found = {}
    for name, module in stack.named_modules():
        if isinstance(module, FixedPointCore):
            found[name.removesuffix(".core")] = module
    return found


def rates_of(
    tables: Sequence[AbstractTable], stack: torch.nn.Module, defaults: LayerDefaults
) -> dict[str, float]:
    """Return the learning rate of each parameter of a stack that is to learn, by its name."""
    rates = {}
    for name, parameter in stack.named_parameters():
        if not parameter.requires_grad:
            continue
        layer, _, part = name.partition(".")
        table = tables[int(layer.removeprefix("layer")) - 1]
        rates[name] = defaults.learning_rate
        if isinstance(table, AbstractRecurrentTable) and part.startswith("core."):
            rates[name] = table.rate(defaults)
    return rates


def _reshaping(
    table: AbstractTable, shape: Shape, image: tuple[int, ...], where: str, *, is_first: bool
) -> tuple[torch.nn.Module | None, Shape]:
    """Return what brings samples into the form that a layer takes, and their shape then."""
    if table.takes_image and len(shape) == 1:
        if not is_first:
            raise InputError(
                f"{where} ({table.kind}): it takes images, and the layer before gives {shape[0]} "
                "numbers; put it after a convolutional layer, or first.",
                argument=where,
            )
        if len(image) == 1:
            raise InputError(
                f"{where} ({table.kind}): it takes images, and the data are vectors of {image[0]} "
                "numbers; give arrays of shape (n, height, width).",
                argument=where,
            )
        channels = image if len(image) == 3 else (1, *image)
        return torch.nn.Unflatten(1, channels), channels
    if not table.takes_image and len(shape) == 3:
        return torch.nn.Flatten(), (shape[0] * shape[1] * shape[2],)
    return None, shape
