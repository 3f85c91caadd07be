"""The Brian2 backend: a NeuronGroup of B x N units and summed Synapses, from the same model.

A summed synaptic input is brought up to date before the state update of the same step and held
within it, so euler and exponential_euler agree with torch to rounding, and Brian2's rk4 would not
be the network's.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.backends.base import AbstractBackend, ConstantDrive, Drive, TimeGrid
from ratenet.errors import UnsupportedError
from ratenet.network import Network
from ratenet.spec import unit_text

_OUTPUT = "ratenet_output"
_WEIGHT = "ratenet_weight"


class Brian2Backend(AbstractBackend):
    """Simulation with Brian2's runtime, with the code generation target that its preferences say.

    Brian2 computes in float64. It needs B N^2 synapses, so it is for small networks and batches.
    """

    name = "brian2"

    @property
    def methods(self) -> Collection[str]:
        """Euler and exponential_euler."""
        return ("euler", "exponential_euler")

    def run(
        self, network: Network, drive: Drive, initial: Tensor, grid: TimeGrid, method: str
    ) -> Tensor:
        """Return the recorded states, shape (T, k, B, N)."""
        import brian2  # here: its runtime takes a second to import

        if not isinstance(drive, ConstantDrive):
            raise UnsupportedError(
                "backend 'brian2': a drive that changes in time is not offered; use "
                "backend='torch', or a constant drive."
            )
        clock = brian2.Clock(dt=grid.dt * brian2.second)
        group = _group(network, drive.value, initial, clock, method)
        synapses = _synapses(network, group, stimuli=initial.shape[1], clock=clock)
        states = network.model.states
        monitor = brian2.StateMonitor(
            group, states, record=True, dt=grid.record_every * grid.dt * brian2.second
        )
        # namespace={}: nothing is looked up in the frames of whoever calls.
        simulation = brian2.Network(group, synapses, monitor)
        simulation.run(grid.steps * grid.dt * brian2.second, namespace={})
        recorded = np.stack([np.asarray(getattr(monitor, f"{s}_")) for s in states])  # (k, BN, T-1)
        last = np.stack([np.asarray(getattr(group, f"{s}_")) for s in states])  # (k, BN)
        everything = np.concatenate([recorded, last[:, :, None]], axis=2).transpose(2, 0, 1)
        result = torch.as_tensor(everything, dtype=network.dtype, device=network.device)
        return result.unflatten(2, initial.shape[1:])


def _group(network: Network, drive: Tensor, initial: Tensor, clock: Any, method: str) -> Any:
    """Return the NeuronGroup of B x N units, stimulus after stimulus."""
    import brian2

    model, B = network.model, len(drive)
    lines = [
        f"d{state}/dt = {model.brian2_expression(state)} : {unit_text(model.dimensions(state))}"
        for state in model.states
    ]
    lines += [f"{_OUTPUT} = {model.brian2_output} : {unit_text(model.output_dimensions)}"]
    lines += [f"{model.recurrent} : {unit_text(model.dimensions(model.recurrent))}"]
    lines += [f"{model.drive} : {unit_text(model.dimensions(model.drive))} (constant)"]
    for name in network.parameters:
        lines.append(f"{name} : {unit_text(model.dimensions(name))} (constant)")
    group = brian2.NeuronGroup(
        B * network.units,
        "\n".join(lines),
        method=_exponential_euler() if method == "exponential_euler" else method,
        clock=clock,
        namespace={},
    )
    values = {
        name: value.expand(B, network.units).flatten() for name, value in network.parameters.items()
    }
    values[model.drive] = drive.flatten()
    values |= {state: initial[index].flatten() for index, state in enumerate(model.states)}
    group.set_states({name: v.double().cpu().numpy() for name, v in values.items()}, units=False)
    return group


def _synapses(network: Network, group: Any, stimuli: int, clock: Any) -> Any:
    """Return Synapses with one copy of W for each stimulus."""
    import brian2

    model, N = network.model, network.units
    recurrent = unit_text(model.dimensions(model.recurrent))
    synapses = brian2.Synapses(
        group,
        group,
        f"""{_WEIGHT} : {unit_text(model.weight_dimensions)} (constant)
        {model.recurrent}_post = {_WEIGHT} * {_OUTPUT}_pre : {recurrent} (summed)""",
        clock=clock,
        namespace={},
    )
    post, pre = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")
    offset = np.repeat(np.arange(stimuli) * N, N * N)
    synapses.connect(
        i=np.tile(pre.ravel(), stimuli) + offset, j=np.tile(post.ravel(), stimuli) + offset
    )
    W = network.connectivity.dense().double().cpu().numpy()
    synapses.set_states({_WEIGHT: np.tile(W.ravel(), stimuli)}, units=False)
    return synapses


def _exponential_euler() -> Any:
    """Return Brian2's exponential Euler, written so that M = 0 gives the Euler step."""
    from brian2.parsing.sympytools import sympy_to_str
    from brian2.stateupdaters.base import StateUpdateMethod
    from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system

    class ExponentialEuler(StateUpdateMethod):  # type: ignore[misc]  # brian2 is untyped
        def __call__(
            self, equations: Any, variables: Any = None, method_options: Any = None
        ) -> str:
            lines, updates = [], []
            for name, (M, B) in get_conditionally_linear_system(equations, variables).items():
                updates.append(f"{name} = _{name}")
                if M == 0:  # Brian2 then gives the number 0, which has no unit
                    lines.append(f"_{name} = {name} + dt * ({sympy_to_str(B)})")
                    continue
                lines.append(f"_rate_{name} = {sympy_to_str(M)}")
                slope = f"(_rate_{name} * {name} + {sympy_to_str(B)})"
                lines.append(f"_{name} = {name} + dt * exprel(dt * _rate_{name}) * {slope}")
            return "\n".join([*lines, *updates])

    return ExponentialEuler()
