"""The product of a batch with a matrix, by the faster of torch's two routes on a CPU.

torch's default float32 product (MKL) takes up to twice the time of oneDNN's, which torch uses for
its compiler, and offers for tensors in oneDNN's own layout. The two round differently, so the route
follows from a fixed rule, never from timing: the same seed gives the same numbers on the same
machine.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from ratenet.errors import UnsupportedError
from ratenet.validation import check_choice

FEWEST_ROWS = 16
FEWEST_COLUMNS = 128


ROUTES = ("onednn", "torch")


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


_route = "onednn" if _has_onednn() else "torch"


def choose_route(route: str | None = None) -> str:
    """Take a route for all large float32 products of this process from now on, and return it.

    Parameters
    ----------
    route : {"onednn", "torch"}, optional
        What a run recorded, so that its resumption rounds alike. Default: leave it as it is, which
        is oneDNN where this torch has it.

    Returns
    -------
    str
        The route that is now taken.

    Raises
    ------
    UnsupportedError
        If oneDNN is asked for and not there.

    Examples
    --------
    >>> choose_route() in ("onednn", "torch")
    True
    """
    global _route  # of the process, as torch's number of threads is
    if route is not None:
        check_choice(route, "matrix_product", ROUTES)
    if route == "onednn" and not _has_onednn():
        raise UnsupportedError(
            "matrix_product: this torch has no oneDNN, whose products the run was made with; "
            "resume it where there is one, or begin a new run."
        )
    _route = route or _route
    return _route


def _linear(values: Tensor, W: Tensor) -> Tensor:
    """Return values @ W.T by oneDNN, by torch's public way to it."""
    own_layout = W.contiguous().to_mkldnn()
    return torch.nn.functional.linear(values.contiguous().to_mkldnn(), own_layout).to_dense()


def _linear_without_copies(values: Tensor, W: Tensor) -> Tensor:
    """Return the same, to the bit, without copies of batch and weights."""
    return torch.ops.mkldnn._linear_pointwise(values, W, None, "none", [], "")


def _best_linear() -> Callable[[Tensor, Tensor], Tensor]:
    """Return the second where this torch has it: its name is private and may go."""
    try:
        _linear_without_copies(torch.ones(2, 2), torch.ones(2, 2))
    except (AttributeError, RuntimeError, TypeError):  # no such operator, or another signature
        return _linear
    return _linear_without_copies


_onednn_product = _best_linear()


class AbstractProduct(ABC):
    """A product of rows with a matrix that may change in place."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """Multiplications for one row."""

    @abstractmethod
    def __call__(self, values: Tensor) -> Tensor:
        """Return the product, shape (B, N); differentiable where anything needs a gradient."""

    def add_to_(self, total: Tensor, values: Tensor) -> None:
        """Add the product to a tensor (B, N), which may be a part of a larger one, in place."""
        total.add_(self(values.contiguous()))


class Product(AbstractProduct):
    """values -> values @ W.T, or values @ W.

    Parameters
    ----------
    W : Tensor, shape (N, M)
        Kept, not copied; an in-place change of it is noticed.
    transposed : bool
        False: each row v becomes W v; True: W^T v.
    """

    def __init__(self, W: Tensor, *, transposed: bool) -> None:
        self._W, self._transposed = W, transposed

    @property
    def cost(self) -> int:
        """One for each weight."""
        return self._W.numel()

    def __call__(self, values: Tensor) -> Tensor:
        """Return the product, shape (B, N); differentiable where anything needs a gradient."""
        if not self._takes_onednn(values):
            return values @ (self._W if self._transposed else self._W.T)
        W = self._W.contiguous()  # no copy, as a rule
        if values.stride(1) != 1:  # rows may be parts of longer ones
            values = values.contiguous()
        return _onednn_product(values, W.T if self._transposed else W)

    def add_to_(self, total: Tensor, values: Tensor) -> None:
        """Add the product to a tensor (B, N) in place, in the same pass where torch can."""
        if self._takes_onednn(values):
            total.add_(self(values))
        else:
            total.addmm_(values, self._W if self._transposed else self._W.T)

    def _takes_onednn(self, values: Tensor) -> bool:
        W = self._W
        if _route != "onednn" or values.shape[0] < FEWEST_ROWS or min(W.shape) < FEWEST_COLUMNS:
            return False
        is_plain = W.dtype == values.dtype == torch.float32 and W.device.type == "cpu"
        needs_gradient = torch.is_grad_enabled() and (values.requires_grad or W.requires_grad)
        return is_plain and not needs_gradient
