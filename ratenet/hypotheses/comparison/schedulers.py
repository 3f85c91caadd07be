"""Where cells are run: in this process, in several on this machine, or by Dask.

Each gives results as they come; whoever asked writes them down, so a worker that dies takes no
finished cell with it.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from ratenet.equations.own_code import Parcel
from ratenet.errors import InputError, OtherProcessError
from ratenet.hypotheses.comparison.cell import run_cell
from ratenet.hypotheses.comparison.config import Cell, cell_id
from ratenet.validation import check_whole

Finished = Generator[tuple[Cell, dict[str, Any]], None, None]
Work = Callable[[Cell, str, Parcel | None], dict[str, Any]]  # from a cell to what it found
CONNECT = 5.0  # s until a scheduler must have answered
GO_ON = "finished cells are kept: repeat the command to continue"


class AbstractScheduler(ABC):
    """Runs cells."""

    @abstractmethod
    def run(
        self,
        cells: Sequence[Cell],
        data_root: str,
        own: Parcel | None = None,
        work: Work = run_cell,
    ) -> Finished:
        """Yield each cell with what `work` found of it, in any order."""

    def check(self) -> None:  # noqa: B027  # most need nothing
        """Refuse, before anything is written, what cannot be reached."""


@dataclass(frozen=True)
class InProcess(AbstractScheduler):
    """One cell after the other, in this process."""

    def run(
        self,
        cells: Sequence[Cell],
        data_root: str,
        own: Parcel | None = None,
        work: Work = run_cell,
    ) -> Finished:
        """Yield each cell with what it found, in their order."""
        for cell in cells:
            yield cell, work(cell, data_root, own)


@dataclass(frozen=True)
class Processes(AbstractScheduler):
    """Several processes on this machine, each with one thread of torch.

    A script calls `compare` below ``if __name__ == "__main__":`` then, since each process reads it.

    Parameters
    ----------
    number : int
        Number of processes.
    """

    number: int

    def __post_init__(self) -> None:
        check_whole(self.number, "processes")

    def run(
        self,
        cells: Sequence[Cell],
        data_root: str,
        own: Parcel | None = None,
        work: Work = run_cell,
    ) -> Finished:
        """Yield each cell with what it found."""
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.number, context, initializer=_begin_worker)
        others = set(multiprocessing.active_children())
        try:
            futures = {pool.submit(work, cell, data_root, own): cell for cell in cells}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise OtherProcessError(
                "A worker process died (out of memory?), or compare() was called outside "
                f"`if __name__ == '__main__':`; {GO_ON}."
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()


def _begin_worker() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the first one; end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the first process to end, even by SIGKILL, after which nobody asks for results."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has been started by a process"
    parent.join()
    os._exit(1)


@dataclass(frozen=True)
class Dask(AbstractScheduler):
    """The workers of a Dask scheduler; cells of a worker that dies are run again by others.

    Parameters
    ----------
    address : str
        Such as "tcp://127.0.0.1:8786". Workers have one thread each, and ratenet installed.
    """

    address: str

    def check(self) -> None:
        """Refuse an address where no scheduler answers."""
        try:
            from distributed import rpc
        except ImportError:
            raise InputError(
                "scheduler: Dask is not installed; install it with pip install 'ratenet[dask]', or "
                "use processes.",
                argument="scheduler",
            ) from None

        async def identity() -> Any:
            async with rpc(self.address) as peer:
                return await peer.identity()

        try:
            with ThreadPoolExecutor(1) as pool:  # a notebook has a loop of its own in this thread
                found = pool.submit(asyncio.run, asyncio.wait_for(identity(), CONNECT)).result()
            kind, why = found.get("type"), f"a {found.get('type')} answers"
        except Exception as error:  # whatever answers there may send anything
            kind, why = None, type(error).__name__
        if kind != "Scheduler":
            raise InputError(
                f"scheduler: no Dask scheduler answers at {self.address!r} ({why}); start one with "
                "`dask scheduler`, and give the address that it prints.",
                argument="scheduler",
            )

    def run(
        self,
        cells: Sequence[Cell],
        data_root: str,
        own: Parcel | None = None,
        work: Work = run_cell,
    ) -> Finished:
        """Yield each cell with what it found."""
        from distributed import Client, KilledWorker, as_completed as completed
        from distributed.comm.core import CommClosedError

        log = logging.getLogger("distributed.client")
        before, client = log.level, Client(self.address, timeout=CONNECT, set_as_default=False)
        log.setLevel(logging.CRITICAL)  # a sentence says what it would show as a traceback
        try:
            futures = {
                client.submit(work, cell, data_root, own, key=f"ratenet-{cell_id(cell)}"): cell
                for cell in cells
            }
            for future in completed(futures, loop=client.loop):
                yield futures[future], future.result()
        except KilledWorker:
            raise OtherProcessError(
                f"A cell repeatedly killed its worker (out of memory?); {GO_ON}."
            ) from None
        except (CommClosedError, CancelledError, TimeoutError):
            raise OtherProcessError(
                f"The scheduler at {self.address!r} has ended; {GO_ON}."
            ) from None
        finally:
            client.close()
            log.setLevel(before)
