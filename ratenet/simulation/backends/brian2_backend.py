"""The Brian2 backend: the same model, simulated by Brian2's runtime or as a C++ program."""

import io
import itertools
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.errors import UnsupportedError
from ratenet.simulation.backends.base import AbstractBackend, Observer, Task
from ratenet.simulation.backends.brian2_isolation import (
    ONE_AT_A_TIME,
    own_device,
    own_random_numbers,
)
from ratenet.simulation.backends.brian2_objects import (
    SCHEDULE,
    make_groups,
    make_synapses,
    own_name,
    plasticity_of,
    timed_arrays,
)
from ratenet.simulation.backends.brian2_parts import Part, most_synapses, parts_of
from ratenet.simulation.backends.brian2_plasticity import Brian2Plasticity
from ratenet.simulation.drives import ConstantDrive
from ratenet.simulation.time_grid import seed_of_step

_BYTES_PER_SYNAPSE = 70  # two indices and a weight, and the arrays that they are made from
_COMPLAINT = re.compile("error:|not found|No such file")


class Brian2Backend(AbstractBackend):
    """Simulation with Brian2's runtime, with the code generation target that its preferences say.

    Brian2 computes in float64. It needs B N^2 synapses, and a drive that changes in time is held
    for all steps at once, so it is for small networks and batches. Simulations of several threads
    take turns.
    """

    name = "brian2"
    has_gradients = False
    takes_empty_batches = False

    @property
    def methods(self) -> Collection[str]:
        """Euler and exponential_euler."""
        return ("euler", "exponential_euler")

    @property
    def devices(self) -> Collection[str]:
        """Brian2's runtime, and its C++ standalone mode."""
        return ("runtime", "cpp_standalone")

    @property
    def no_device(self) -> str:
        """What to say when another device is asked for."""
        return f"backend 'brian2' has {' and '.join(self.devices)}."

    def bytes(self, task: Task) -> int:
        """Return the memory that synapses, while they are made, and a changing drive need."""
        _, B, N = task.initial.shape
        times = 0 if isinstance(task.drive, ConstantDrive) else task.grid.steps
        return _BYTES_PER_SYNAPSE * B * most_synapses(task) + 3 * 8 * times * B * N

    def run(self, task: Task, observe: Observer) -> None:
        """Simulate, and show the observer the states."""
        run = _run_standalone if task.device == "cpp_standalone" else _run_runtime
        # The observer says where a state is not finite.
        with ONE_AT_A_TIME, np.errstate(all="ignore"):
            run(task, observe)


def _run_runtime(task: Task, observe: Observer) -> None:
    """Let Brian2's runtime take the steps, with the observer in its loop."""
    import brian2  # here: its runtime takes a second to import
    from brian2.core.base import BrianObjectException
    from brian2.devices.device import runtime_device

    with ExitStack() as stack:
        stack.enter_context(own_device(runtime_device))
        if task.network.model.noises:
            stack.enter_context(own_random_numbers(_seed(task)))
        parts = parts_of(task)
        arrays = timed_arrays(task, parts)
        plasticity = plasticity_of(task)
        with _one_sentence(Exception):
            groups, synapses = _groups_and_synapses(task, parts, arrays, plasticity)
            feedback = [] if plasticity is None else plasticity.operations(groups[0])
        steps = itertools.count()
        stopped = False

        def look() -> None:
            nonlocal stopped
            n = next(steps)
            if task.is_observed(n) and not stopped and seen(n):
                stopped = True
                simulation.stop()

        def seen(n: int) -> bool:
            if plasticity is not None:
                plasticity.take_in(groups[0], synapses[0])
            return observe(n, _state(groups, parts, task))

        look_first = brian2.NetworkOperation(
            look, clock=groups[0].clock, when="before_start", name="ratenet_look"
        )
        simulation = _network(*groups, *synapses, look_first, *feedback)
        with _one_sentence(BrianObjectException):
            simulation.run(task.grid.steps * task.grid.dt * brian2.second, namespace={})
        if not stopped:
            seen(task.grid.steps)


@contextmanager
def _one_sentence(kind: type[Exception]) -> Iterator[None]:
    """Make one sentence of what Brian2 and its compilers raise when code generation fails."""
    try:
        yield
    except kind as error:
        reason = _last_line(error.__cause__ or error)
        raise UnsupportedError(
            f"backend 'brian2': Brian2 cannot generate code ({reason}). Try "
            "brian2.prefs.codegen.target = 'numpy'."
        ) from error


def _run_standalone(task: Task, observe: Observer) -> None:
    """Build and run a C++ program, then show the observer what it recorded.

    A program cannot be asked on its way: it runs to the end, and what comes after the observer's
    stop is dropped.
    """
    import brian2
    from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

    every, parts = task.observe_every, parts_of(task)
    device = CPPStandaloneDevice()  # a fresh one: the user's may hold an unfinished program
    with own_device(device), tempfile.TemporaryDirectory(prefix="ratenet_") as folder:
        device.activate(build_on_run=False)
        groups, synapses = _groups_and_synapses(task, parts, timed_arrays(task, parts), None)
        monitors = [
            brian2.StateMonitor(
                group, [own_name(state) for state in part.model.states], record=True,
                dt=every * task.grid.dt * brian2.second, name=f"ratenet_monitor{part.suffix}",
            )
            for part, group in zip(parts, groups, strict=True)
        ]  # fmt: skip
        if task.network.model.noises:
            device.seed(_seed(task))
        simulation = _network(*groups, *synapses, *monitors)
        simulation.run(task.grid.steps * task.grid.dt * brian2.second, namespace={})
        _build(device, folder)
        recorded = _values(monitors, parts, task, _recorded)  # (k, B, N, T-1)
        final = _state(groups, parts, task)
    for row, n in enumerate(range(0, task.grid.steps, every)):
        if observe(n, _as_state(recorded[..., row], task)):
            return
    observe(task.grid.steps, final)


def _build(device: Any, folder: str) -> None:
    """Compile the program and run it; a failure is one sentence."""
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            device.build(directory=folder, with_output=False)
    except (RuntimeError, OSError) as error:
        # Make and the compiler say more than Brian2 does.
        complaints = [line for line in said.getvalue().splitlines() if _COMPLAINT.search(line)]
        raise UnsupportedError(
            "device 'cpp_standalone': the C++ program could not be built and run "
            f"({complaints[-1].strip() if complaints else _last_line(error)}). It needs make and "
            "a C++ compiler; without them use device='runtime'."
        ) from error


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else type(error).__name__


def _groups_and_synapses(
    task: Task,
    parts: tuple[Part, ...],
    arrays: dict[str, Any],
    plasticity: Brian2Plasticity | None,
) -> tuple[list[Any], list[Any]]:
    """Return the NeuronGroups and the Synapses of a task."""
    import brian2

    clock = brian2.Clock(dt=task.grid.dt * brian2.second, name="ratenet_clock")
    groups = make_groups(task, parts, clock, arrays, plasticity)
    return groups, make_synapses(task, parts, groups, clock, arrays, plasticity)


def _network(*objects: Any) -> Any:
    import brian2

    simulation = brian2.Network(*objects, name="ratenet_network")
    simulation.schedule = SCHEDULE
    return simulation


def _seed(task: Task) -> int:
    """Return a seed that NumPy takes; without one, torch's default generator decides."""
    if task.seed is None:
        return int(torch.randint(2**32, ()))
    return seed_of_step(task.seed, round(task.grid.first)) % 2**32


def _state(owners: list[Any], parts: tuple[Part, ...], task: Task) -> Tensor:
    """Return the state that groups have now, shape (k, B, N), of the network's type."""
    return _as_state(_values(owners, parts, task, _present), task)


def _values(
    owners: list[Any],
    parts: tuple[Part, ...],
    task: Task,
    values_of: Callable[[Any, str], np.ndarray],
) -> np.ndarray:
    """Return the state variables that groups, or their monitors, hold: (k, B, N, ...)."""
    own = {
        (row, part): values_of(owner, own_name(name))
        for part, owner in zip(parts, owners, strict=True)
        for row, name in zip(part.rows, part.model.states, strict=True)
    }
    k, B, N = task.initial.shape
    times = next(iter(own.values())).shape[1:]
    found = np.zeros((k, B, N, *times))
    for (row, part), values in own.items():
        found[row, :, part.units] = values.reshape(B, -1, *times)
    return found


def _present(group: Any, name: str) -> np.ndarray:
    """Return what a group has now, (B n,); asked at each step, Brian2's views take ten times."""
    return group.variables[name].get_value()


def _recorded(monitor: Any, name: str) -> np.ndarray:
    """Return what a monitor recorded, (B n, T)."""
    return np.asarray(getattr(monitor, f"{name}_"))


def _as_state(values: np.ndarray, task: Task) -> Tensor:
    network = task.network
    return torch.as_tensor(values, dtype=network.dtype, device=network.device)
