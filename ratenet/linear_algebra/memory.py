"""Whether an array fits into memory, said in one sentence before the work begins."""

import os
from contextlib import suppress
from pathlib import Path

import torch

from ratenet.errors import InputError


def require_memory(
    size: float, what: str, remedy: str, *, device: torch.device | str = "cpu"
) -> None:
    """Refuse what cannot fit into the memory that is free.

    Parameters
    ----------
    size : float
        Bytes, about.
    what : str
        What needs them, as the subject of the sentence: "units: weights of 10,000 units".
    remedy : str
        What to do.
    device : torch.device or str
        Where the memory is.

    Raises
    ------
    InputError
        If that many bytes are not free.

    Examples
    --------
    >>> require_memory(1e15, "units: weights of 10,000,000 units", "choose fewer")
    Traceback (most recent call last):
    ratenet.errors.InputError: units: weights of 10,000,000 units need 1e+06 GB of memory, ...
    """
    free = free_memory(device)
    if size > free:
        raise InputError(
            f"{what} need {size / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB are free; {remedy}.",
            argument=what.partition(":")[0],
            got=size,
        )


def free_memory(device: torch.device | str = "cpu") -> float:
    """Return the bytes that are free on a device; infinite where that is not known."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free)
    if device.type != "cpu":
        return float("inf")
    return min(_free_on_machine(), _allowed_to_process())


def _free_on_machine() -> float:
    with suppress(OSError, ValueError, IndexError):  # Linux
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    with suppress(OSError, ValueError, AttributeError):  # elsewhere: all that there is
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return float("inf")


def _allowed_to_process() -> float:
    """Return the limit of a container (control group, version 2) or of the process."""
    allowed = float("inf")
    with suppress(OSError, ValueError):  # "max" is no number
        group = Path("/sys/fs/cgroup")
        limit = float((group / "memory.max").read_text(encoding="ascii"))
        allowed = limit - float((group / "memory.current").read_text(encoding="ascii"))
    with suppress(ImportError):  # not on Windows
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            allowed = min(allowed, float(soft))
    return allowed
