"""Populations: names and sizes of groups of units that follow one another in W's rows.

A model gives sizes (integers) or fractions of the units (they sum to 1); a network may say its own.
"""

from ratenet.errors import ModelError

Sizes = tuple[tuple[str, int | float], ...]


def check_populations(populations: Sizes) -> None:
    """Refuse sizes that are neither all whole numbers nor fractions that sum to 1."""
    sizes = [size for _, size in populations]
    if all(isinstance(size, int) for size in sizes):
        return
    if any(isinstance(size, int) for size in sizes):
        raise ModelError("populations: expected sizes or fractions for all, got some of each.")
    if abs(sum(sizes) - 1) > 1e-9:
        raise ModelError(f"populations: expected fractions that sum to 1, got {sum(sizes):g}.")
