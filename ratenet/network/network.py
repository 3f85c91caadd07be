"""Network: a model, its recurrent connectivity and its parameter values, ready to compute with.

States are tensors of shape (k, B, N): state variable, stimulus, unit. With y = rho(s):

    ds/dt = F(s, W y, x)
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.changes import fingerprint
from ratenet.connectivity.computation import computation, current_computation
from ratenet.equations import JointSpec, ModelSpec, load_model
from ratenet.errors import InputError
from ratenet.network.coerce import check_arguments
from ratenet.network.components import Component, components
from ratenet.network.contents import table_of, tensors_of
from ratenet.network.door import drive_of, state_of, tensor_of
from ratenet.network.dynamics import Method, Point, dynamics_of
from ratenet.network.linearization import JacobianBlocks, UnitResponse
from ratenet.network.parameters import Known, ParameterDoor
from ratenet.network.populations import given_sizes, place_populations
from ratenet.network.prints import Shown
from ratenet.network.weights import as_connectivity
from ratenet.tensor_files import write_table


class Network:
    """A rate model with recurrent weights W[post, pre] and parameter values.

    `simulate` and `find_fixed_points` take it.

    Parameters
    ----------
    model : ModelSpec, JointSpec, str, Path or mapping
        The dynamics; a string is looked up with `load_model`. A `JointSpec` gives each population a
        model of its own.
    W : array_like of shape (N, N), AbstractConnectivity, or mapping
        Recurrent weights ``W[post, pre]``. A torch tensor of the right dtype is used as it is,
        not copied, so a change of it changes the network. A mapping gives blocks by population,
        post -> pre -> one number or (N_post, N_pre); missing blocks are zero.
    parameters : mapping of str to value, optional
        Overrides of the model's defaults: numbers (SI), Brian2 quantities, strings such as
        ``"normal(10*ms, 2*ms)"``, arrays (N,), or mappings from populations to these.
    populations : mapping of str to int, optional
        Sizes of the model's populations, where they are not those of the model file.
    seed : int
        Seed of the values drawn from distributions.
    dtype : torch.dtype, optional
        Default: that of W where W is a floating tensor, else float64.
    device : str or torch.device, optional
        Default: that of W.

    Attributes
    ----------
    model : ModelSpec or JointSpec
    connectivity : AbstractConnectivity
    parameters : dict of str to Tensor
        SI values, shape () or (N,).
    populations : dict of str to slice
        Where each population's units are; empty where the model has none.
    seed : int

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

    @computation()
    def __init__(
        self,
        model: ModelSpec | JointSpec | str | Path | Mapping[str, Any],
        W: Any,
        parameters: Mapping[str, Any] | None = None,
        *,
        populations: Mapping[str, int] | None = None,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.model = model if isinstance(model, JointSpec) else load_model(model)
        check_arguments(parameters, seed, dtype)
        sizes = self.model.populations
        if populations is not None:
            sizes = given_sizes(populations, sizes)
        self.connectivity = as_connectivity(W, self.model.weight_dimensions, sizes, dtype, device)
        self.populations = place_populations(sizes, self.units)
        self._dynamics = dynamics_of(self.model)
        self.seed = int(seed)
        tensor = partial(tensor_of, self)
        door = ParameterDoor(self.model, self.populations, self.units, self.seed, tensor)
        self.parameters = door.values(parameters or {})
        self._numbers: tuple[object, dict[str, float]] | None = None  # of one computation
        self._components: tuple[list[Any], tuple[Component, ...]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is only kept."""
        return {**self.__dict__, "_numbers": None, "_components": None}

    def __repr__(self) -> str:
        return self._shown().line()

    def _repr_html_(self) -> str:
        return self._shown().table()

    def plot(self, ax: Any = None) -> Any:
        r"""Draw the eigenvalues of W in the complex plane, with the border of stability.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        UnsupportedError
            If W would have to be built as a matrix of more than 10,000 units.

        Examples
        --------
        >>> import ratenet as rn
        >>> rn.Network("rate", [[0.0, 1.0], [-1.0, 0.0]]).plot().get_xlabel()
        'real part of $\\lambda$'
        """
        from ratenet.report.pictures import plot_network

        return plot_network(self, ax)

    def _shown(self) -> Shown:
        return Shown(self.model, self.connectivity, self.parameters, self.populations)

    def changed(self, *, W: Any = None, parameters: Mapping[str, Any] | None = None) -> "Network":
        """Return a network with other weights or some other parameters, and all else alike.

        Parameters
        ----------
        W : optional
            Other weights, as `Network` takes them.
        parameters : mapping, optional
            Other values of some parameters, as `Network` takes them.
        """
        return Network(
            self.model,
            self.connectivity if W is None else W,
            {**{name: Known(v) for name, v in self.parameters.items()}, **(parameters or {})},
            populations={name: p.stop - p.start for name, p in self.populations.items()},
            seed=self.seed,
        )

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file, whole or not at all; read by `load_network`.

        It holds model, kind of connectivity, weights with masks or signs, populations and parameter
        values, but no gradients. A file that is there is replaced.

        Parameters
        ----------
        path : path
            A safetensors file, replaced if it is there.

        Raises
        ------
        UnsupportedError
            If the connectivity is a class of your own.
        RunFolderError
            If the file cannot be written.
        """
        write_table(path, "network", table_of(self), tensors_of(self))

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

    @property
    def version(self) -> tuple[int, ...]:
        """Another one after any change of the connectivity, its weights or a parameter's values."""
        numbers = [value.detach().flatten() for value in self.parameters.values()]
        own = (fingerprint(torch.cat(numbers)),) if numbers else ()
        return (*self.connectivity.version, *own)

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
                "unit of time; give times explicitly, or use its fixed points.",
                argument="model",
            )
        return times

    @property
    def components(self) -> tuple[Component, ...]:
        """Its populations in the order in which they settle, as networks that share its weights.

        None, unless W is a `Block` with populations that nothing leads back to.
        """
        now = [self.connectivity, *self.parameters.values()]
        kept = self._components
        is_kept = kept is not None and all(a is b for a, b in zip(kept[0], now, strict=True))
        if kept is None or not is_kept:
            kept = self._components = (now, components(self))
        return kept[1]

    def output(self, state: Tensor) -> Tensor:
        """Return the transmitted rates y = rho(s), shape (B, N).

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        """
        return self._dynamics.output(state, self._constants())

    def derivative(self, state: Tensor, drive: Tensor, t: float = 0.0) -> Tensor:
        """Return ds/dt, shape (k, B, N), in units of the state a second.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            External input x.
        t : float
            Time in seconds, for equations that name it.
        """
        return self._dynamics.derivative(*self._point(state, drive, t))

    def step(
        self, state: Tensor, drive: Tensor, t: float, dt: float, method: Method = "euler"
    ) -> Tensor:
        """Return the state at t + dt, shape (k, B, N), noise left out.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            At t.
        t, dt : float
            Seconds.
        method : {"euler", "exponential_euler"}
            Euler steps, or exponential ones where the model is linear in each variable.

        Raises
        ------
        UnsupportedError
            If exponential_euler does not fit the model.
        """
        at, constants = self._point(state, drive, t)
        return self._dynamics.step(at, constants, dt, method)

    def noise_strengths(self, state: Tensor, drive: Tensor, t: float = 0.0) -> Tensor:
        """Return what the white noises are multiplied by, shape (k, J, B, N), J = len(noises).

        ds = F dt + sum_j strength_j dW_j in the sense of Ito; units of the state over sqrt(s).

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            External input x.
        t : float
            Time in seconds, for equations that name it.
        """
        if not self.model.noises:
            return state.new_zeros(len(state), 0, *state.shape[1:])
        return self._dynamics.noise_strengths(*self._point(state, drive, t))

    def own_rates(self, state: Tensor, drive: Tensor, t: float = 0.0) -> Tensor:
        """Return M of F_k = M s_k + B, shape (k, B, N), in 1/s (see ModelSpec.own_rates).

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            External input x.
        t : float
            Time in seconds, for equations that name it.
        """
        return self._dynamics.own_rates(*self._point(state, drive, t))

    def unit_response(self, state: Tensor, drive: Tensor) -> UnitResponse:
        """Return each unit's Newton step at fixed recurrent input, and its response to input.

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            External input x.

        Returns
        -------
        UnitResponse
            Step and response are not finite where F_s is singular.
        """
        return self._dynamics.unit_response(*self._point(state, drive, 0.0))

    def jacobian_blocks(self, state: Tensor, drive: Tensor) -> JacobianBlocks:
        """Return the blocks of the Jacobian at a state (k, B, N) and drive (B, N).

        Parameters
        ----------
        state : Tensor, shape (k, B, N)
            State variables, SI units.
        drive : Tensor, shape (B, N)
            External input x.
        """
        return self._dynamics.jacobian_blocks(*self._point(state, drive, 0.0))

    def as_drive(self, drive: Any) -> Tensor:
        """Return a constant drive as a tensor (B, N) of the network's dtype and device.

        Parameters
        ----------
        drive : array_like or Quantity, shape (), (N,) or (B, N), or mapping
            One number is the drive of every unit. A mapping gives each population's drive: a
            number, (N_p,) or (B, N_p).

        Raises
        ------
        InputError
            If its shape or unit does not fit, or it holds NaN.
        """
        return drive_of(self, drive)

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
        return state_of(self, state, stimuli, finite=finite)

    def _constants(self) -> dict[str, Any]:
        """Return the parameters; plain numbers where units share one that needs no gradient."""
        return {**self.parameters, **self._shared_numbers()}

    def _shared_numbers(self) -> dict[str, float]:
        """Return them as they are now; amid a computation as they were when it first asked."""
        here, kept = current_computation(), self._numbers
        if kept is not None and here is not None and kept[0] is here:
            return kept[1]
        shared = {n: v for n, v in self.parameters.items() if v.ndim == 0 and not v.requires_grad}
        values = torch.stack(list(shared.values())).tolist() if shared else []
        numbers = dict(zip(shared, values, strict=True))
        self._numbers = None if here is None else (here, numbers)
        return numbers

    def _point(self, state: Tensor, drive: Tensor, t: float) -> tuple[Point, dict[str, Any]]:
        constants = self._constants()
        if state.stride(1) == 0 and not torch.is_grad_enabled():  # one state that all share
            output = self._dynamics.output(state[:, :1], constants)
            recurrent = self.connectivity.apply(output).repeat(len(drive), 1)
        else:
            output = self._dynamics.output(state, constants)
            recurrent = self.connectivity.apply(output)
            if recurrent is output:  # of a connectivity that is 1; it may be overwritten
                recurrent = recurrent.clone()
        return Point(state, recurrent, drive, t), constants
