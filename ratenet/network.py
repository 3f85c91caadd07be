"""Network: a model, its recurrent connectivity and its parameter values, ready to compute with.

States are tensors of shape (k, B, N): state variable, stimulus, unit. With y = rho(s):

    ds/dt = F(s, W y, x)
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from brian2.units.fundamentalunits import (
    Quantity,
    get_dimensions,
    get_unit_for_display,
    is_dimensionless,
)
from torch import Tensor

from ratenet.connectivity import AbstractConnectivity, Dense
from ratenet.errors import InputError
from ratenet.model_files import load_model
from ratenet.reading import check_time_constant
from ratenet.spec import ModelSpec
from ratenet.translate import translate


class JacobianBlocks(NamedTuple):
    """The parts of J = blockdiag(F_s) + F_I W rho_s, for each stimulus and unit."""

    F_s: Tensor  # (k, k, B, N): dF_i / ds_j, 1/s
    F_I: Tensor  # (k, B, N): dF_i / dI_rec
    rho_s: Tensor  # (k, B, N): dy / ds_j


class Network:
    """A recurrent rate network.

    Parameters
    ----------
    model : ModelSpec or str
        The dynamics; a text is looked up with `load_model`.
    W : array_like of shape (N, N), or AbstractConnectivity
        Recurrent weights ``W[post, pre]``. A torch tensor of the right dtype is used as it is,
        not copied, so a change of it changes the network.
    parameters : mapping of str to value, optional
        Overrides of the model's defaults: numbers (SI), Brian2 quantities, or arrays (N,).
    dtype : torch.dtype, optional
        Default: that of W where W is a floating tensor, else float64.
    device : str or torch.device, optional
        Default: that of W.

    Attributes
    ----------
    model : ModelSpec
    connectivity : AbstractConnectivity
    parameters : dict of str to Tensor
        SI values, shape () or (N,).

    Raises
    ------
    InputError
        If shapes, units or values do not fit.

    Examples
    --------
    >>> network = Network("rate", [[0.0, 0.5], [0.5, 0.0]], parameters={"tau": 0.02})
    >>> network.units, network.parameters["tau"].item()
    (2, 0.02)
    """

    def __init__(
        self,
        model: ModelSpec | str,
        W: Any,
        parameters: Mapping[str, Any] | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.model = load_model(model) if isinstance(model, str) else model
        self.connectivity = _connectivity(self.model, W, dtype, device)
        self._functions = translate(self.model)
        self.parameters = {
            name: self._parameter(name, default)
            for name, default in self.model.parameter_defaults.items()
        }
        for name, value in (parameters or {}).items():
            if name not in self.parameters:
                raise InputError(
                    f"parameters: model {self.model.name!r} has no parameter {name!r}; "
                    f"it has {', '.join(self.parameters) or 'none'}."
                )
            self.parameters[name] = self._parameter(name, value)

    @property
    def units(self) -> int:
        """N, the number of units."""
        return self.connectivity.units

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of weights, parameters and states."""
        return self.connectivity.dtype

    @property
    def device(self) -> torch.device:
        """Device of weights, parameters and states."""
        return self.connectivity.device

    def time_constants(self) -> dict[str, Tensor]:
        """Return the parameters that have the unit of time, in seconds, shape () or (N,)."""
        second = self.model.dimensions("t")
        return {n: v for n, v in self.parameters.items() if self.model.dimensions(n) == second}

    def longest_time_constant(self) -> float:
        """Return the largest of `time_constants` in seconds; InputError where there is none."""
        return float(torch.cat([tau.flatten() for tau in self._needed_time_constants()]).max())

    def shortest_time_constant(self) -> float:
        """Return the smallest of `time_constants` in seconds; InputError where there is none."""
        return float(torch.cat([tau.flatten() for tau in self._needed_time_constants()]).min())

    def _needed_time_constants(self) -> list[Tensor]:
        times = list(self.time_constants().values())
        if not times:
            raise InputError(
                f"Model {self.model.name!r} has no time constant: none of its parameters has the "
                "unit of time; give times explicitly, or use its fixed points."
            )
        return times

    def output(self, state: Tensor) -> Tensor:
        """Return the transmitted rates y = rho(s), shape (B, N)."""
        return self._output_of(self._named(state), like=state[0])

    def derivative(self, state: Tensor, drive: Tensor, t: float = 0.0) -> Tensor:
        """Return ds/dt, shape (k, B, N), in units of the state a second.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
        drive : Tensor, shape (B, N)
        t : float
            Time in seconds, for equations that name it.
        """
        rows = self._functions.right_hand_sides(self._values(state, drive, t))
        return self._stacked(rows, state[0])

    def own_rates(self, state: Tensor, drive: Tensor, t: float = 0.0) -> Tensor:
        """Return M of F_k = M s_k + B, shape (k, B, N), in 1/s (see ModelSpec.own_rates)."""
        rows = self._functions.own_rates(self._values(state, drive, t))
        return self._stacked(rows, state[0])

    def newton_step(self, state: Tensor, drive: Tensor) -> tuple[Tensor, Tensor]:
        """Return each unit's Newton step at fixed recurrent input, and F_s.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
        drive : Tensor, shape (B, N)

        Returns
        -------
        step : Tensor, shape (k, B, N)
            -F_s^{-1} F, in units of the state; not finite where F_s is singular.
        F_s : Tensor, shape (k, k, B, N)
            In 1/s.
        """
        k, like = len(self.model.states), state[0]
        rows = self._functions.newton_parts(self._values(state, drive, 0.0))
        F_s = self._stacked(rows[: k * k], like).unflatten(0, (k, k))
        last = self._stacked(rows[k * k :], like)
        return (last if k == 1 else -solve_units(F_s, last)), F_s

    def jacobian_blocks(self, state: Tensor, drive: Tensor) -> JacobianBlocks:
        """Return the blocks of the Jacobian at a state (k, B, N) and drive (B, N)."""
        k = len(self.model.states)
        rows = self._functions.blocks(self._values(state, drive, 0.0))
        everything = self._stacked(rows, state[0])
        F_s = everything[: k * k].unflatten(0, (k, k))
        return JacobianBlocks(F_s, everything[k * k : k * k + k], everything[k * k + k :])

    def as_drive(self, drive: Any) -> Tensor:
        """Return a constant drive as a tensor (B, N) of the network's dtype and device.

        Parameters
        ----------
        drive : array_like or Quantity, shape (N,) or (B, N)

        Raises
        ------
        InputError
            If its shape or unit does not fit, or it holds NaN.
        """
        tensor = self._tensor(drive, self.model.drive, "drive")
        if tensor.ndim == 1:
            tensor = tensor[None]
        if tensor.ndim != 2 or tensor.shape[1] != self.units:
            raise InputError(
                f"drive: shape {tuple(tensor.shape)} does not fit; needed is (N,) or (B, N) "
                f"with N = {self.units} units."
            )
        return tensor

    def as_state(self, state: Any, stimuli: int, *, finite: bool = True) -> Tensor:
        """Return a state as a tensor (k, B, N).

        Parameters
        ----------
        state : None, mapping or array_like
            None: zero everywhere. A mapping gives each state variable by name, as a number, (N,)
            or (B, N). Without names: (k, B, N), or (N,) or (B, N) for a single state variable.
        stimuli : int
            B.
        finite : bool
            Whether NaN and infinite entries are refused.

        Raises
        ------
        InputError
            If names, shapes or units do not fit, or an entry is not finite.
        """
        shape = (stimuli, self.units)
        names = self.model.states
        if state is None:
            return torch.zeros(len(names), *shape, dtype=self.dtype, device=self.device)
        if isinstance(state, Mapping):
            if set(state) != set(names):
                raise InputError(
                    f"state: the names {sorted(state)} do not fit; model {self.model.name!r} has "
                    f"the state variables {', '.join(names)}."
                )
            rows = [self._state_row(state[name], name, shape, finite) for name in names]
            return torch.stack(rows)
        tensor = self._tensor(state, names[0], "state", finite)
        if tensor.ndim == 3 and tuple(tensor.shape) == (len(names), *shape):
            return tensor.clone()
        if len(names) > 1:
            raise InputError(
                f"state: shape {tuple(tensor.shape)} does not fit; give a mapping with "
                f"{', '.join(names)}, or shape {(len(names), *shape)}."
            )
        return self._state_row(tensor, names[0], shape, finite)[None].clone()

    def _state_row(self, value: Any, name: str, shape: tuple[int, int], finite: bool) -> Tensor:
        tensor = self._tensor(value, name, f"state, {name}", finite)
        try:
            return tensor.expand(shape)
        except RuntimeError:
            raise InputError(
                f"state, {name}: shape {tuple(tensor.shape)} does not fit; needed is a number, "
                f"(N,) or (B, N) with B = {shape[0]} and N = {shape[1]}."
            ) from None

    def _parameter(self, name: str, value: Any) -> Tensor:
        where = f"parameters, {name}"
        tensor = self._tensor(value, name, where)
        if tuple(tensor.shape) not in ((), (self.units,)):
            raise InputError(
                f"{where}: shape {tuple(tensor.shape)} does not fit; needed is one value, or one "
                f"for each of the N = {self.units} units."
            )
        quantity = Quantity(tensor.cpu().numpy(), dim=self.model.dimensions(name))
        try:
            check_time_constant(quantity, where)
        except ValueError as error:
            raise InputError(str(error)) from None
        return tensor

    def _tensor(self, value: Any, name: str, where: str, finite: bool = True) -> Tensor:
        """Return a value given at the door as a tensor, its unit checked."""
        if isinstance(value, Quantity) and not is_dimensionless(value):
            needed = self.model.dimensions(name)
            if get_dimensions(value) != needed:
                raise InputError(
                    f"{where}: the unit of {value!s} does not fit; needed is "
                    f"{get_unit_for_display(needed)}."
                )
        if not isinstance(value, Tensor):
            try:
                value = torch.as_tensor(np.array(value, dtype=np.float64))
            except (TypeError, ValueError):
                raise InputError(f"{where}: {value!r} is no array of numbers.") from None
        if value.is_complex():
            raise InputError(f"{where}: real numbers are needed, got {value.dtype}.")
        tensor: Tensor = value.to(dtype=self.dtype, device=self.device)
        if finite and not torch.isfinite(tensor).all():
            raise InputError(f"{where}: NaN or infinite entries; all values must be finite.")
        return tensor

    def _values(self, state: Tensor, drive: Tensor, t: float) -> dict[str, Any]:
        named = self._named(state)
        recurrent = self.connectivity.apply(self._output_of(named, state[0]))
        roles = {self.model.recurrent: recurrent, self.model.drive: drive}
        return {**self.parameters, **named, **roles, "t": t}

    def _output_of(self, named: dict[str, Tensor], like: Tensor) -> Tensor:
        return self._expanded(self._functions.output({**self.parameters, **named})[0], like)

    def _named(self, state: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.model.states, state, strict=True))

    def _stacked(self, rows: list[Any], like: Tensor) -> Tensor:
        if len(rows) == 1:
            return self._expanded(rows[0], like)[None]
        return torch.stack([self._expanded(row, like) for row in rows])

    def _expanded(self, value: Any, like: Tensor) -> Tensor:
        """Give a number, a scalar or a row (N,) the shape (B, N)."""
        if not isinstance(value, Tensor):
            value = torch.full((), value, dtype=like.dtype, device=like.device)
        return value.expand(like.shape)


def solve_units(F_s: Tensor, right: Tensor) -> Tensor:
    """Return F_s^{-1} right for the k x k system of each unit; not finite where it is singular.

    Parameters
    ----------
    F_s : Tensor, shape (k, k, B, N)
    right : Tensor, shape (k, B, N)

    Returns
    -------
    Tensor, shape (k, B, N)
    """
    k = len(F_s)
    if k == 1:
        return right / F_s[0]
    matrices, columns = F_s.permute(2, 3, 0, 1), right.permute(1, 2, 0)[..., None]
    size = matrices.abs().amax(dim=3, keepdim=True)  # (B, N, k, 1): equations may differ in unit
    LU, pivots, _ = torch.linalg.lu_factor_ex(matrices / size)
    smallest = LU.diagonal(dim1=2, dim2=3).abs().amin(dim=2)  # (B, N)
    solution = torch.linalg.lu_solve(LU, pivots, columns / size)[..., 0]
    singular = ~(smallest > k * torch.finfo(F_s.dtype).eps)
    return torch.where(singular[..., None], torch.nan, solution).permute(2, 0, 1)


def _connectivity(
    model: ModelSpec, W: Any, dtype: torch.dtype | None, device: str | torch.device | None
) -> AbstractConnectivity:
    if isinstance(W, AbstractConnectivity):
        if dtype not in (None, W.dtype) or device not in (
            None,
            W.device,
            str(W.device),
            W.device.type,
        ):
            raise InputError(
                f"W: the connectivity is {W.dtype} on {W.device}; make it with the dtype and "
                "device that the network is to have."
            )
        return W
    if isinstance(W, Quantity) and get_dimensions(W) != model.weight_dimensions:
        raise InputError(
            f"W: the unit does not fit; needed is {get_unit_for_display(model.weight_dimensions)} "
            "(recurrent input over output)."
        )
    if not isinstance(W, Tensor):
        try:
            W = torch.as_tensor(np.array(W, dtype=np.float64))
        except (TypeError, ValueError):
            raise InputError("W is no matrix of numbers; give (N, N) with W[post, pre].") from None
    if W.is_complex():
        raise InputError(f"W must hold real numbers, got {W.dtype}.")
    target = dtype or (W.dtype if W.is_floating_point() else torch.float64)
    if not target.is_floating_point:
        raise InputError(f"dtype: {target} is no floating type; use torch.float64 or float32.")
    return Dense(W.to(dtype=target, device=device or W.device))
