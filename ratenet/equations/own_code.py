"""The user's own code, ``FILE.py:NAME`` and ``package.module:NAME``: imported, found, kept.

A file is imported once for each text that it has, so that a file that was edited is imported anew.
Its text is kept with it: that is what a run folder records, and what other processes import.
"""

import hashlib
import importlib
import importlib.util
import inspect
import pickle
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ratenet.errors import InputError, UnknownNameError, escape, shorten, show_any
from ratenet.files import read_regular

LARGEST = 2**24  # bytes of a file
_PREFIX = "ratenet_own_"  # of what modules made from files are called


@dataclass(frozen=True)
class Source:
    """The text of a file of code.

    Attributes
    ----------
    file : str
        Its absolute path.
    text : str
    """

    file: str
    text: str

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _module_name(self) -> str:
        stem = "".join(c if c.isalnum() else "_" for c in Path(self.file).stem)
        digest = hashlib.sha256(f"{self.file}\n{self.text}".encode("utf-8", "surrogatepass"))
        return f"{_PREFIX}{stem}_{digest.hexdigest()[:16]}"

    def imported(self) -> ModuleType:
        """Return the module that the text makes; it is made once."""
        name = self._module_name
        if name not in sys.modules:
            module = ModuleType(name)
            module.__file__ = self.file
            sys.modules[name] = module
            _SOURCES[name] = self
            try:
                code = compile(self.text, self.file, "exec", dont_inherit=True)
                with _folder_on_path(Path(self.file).parent):
                    exec(code, module.__dict__)
            except BaseException:
                del sys.modules[name], _SOURCES[name]
                raise
        return sys.modules[name]


_SOURCES: dict[str, Source] = {}  # by the names of the modules made of them


def own_files() -> set[str]:
    """Return the files of the user's code that were imported."""
    return {source.file for source in _SOURCES.values()}


def load_own(reference: str, where: str) -> Any:
    """Import what a reference names.

    Parameters
    ----------
    reference : str
        FILE.py:NAME or package.module:NAME.
    where : str
        What an error begins with.

    Raises
    ------
    InputError
        If the file or module cannot be read or imported.
    UnknownNameError
        If it has no such name.
    """
    place, _, name = reference.rpartition(":")
    shown = f"{where} {shorten(reference)!r}"
    module = _import_file(Path(place), shown) if place.endswith(".py") else _import(place, shown)
    if not hasattr(module, name):
        known = [each for each, value in vars(module).items() if _is_offered(value, each, module)]
        kind = f"name in {shorten(Path(place).name)}:"
        raise UnknownNameError.among(kind, name, known).within(where)
    return getattr(module, name)


def _is_offered(value: Any, name: str, module: ModuleType) -> bool:
    """Return whether a name of a module may be meant: it is not imported from elsewhere."""
    if name.startswith("_") or inspect.ismodule(value):
        return False
    is_code = inspect.isfunction(value) or inspect.isclass(value)
    return not is_code or value.__module__ == module.__name__


def _import_file(path: Path, shown: str) -> ModuleType:
    try:
        file = path.expanduser().resolve()
        text = importlib.util.decode_source(read_regular(file, LARGEST))
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: the file cannot be read ({why.lower()}).") from None
    except (ValueError, SyntaxError, LookupError):  # a NUL in the name; bytes that are not UTF-8
        raise InputError(f"{shown}: the file is not Python code in UTF-8.") from None
    try:
        return Source(str(file), text).imported()
    except (Exception, SystemExit) as error:
        raise InputError(f"{shown}: the file cannot be imported ({reason(error, file)}).") from None


def _import(name: str, shown: str) -> ModuleType:
    try:
        with _folder_on_path(Path.cwd()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"{shown}: there is no module {name!r} here; give the path of a file, FILE.py:NAME."
            ) from None
        caught: BaseException = error
    except (Exception, SystemExit) as error:
        caught = error
    raise InputError(f"{shown}: the module cannot be imported ({reason(caught)}).") from None


def reason(error: BaseException, file: Path | None = None) -> str:
    """Return why somebody's code failed, and in which line of a file."""
    if isinstance(error, SyntaxError):
        line = error.lineno
        said = error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == str(file)), None)
        said = escape(str(error)) or "no message"
    at = "" if line is None else f"line {line}, "
    return f"{at}{type(error).__name__}: {said}"


@contextmanager
def _folder_on_path(folder: Path) -> Iterator[None]:
    """Find modules in a folder first, as Python does for a script in it."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def reference_to(found: Any) -> tuple[str, bool] | None:
    """Return by which reference something is found, and whether that names its class.

    None for what is not at the top of a module, such as a lambda.
    """
    code = getattr(found, "function", found)  # of a decorator's object
    has_name = inspect.isfunction(code) or inspect.isclass(code)
    module = sys.modules.get((code if has_name else type(code)).__module__)
    place = None if module is None else _place(module)
    if place is None:
        return None
    for name, value in vars(module).items():
        if (value is found or value is code) and name.isidentifier():
            return f"{place}:{name}", False
    kind = type(found)
    if (
        kind.__module__ == getattr(module, "__name__", "")
        and vars(module).get(kind.__name__) is kind
    ):
        return f"{place}:{kind.__name__}", True
    return None


def _place(module: ModuleType) -> str | None:
    """Return FILE.py or package.module; None for a notebook's cells."""
    if module.__name__ in _SOURCES:
        return _SOURCES[module.__name__].file
    if module.__name__ in ("__main__", "__mp_main__"):
        file = getattr(module, "__file__", None) or ""
        return str(Path(file).resolve()) if file.endswith(".py") else None
    return module.__name__


def sources_of(found: Any) -> list[Source]:
    """Return the files of the user's code that something consists of; those of packages too."""
    sources: dict[str, Source] = {}
    for part in _parts(found):
        source = _source(part)
        if source is not None:
            sources[source.file] = source
    return list(sources.values())


def _parts(found: Any) -> Iterator[Any]:
    """Yield something and what its fields hold."""
    yield found
    if is_dataclass(found) and not isinstance(found, type):
        for field in fields(found):
            yield from _parts(getattr(found, field.name, None))
    elif isinstance(found, tuple | list):
        for each in found:
            yield from _parts(each)


def _source(found: Any) -> Source | None:
    code = found if inspect.isfunction(found) or inspect.isclass(found) else type(found)
    name = code.__module__
    if name in _SOURCES:
        return _SOURCES[name]
    if name.partition(".")[0] in {*sys.stdlib_module_names, *_OURS} - {"__main__"}:
        return None
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or ""
    try:
        if file.endswith(".py"):
            return Source(file, importlib.util.decode_source(read_regular(Path(file), LARGEST)))
        return Source(f"{name}.py", inspect.getsource(code))  # of a notebook's cell
    except (OSError, TypeError, ValueError, SyntaxError):
        return None


_OURS = ("ratenet", "torch", "numpy", "brian2", "sympy", "builtins")


@dataclass(frozen=True)
class Parcel:
    """Something that is sent to another process, with the code that it needs.

    Attributes
    ----------
    content : object
    """

    content: Any

    def __reduce__(self) -> tuple[Any, ...]:
        used = [source for name, source in _SOURCES.items() if name in sys.modules]
        return _unpacked, (used, pickle.dumps(self.content))

    def check(self, where: str) -> None:
        """Refuse what cannot be sent.

        Raises
        ------
        InputError
        """
        try:
            pickle.dumps(self)
        except Exception as error:  # pickle knows no class of its own for this
            raise InputError(
                f"{where}: {show_any(self.content)} cannot be sent to other processes "
                f"({type(error).__name__}: {shorten(str(error))}); define it at the top of a "
                "module or file, or use one process.",
                argument=where,
                got=self.content,
            ) from None


def _unpacked(sources: list[Source], content: bytes) -> Parcel:
    """Return a parcel in the process that it was sent to."""
    for source in sources:
        source.imported()
    return Parcel(pickle.loads(content))
