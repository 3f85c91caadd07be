"""How the command line speaks."""

import os
import sys
import warnings


def plain_warnings() -> None:
    """Print each warning as one line, without the source line that raised it."""
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *context: object, **more: object) -> None:
    print(f"Warning: {message}", file=sys.stderr)


def is_first_process() -> bool:
    """Return whether this process speaks, of several that torchrun may have started."""
    return os.environ.get("RANK", "0") == "0"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory was refused: by Python, NumPy or torch."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said
