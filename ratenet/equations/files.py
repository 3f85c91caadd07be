"""load_model and load_plasticity: from a name, file or table, or one's own code, to equations.

A file is data: loading one executes nothing. FILE.py:NAME is code, which is imported.
"""

import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from ratenet.equations.plasticity import PlasticitySpec
from ratenet.equations.registry import Registry
from ratenet.equations.shipped import (
    MODEL_GROUP,
    REMEDY,
    models_folder,
    names_in,
    plasticity_folder,
)
from ratenet.equations.spec import ModelSpec
from ratenet.equations.table import ModelTable, PlasticityTable
from ratenet.errors import ModelError, RatenetWarning, UnknownNameError, escape
from ratenet.validation import read_toml, validated

Spec = TypeVar("Spec", ModelSpec, PlasticitySpec)


def load_model(given: Any) -> ModelSpec:
    """Return the model with a given name, of a file, of a table, or of your own code.

    Parameters
    ----------
    given : str, Path, mapping or ModelSpec
        One of `model_names`, with values of its parameters in brackets where they differ from the
        defaults, ``"rate(tau=20*ms)"``; a path that ends in ``.toml``; ``"FILE.py:NAME"`` or
        ``"package.module:NAME"``, where NAME is a ModelSpec, a table or a function that returns
        one; or a table in the layout of a model file. A ModelSpec is returned as it is.

    Returns
    -------
    ModelSpec
        The checked model.

    Raises
    ------
    UnknownNameError
        If there is no such model, file or parameter.
    ModelError
        If the file cannot be used; the message names the file, the key and the remedy.
    InputError
        If it is anything else, or your own code cannot be imported.

    Warns
    -----
    RatenetWarning
        If the file gives a parameter that nothing uses, which may be a typo.

    Examples
    --------
    >>> print(load_model("linear").equations.strip())
    dr/dt = (-r + I_rec + I_ext) / tau : 1
    >>> load_model("linear(tau=5*ms)").parameters
    (('tau', '0.005*second'),)
    """
    return _load(given, "model", parse_model, MODELS)


def load_plasticity(given: Any) -> PlasticitySpec:
    """Return the plasticity rule with a given name, of a file, of a table, or of your own code.

    Parameters
    ----------
    given : str, Path, mapping or PlasticitySpec
        One of `plasticity_names`, also with other parameters, as in ``"oja(eta=2*Hz)"``; a path
        that ends in ``.toml``; a table in the layout of such a file; or ``FILE.py:NAME``.

    Returns
    -------
    PlasticitySpec
        The checked rule, for ``simulate(plasticity=)``.

    Raises
    ------
    UnknownNameError
        If there is no such rule or file.
    ModelError
        If the file cannot be used; the message names the file, the key and the remedy.

    Warns
    -----
    RatenetWarning
        If the file gives a parameter that nothing uses, which may be a typo.

    Examples
    --------
    >>> print(load_plasticity("oja").equations.strip())
    dw/dt = eta * y_post * (y_pre - y_post*w) : 1
    """
    return _load(given, "plasticity rule", parse_plasticity, PLASTICITY)


def _load(
    given: Any, kind: str, parse: Callable[[Mapping[str, Any]], Spec], registry: Registry[Spec]
) -> Spec:
    if isinstance(given, str | Path) and Path(given).suffix == ".toml":
        if not Path(given).exists():  # False for a name with a NUL, too
            raise _unknown(f"{kind} file", given, registry)
        return _read_file(Path(given), parse)
    if isinstance(given, Mapping):
        return parse(given)
    if isinstance(given, Path) or (isinstance(given, str) and registry.is_unknown(given)):
        raise _unknown(kind, given, registry)
    return registry.read(given)


def _read_file(path: Path, parse: Callable[[Mapping[str, Any]], Spec]) -> Spec:
    table = read_toml(path, error=ModelError)
    try:
        spec = parse(table)
    except ModelError as error:
        raise error.within(escape(str(path))) from None
    for name in spec.unused_parameters:
        warnings.warn(_unused(name, spec, path), RatenetWarning, stacklevel=4)
    return spec


@cache
def _read_once(path: Path, parse: Callable[[Mapping[str, Any]], Spec]) -> Spec:
    """Read a shipped file, which does not change; its spec cannot be changed either."""
    return _read_file(path, parse)


@dataclass(frozen=True)
class _Shipped(Mapping[str, Any]):
    """The shipped files of a folder by name, each read when it is asked for."""

    kind: str
    folder: Path
    parse: Callable[[Mapping[str, Any]], Any]

    def __getitem__(self, name: str) -> Any:
        if name not in names_in(self.folder):
            raise KeyError(name)
        return partial(self._read, name)

    def __iter__(self) -> Iterator[str]:
        return iter(names_in(self.folder))

    def __len__(self) -> int:
        return len(names_in(self.folder))

    def _read(self, name: str, **parameters: Any) -> Any:
        """Return what a file says, with other defaults of some parameters."""
        spec: Any = _read_once(self.folder / f"{name}.toml", self.parse)
        if not parameters:
            return spec
        own = dict(spec.parameters)
        for each in parameters:
            if each not in own:
                raise UnknownNameError.among(f"setting of {self.kind} {name!r}:", each, own)
        return self.parse({**spec.to_table(), "parameters": {**own, **parameters}})


def _is_table(found: Any) -> bool:
    is_file = isinstance(found, str | Path) and Path(found).suffix == ".toml"
    return isinstance(found, Mapping) or is_file


def _as_model(found: Any) -> Any:
    """Return the model of a table or a path that a name of somebody's own stands for."""
    return load_model(found) if _is_table(found) else found


def _as_plasticity(found: Any) -> Any:
    """Return the rule of a table or a path that a name of somebody's own stands for."""
    return load_plasticity(found) if _is_table(found) else found


def parse_model(table: Mapping[str, Any]) -> ModelSpec:
    """Return the ModelSpec of a table in the layout of a model file (see `load_model`).

    Raises
    ------
    ModelError
        If a key is unknown or missing, or a value is not what it must be.
    """
    return ModelSpec(**vars(validated(ModelTable, table, error=ModelError)))


def parse_plasticity(table: Mapping[str, Any]) -> PlasticitySpec:
    """Return the PlasticitySpec of a table in the layout of a plasticity file.

    Raises
    ------
    ModelError
        If a key is unknown or missing, or a value is not what it must be.
    """
    return PlasticitySpec(**vars(validated(PlasticityTable, table, error=ModelError)))


MODELS: Registry[ModelSpec] = Registry(
    "model",
    ModelSpec,
    _Shipped("model", models_folder(), parse_model),
    group=MODEL_GROUP,
    expected="the name of a model, a path, a table or a ModelSpec",
    remedy=REMEDY,
    convert=_as_model,
)
"""All models, by the names that `load_model` knows them by."""

PLASTICITY: Registry[PlasticitySpec] = Registry(
    "plasticity rule",
    PlasticitySpec,
    _Shipped("plasticity rule", plasticity_folder(), parse_plasticity),
    group="ratenet.plasticity",
    expected="the name of a plasticity rule, a path, a table or a PlasticitySpec",
    remedy=REMEDY,
    convert=_as_plasticity,
)
"""All plasticity rules that are equations, by the names that `load_plasticity` knows them by."""


def _unknown(kind: str, given: str | Path, registry: Registry[Any]) -> UnknownNameError:
    return UnknownNameError.among(kind, str(given), registry.names, REMEDY)


def _unused(name: str, spec: ModelSpec | PlasticitySpec, path: Path) -> str:
    own = (
        (*spec.states, spec.recurrent, spec.drive)
        if isinstance(spec, ModelSpec)
        else (*spec.unit_variables, *spec.synapse_variables, *dict(spec.signals))
    )
    close = difflib.get_close_matches(name, [*(n for n in spec.defaults if n != name), *own], n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{escape(str(path))}: parameters, {name}: never used; {meant}Use it or delete it."
