"""The files that are shipped, by name: reading their names and titles imports no simulator."""

from importlib.metadata import entry_points
from pathlib import Path

from ratenet.equations.shown import text_of
from ratenet.errors import ModelError
from ratenet.validation import read_toml

REMEDY = "or give the path of a .toml file"
MODEL_GROUP = "ratenet.models"  # of the entry points by which packages offer models


def models_folder() -> Path:
    """Return the folder of the shipped models: inside an installed package, else beside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def plasticity_folder() -> Path:
    """Return the folder of the shipped plasticity rules that are equations."""
    return models_folder() / "plasticity"


def model_names() -> list[str]:
    """Return the names of the shipped models, sorted.

    Examples
    --------
    >>> model_names()[:3]
    ['adaptation', 'hopfield', 'inhibition_stabilized']
    """
    return names_in(models_folder())


def plasticity_names() -> list[str]:
    """Return the names of the shipped plasticity rules that are equations, sorted.

    Examples
    --------
    >>> "oja" in plasticity_names()
    True
    """
    return names_in(plasticity_folder())


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's files, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def titles(folder: Path) -> dict[str, str]:
    """Return the titles of a folder's files by name; their equations are not read."""
    found = {}
    for name in names_in(folder):
        table = read_toml(folder / f"{name}.toml", error=ModelError)
        found[name] = str(table.get("title") or name)
    return found


def text_of_shipped(folder: Path, name: str) -> str:
    """Return what printing one of a folder's models or rules shows; nothing is checked."""
    return text_of(read_toml(folder / f"{name}.toml", error=ModelError))


def offered_models() -> list[str]:
    """Return the names of the models that installed packages offer; nothing is imported."""
    return sorted({point.name for point in entry_points(group=MODEL_GROUP)} - {*model_names()})
