"""AbstractConnectivity: everything else sees W only through these operations.

    apply            y -> W y        a batch of rows (B, N) to (B, N)
    apply_transpose  v -> W^T v      likewise
    accumulate       left, right -> the gradient of sum_b left_b^T W right_b for the parameters

so that one implementation of each plasticity rule and solver serves every kind of connectivity.

A change of the weights is one tensor where a connectivity has one parameter, and a dict of tensors
by the parameters' names where it has several.

W may be rectangular, from `pre` units to `post` others, as a block between two populations is; a
network takes a square one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NoReturn, Self

import torch
from torch import Tensor

from ratenet.connectivity.changes import Changes
from ratenet.errors import UnsupportedError

Change = Tensor | dict[str, Tensor]

LARGEST_DENSE = 10_000  # units up to which a matrix is built of what has none: 0.8 GB in float64


def scaled(change: Change, factor: float) -> Change:
    """Return a change of weights times a number."""
    if isinstance(change, Tensor):
        return factor * change
    return {name: factor * tensor for name, tensor in change.items()}


def as_change(named: dict[str, Tensor]) -> Change:
    """Return a change by names as the one tensor that it is where there is one parameter."""
    return next(iter(named.values())) if len(named) == 1 else named


def weight_change(connectivity: "AbstractConnectivity", change: Change) -> Tensor:
    """Return the change (post, pre) of W itself that a small change of the parameters makes.

    Raises
    ------
    UnsupportedError
        If there are more than 10,000 units.
    """
    before, named = connectivity.parameters, connectivity.named(change)

    def dense(*parameters: Tensor) -> Tensor:
        return connectivity.with_parameters(dict(zip(before, parameters, strict=True))).dense()

    values, changes = tuple(before.values()), tuple(named[name] for name in before)
    change_of_W: Tensor = torch.autograd.functional.jvp(dense, values, changes)[1]
    return change_of_W


class AbstractConnectivity(ABC):
    """Recurrent weights ``W[post, pre]``, of N units to themselves where W is square.

    Examples
    --------
    >>> from ratenet.connectivity import Dense
    >>> Dense(torch.tensor([[0.0, 2.0], [1.0, 0.0]])).apply(torch.tensor([[1.0, 10.0]]))
    tensor([[20.,  1.]])
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of post- and presynaptic units."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """Multiplications that a product with one vector takes; a full matrix takes post * pre."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that plasticity changes, by name."""

    @property
    def constants(self) -> dict[str, Tensor]:
        """The tensors that plasticity leaves alone, by name: patterns, signs."""
        return {}

    @abstractmethod
    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Return the same kind of connectivity that holds other tensors, by the same names.

        Other `constants` may be among them; those that are not stay.

        Parameters
        ----------
        parameters : mapping of str to Tensor
            Shaped like those of `parameters`, and, where they differ, `constants`.
        """

    @abstractmethod
    def apply(self, rates: Tensor) -> Tensor:
        """Return W y for each row of `rates` (B, N), as a tensor that nobody else holds.

        Parameters
        ----------
        rates : Tensor, shape (B, pre)
            Rates y of the presynaptic units.

        Returns
        -------
        Tensor, shape (B, post)
        """

    @abstractmethod
    def apply_transpose(self, values: Tensor) -> Tensor:
        """Return W^T v for each row of `values` (B, N).

        Parameters
        ----------
        values : Tensor, shape (B, post)
            Values v of the postsynaptic units, such as errors.

        Returns
        -------
        Tensor, shape (B, pre)
        """

    def add_product_(self, total: Tensor, rates: Tensor) -> None:
        """Add W y to `total` (B, post) in place; both may be columns of larger tensors.

        Parameters
        ----------
        total : Tensor, shape (B, post)
            What the product is added to.
        rates : Tensor, shape (B, pre)
            Rates y of the presynaptic units.
        """
        total.add_(self.apply(rates.contiguous()))

    def add_transposed_product_(self, total: Tensor, values: Tensor) -> None:
        """Add W^T v to `total` (B, pre) in place; both may be columns of larger tensors.

        Parameters
        ----------
        total : Tensor, shape (B, pre)
            What the product is added to.
        values : Tensor, shape (B, post)
            Values v of the postsynaptic units.
        """
        total.add_(self.apply_transpose(values.contiguous()))

    @abstractmethod
    def accumulate(self, left: Tensor, right: Tensor) -> Change:
        """Return the gradient of sum_b left_b^T W right_b with respect to the parameters.

        Parameters
        ----------
        left : Tensor, shape (B, post)
            Factors of the postsynaptic units, such as the adjoint.
        right : Tensor, shape (B, pre)
            Factors of the presynaptic units, such as the rates.

        Returns
        -------
        Tensor or dict of str to Tensor
            Shaped like the parameters; for a dense W, left^T right.
        """

    @torch.no_grad()
    def add_(self, delta: Change) -> None:
        """Add a change, shaped like the parameters, in place, and keep what is constrained.

        Parameters
        ----------
        delta : Tensor or dict of str to Tensor
            As `AbstractRule.update` returns it.
        """
        for name, change in self.named(delta).items():
            self.parameters[name].add_(change)
        self.touch_()

    def constrain_(self) -> None:  # noqa: B027 -- most connectivities allow any values
        """Put the parameters back, in place, onto what is allowed, after others changed them."""

    def dense(self) -> Tensor:
        """Return W as a (post, pre) tensor: for figures, eigenvalues and small checks."""
        return dense_by_products(self)

    def __repr__(self) -> str:
        post, pre = self.shape
        found = self.parameters
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in found.items())
        held = shapes if len(found) <= 4 else f"{len(found)} parameters"
        dtype = f"{str(self.dtype).removeprefix('torch.')} on {self.device}"
        parts = [f"{post} x {pre} units", *([held] if held else []), dtype]
        return f"{type(self).__name__}({'; '.join(parts)})"

    @property
    def units(self) -> int:
        """N, the number of units of a square W; else of the postsynaptic ones."""
        return self.shape[0]

    def named(self, change: Change) -> dict[str, Tensor]:
        """Return a change as a dict of tensors by the parameters' names.

        Parameters
        ----------
        change : Tensor or dict of str to Tensor
            A change of the parameters, as `add_` takes it.
        """
        if isinstance(change, dict):
            return change
        (name,) = self.parameters
        return {name: change}

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the parameters, or of the constants where there are none."""
        return self._first.dtype

    @property
    def device(self) -> torch.device:
        """Device of the same."""
        return self._first.device

    @property
    def _first(self) -> Tensor:
        held = self.parameters or self.constants
        return next(iter(held.values()))

    def touch_(self) -> None:
        """Say that the weights were changed: what was computed with them is stale from now on.

        `add_` and `constrain_` do so. Values that others change are noticed, too, by the next
        `version`; what a connectivity of your own holds besides its parameters is not.
        """
        self._changes.touch(len(self.parameters))

    @property
    def changes(self) -> int:
        """How many changes of a parameter are known of, also those that only its values tell."""
        self._changes.look(self._watched())
        return self._changes.told + self._changes.noticed

    @property
    def version(self) -> tuple[int, ...]:
        """How often `touch_` was called, and a fingerprint of each parameter's values.

        Another one after every change, whoever made it; the same in a copy, and in another process.
        """
        return self._changes.look(self._watched())

    def _watched(self) -> list[Tensor]:
        """Return the tensors whose values are looked at, one for each parameter."""
        return list(self.parameters.values())

    @property
    def _changes(self) -> Changes:
        """The record; made when it is first asked for, since subclasses have their own __init__."""
        found: Changes = self.__dict__.setdefault("_changes_record", Changes())
        return found


def refuse_dense(shape: tuple[int, int]) -> NoReturn:
    """Raise the error of a matrix that would be too large."""
    raise UnsupportedError(
        f"dense: a matrix of {shape[0]} x {shape[1]} units is not built above {LARGEST_DENSE} "
        "units; use products (apply, apply_transpose)."
    )


def dense_by_products(connectivity: AbstractConnectivity) -> Tensor:
    """Return W (post, pre) by a product with each unit vector.

    Raises
    ------
    UnsupportedError
        If there are more than 10,000 units.
    """
    if max(connectivity.shape) > LARGEST_DENSE:
        refuse_dense(connectivity.shape)
    identity = torch.eye(
        connectivity.shape[1], dtype=connectivity.dtype, device=connectivity.device
    )
    return connectivity.apply(identity).T
