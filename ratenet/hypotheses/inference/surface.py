"""dw/dt of a family at chosen rates and weights: for pictures, and for stimuli that would tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ratenet.hypotheses.inference.families import Family
from ratenet.hypotheses.inference.learning import Learner

GRID = 15  # points along each axis where stimuli are searched
WIDER = 1.5  # than what was seen, if nothing shows within


class Surface:
    """A family's dw/dt and its derivatives by the coefficients, at points (y_post, y_pre, w).

    Parameters
    ----------
    family : Family
    units : dict of str to float
        Values of the variables of units; 0 where none is given. Signals are 1.
    """

    def __init__(self, family: Family, units: dict[str, float] | None = None) -> None:
        self.family, self._units = family, units or {}

    @torch.no_grad()
    def at(
        self, theta: np.ndarray, post: np.ndarray, pre: np.ndarray, weight: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return dw/dt (n,) and its derivatives (n, K)."""
        n, K = len(post), len(theta)
        family = self._single()
        learner = Learner(family, torch.arange(n), torch.arange(n, 2 * n), K)
        rates = torch.as_tensor(np.concatenate([post, pre]), dtype=torch.float64)
        weights = torch.as_tensor(np.broadcast_to(weight, (n,)).copy(), dtype=torch.float64)
        synapses = learner.synapses_at_start(weights, weights.new_zeros(n, K))
        units = {
            name: (torch.full_like(rates, self._units.get(name, 0.0)), tangent)
            for name, (_, tangent) in learner.units_at_start(2 * n).items()
        }
        values = learner.values(torch.tensor(theta))
        signals = {name: rates.new_tensor(1.0) for name in family.signals}
        later, _ = learner.advance(synapses, units, rates, None, values, signals, 1.0)
        value, tangent = later[family.weight]
        return (value - weights).numpy(), tangent.numpy()

    def _single(self) -> Family:
        """Return the family with the mean of what differs between units."""
        from dataclasses import replace

        held = {name: float(np.mean(value)) for name, value in self.family.held.items()}
        return replace(self.family, held=held)

    def where_shown(
        self, theta: np.ndarray, direction: np.ndarray, seen: Sequence[tuple[float, float]]
    ) -> tuple[dict[str, float], bool]:
        """Return where a direction changes dw/dt most, and whether that is outside what was seen.

        Parameters
        ----------
        theta : ndarray, shape (K,)
        direction : ndarray, shape (K,)
        seen : sequence of (low, high)
            Ranges of y_post, y_pre and w.
        """
        inside, value = self._largest(theta, direction, seen)
        wider = [_wider(*bounds) for bounds in seen]
        outside, more = self._largest(theta, direction, wider)
        # A polynomial always grows outwards: outside counts only if nothing is there inside.
        needs_more = value <= 1e-6 * more
        return (outside, True) if needs_more else (inside, False)

    def _largest(
        self, theta: np.ndarray, direction: np.ndarray, ranges: Sequence[tuple[float, float]]
    ) -> tuple[dict[str, float], float]:
        axes = [np.linspace(low, high, GRID) for low, high in ranges]
        post, pre, weight = (each.ravel() for each in np.meshgrid(*axes, indexing="ij"))
        _, slopes = self.at(theta, post, pre, weight)
        size = np.abs(slopes @ direction)
        at = int(np.argmax(size))
        point = {"y_post": float(post[at]), "y_pre": float(pre[at]), "w": float(weight[at])}
        return point, float(size[at])


def _wider(low: float, high: float) -> tuple[float, float]:
    middle, half = (low + high) / 2, (high - low) / 2
    half = half * WIDER if half > 0 else max(abs(middle), 1.0)
    return middle - half, middle + half
