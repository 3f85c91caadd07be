"""The mean-gain preconditioner: one inverse of I - G_mean W, shared by a whole batch.

With each unit's Newton step d at fixed input, its answer c = ds/dI and rho_s = dy/ds, the Newton
step of the whole network is

    delta s = d + c (W delta y),      (I - g W) delta y = b,      b = rho_s d,   g = rho_s c

where g differs from sample to sample. With the mean gain g_m in its place once, W delta y is

    Q b,      Q = W (I - diag(g_m) W)^{-1}      (N, N), the same for all samples

so that delta s ~ d + c (Q b), with each sample's own c. What is left of b then is, exactly,
G W (G_m - G) Q b: nothing where the gains are shared, and less than b where they differ little.
"""

import math
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity
from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.validation import check_whole

LARGEST_ERROR = 1e-2  # of Q in Q (I - diag(g_m) W) = W, relative to W
PROBES = 8  # vectors of signs that it is measured with: no product of matrices
CHEAP = 0.25  # of N^2: a connectivity whose products cost less is faster without Q
NEAR_GAIN = 0.1  # largest change of a mean gain for which Q is kept amid a solve
MADE = 2  # how many are remembered: of the gains where a solve begins, and of those at rest


class Preconditioner(NamedTuple):
    """Q, or why there is none."""

    matrix: Tensor | None  # (N, N)
    note: str = ""
    is_kept: bool = False  # from the solve before, with the gains found there


NO_PRECONDITIONER = Preconditioner(None)


class _Kept(NamedTuple):
    connectivity: "weakref.ref[AbstractConnectivity] | None"  # None: of the next network
    version: float
    mean: Tensor  # (N,)
    Q: Tensor  # (N, N)


class MeanGain:
    """Mean-gain preconditioner Q = W (I - diag(g_m) W)^{-1}, kept as long as it is good enough.

    Parameters
    ----------
    max_units : int
        Largest N for which Q is made, in O(N^3) operations.
    stale_after : int
        Number of changes of the weights for which Q is kept. With 0 no result depends on earlier
        weights, and the last two Q are used again for the same weights and gains within 0.1 of
        theirs. A larger number saves work in a training loop: a stale Q costs iterations, not
        accuracy. After that many changes Q is recomputed from the new weights with the gains found
        last.

    Notes
    -----
    No Q is made for a connectivity whose products cost less than a quarter of a full matrix's, such
    as a convolution. The first solve starts with the gains of its initial states, which may be far
    from those at rest; so a solver checks again as it proceeds (`is_far`, `again`), and the next
    solve starts with the Q found last.

    Examples
    --------
    >>> network = Network("linear", [[0.5]])
    >>> MeanGain().make(network, torch.ones(1, 1, dtype=torch.float64)).matrix
    tensor([[1.]], dtype=torch.float64)
    """

    def __init__(self, max_units: int = 1000, stale_after: int = 0) -> None:
        for name, value in (("max_units", max_units), ("stale_after", stale_after)):
            check_whole(value, name, least=0)
        self.max_units, self.stale_after = max_units, stale_after
        self._kept: _Kept | None = None
        self._made: list[_Kept] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is kept: it belongs to one object, and no copy is that."""
        return {**self.__dict__, "_kept": None, "_made": []}

    def __repr__(self) -> str:
        return f"MeanGain(max_units={self.max_units}, stale_after={self.stale_after})"

    def make(self, network: Network, gain: Tensor) -> Preconditioner:
        """Return Q for a solve that begins with gains (B, N), or why there is none.

        Parameters
        ----------
        network : Network
            Whose weights W are meant.
        gain : Tensor, shape (B, N)
            Static gains, one row per stimulus.
        """
        connectivity, kept, mean = network.connectivity, self._kept_of(network), gain.mean(dim=0)
        del gain  # memory for what is made
        if note := self._why_not(network):
            return Preconditioner(None, note)
        if kept is not None and self.stale_after > 0:
            if 0 <= connectivity.changes - kept.version <= self.stale_after:
                return Preconditioner(kept.Q, is_kept=True)
            mean = kept.mean
            del kept
            self._kept = None  # memory for the new one
            return self._new(connectivity, mean)._replace(is_kept=True)
        return self._new(connectivity, mean)

    def is_far(self, network: Network, gain: Tensor) -> bool:
        """Return whether gains (B, N) amid a solve are over 0.1 from those of the kept Q.

        Parameters
        ----------
        network : Network
            Whose weights W are meant.
        gain : Tensor, shape (B, N)
            Static gains, one row per stimulus.
        """
        kept, mean = self._kept_of(network), gain.mean(dim=0)
        if self._why_not(network) or not torch.isfinite(mean).all():
            return False  # no other can be made
        return kept is None or not _is_near(kept.mean, mean)

    def again(self, network: Network, gain: Tensor) -> Preconditioner:
        """Return Q of gains (B, N) amid a solve; if that cannot be made, of those before, anew.

        Parameters
        ----------
        network : Network
            Whose weights W are meant.
        gain : Tensor, shape (B, N)
            Static gains, one row per stimulus.
        """
        kept, mean = self._kept_of(network), gain.mean(dim=0)
        before = None if kept is None else kept.mean
        del gain, kept
        self._kept = None  # memory for the new one
        found = self._new(network.connectivity, mean)
        if found.matrix is None and before is not None:
            found = self._new(network.connectivity, before)
        return found

    def renew(self) -> None:
        """Have Q recomputed for the next solve, with the gains found last."""
        self._made = []
        if self._kept is not None:
            self._kept = self._kept._replace(version=-math.inf)

    def _kept_of(self, network: Network) -> _Kept | None:
        """Return what is kept for this network; what was loaded becomes its own."""
        kept, connectivity = self._kept, network.connectivity
        if kept is None:
            return None
        if kept.connectivity is None:
            if len(kept.mean) != network.units:
                return None
            version = connectivity.changes - 1 + kept.version  # -inf where it is to be renewed
            kept = kept._replace(connectivity=weakref.ref(connectivity), version=version)
            self._kept = kept
        is_its_own = kept.connectivity is not None and kept.connectivity() is connectivity
        return kept if is_its_own else None

    def _why_not(self, network: Network) -> str:
        """Return why no Q is made for a network; nothing if one is."""
        if network.units > self.max_units:
            return (
                f"The mean-gain preconditioner was left out: N = {network.units} is above "
                f"max_units = {self.max_units}."
            )
        if network.connectivity.cost < CHEAP * network.units**2:
            return (
                "The mean-gain preconditioner was left out: it is a full matrix, and products with "
                "W cost a fraction of that."
            )
        return ""

    def _new(self, connectivity: AbstractConnectivity, mean: Tensor) -> Preconditioner:
        """Make Q, and keep it if that succeeds; or take one that was made for such gains."""
        if (same := self._made_before(connectivity, mean)) is not None:
            self._kept = same
            return Preconditioner(same.Q)
        found = _make(connectivity, mean)
        if found.matrix is not None:
            version = connectivity.changes
            self._kept = _Kept(weakref.ref(connectivity), version, mean, found.matrix)
            if self.stale_after == 0:
                self._made = [*self._made[1 - MADE :], self._kept]
        return found

    def _made_before(self, connectivity: AbstractConnectivity, mean: Tensor) -> _Kept | None:
        """Return what was made for these weights and the nearest gains; drop that of others."""
        self._made = [
            each
            for each in self._made
            if each.connectivity is not None
            and each.connectivity() is connectivity
            and each.version == connectivity.changes
        ]
        near = [each for each in self._made if _is_near(each.mean, mean)]
        return min(near, key=lambda each: float((each.mean - mean).abs().max()), default=None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what is kept: nothing, or "mean" (N,), the mean gain, and "Q" (N, N)."""
        return {} if self._kept is None else {"mean": self._kept.mean, "Q": self._kept.Q}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load what `state_dict` gave; it is kept for the network of the next solve.

        Q counts as made before the last change of that network's weights.

        Parameters
        ----------
        state : mapping of str to Tensor
            What `state_dict` gave.
        """
        # Cloned: a product rounds by how its operands lie in memory, and these lie as if made.
        own = {name: tensor.clone() for name, tensor in state.items()}
        self._kept = _Kept(None, 0, **own) if own else None


def check_preconditioner(value: object) -> None:
    """Refuse what is neither a `MeanGain` nor None."""
    if not isinstance(value, MeanGain | None):
        raise InputError.at("preconditioner", got=value, expected="a MeanGain object or None")


def _is_near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= NEAR_GAIN)  # NaN is not


def _make(connectivity: AbstractConnectivity, mean: Tensor) -> Preconditioner:
    """Solve Q (I - diag(g_m) W) = W, and test Q by what it does to some vectors."""
    W = connectivity.dense()
    matrix = W * -mean[:, None]
    matrix.diagonal().add_(1.0)
    # Transposed, as LAPACK has matrices: then none is copied, and Q lies row by row.
    LU, pivots, info = torch.linalg.lu_factor_ex(matrix.mT)
    del matrix  # as large as W
    Q = torch.linalg.lu_solve(LU, pivots, W.mT).mT
    del LU
    signs = torch.randint(2, (PROBES, len(W)), generator=torch.Generator().manual_seed(0))
    probes = (2 * signs - 1).to(W)
    product = probes @ Q
    error = product - (product * mean) @ W - probes @ W
    if int(info) != 0 or not error.norm() <= LARGEST_ERROR * (probes @ W).norm():  # NaN is not
        return Preconditioner(
            None,
            "The mean-gain preconditioner was left out: I - G_mean W is singular to working "
            "precision, or a gain is not finite.",
        )
    # A product rounds by how its operands lie in memory, and a stored Q comes back row by row.
    return Preconditioner(Q.contiguous())
