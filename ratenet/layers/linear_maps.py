"""Modules of torch that are linear in what they take, as connectivities that share their weights.

    Linear       (M,) -> (N,)                Dense
    Conv2d       (C, H, W) -> (C', H', W')   Convolution
    AvgPool2d    (C, H, W) -> (C, H', W')    Pooling
    Flatten, Unflatten, Identity             nothing: they only say how rows are seen

Constants (a bias) are not part of a linear map.
"""

import math
from collections.abc import Iterable

import torch

from ratenet.connectivity import AbstractConnectivity, Chain, Convolution, Dense, Pooling
from ratenet.errors import InputError, UnsupportedError

Shape = tuple[int, ...]  # of a sample: (M,), or (C, H, W)
NamedModule = tuple[str, torch.nn.Module]
RESHAPING = (torch.nn.Flatten, torch.nn.Unflatten, torch.nn.Identity)


def linear_map(
    modules: Iterable[NamedModule], shape: Shape, like: torch.Tensor
) -> AbstractConnectivity:
    """Return what a row of modules does to samples of a shape, constants left out.

    Parameters
    ----------
    modules : iterable of (name, Module)
    shape : tuple of int
        That of the samples that the first one takes.
    like : Tensor
        Has the dtype of the rates and lies on their device.

    Raises
    ------
    UnsupportedError
        If one is not linear, or no connectivity of ratenet does what it does.
    InputError
        If one does not take what comes before it.
    """
    parts: dict[str, AbstractConnectivity] = {}
    for name, module in modules:
        if type(module) in RESHAPING:
            shape = _reshaped(module, shape, name)
            continue
        part, shape = _map_of(module, shape, name, like)
        parts[name.replace(".", "_")] = part
    if not parts:
        units = math.prod(shape)
        return Pooling(torch.ones_like(like), channels=units, height=1, width=1, size=1)
    return next(iter(parts.values())) if len(parts) == 1 else Chain(parts)


def _map_of(
    module: torch.nn.Module, shape: Shape, name: str, like: torch.Tensor
) -> tuple[AbstractConnectivity, Shape]:
    """Return a module's weights as a connectivity, and the shape of what it gives."""
    if type(module) is torch.nn.Linear:
        _check_shape(name, module, shape, (module.in_features,))
        return Dense(module.weight.detach()), (module.out_features,)
    if type(module) is torch.nn.Conv2d:
        _check_shape(name, module, shape, (module.in_channels, *shape[1:]))
        made = _convolution(module, shape, name)
        step = made.stride
        return made, (module.out_channels, -(-shape[1] // step), -(-shape[2] // step))
    if type(module) is torch.nn.AvgPool2d:
        _check_shape(name, module, shape, shape)
        pool = _pooling(module, shape, name, like)
        return pool, pool.grid
    raise UnsupportedError(
        f"layers, {name} ({type(module).__name__}): it lies between two recurrent layers and is "
        "not known to be linear in the rates, so that they are not one network. Linear, Conv2d, "
        "AvgPool2d, Flatten and Unflatten are; put a nonlinearity into the model of a recurrent "
        "layer, before the first one or behind the last one.",
        argument="layers",
        got=module,
    )


def _convolution(module: torch.nn.Conv2d, shape: Shape, name: str) -> Convolution:
    (k, other), (stride, across) = module.kernel_size, module.stride
    is_plain = (
        (k, stride) == (other, across)
        and k % 2 == 1
        and module.padding == (k // 2, k // 2)
        and module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode in ("zeros", "circular")
    )
    if not is_plain:
        raise UnsupportedError(
            f"layers, {name} (Conv2d): between recurrent layers its kernel must be k by k with k "
            "odd and padding = k // 2, its stride the same both ways, without groups and dilation, "
            "and padding_mode 'zeros' or 'circular'.",
            argument="layers",
            got=module,
        )
    try:
        return Convolution(
            module.weight.detach(),
            height=shape[1],
            width=shape[2],
            border="circular" if module.padding_mode == "circular" else "zero",
            stride=stride,
        )
    except InputError as error:
        raise error.within(f"layers, {name} (Conv2d)") from None


def _pooling(module: torch.nn.AvgPool2d, shape: Shape, name: str, like: torch.Tensor) -> Pooling:
    size, stride = (_pair(value) for value in (module.kernel_size, module.stride))
    is_plain = size[0] == size[1] and stride == size and _pair(module.padding) == (0, 0)
    if not is_plain or module.ceil_mode or module.divisor_override is not None:
        raise UnsupportedError(
            f"layers, {name} (AvgPool2d): between recurrent layers its squares must lie side by "
            "side (stride = kernel_size), without padding, ceil_mode and divisor_override.",
            argument="layers",
            got=module,
        )
    share = torch.full_like(like, 1 / size[0] ** 2)
    channels, height, width = shape
    try:
        return Pooling(share, channels=channels, height=height, width=width, size=size[0])
    except InputError as error:
        raise error.within(f"layers, {name} (AvgPool2d)") from None


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _reshaped(module: torch.nn.Module, shape: Shape, name: str) -> Shape:
    """Return the shape of a sample after a module that only reshapes it."""
    try:
        after = module(torch.empty(1, *shape, device="meta")).shape
    except RuntimeError:
        after = torch.Size()
    if len(after) < 2 or after[0] != 1 or math.prod(after) != math.prod(shape):
        raise InputError.at(
            f"layers, {name} ({type(module).__name__})",
            got=shape,
            expected="samples of a shape that it takes",
        )
    return tuple(after[1:])


def _check_shape(name: str, module: torch.nn.Module, shape: Shape, wanted: Shape) -> None:
    """Refuse a module that does not take what comes before it."""
    if shape == wanted and len(shape) == (1 if isinstance(module, torch.nn.Linear) else 3):
        return
    expected = (
        f"{wanted[0]} numbers a sample"
        if isinstance(module, torch.nn.Linear)
        else f"images with {module.in_channels} channels"
        if isinstance(module, torch.nn.Conv2d)
        else "images, (C, H, W)"
    )
    remedy = "put a torch.nn.Flatten before it" if len(shape) == 3 and len(wanted) == 1 else ""
    where = f"layers, {name} ({type(module).__name__})"
    raise InputError.at(where, got=shape, expected=expected, remedy=remedy)
