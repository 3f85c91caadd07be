"""Workers: the processes that train one network together, as torchrun starts them.

Each process shows its share of the streams; sums over all of them make the change of the weights,
which every process then makes by itself, so that all hold the same network. Alone, a process is
the one worker, and nothing is sent.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from ratenet.errors import InputError, OtherProcessError

# While the first process tests or downloads, the others wait; of one that dies they hear at once.
PATIENCE = timedelta(hours=6)


@contextmanager
def _talking() -> Iterator[None]:
    """Turn a connection that breaks into a sentence."""
    try:
        yield
    except RuntimeError:
        raise OtherProcessError(
            "Another worker failed (see its message); the last checkpoint is intact."
        ) from None


@dataclass(frozen=True)
class Workers:
    """A process among those that train together.

    Parameters
    ----------
    rank, size : int
        Its number, from 0, and how many there are.
    device : str
        Where tensors that are sent lie: NCCL sends from GPUs alone.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, number: int) -> slice:
        """Return which of `number` streams are this process's.

        Raises
        ------
        InputError
            If they cannot be shared out evenly.
        """
        if number % self.size:
            raise InputError.at(
                "batch_size", got=number, expected=f"a multiple of the {self.size} processes"
            )
        each = number // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def rows(self, mine: Tensor) -> Tensor:
        """Return the rows of all processes, in their order."""
        if self.size == 1:
            return mine
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        with _talking():
            dist.all_gather(parts, mine.contiguous())
        return torch.cat(parts)

    def total(self, mine: Tensor) -> Tensor:
        """Return the sum over the processes, the same to the last bit in each of them."""
        if self.size == 1:
            return mine
        total = mine.contiguous().clone()
        with _talking():
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Return whether one of the processes says so."""
        return bool(self.total(torch.tensor(float(flag), device=self.device)) > 0)

    def text(self, text: str, sender: int = 0) -> str:
        """Return the text that one process, the first by default, gives."""
        if self.size == 1:
            return text
        content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=self.device)
        length = torch.tensor(len(content), device=self.device)
        with _talking():
            dist.broadcast(length, sender)
            if self.rank != sender:
                content = content.new_empty(int(length))
            dist.broadcast(content, sender)
        return bytes(content.tolist()).decode()

    def agree(self, failure: Exception | None) -> None:
        """Raise in every process if one of them has failed.

        Raises
        ------
        Exception
            This process's own failure, or OtherProcessError with that of another one.
        """
        if self.size == 1 or not self.any(failure is not None):
            if failure is not None:
                raise failure
            return
        flags = self.rows(torch.tensor([float(failure is not None)], device=self.device))
        sender = int(flags.argmax())
        said = self.text(str(failure), sender)
        raise failure or OtherProcessError(f"process {sender}: {said}")

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            self.total(torch.zeros(1, device=self.device))


ALONE = Workers()


@contextmanager
def joined_workers(device: str) -> Iterator[tuple[Workers, str]]:
    """Join the processes that torchrun started, if it did; give them and this one's device.

    Parameters
    ----------
    device : str
        "cuda" becomes the GPU of this process's number on its machine.
    """
    names = ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")  # some schedulers set one alone
    if not all(name in os.environ for name in names) or os.environ["WORLD_SIZE"] == "1":
        yield ALONE, device
        return
    is_gpu = torch.device(device).type == "cuda"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if is_gpu else "gloo", timeout=PATIENCE)
    try:
        yield Workers(dist.get_rank(), dist.get_world_size(), device if is_gpu else "cpu"), device
    finally:
        dist.destroy_process_group()
