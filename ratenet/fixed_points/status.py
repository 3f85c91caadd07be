"""Status: what became of a sample, with its likely cause and the remedy."""

import enum

import torch
from torch import Tensor


class Status(enum.IntEnum):
    """Outcome of a sample; `sentence` gives the likely cause and the remedy.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[2.0]])
    >>> fp = rn.find_fixed_points(network, [1.0], on_failure="return")
    >>> code = Status(int(fp.status[0]))
    >>> code.name, code.sentence[:33]
    ('DIVERGED', 'The state became NaN or infinite,')
    """

    SETTLED = 0
    UNSETTLED = 1
    DIVERGED = 2
    SINGULAR = 3
    SLOW = 4
    OSCILLATING = 5
    UNSTABLE = 6
    OUT_OF_ITERATIONS = 7
    NEUTRAL = 8
    SLOW_POINT = 9

    @property
    def words(self) -> str:
        """Its name as it is written in a sentence."""
        return self.name.lower().replace("_", " ")

    @property
    def sentence(self) -> str:
        """One sentence: what it means, the likely cause, what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.SETTLED: "The residual is at most the tolerance.",
    Status.UNSETTLED: (
        "The residual is above the tolerance: the state still changes, or oscillates; simulate "
        "longer, or reduce the recurrent weights."
    ),
    Status.DIVERGED: (
        "The state became NaN or infinite, or grows without end: the dynamics are unstable, or "
        "dt is too large; reduce the recurrent weights, dt or the learning rate."
    ),
    Status.SINGULAR: (
        "A unit's own dynamics have no isolated fixed point (F_s is singular), so it has no "
        "static gain; give every state variable a decay."
    ),
    Status.SLOW: (
        "Converging, but slowly (an eigenvalue of the Jacobian is near the imaginary axis); raise "
        "max_iterations, start closer, use the default solver, or reduce the recurrent weights."
    ),
    Status.OSCILLATING: (
        "The dynamics return to where they were without coming to rest, as on a limit cycle, so no "
        "fixed point is reached from this start; change the weights or the time constants, or "
        "simulate."
    ),
    Status.UNSTABLE: (
        "The state is an unstable fixed point, so the network does not "
        "stay there; start elsewhere, or reduce the recurrent weights."
    ),
    Status.OUT_OF_ITERATIONS: (
        "The solver stopped at max_iterations with the residual above the tolerance; raise "
        "max_iterations, or use the default solver, which falls back on the dynamics."
    ),
    Status.NEUTRAL: (
        "The state is at rest, but in some direction the dynamics neither return to it nor leave "
        "it (an eigenvalue of the Jacobian has a real part of 0 to working precision), as in a "
        "perfect integrator or on a line attractor: which state is reached depends on the start, "
        "and I - G W may be singular, so that exact gradients do not exist; accept it, or weaken "
        "the recurrent weights slightly."
    ),
    Status.SLOW_POINT: (
        "The state is a slow point: the speed has a local minimum there that is small and not "
        "zero, so the dynamics pass it slowly, as where two fixed points have just vanished; the "
        "residual says how slowly."
    ),
}


def at_rest(status: Tensor) -> Tensor:
    """Return where status codes say that a sample rests and is not repelled: settled or neutral."""
    return (status == Status.SETTLED) | (status == Status.NEUTRAL)


def judge(
    residual: Tensor, tol: float, singular: Tensor, otherwise: Status = Status.UNSETTLED
) -> Tensor:
    """Return the status codes (B,) that follow from residuals and singular units."""
    status = torch.full_like(residual, otherwise, dtype=torch.int64)
    status[residual <= tol] = Status.SETTLED
    status[~torch.isfinite(residual)] = Status.DIVERGED
    status[singular] = Status.SINGULAR
    return status
