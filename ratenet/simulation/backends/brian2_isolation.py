"""Brian2's global state: one simulation at a time, and left as it was found.

Brian2 keeps its active device, its running network, the names of its objects and its random
numbers in globals of the process. So simulations of several threads take turns, from building the
objects to reading the last state.
"""

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

# Where Brian2's compiled code keeps the random numbers that it has drawn ahead: of ratenet, not of
# the user. A pointer of 0 makes Brian2 allocate; so it allocates once in a process.
_OWN_BUFFERS = {"rand_buffer": 0, "randn_buffer": 0}

# Reentrant: a drive that is a function of time may itself simulate.
ONE_AT_A_TIME = threading.RLock()


@contextmanager
def own_device(device: Any) -> Iterator[None]:
    """Make a Brian2 device the active one for a while.

    Restored are the active device (its clock, network and objects are its own), what `set_device`
    remembers, whether a simulation is running, since ours may be started from within one, and the
    environment variables that Brian2 sets for a standalone program.
    """
    from brian2 import prefs
    from brian2.core.network import Network

    # The module by its path: `brian2.devices.device` is also the name of a proxy.
    devices: Any = importlib.import_module("brian2.devices.device")
    active, previous = devices.active_device, list(devices.previous_devices)
    flags = (Network._globally_running, Network._globally_stopped)
    set_by_brian2 = (
        *prefs["devices.cpp_standalone.run_environment_variables"],
        "DYLD_LIBRARY_PATH",
    )
    environment = {name: os.environ.get(name) for name in set_by_brian2}
    devices.active_device = device
    try:
        yield
    finally:
        devices.active_device = active
        devices.previous_devices[:] = previous
        Network._globally_running, Network._globally_stopped = flags
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Draw Brian2's random numbers from a seed of ours for a while; NumPy's state is restored."""
    from brian2.devices.device import runtime_device

    theirs = runtime_device.get_random_state()
    try:
        for name, pointer in _OWN_BUFFERS.items():
            getattr(runtime_device, name)[:] = pointer
            getattr(runtime_device, f"{name}_index")[:] = 0
        np.random.seed(seed)
        yield
    finally:
        for name in _OWN_BUFFERS:
            _OWN_BUFFERS[name] = int(getattr(runtime_device, name)[0])
        runtime_device.set_random_state(theirs)
