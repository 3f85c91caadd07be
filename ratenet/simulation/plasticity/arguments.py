"""What a user passes to simulate about plasticity, checked and made into a recorder."""

from dataclasses import dataclass
from typing import Any

from ratenet.errors import InputError, UnsupportedError
from ratenet.network import Network
from ratenet.simulation.plasticity.bound import MODES, bind
from ratenet.simulation.plasticity.layout import refuse_listed
from ratenet.simulation.plasticity.record import (
    PlasticityRecorder,
    checked_interval,
    checked_synapses,
)
from ratenet.simulation.time_grid import ADAPTIVE, TimeGrid


@dataclass(frozen=True, eq=False)
class PlasticityArguments:
    """Arguments of `simulate`, as they were given."""

    plasticity: Any
    weights: Any
    signals: Any
    initial_plasticity: Any
    record_weights: Any
    record_synapses: Any

    def recorder(
        self,
        network: Network,
        streams: int,
        grid: TimeGrid,
        *,
        backend: str,
        method: str,
        device: str | None,
        until_settled: Any,
    ) -> PlasticityRecorder | None:
        """Return the recorder of a rule's variables; None without a rule.

        Raises
        ------
        InputError
            If an argument does not fit.
        UnsupportedError
            If backend, method or connectivity cannot have plasticity.
        """
        if self.plasticity is None:
            self._refuse_alone()
            return None
        self._check_offered(streams, backend, method, device, until_settled)
        rule = bind(
            self.plasticity, network, streams, self.weights, self.signals, self.initial_plasticity
        )
        if backend == "brian2":
            refuse_listed(network.connectivity, "backend 'brian2' with plasticity")
        if backend == "brian2" and rule.constraint.whole is not None:
            kind = type(network.connectivity).__name__
            raise UnsupportedError(
                f"backend: 'brian2' moves each synapse by itself, which {kind} weights do not "
                "allow; use backend='torch'.",
                argument="backend",
                got=backend,
            )
        every = checked_interval(self.record_weights, self.record_synapses, grid)
        chosen = checked_synapses(self.record_synapses, rule)
        return PlasticityRecorder(rule, grid, every, chosen)

    def _refuse_alone(self) -> None:
        for name in ("signals", "initial_plasticity", "record_weights", "record_synapses"):
            if getattr(self, name) is not None:
                raise InputError(
                    f"{name}: it has no effect without plasticity=; give a rule, such as "
                    "rn.load_plasticity('oja').",
                    argument=name,
                    got=getattr(self, name),
                )
        if self.weights not in MODES:
            raise InputError.at("weights", got=self.weights, expected="'own' or 'shared'")

    def _check_offered(
        self, streams: int, backend: str, method: str, device: str | None, until_settled: Any
    ) -> None:
        if method in ADAPTIVE:
            raise UnsupportedError(
                f"method: weights take Euler steps of dt, which {method!r} does not have; use "
                "'euler', 'exponential_euler' or 'rk4'.",
                argument="method",
                got=method,
            )
        if until_settled is not None:
            raise UnsupportedError(
                "until_settled: weights that move never settle; give the duration alone.",
                argument="until_settled",
                got=until_settled,
            )
        if device == "cpp_standalone":
            raise UnsupportedError(
                "device: 'cpp_standalone' does not offer plasticity; use device='runtime'.",
                argument="device",
                got=device,
            )
        if backend == "brian2" and self.weights == "shared" and streams != 1:
            raise UnsupportedError(
                f"weights: backend 'brian2' shares weights of one stimulus only, got {streams}; "
                "use weights='own' or backend='torch'.",
                argument="weights",
                got=self.weights,
            )
