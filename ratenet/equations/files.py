"""load_model: from a model's name, or the path of a TOML file, to a ModelSpec.

A model file is data: loading one executes nothing.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratenet.equations.expressions import check_name
from ratenet.equations.parameters import as_text
from ratenet.equations.spec import ModelSpec
from ratenet.errors import ModelError, UnknownNameError, shorten, show_any

_TEXTS = ("name", "title", "source", "equations", "output", "recurrent", "drive")
_TABLES = ("functions", "parameters", "populations")
MAX_FILE_BYTES = 1_000_000


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

    Examples
    --------
    >>> print(load_model("linear").equations.strip())
    dr/dt = (-r + I_rec + I_ext) / tau : 1
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = models_folder() / f"{name_or_path}.toml"
        if str(name_or_path) not in model_names():
            raise UnknownNameError(
                f"There is no model {str(name_or_path)!r}; there are {', '.join(model_names())}, "
                "or give the path of a .toml file."
            )
    try:
        return parse_model(_read_table(path))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _read_table(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"the file is no valid TOML: {error}.") from None
    except (ValueError, RecursionError):  # integers of thousands of digits, brackets likewise
        raise ModelError(
            "the file is no model: a number in it is too long, or it is nested too deeply."
        ) from None


def _read_text(path: Path) -> str:
    if not path.exists():  # False for a name with a NUL, too
        raise UnknownNameError(
            f"There is no model file {str(path)!r}; there are the models "
            f"{', '.join(model_names())}, or give the path of another file."
        )
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"the file is larger than {MAX_FILE_BYTES} bytes; no model is.")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"the file cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ModelError("the file is no UTF-8 text; save it as UTF-8.") from None


def parse_model(table: Mapping[str, Any]) -> ModelSpec:
    """Return the ModelSpec of a table in the layout of a model file (see `load_model`)."""
    unknown = sorted(set(table) - {*_TEXTS, *_TABLES})
    if unknown:
        raise ModelError(
            f"the key {shorten(unknown[0])!r} is unknown; allowed are "
            f"{', '.join([*_TEXTS, *_TABLES])}."
        )
    for key in _TEXTS:
        if key not in table:
            raise ModelError(f'the key {key!r} is missing; add {key} = "...".')
        if not isinstance(table[key], str) or not table[key].strip():
            raise ModelError(f"{key}: a text is needed, got {show_any(table[key])}.")
    tables = {key: _subtable(table, key) for key in _TABLES}
    for key, names in tables.items():
        for name in names:
            check_name(name, key)
    functions, parameters, populations = tables.values()
    for name, body in functions.items():
        if not isinstance(body, str):
            raise ModelError(f"functions, {name}: a text is needed, got {show_any(body)}.")
    return ModelSpec(
        **{key: table[key] for key in _TEXTS},
        functions=tuple(functions.items()),
        parameters=tuple(
            (name, as_text(value, f"parameters, {name}")) for name, value in parameters.items()
        ),
        populations=tuple(populations.items()),
    )


def _subtable(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ModelError(f"{key}: a table [{key}] is needed, got {show_any(value)}.")
    return value
