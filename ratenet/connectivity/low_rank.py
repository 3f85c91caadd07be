"""Low-rank connectivity: W = m n^T / N."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity, Change
from ratenet.connectivity.checks import check_weights
from ratenet.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class LowRank(AbstractConnectivity):
    """Weights of rank R at most, W = m n^T / pre, with entries of m and n of the order of 1.

    Parameters
    ----------
    m : Tensor, shape (post, R)
        The directions into which the units are driven.
    n : Tensor, shape (pre, R)
        The directions that are read from the rates.

    Raises
    ------
    InputError
        If shapes, dtypes or devices of m and n do not go together, or an entry is not finite.

    Notes
    -----
    A product costs (post + pre) R multiplications. A random part beside it: `Sum`.

    References
    ----------
    Mastrogiuseppe and Ostojic 2018, Neuron 99:609.

    Examples
    --------
    >>> import torch
    >>> m, n = torch.tensor([[1.0], [2.0]]), torch.tensor([[4.0], [0.0]])
    >>> LowRank(m, n).dense()
    tensor([[2., 0.],
            [4., 0.]])
    """

    m: Tensor
    n: Tensor

    def __post_init__(self) -> None:
        check_weights(self.m, "m", "post, R")
        check_weights(self.n, "n", "pre, R")
        m, n = self.m, self.n
        if m.shape[1] != n.shape[1] or m.dtype != n.dtype or m.device != n.device:
            raise InputError(
                f"m and n must have as many columns, one dtype and one device; got "
                f"{tuple(m.shape)} {m.dtype} on {m.device} and {tuple(n.shape)} {n.dtype} on "
                f"{n.device}.",
                argument="m",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""
        return len(self.m), len(self.n)

    @property
    def cost(self) -> int:
        """Multiplications of a product."""
        return self.m.numel() + self.n.numel()

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The factors m and n."""
        return {"m": self.m, "n": self.n}

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> "LowRank":
        """Return the same with other factors."""
        return LowRank(parameters["m"], parameters["n"])

    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, pre)."""
        return (rates @ self.n / len(self.n)) @ self.m.T

    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, post)."""
        return (values @ self.m / len(self.n)) @ self.n.T

    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradients: of m sum_b left_b (n^T right_b)^T / pre, of n likewise."""
        N = len(self.n)
        return {"m": left.T @ (right @ self.n) / N, "n": right.T @ (left @ self.m) / N}
