"""Anderson acceleration of s <- s + d, for each sample of a batch by itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ratenet.fixed_points.solvers.base import AbstractIteration, Batch, Memory, check_share
from ratenet.fixed_points.solvers.mean_gain import MeanGain, check_preconditioner
from ratenet.fixed_points.solvers.newton import corrected_step
from ratenet.fixed_points.solvers.waiting import may_hold
from ratenet.validation import check_whole

FAST = 0.3  # preconditioned: a residual that falls below this share needs no acceleration
ASTRAY = 20  # a residual above this multiple of the least one is given up


@dataclass
class Differences(Memory):
    """The last differences, in slots, and what the next ones are taken from."""

    gram: Tensor  # (b, m, m): D D^T
    state: Tensor  # (b, n): the last one
    step: Tensor  # (b, n): there
    residual: Tensor  # (b,): there; infinite: no difference to it
    beta: Tensor  # (b, 1)
    S: list[Tensor | None]  # m times (b, n)
    D: list[Tensor | None]
    oldest: int = 0  # the slot that the next differences take

    def pairs(self) -> list[tuple[int, Tensor, Tensor]]:
        """Return the slots in use, each with its differences of states and of steps."""
        held = enumerate(zip(self.S, self.D, strict=True))
        return [(slot, S, D) for slot, (S, D) in held if S is not None and D is not None]

    def put(self, moved: Tensor, newest: Tensor) -> int:
        """Put differences of states and of steps where the oldest stood; return the slot."""
        slot = self.oldest
        self.S[slot], self.D[slot] = moved, newest
        self.oldest = (slot + 1) % len(self.S)
        return slot

    def drop_oldest(self) -> None:
        """Free the memory of the differences that the next ones replace."""
        self.S[self.oldest] = self.D[self.oldest] = None


@dataclass(frozen=True)
class Anderson(AbstractIteration[Differences]):
    """Anderson acceleration, with or without the mean-gain preconditioner.

    The last m differences of states, S, and of steps, D, are combined to make the remaining step
    as small as possible, and P times the remainder is the next step:

        s <- s - S gamma + beta P (d - D gamma),        gamma = argmin |d - D gamma|

    P is the identity, or d -> d + c (Q b) of `MeanGain`, close to Newton's step of the network.
    Preconditioned, gamma is 0 for a sample whose residual falls to 0.3 of itself in a step.

    Parameters
    ----------
    memory : int
        m, the number of differences kept (each takes 2 B k N numbers); at least 1.
    mixing : float
        beta, the share of the remaining step that is taken; above 0 and at most 1. It is halved for
        a sample whose residual grows twentyfold.
    preconditioner : MeanGain, optional
        Makes Q, and may keep it for the next solve; default none.
    max_iterations : int
        Most evaluations of the recurrent input per stimulus.

    References
    ----------
    Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.9]])
    >>> rn.find_fixed_points(network, [0.1], solver=Anderson(memory=3)).converged
    tensor([True])
    """

    memory: int = 6
    mixing: float = 1.0
    preconditioner: MeanGain | None = None
    max_iterations: int = 300

    def __post_init__(self) -> None:
        check_whole(self.memory, "memory")
        check_share("mixing", self.mixing)
        check_preconditioner(self.preconditioner)

    @property
    def name(self) -> str:
        """Name of the solver in a summary."""
        return "Anderson" + (" with the mean-gain preconditioner" if self.preconditioner else "")

    def start(self, batch: Batch) -> Differences:
        """Start without differences."""
        batch.precondition(self.preconditioner)
        like, B = batch.drive, len(batch.drive)
        return Differences(
            gram=like.new_zeros(B, self.memory, self.memory),
            state=_rows(batch.state),
            step=_rows(batch.found.step),
            residual=like.new_full((B,), torch.inf),
            beta=like.new_full((B, 1), self.mixing),
            S=[None] * self.memory,
            D=[None] * self.memory,
        )

    def advance(self, batch: Batch, memory: Differences, allowed: int) -> Tensor:
        """Take the accelerated step; a sample gone astray goes back to its best state."""
        found, k = batch.found, len(batch.state)
        batch.precondition(self.preconditioner)
        states, steps = _rows(batch.state), _rows(found.step)  # (b, n)
        share = FAST if batch.preconditioner.matrix is not None else 0.0
        slow = found.residual > share * memory.residual  # inf * 0 is NaN: not slow
        astray = ~(found.residual <= ASTRAY * batch.best_residual)  # NaN is astray
        base, left_over = states, steps
        gamma = _combination(memory, states, steps) if may_hold(slow) else None
        memory.state, memory.step, memory.residual = states, steps, found.residual
        if gamma is not None:
            gamma = gamma.masked_fill(~slow[:, None, None], 0.0)
            base, left_over = states.clone(), steps.clone()
            for slot, S, D in memory.pairs():
                base.addcmul_(gamma[:, slot], S, value=-1)
                left_over.addcmul_(gamma[:, slot], D, value=-1)
                del S, D  # so that the oldest can go
            memory.drop_oldest()
        step = corrected_step(found, batch.preconditioner.matrix, _states(left_over, k))
        following = _states(base, k)
        if gamma is None:  # the memory keeps these states
            following = torch.addcmul(following, memory.beta, step)
        else:
            following.addcmul_(memory.beta, step)
        if may_hold(astray):
            for _, S, D in memory.pairs():
                D.masked_fill_(astray[:, None], 0.0)
                S.masked_fill_(astray[:, None], 0.0)
            memory.gram.masked_fill_(astray[:, None, None], 0.0)
            memory.residual = found.residual.masked_fill(astray, torch.inf)
            memory.beta = torch.where(astray[:, None], 0.5 * memory.beta, memory.beta)
            following = torch.where(astray[:, None], batch.best_state, following)
        return following


def _combination(memory: Differences, states: Tensor, steps: Tensor) -> Tensor:
    """Put the newest differences where the oldest stand; return gamma, shape (b, m, 1)."""
    newest, moved = steps - memory.step, states - memory.state
    begins = torch.isinf(memory.residual)
    if may_hold(begins):
        newest.masked_fill_(begins[:, None], 0.0)
        moved.masked_fill_(begins[:, None], 0.0)
    slot = memory.put(moved, newest)
    gram, right = memory.gram, newest.new_zeros(len(newest), len(memory.S))
    for other, _, D in memory.pairs():
        product = torch.linalg.vecdot(D, newest)
        gram[:, slot, other], gram[:, other, slot] = product, product
        right[:, other] = torch.linalg.vecdot(D, steps)
    return _least_squares(gram, right)


def _rows(values: Tensor) -> Tensor:
    """Turn (k, b, N) into one row per sample, (b, k N)."""
    return values.transpose(0, 1).flatten(1)


def _states(rows: Tensor, k: int) -> Tensor:
    """Turn rows (b, k N) into (k, b, N)."""
    return rows.unflatten(1, (k, -1)).transpose(0, 1)


def _least_squares(gram: Tensor, right: Tensor) -> Tensor:
    """Return gamma, (b, m, 1), by normal equations, scaled and slightly damped."""
    ridge = 1e-6 if gram.dtype == torch.float32 else 1e-13
    products = gram.double()
    length = products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()  # (b, m)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    scaled = products * inverse[:, :, None] * inverse[:, None]
    scaled.diagonal(dim1=1, dim2=2).add_(ridge).add_((length == 0).double())
    gamma, _ = torch.linalg.solve_ex(scaled, (right.double() * inverse)[:, :, None])
    gamma = gamma * inverse[:, :, None]
    return gamma.nan_to_num(0.0, 0.0, 0.0).to(gram.dtype)
