"""Layers as data: one dataclass for each kind, whose fields are the keys of its table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field

from ratenet.equations import load_model
from ratenet.equations.parameters import as_text
from ratenet.equations.units import Quantity
from ratenet.errors import InputError
from ratenet.fixed_points.certificate import check_tolerance
from ratenet.layers.convolutional import ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore, OnUnsettled
from ratenet.layers.feedback import FeedbackLayers
from ratenet.layers.full import FixedPointLayer
from ratenet.layers.weights import connectivity_of
from ratenet.network import Network
from ratenet.plasticity import RULES, Frozen
from ratenet.validation import Expected, json_schema, validated

Table = dict[str, Any]
Shape = tuple[int, ...]  # of a sample: (M,), or (C, H, W)
LEARNED: tuple[Literal["read-in"], Literal["recurrent"]] = ("read-in", "recurrent")
LARGEST = 10**6  # number of units, channels or places
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Positive = Annotated[float, Field(gt=0)]


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class LayerDefaults:
    """What holds for all layers, unless one says otherwise.

    Attributes
    ----------
    classes : int
        K, of the read-out.
    rule : str or AbstractRule
        A plasticity rule.
    learning_rate, recurrent_learning_rate : float
        Learning rates of read-in and read-out, and of the recurrent weights.
    on_unsettled : {"mask", "include", "raise"}
        See `FixedPointCore`.
    """

    classes: int
    rule: Any
    learning_rate: float
    recurrent_learning_rate: float
    on_unsettled: OnUnsettled = "mask"


class AbstractTable(ABC):
    """A layer as data; final tables are frozen dataclasses whose fields are the keys."""

    kind: ClassVar[str]
    takes_image: ClassVar[bool] = False

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return the JSON schema of the table."""
        schema = json_schema(cls)
        del schema["$schema"]  # that of the file holds
        kind = {"const": cls.kind, "description": (cls.__doc__ or "").partition("\n")[0]}
        schema["properties"] = {"kind": kind, **schema["properties"]}
        return {**schema, "required": ["kind", *schema.get("required", [])]}

    @abstractmethod
    def build(self, shape: Shape, defaults: LayerDefaults, dtype: torch.dtype) -> torch.nn.Module:
        """Return the layer for samples of a shape: (M,), or (C, H, W) if it takes images."""

    @abstractmethod
    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return the shape of what it gives."""

    def resolved(self, defaults: LayerDefaults) -> dict[str, Any]:
        """Return the table with its defaults written out."""
        return {"kind": self.kind, **vars(self)}


@dataclass(frozen=True, kw_only=True)
class AbstractRecurrentTable(AbstractTable):
    """What all layers with recurrent weights have.

    Parameters
    ----------
    model : str or table
        A model's name or file, or the model itself.
    rule : str, table or AbstractRule, optional
        Plasticity rule; default that of all layers.
    parameters : table
        Values of the model's parameters, such as tau = "20*ms".
    bias : bool
        Whether the drive has a constant.
    learn : list of {"read-in", "recurrent"}
        Which weights learn.
    learning_rate : float, optional
        Learning rate of the recurrent weights; default that of all layers.
    tol : float, optional
        Largest relative residual of a settled sample.
    max_iterations : int, optional
        Evaluations of the recurrent input after which a sample counts as unsettled.
    """

    model: Annotated[Any, Expected("a string or a table")] = "rate"
    rule: Annotated[Any, Expected("a rule: its name, a table or an object")] = None
    parameters: Table = field(default_factory=dict)
    bias: bool = True
    learn: Annotated[list[Literal["read-in", "recurrent"]], BeforeValidator(_as_list)] = field(
        default_factory=lambda: list(LEARNED)
    )
    learning_rate: Positive | None = None
    tol: Positive | None = None
    max_iterations: Count | None = None

    def resolved(self, defaults: LayerDefaults) -> dict[str, Any]:
        """Return the table with its defaults and the whole model written out.

        Rule and learning rate stay those of all layers where the table gives none, so that options
        go before them when the run is repeated.
        """
        parameters = {name: as_text(value, name) for name, value in self.parameters.items()}
        given = {
            name: value for name, value in super().resolved(defaults).items() if value is not None
        }
        return {**given, "model": load_model(self.model).to_table(), "parameters": parameters}

    @property
    def learns(self) -> bool:
        """Whether a rule changes the recurrent weights, unless it is `Frozen`."""
        return "recurrent" in self.learn

    def rule_of(self, defaults: LayerDefaults) -> Any:
        """Return the layer's rule, as it was given."""
        return defaults.rule if self.rule is None else self.rule

    def rule_name(self, defaults: LayerDefaults) -> str:
        """Return how the layer's rule is written."""
        return RULES.written(self.rule_of(defaults))

    def build(self, shape: Shape, defaults: LayerDefaults, dtype: torch.dtype) -> torch.nn.Module:
        """Return the layer, with what is not to learn frozen."""
        rule = RULES.read(self.rule_of(defaults))
        layer = self._layer(
            shape,
            model=load_model(self.model),
            rule=rule,
            parameters=self.parameters,
            bias=self.bias,
            step_size=None if rule.traits.is_proportional else self.rate(defaults),
            on_unsettled=defaults.on_unsettled,
        )
        layer.get_submodule("read_in").requires_grad_("read-in" in self.learn)
        # Out of the optimizer's reach: its weight decay would move what has no gradient.
        learns = self.learns and not isinstance(rule, Frozen)
        core = layer.get_submodule("core").requires_grad_(learns)
        assert isinstance(core, FixedPointCore)
        if dtype != layer.get_submodule("read_in").weight.dtype:
            layer.to(dtype)
            core.set_parameters(self._shared_values(core.network))
        if self.tol is not None:  # what can be reached depends on the dtype
            check_tolerance(self.tol, dtype)
            core.tol = self.tol
        if self.max_iterations is not None:
            core.max_iterations = self.max_iterations
        return layer

    def _shared_values(self, network: Network) -> dict[str, Any]:
        """Return the parameters that all units share, as they were before float32 rounded them."""
        model = load_model(self.model)
        shared = (name for name, value in network.parameters.items() if value.ndim == 0)
        return {
            name: self.parameters[name]
            if name in self.parameters
            else Quantity(model.defaults[name].values({}, 1, 0), dim=model.dimensions(name))
            for name in shared
        }

    def rate(self, defaults: LayerDefaults) -> float:
        """Return the learning rate of the recurrent weights."""
        own = self.learning_rate
        return defaults.recurrent_learning_rate if own is None else own

    @abstractmethod
    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        """Return the layer, with a `read_in` and a `core`."""


@dataclass(frozen=True, kw_only=True)
class FixedPointTable(AbstractRecurrentTable):
    """A `FixedPointLayer`.

    Parameters
    ----------
    units : int
        Number of units.
    connectivity : table
        Kind of the recurrent weights and its numbers: see `connectivity_of`.
    """

    kind: ClassVar[str] = "fixed-point"
    units: Count
    connectivity: Table = field(default_factory=dict)

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        W = connectivity_of(self.connectivity, self.units)
        return FixedPointLayer(shape[0], self.units, connectivity=W, **options)

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return (N,)."""
        return (self.units,)


@dataclass(frozen=True, kw_only=True)
class FeedbackTable(AbstractRecurrentTable):
    """`FeedbackLayers`.

    Parameters
    ----------
    units : list of int
        Numbers of units of the layers, from the driven one on.
    """

    kind: ClassVar[str] = "feedback"
    units: Annotated[list[Count], BeforeValidator(_as_list)]

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        return FeedbackLayers(shape[0], self.units, **options)

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return the last layer's number of units."""
        return (self.units[-1],)


@dataclass(frozen=True, kw_only=True)
class ConvolutionalTable(AbstractRecurrentTable):
    """A `ConvFixedPointLayer`.

    Parameters
    ----------
    channels : int
        Number of channels.
    kernel_size : int
        Side length of the recurrent kernel, odd.
    stride : int
        Step of the read-in, in pixels.
    read_in_size : int, optional
        Side length of the read-in's kernel, odd; default that of the recurrent kernel.
    border : {"zero", "circular"}
        What lies beyond the border.
    """

    kind: ClassVar[str] = "convolutional"
    takes_image: ClassVar[bool] = True
    channels: Count
    kernel_size: Count = 3
    stride: Count = 1
    read_in_size: Count | None = None
    border: Literal["zero", "circular"] = "zero"

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        channels, height, width = shape
        return ConvFixedPointLayer(
            channels, self.channels, height, width, self.kernel_size, self.border,
            stride=self.stride, read_in_size=self.read_in_size, **options,
        )  # fmt: skip

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return (C, H', W')."""
        return (self.channels, *(-(-length // self.stride) for length in shape[1:]))


@dataclass(frozen=True, kw_only=True)
class LinearTable(AbstractTable):
    """A read-in by itself: torch.nn.Linear.

    Parameters
    ----------
    units : int
        Number of outputs.
    bias : bool
        Whether each has a constant.
    learn : bool
        Whether the weights learn.
    """

    kind: ClassVar[str] = "read-in"
    units: Count
    bias: bool = True
    learn: bool = True

    def build(self, shape: Shape, defaults: LayerDefaults, dtype: torch.dtype) -> torch.nn.Module:
        """Return the linear layer."""
        read_in = torch.nn.Linear(shape[0], self.units, bias=self.bias)
        return read_in.to(dtype).requires_grad_(self.learn)

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return (units,)."""
        return (self.units,)


@dataclass(frozen=True, kw_only=True)
class PoolTable(AbstractTable):
    """Means over squares of `size` by `size` places.

    Parameters
    ----------
    size : int
        Side length of the squares, in pixels.
    """

    kind: ClassVar[str] = "average-pool"
    takes_image: ClassVar[bool] = True
    size: Count = 2

    def build(self, shape: Shape, defaults: LayerDefaults, dtype: torch.dtype) -> torch.nn.Module:
        """Return the pooling layer."""
        if self.size > min(shape[1:]):
            raise InputError.at(
                "size", got=self.size, expected=f"at most the {min(shape[1:])} places a side"
            )
        return torch.nn.AvgPool2d(self.size)

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return (C, H / size, W / size), whole squares only."""
        return (shape[0], *(length // self.size for length in shape[1:]))


@dataclass(frozen=True, kw_only=True)
class ReadOutTable(AbstractTable):
    """The last layer: torch.nn.Linear to the classes.

    Parameters
    ----------
    bias : bool
        Whether each class has a constant.
    learn : bool
        Whether the weights learn.
    """

    kind: ClassVar[str] = "read-out"
    bias: bool = True
    learn: bool = True

    def build(self, shape: Shape, defaults: LayerDefaults, dtype: torch.dtype) -> torch.nn.Module:
        """Return the linear layer."""
        read_out = torch.nn.Linear(shape[0], defaults.classes, bias=self.bias)
        return read_out.to(dtype).requires_grad_(self.learn)

    def shape_after(self, shape: Shape, defaults: LayerDefaults) -> Shape:
        """Return (K,)."""
        return (defaults.classes,)


TABLES: dict[str, type[AbstractTable]] = {
    table.kind: table
    for table in (
        FixedPointTable, FeedbackTable, ConvolutionalTable, LinearTable, PoolTable, ReadOutTable,
    )
}  # fmt: skip


def read_tables(tables: Sequence[Mapping[str, Any]]) -> tuple[AbstractTable, ...]:
    """Return the layers that tables describe, in their order.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value cannot be used; it says in which layer.
    """
    found = tuple(_read(table, f"layers, {n}.") for n, table in enumerate(tables, start=1))
    kinds = [table.kind for table in found]
    if kinds.count("read-out") != 1 or kinds[-1] != "read-out":
        raise InputError(
            f"layers: {', '.join(kinds) or 'none'}; there must be one read-out, as the last layer.",
            argument="layers",
        )
    if not any(isinstance(table, AbstractRecurrentTable) for table in found):
        raise InputError(
            "layers: none of them is recurrent; add one of the kind 'fixed-point', 'feedback' or "
            "'convolutional'.",
            argument="layers",
        )
    return found


def _read(table: Mapping[str, Any], where: str) -> AbstractTable:
    if not isinstance(table, Mapping):
        raise InputError.at(where, got=table, expected="a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in TABLES:
        allowed = f"one of {', '.join(TABLES)}"
        if kind is None:
            raise InputError(f"{where}, kind: missing; expected {allowed}.", argument="kind")
        raise InputError.at(f"{where}, kind", got=kind, expected=allowed)
    given = {key: value for key, value in table.items() if key != "kind"}
    return validated(TABLES[kind], given, where=f"{where} ({kind})")
