"""Continuous learning: the weights move at every time step of the hold.

dE/dt = (D - E) / tau_e,    dW/dt = E / hold       D: the change that the rule asks for by itself

so that, without an average (E = D), a hold at rest changes the weights by one change D. While an
image fades in there is nothing to learn, D = 0, and E decays: a hold then makes somewhat less.
"""

import math

from torch import Tensor

from ratenet.training.optimizers import Changes

STATE = "eligibility/"  # before the names of its tensors in a checkpoint


class Eligibility:
    """A running average of the changes that a rule asks for.

    Parameters
    ----------
    time_constant : float or None
        tau_e in seconds; None: no average.
    """

    def __init__(self, time_constant: float | None) -> None:
        self.time_constant = time_constant
        self._average: Changes = {}

    def take_in(self, changes: Changes, elapsed: float) -> Changes:
        """Return the average after `elapsed` seconds in which the changes were asked for."""
        if self.time_constant is None:
            return changes
        share = -math.expm1(-elapsed / self.time_constant)
        for name, change in changes.items():
            before = self._average.get(name)
            self._average[name] = share * change if before is None else before.lerp(change, share)
        return dict(self._average)

    def decay(self, elapsed: float) -> None:
        """Let the average decay for `elapsed` seconds in which there is nothing to learn."""
        if self.time_constant is not None:
            factor = math.exp(-elapsed / self.time_constant)
            self._average = {name: factor * value for name, value in self._average.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run must know, as tensors."""
        return {f"{STATE}{name}": value for name, value in self._average.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave; other tensors may be among it."""
        self._average = {
            name.removeprefix(STATE): value
            for name, value in state.items()
            if name.startswith(STATE)
        }
