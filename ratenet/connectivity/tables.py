"""Connectivities as data: a table of what is not a tensor, beside the tensors by their names."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ratenet.connectivity.base import AbstractConnectivity
from ratenet.connectivity.combined import Block, Chain, Sum
from ratenet.connectivity.convolution import Convolution
from ratenet.connectivity.dense import Dense
from ratenet.connectivity.low_rank import LowRank
from ratenet.connectivity.masked import Masked
from ratenet.connectivity.pooling import Pooling
from ratenet.connectivity.signed import Signed
from ratenet.errors import InputError, UnsupportedError

KINDS: dict[str, type[AbstractConnectivity]] = {
    "dense": Dense,
    "masked": Masked,
    "signed": Signed,
    "low-rank": LowRank,
    "convolution": Convolution,
    "pooling": Pooling,
    "sum": Sum,
    "chain": Chain,
    "block": Block,
}


def to_table(connectivity: AbstractConnectivity) -> dict[str, Any]:
    """Return what a connectivity is made of, except its parameters and constants.

    Raises
    ------
    UnsupportedError
        If it is, or holds, one that is not part of ratenet.
    """
    kind = next((name for name, each in KINDS.items() if type(connectivity) is each), None)
    if kind is None:
        raise UnsupportedError(
            f"save: {type(connectivity).__name__} is a connectivity of your own, which cannot be "
            "saved; save the network with Dense(W.dense()), or keep its tensors yourself."
        )
    values = {name: getattr(connectivity, name) for name in _names(KINDS[kind])}
    plain = {
        name: _plain(v) for name, v in values.items() if v is not None and not isinstance(v, Tensor)
    }
    return {"kind": kind, **plain}


def from_table(
    table: Any, tensors: Mapping[str, Tensor], where: str = "connectivity"
) -> AbstractConnectivity:
    """Return the connectivity that a table and the tensors by their names make.

    Raises
    ------
    InputError
        If they do not go together.
    """
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError.at(f"{where}, kind", got=kind, expected=f"one of {', '.join(KINDS)}")
    given = {name: value for name, value in table.items() if name != "kind"}
    if KINDS[kind] in (Sum, Chain):
        parts = {name: (name, part) for name, part in _mapping(given.pop("parts", None), where)}
        given["parts"] = _parts(parts, tensors, where)
    elif KINDS[kind] is Block:
        given["blocks"] = {
            post: _parts(
                {pre: (f"{post}_from_{pre}", part) for pre, part in _mapping(row, where)},
                tensors,
                where,
            )
            for post, row in _mapping(given.pop("blocks", None), where)
        }
        given["sizes"] = dict(_mapping(given.pop("sizes", None), where))
    else:
        given = {**tensors, **given}
    try:
        return KINDS[kind](**given)
    except TypeError:  # what is missing, or more than it takes
        expected = f"{', '.join(_names(KINDS[kind]))} of the kind {kind!r}"
        raise InputError.at(where, found=", ".join(given), expected=expected) from None


def _names(kind: type[AbstractConnectivity]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """Return numbers and strings as they are, connectivities as tables."""
    if isinstance(value, AbstractConnectivity):
        return to_table(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _parts(
    tables: Mapping[str, tuple[str, Any]], tensors: Mapping[str, Tensor], where: str
) -> dict[str, AbstractConnectivity]:
    """Return the parts by their names, each of a table and the tensors called "<prefix>.<name>"."""
    return {
        name: from_table(table, under(tensors, prefix), f"{where}, {prefix}")
        for name, (prefix, table) in tables.items()
    }


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors called "<prefix>.<name>" by their names alone."""
    start = f"{prefix}."
    return {n.removeprefix(start): tensor for n, tensor in tensors.items() if n.startswith(start)}


def _mapping(value: Any, where: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise InputError.at(where, got=value, expected="a table of its parts")
    return value.items()
