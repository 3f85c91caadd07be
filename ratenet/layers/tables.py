"""Layers as data: one dataclass for each kind, whose fields are the keys of its table."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from ratenet.equations import load_model
from ratenet.equations.files import parse_model
from ratenet.equations.parameters import as_text
from ratenet.errors import InputError
from ratenet.fixed_points.certificate import check_tolerance
from ratenet.layers.base import check_counts
from ratenet.layers.convolutional import ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore, OnUnsettled
from ratenet.layers.feedback import FeedbackLayers
from ratenet.layers.full import FixedPointLayer
from ratenet.layers.weights import connectivity_of
from ratenet.plasticity import Frozen, rule_named
from ratenet.plasticity.base import check_learning_rate

Table = dict[str, Any]
Shape = tuple[int, ...]  # of a sample: (M,), or (C, H, W)
LEARNED = ("read-in", "recurrent")
LARGEST = 10**6  # number of units, channels or places
# What a field of a type may hold, and what that is called.
ALLOWED: dict[Any, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    int | None: ((int,), "a whole number"),
    float | None: ((float, int), "a number"),
    str: ((str,), "a text"),
    str | None: ((str,), "a text"),
    bool: ((bool,), "true or false"),
    list[Any]: ((list, tuple), "a list"),
    Table: ((dict,), "a table"),
    str | Table: ((str, dict), "a text or a table"),
}


@dataclass(frozen=True)
class Common:
    """What holds for all layers, unless one says otherwise.

    Attributes
    ----------
    classes : int
        K, of the read-out.
    rule : str
        A plasticity rule's name.
    learning_rate, recurrent_learning_rate : float
        Of read-in and read-out, and of the recurrent weights.
    on_unsettled : {"mask", "include", "raise"}
        See `FixedPointCore`.
    """

    classes: int
    rule: str
    learning_rate: float
    recurrent_learning_rate: float
    on_unsettled: OnUnsettled = "mask"


class AbstractTable(ABC):
    """A layer as data; final tables are frozen dataclasses whose fields are the keys."""

    kind: ClassVar[str]
    takes_image: ClassVar[bool] = False

    @abstractmethod
    def build(self, shape: Shape, common: Common, dtype: torch.dtype) -> torch.nn.Module:
        """Return the layer for samples of a shape: (M,), or (C, H, W) if it takes images."""

    @abstractmethod
    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return the shape of what it gives."""

    def resolved(self, common: Common) -> dict[str, Any]:
        """Return the table with its defaults written out."""
        return {"kind": self.kind, **dataclasses.asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True, kw_only=True)
class AbstractRecurrentTable(AbstractTable):
    """What all layers with recurrent weights have."""

    model: str | Table = "rate"
    rule: str | None = None
    parameters: Table = field(default_factory=dict)
    bias: bool = True
    learn: list[Any] = field(default_factory=lambda: list(LEARNED))
    learning_rate: float | None = None  # of the recurrent weights
    tol: float | None = None

    def __post_init__(self) -> None:
        for name in self.learn:
            if name not in LEARNED:
                raise InputError(f"learn: {name!r} is not one of {', '.join(LEARNED)}.")
        if self.learning_rate is not None:
            check_learning_rate(self.learning_rate)

    def resolved(self, common: Common) -> dict[str, Any]:
        """Return the table with its defaults and the whole model written out.

        Rule and learning rate stay those of all layers where the table gives none, so that options
        go before them when the run is repeated.
        """
        parameters = {name: as_text(value, name) for name, value in self.parameters.items()}
        given = {
            name: value for name, value in super().resolved(common).items() if value is not None
        }
        return {**given, "model": _model(self.model).to_table(), "parameters": parameters}

    @property
    def learns(self) -> bool:
        """Whether a rule changes the recurrent weights, unless it is `Frozen`."""
        return "recurrent" in self.learn

    def rule_name(self, common: Common) -> str:
        """Return the name of the layer's rule."""
        return common.rule if self.rule is None else self.rule

    def build(self, shape: Shape, common: Common, dtype: torch.dtype) -> torch.nn.Module:
        """Return the layer, with what is not to learn frozen."""
        rule = rule_named(self.rule_name(common))
        layer = self._layer(
            shape,
            model=_model(self.model),
            rule=rule,
            parameters=self.parameters,
            bias=self.bias,
            step_size=None if rule.traits.is_proportional else self.rate(common),
            on_unsettled=common.on_unsettled,
        )
        layer.get_submodule("read_in").requires_grad_("read-in" in self.learn)
        # Out of the optimizer's reach: its weight decay would move what has no gradient.
        learns = self.learns and not isinstance(rule, Frozen)
        core = layer.get_submodule("core").requires_grad_(learns)
        assert isinstance(core, FixedPointCore)
        layer.to(dtype)
        if self.tol is not None:  # what can be reached depends on the dtype
            check_tolerance(self.tol, dtype)
            core.tol = self.tol
        return layer

    def rate(self, common: Common) -> float:
        """Return the learning rate of the recurrent weights."""
        own = self.learning_rate
        return common.recurrent_learning_rate if own is None else float(own)

    @abstractmethod
    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        """Return the layer, with a `read_in` and a `core`."""


@dataclass(frozen=True, kw_only=True)
class FixedPointTable(AbstractRecurrentTable):
    """A `FixedPointLayer`."""

    kind: ClassVar[str] = "fixed-point"
    units: int
    connectivity: Table = field(default_factory=dict)

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        check_counts(units=self.units)
        W = connectivity_of(self.connectivity, self.units)
        return FixedPointLayer(shape[0], self.units, connectivity=W, **options)

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return (N,)."""
        return (self.units,)


@dataclass(frozen=True, kw_only=True)
class FeedbackTable(AbstractRecurrentTable):
    """`FeedbackLayers`."""

    kind: ClassVar[str] = "feedback"
    units: list[Any]

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        return FeedbackLayers(shape[0], self.units, **options)

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return the last layer's number of units."""
        return (self.units[-1],)


@dataclass(frozen=True, kw_only=True)
class ConvolutionalTable(AbstractRecurrentTable):
    """A `ConvFixedPointLayer`."""

    kind: ClassVar[str] = "convolutional"
    takes_image: ClassVar[bool] = True
    channels: int
    kernel_size: int = 3
    stride: int = 1
    read_in_size: int | None = None
    border: str = "zero"

    def _layer(self, shape: Shape, **options: Any) -> torch.nn.Module:
        channels, height, width = shape
        border: Any = self.border
        return ConvFixedPointLayer(
            channels, self.channels, height, width, self.kernel_size, border, stride=self.stride,
            read_in_size=self.read_in_size, **options,
        )  # fmt: skip

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return (C, H', W')."""
        return (self.channels, *(-(-length // self.stride) for length in shape[1:]))


@dataclass(frozen=True, kw_only=True)
class LinearTable(AbstractTable):
    """A read-in by itself: torch.nn.Linear."""

    kind: ClassVar[str] = "read-in"
    units: int
    bias: bool = True
    learn: bool = True

    def build(self, shape: Shape, common: Common, dtype: torch.dtype) -> torch.nn.Module:
        """Return the linear layer."""
        check_counts(units=self.units)
        read_in = torch.nn.Linear(shape[0], self.units, bias=self.bias)
        return read_in.to(dtype).requires_grad_(self.learn)

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return (units,)."""
        return (self.units,)


@dataclass(frozen=True, kw_only=True)
class PoolTable(AbstractTable):
    """Means over squares of `size` by `size` places."""

    kind: ClassVar[str] = "average-pool"
    takes_image: ClassVar[bool] = True
    size: int = 2

    def build(self, shape: Shape, common: Common, dtype: torch.dtype) -> torch.nn.Module:
        """Return the pooling layer."""
        check_counts(size=self.size)
        if self.size > min(shape[1:]):
            raise InputError(f"size: {self.size} is more than the {min(shape[1:])} places a side.")
        return torch.nn.AvgPool2d(self.size)

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return (C, H / size, W / size), whole squares only."""
        return (shape[0], *(length // self.size for length in shape[1:]))


@dataclass(frozen=True, kw_only=True)
class ReadOutTable(AbstractTable):
    """The last layer: torch.nn.Linear to the classes."""

    kind: ClassVar[str] = "read-out"
    bias: bool = True
    learn: bool = True

    def build(self, shape: Shape, common: Common, dtype: torch.dtype) -> torch.nn.Module:
        """Return the linear layer."""
        read_out = torch.nn.Linear(shape[0], common.classes, bias=self.bias)
        return read_out.to(dtype).requires_grad_(self.learn)

    def shape_after(self, shape: Shape, common: Common) -> Shape:
        """Return (K,)."""
        return (common.classes,)


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
            f"layers: {', '.join(kinds) or 'none'}; there must be one read-out, as the last layer."
        )
    if not any(isinstance(table, AbstractRecurrentTable) for table in found):
        raise InputError(
            "layers: none of them is recurrent; add one of the kind 'fixed-point', 'feedback' or "
            "'convolutional'."
        )
    return found


def _read(table: Mapping[str, Any], where: str) -> AbstractTable:
    if not isinstance(table, Mapping):
        raise InputError(f"{where} {table!r} is no table.")
    kind = table.get("kind")
    if kind is None:
        raise InputError(f"{where}: the key 'kind' is missing; add one of {', '.join(TABLES)}.")
    if not isinstance(kind, str) or kind not in TABLES:
        raise InputError(f"{where}, kind: {kind!r} is not one of {', '.join(TABLES)}.")
    fields = {each.name: each for each in dataclasses.fields(TABLES[kind])}  # type: ignore[arg-type]
    for key, value in table.items():
        if key == "kind":
            continue
        if key not in fields:
            raise InputError(
                f"{where} ({kind}): the key {key!r} is unknown; allowed are {', '.join(fields)}."
            )
        allowed, named = ALLOWED[fields[key].type]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise InputError(f"{where} ({kind}), {key}: {value!r} is not {named}.")
        numbers = value if isinstance(value, list | tuple) else (value,)
        for number in numbers if float not in allowed else ():
            if isinstance(number, int) and number > LARGEST:
                raise InputError(f"{where} ({kind}), {key}: {number} is above {LARGEST}.")
    for key, each in fields.items():
        has_default = each.default is not dataclasses.MISSING
        has_default |= each.default_factory is not dataclasses.MISSING
        if key not in table and not has_default:
            raise InputError(f"{where} ({kind}): the key {key!r} is missing; add {key} = ....")
    try:
        return TABLES[kind](**{key: value for key, value in table.items() if key != "kind"})
    except InputError as error:
        raise InputError(f"{where} ({kind}), {error}") from None


def _model(model: str | dict[str, Any]) -> Any:
    return load_model(model) if isinstance(model, str) else parse_model(model)
