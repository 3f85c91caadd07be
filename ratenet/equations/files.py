"""load_model: from a model's name, file or table, or one's own code, to a ModelSpec.

A model file is data: loading one executes nothing. FILE.py:NAME is code, which is imported.
"""

import difflib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ratenet.equations.registry import Registry
from ratenet.equations.spec import ModelSpec
from ratenet.equations.table import ModelTable
from ratenet.errors import ModelError, RatenetWarning, UnknownNameError, escape
from ratenet.validation import read_toml, validated


def models_folder() -> Path:
    """Return the folder of the shipped models: inside an installed package, else beside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def model_names() -> list[str]:
    """Return the names of the shipped models, sorted."""
    return sorted(path.stem for path in models_folder().glob("*.toml"))


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
    if isinstance(given, str | Path) and Path(given).suffix == ".toml":
        return _read_file(Path(given))
    if isinstance(given, Mapping):
        return parse_model(given)
    if isinstance(given, Path) or (isinstance(given, str) and MODELS.is_unknown(given)):
        raise _unknown("model", given)
    return MODELS.read(given)


def _read_file(path: Path) -> ModelSpec:
    if not path.exists():  # False for a name with a NUL, too
        raise _unknown("model file", path)
    table = read_toml(path, error=ModelError)
    try:
        model = parse_model(table)
    except ModelError as error:
        raise error.within(escape(str(path))) from None
    for name in model.unused_parameters:
        warnings.warn(_unused(name, model, path), RatenetWarning, stacklevel=3)
    return model


@dataclass(frozen=True)
class _Shipped(Mapping[str, Any]):
    """The shipped models by name, each read when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in model_names():
            raise KeyError(name)
        return partial(_shipped, name)

    def __iter__(self) -> Iterator[str]:
        return iter(model_names())

    def __len__(self) -> int:
        return len(model_names())


def _shipped(name: str, **parameters: Any) -> ModelSpec:
    """Return a shipped model, with other defaults of some parameters."""
    model = _read_file(models_folder() / f"{name}.toml")
    if not parameters:
        return model
    for each in parameters:
        if each not in dict(model.parameters):
            kind = f"setting of model {name!r}:"
            raise UnknownNameError.among(kind, each, dict(model.parameters))
    return parse_model({**model.to_table(), "parameters": {**dict(model.parameters), **parameters}})


def _as_model(found: Any) -> Any:
    """Return the model of a table or a path that a name of somebody's own stands for."""
    is_file = isinstance(found, str | Path) and Path(found).suffix == ".toml"
    return load_model(found) if isinstance(found, Mapping) or is_file else found


MODELS: Registry[ModelSpec] = Registry(
    "model",
    ModelSpec,
    _Shipped(),
    group="ratenet.models",
    expected="the name of a model, a path, a table or a ModelSpec",
    remedy="or give the path of a .toml file",
    convert=_as_model,
)
"""All models, by the names that `load_model` knows them by."""


def _unknown(kind: str, name_or_path: str | Path) -> UnknownNameError:
    remedy = "or give the path of a .toml file"
    return UnknownNameError.among(kind, str(name_or_path), MODELS.names, remedy)


def _unused(name: str, model: ModelSpec, path: Path) -> str:
    known = [*(n for n in model.defaults if n != name), *model.states, model.recurrent, model.drive]
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{escape(str(path))}: parameters, {name}: never used; {meant}Use it or delete it."


def parse_model(table: Mapping[str, Any]) -> ModelSpec:
    """Return the ModelSpec of a table in the layout of a model file (see `load_model`).

    Raises
    ------
    ModelError
        If a key is unknown or missing, or a value is not what it must be.
    """
    return ModelSpec(**vars(validated(ModelTable, table, error=ModelError)))
