"""How the command line speaks: warnings as one line, a mistake as one sentence, said once."""

import hashlib
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ratenet.errors import OtherProcessError, escape

if TYPE_CHECKING:
    from rich.table import Table


def plain_warnings() -> None:
    """Print each warning as one line, without the source line that raised it."""
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *context: object, **more: object) -> None:
    print(f"Warning: {escape(str(message))}", file=sys.stderr)


def print_what_cannot_be_encoded() -> None:
    """Escape on stdout what its encoding lacks, such as a file name that is not UTF-8."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # absent where stdout is replaced
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def print_table(table: "Table") -> None:
    """Print a table; on a narrow terminal its lines run on rather than that a number is cut."""
    from rich.console import Console

    for column in table.columns:
        if column.overflow != "fold":
            words = [word for cell in (column.header, *column.cells) for word in str(cell).split()]
            column.min_width = max(map(len, words), default=0)
    least = 1 + sum(3 + (column.min_width or 8) for column in table.columns)  # with borders
    console = Console()
    Console(width=max(console.width, least)).print(table)


def is_first_process() -> bool:
    """Return whether this process speaks, of several that torchrun may have started."""
    return os.environ.get("RANK", "0") == "0"


def say_error(sentence: str, error: BaseException) -> None:
    """Print the sentence about an error, once for all processes that torchrun started."""
    of_another = isinstance(error, OtherProcessError)
    essence = sentence.partition(": ")[2] if of_another else sentence  # "process 1: ..."
    if _is_first_to_say(essence, of_another):
        sys.stdout.flush()
        print(f"Error: {sentence}", file=sys.stderr)


def _is_first_to_say(sentence: str, of_another: bool) -> bool:
    """Return whether no other process has said a sentence; torchrun's store holds what was said."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return True
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return is_first_process() or not of_another
    from datetime import timedelta

    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    key = hashlib.sha256(sentence.encode("utf-8", "backslashreplace")).hexdigest()
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=20))
        return bool(store.add(f"ratenet/said/{key}", 1) == 1)
    except RuntimeError:  # torchrun itself is gone
        return is_first_process()


def leftover_mistake(error: Exception) -> str | None:
    """Return the sentence about an error that only a user's values or machine can cause.

    Everything else is a fault of ratenet, and its traceback is shown.
    """
    if _is_out_of_memory(error):
        return "there is not enough memory; use fewer units, stimuli or records."
    if isinstance(error, OverflowError):
        why = error.args[-1] if error.args else "overflow"
        return f"a number is too large ({escape(str(why)).lower()}); use a smaller one."
    if isinstance(error, UnicodeError):
        return f"a name or text cannot be encoded ({escape(str(error))}); rename it."
    if isinstance(error, OSError) and error.filename is not None:
        reason = (error.strerror or str(error)).lower()
        return f"{escape(os.fsdecode(error.filename))}: {reason}."
    return _in_own_code(error)


def _in_own_code(error: Exception) -> str | None:
    """Return the sentence about an error in a file of the user's own code."""
    if "ratenet.equations.own_code" not in sys.modules:  # then none was imported
        return None
    from ratenet.equations.own_code import own_files, reason

    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)} & own_files()
    if not files:
        return None
    return f"{escape(min(files))}: {reason(error, Path(min(files)))}."


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory was refused: by Python, NumPy or torch."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said
