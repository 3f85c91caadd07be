"""from_rnn: a layer of a trained torch.nn.RNN as a network, with its read-in.

The layer is the map h <- f(W h + x) with x = W_in u + b. The network tau dr/dt = -r + f(W r + x)
has the same fixed points, and Euler steps of dt = tau are the map itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations.units import DIMENSIONLESS
from ratenet.errors import InputError, UnsupportedError, counted
from ratenet.network.coerce import as_tensor
from ratenet.network.network import Network

MODELS = {"tanh": "rate", "relu": "threshold_linear"}


@dataclass(frozen=True, eq=False, repr=False)
class AffineReadIn:
    """The drive that an RNN's layer receives from its inputs: x = W_in u + b.

    Attributes
    ----------
    weights : Tensor, shape (N, M)
        W_in.
    bias : Tensor or None, shape (N,)
        The sum of the layer's two biases; None where it has none.

    Examples
    --------
    >>> read_in = AffineReadIn(torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 0.5]))
    >>> read_in([10.0])
    tensor([10.0000, 20.5000])
    """

    weights: Tensor
    bias: Tensor | None = None

    @computation()
    def __call__(self, inputs: Any) -> Tensor:
        """Return the drive for inputs.

        Parameters
        ----------
        inputs : array_like, shape (M,) or (B, M)
            Inputs u; of a layer above the first one: the rates of the layer below.

        Returns
        -------
        Tensor, shape (N,) or (B, N)

        Raises
        ------
        InputError
            If their shape does not fit, or an entry is not finite.
        """
        weights = self.weights
        u = as_tensor(inputs, DIMENSIONLESS, "inputs", weights.dtype, weights.device)
        if u.ndim not in (1, 2) or u.shape[-1] != weights.shape[1]:
            expected = f"shape (M,) or (B, M) with M = {counted(weights.shape[1], 'input')}"
            raise InputError.at("inputs", got=tuple(u.shape), expected=expected)
        drive = u @ weights.T
        return drive if self.bias is None else drive + self.bias

    def __repr__(self) -> str:
        units, inputs = self.weights.shape
        ends = f"{counted(inputs, 'input')} to {counted(units, 'unit')}"
        return f"AffineReadIn({ends}{', bias' * (self.bias is not None)})"


@computation()
@torch.no_grad()
def from_rnn(
    rnn: torch.nn.RNN | torch.nn.RNNCell,
    layer: int = 0,
    *,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Network, AffineReadIn]:
    """Return one layer of a trained RNN as a network with the same fixed points, and its read-in.

    Parameters
    ----------
    rnn : torch.nn.RNN or torch.nn.RNNCell
        With tanh or relu, in one direction. Its weights are copied: training it further does not
        change the network.
    layer : int
        Which layer, from 0. The read-in of a layer above takes the rates of the layer below.
    parameters : mapping of str to value, optional
        Parameters of the network, such as ``{"tau": 20*ms}``; its fixed points do not depend on
        tau, 10 ms by default.

    Returns
    -------
    network : Network
        Its model is "rate" for tanh, "threshold_linear" for relu; dtype and device are those of
        the RNN.
    read_in : AffineReadIn
        ``read_in(inputs)`` is the drive. The biases are in the drive: for an input of zero it is
        ``read_in(zeros)``, and not zero.

    Raises
    ------
    UnsupportedError
        If it is another kind of RNN, or bidirectional.
    InputError
        If it is not an RNN, has no such layer, or a weight is not finite.

    Notes
    -----
    The RNN is a map in discrete time, the network is continuous. Both have the same fixed points,
    not the same stability: `FixedPoints.abscissa` below 0 says that a fixed point is stable for
    the network, `FixedPoints.spectral_radius` below 1 that it is stable for the RNN. `simulate`
    with ``method="euler"`` and dt = tau takes the RNN's own steps.

    Examples
    --------
    >>> import ratenet as rn
    >>> network, read_in = from_rnn(torch.nn.RNN(3, 50, dtype=torch.float64))
    >>> fp = rn.find_fixed_points(network, read_in([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    >>> fp.rates.shape, bool(fp.converged.all())
    (torch.Size([2, 50]), True)
    """
    nonlinearity = _checked(rnn, layer)
    names = ["weight_hh", "weight_ih", *(["bias_hh", "bias_ih"] if rnn.bias else [])]
    suffix = "" if isinstance(rnn, torch.nn.RNNCell) else f"_l{int(layer)}"
    W, weights, *biases = (_copied(rnn, name + suffix) for name in names)
    network = Network(MODELS[nonlinearity], W, parameters)
    return network, AffineReadIn(weights, biases[0] + biases[1] if biases else None)


def _checked(rnn: Any, layer: Any) -> str:
    """Return the name of the nonlinearity; refuse what has no network with its fixed points."""
    kind = type(rnn).__name__
    if isinstance(rnn, (torch.nn.GRU, torch.nn.LSTM, torch.nn.GRUCell, torch.nn.LSTMCell)):
        raise UnsupportedError(
            f"rnn: expected torch.nn.RNN or RNNCell, got {kind}, whose gates are not a rate "
            "network; use rn.fixed_points_of(rnn, h0, inputs) for its fixed points."
        )
    if not isinstance(rnn, (torch.nn.RNN, torch.nn.RNNCell)):
        remedy = "use rn.fixed_points_of(function, h0, inputs) for any other map"
        raise InputError.at("rnn", got=kind, expected="torch.nn.RNN or RNNCell", remedy=remedy)
    if getattr(rnn, "bidirectional", False):
        raise UnsupportedError(
            "rnn: expected an RNN in one direction, got a bidirectional one, whose layers depend "
            "on the whole sequence and have no fixed points of their own; pass one with "
            "bidirectional=False."
        )
    layers = getattr(rnn, "num_layers", 1)
    if isinstance(layer, bool) or not isinstance(layer, Integral) or not 0 <= int(layer) < layers:
        allowed = "0" if layers == 1 else f"a whole number from 0 to {layers - 1}"
        raise InputError.at("layer", got=layer, expected=f"{allowed}, as the RNN has "
                            f"{counted(layers, 'layer')}")  # fmt: skip
    if rnn.nonlinearity not in MODELS:
        got, expected = rnn.nonlinearity, " or ".join(map(repr, MODELS))
        raise UnsupportedError.at("rnn.nonlinearity", got=got, expected=expected)
    return str(rnn.nonlinearity)


def _copied(rnn: torch.nn.Module, name: str) -> Tensor:
    values: Tensor = getattr(rnn, name).detach().clone()
    if not torch.isfinite(values).all():
        raise InputError.at(
            "rnn", found=f"NaN or infinite entries in {name}", expected="finite weights",
            remedy="its training has diverged; take earlier weights",
        )  # fmt: skip
    return values
