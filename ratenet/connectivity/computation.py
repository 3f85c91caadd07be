"""What holds throughout one computation of ratenet, whatever torch is set to outside of it.

autocast            off: rates are certified, and a product in bfloat16 moves them by 3e-3
the default device  the CPU: what a network computes with lies on the network's own device
inference mode      off: gradients of the equations are taken inside
weights             looked at once: nobody else changes them meanwhile
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch

_current: ContextVar[object | None] = ContextVar("computation", default=None)


def current_computation() -> object | None:
    """Return what stands for the outermost computation of this thread; None outside of any."""
    return _current.get()


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Shield a long job from torch's settings, while its weights may change; context or decorator.

    Examples
    --------
    >>> with torch.device("meta"), shielded():
    ...     torch.ones(1).device
    device(type='cpu')
    """
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())  # as inference mode has it
        for device in _autocast_devices():
            stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextlib.contextmanager
def computation() -> Iterator[None]:
    """Shield a computation from torch's settings; a context, or a decorator of a function.

    Computations inside another one belong to it. The settings are as before afterwards.

    Examples
    --------
    >>> with torch.autocast("cpu", dtype=torch.bfloat16), computation():
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    with shielded(), contextlib.ExitStack() as stack:
        if _current.get() is None:
            token = _current.set(object())
            stack.callback(_current.reset, token)
        yield


def _autocast_devices() -> list[str]:
    accelerator = torch.accelerator.current_accelerator()
    present = ["cpu", *([] if accelerator is None else [accelerator.type])]
    return [device for device in present if torch.is_autocast_enabled(device)]
