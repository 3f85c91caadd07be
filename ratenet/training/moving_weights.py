"""Weights that move by equations while images are shown, and what teaches them.

The recurrent weights move throughout a presentation, fade and hold alike. All streams share them,
so that dw/dt is the mean over the streams; variables of units and other variables of synapses
belong to one stream each. Signals that a rule may name follow from the rates at each time step:

    error     dL/dy of each unit, one row per stream, not divided by B: it points uphill
    reward    -L of each stream, one for all units

L is the loss of the read-out as it is then, for the class of the image that is fading in or held;
without a class both are 0.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ratenet.equations import PlasticitySpec
from ratenet.network import Network
from ratenet.simulation import Feedback, Trajectory, simulate
from ratenet.simulation.plasticity import bind
from ratenet.stimuli.images import filled, is_answerable
from ratenet.training.classifier import Classifier
from ratenet.training.shown import AbstractShown

ERROR, REWARD = "error", "reward"
STATE = "plasticity/"  # before the names of the variables in a checkpoint
Signals = Mapping[str, Feedback]


class MovingWeights:
    """The recurrent weights of a network, moved by a plasticity rule in time.

    Parameters
    ----------
    spec : PlasticitySpec
    """

    def __init__(self, spec: PlasticitySpec) -> None:
        self.spec = spec
        self._variables: dict[str, Tensor] = {}  # all but the weights, which the network holds

    def check(self, network: Network, streams: int, signals: Signals) -> None:
        """Refuse a network, or a number of streams, that the rule does not fit.

        Raises
        ------
        InputError, UnsupportedError
        """
        bind(self.spec, network, streams, "shared", signals, None)

    def simulate(
        self, network: Network, *given: Any, signals: Signals, **options: Any
    ) -> Trajectory:
        """Simulate on from where the rule's variables are; the network's weights move."""
        run = simulate(
            network,
            *given,
            plasticity=self.spec,
            weights="shared",
            signals=signals,
            initial_plasticity=self._variables,
            **options,
        )
        assert run.plasticity is not None
        assert run.plasticity.connectivity is not None
        moved = run.plasticity.connectivity.parameters
        for name, parameter in network.connectivity.parameters.items():
            parameter.copy_(moved[name])
        self._variables = {n: run.plasticity.final[n] for n in self._own}
        return run

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables in a checkpoint; each has a row for each stream."""
        return tuple(f"{STATE}{name}" for name in self._own)

    @property
    def _own(self) -> tuple[str, ...]:
        every = (*self.spec.unit_variables, *self.spec.synapse_variables)
        return tuple(name for name in every if name != self.spec.weight)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run must know besides the weights."""
        return {f"{STATE}{name}": value for name, value in self._variables.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave; other tensors may be among it."""
        self._variables = {n.removeprefix(STATE): state[n] for n in self.names if n in state}


def signals_of(spec: PlasticitySpec, classifier: Classifier, images: AbstractShown) -> Signals:
    """Return the signals that a rule names, as functions of the time and of the present rates."""

    def error(t: float, rates: Tensor) -> Tensor:
        labels = images.labels_at(t)
        found = classifier.error(rates, filled(labels))
        return found.masked_fill(~is_answerable(labels)[:, None], 0.0)

    def reward(t: float, rates: Tensor) -> Tensor:
        labels = images.labels_at(t)
        loss = classifier.losses(rates, filled(labels)).masked_fill(~is_answerable(labels), 0.0)
        return -loss if REWARD in spec.global_signals else -loss[:, None].expand_as(rates)

    functions = {ERROR: error, REWARD: reward}
    return {name: Feedback(torch.no_grad()(functions[name])) for name, _ in spec.signals}
