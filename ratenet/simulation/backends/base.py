"""What a backend is, and what it is given: a task, and an observer that it reports states to."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor

from ratenet.network import Network
from ratenet.simulation.drives import AbstractDrive
from ratenet.simulation.plasticity import PlasticState
from ratenet.simulation.time_grid import TimeGrid

LOOK_EVERY = 64  # steps: as often are weights that move asked whether they are finite

# Called with the number of a step and the state (k, B, N) at its beginning; True: stop here.
Observer = Callable[[int, Tensor], bool]


@dataclass(frozen=True)
class Tolerances:
    """Error that an adaptive method may make in a step: atol + rtol |s|, for each entry."""

    rtol: float
    atol: float


@dataclass(frozen=True, eq=False)
class Task:
    """One simulation: what is to be integrated, how, and at which steps the state is wanted."""

    network: Network
    drive: AbstractDrive
    initial: Tensor  # (k, B, N)
    grid: TimeGrid
    observe_every: int  # steps; divides grid.record_every
    method: str
    seed: int | None  # of the noise
    tolerances: Tolerances
    device: str | None
    plasticity: PlasticState | None = None

    def is_observed(self, n: int) -> bool:
        """Return whether the observer takes the state after n steps."""
        is_looked_at = self.plasticity is not None and n % LOOK_EVERY == 0
        return is_looked_at or n % self.observe_every == 0


class AbstractBackend(ABC):
    """A simulator."""

    name: str
    has_gradients: bool  # whether what it returns may be differentiated
    takes_empty_batches: bool  # whether B may be 0

    @property
    @abstractmethod
    def methods(self) -> Collection[str]:
        """Names of the integration methods that it offers."""

    @property
    @abstractmethod
    def devices(self) -> Collection[str]:
        """Names that `simulate` takes as `device`."""

    @property
    @abstractmethod
    def no_device(self) -> str:
        """What to say when a device is asked for that it does not have."""

    def bytes(self, task: Task) -> int:
        """Return the memory in bytes that it needs beside the records, if that is much."""
        return 0

    @abstractmethod
    def run(self, task: Task, observe: Observer) -> None:
        """Simulate, and show the observer the states.

        Parameters
        ----------
        task : Task
        observe : Observer
            Is called with n = 0 and the initial state, then after every step that
            `task.is_observed`; the run ends when it returns True.
        """
