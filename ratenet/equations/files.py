"""load_model: from a model's name, or the path of a TOML file, to a ModelSpec.

A model file is data: loading one executes nothing.
"""

import difflib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def load_model(name_or_path: str | Path) -> ModelSpec:
    """Return the model with a given name, or the one that a TOML file describes.

    Parameters
    ----------
    name_or_path : str or Path
        One of `model_names`, or a path that ends in ``.toml``.

    Returns
    -------
    ModelSpec
        The checked model.

    Raises
    ------
    UnknownNameError
        If there is no such model or file.
    ModelError
        If the file cannot be used; the message names the file, the key and the remedy.

    Warns
    -----
    RatenetWarning
        If the file gives a parameter that nothing uses, which may be a typo.

    Examples
    --------
    >>> print(load_model("linear").equations.strip())
    dr/dt = (-r + I_rec + I_ext) / tau : 1
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = models_folder() / f"{name_or_path}.toml"
        if str(name_or_path) not in model_names():
            raise _unknown("model", name_or_path)
    elif not path.exists():  # False for a name with a NUL, too
        raise _unknown("model file", name_or_path)
    table = read_toml(path, error=ModelError)
    try:
        model = parse_model(table)
    except ModelError as error:
        raise error.within(escape(str(path))) from None
    for name in model.unused_parameters:
        warnings.warn(_unused(name, model, path), RatenetWarning, stacklevel=2)
    return model


def _unknown(kind: str, name_or_path: str | Path) -> UnknownNameError:
    remedy = "or give the path of a .toml file"
    return UnknownNameError.among(kind, str(name_or_path), model_names(), remedy)


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
