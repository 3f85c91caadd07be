"""Rows of a benchmark that takes hours, each computed once and kept in a file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd


def computed(path: Path, keys: list[dict], compute: Callable[..., dict]) -> pd.DataFrame:
    """Return a row for each key, from the file where it is there, else computed and added.

    The file is read again before a row is added: several processes may fill it with different keys.
    """
    for key in keys:
        if not any(all(row[name] == value for name, value in key.items()) for row in _rows(path)):
            row = {**key, **compute(**key)}
            print(row, flush=True)
            _write(path, [*_rows(path), row])
    return kept(path, keys)


def computed_together(
    path: Path, key: dict, seeds: Sequence[int], compute: Callable[..., pd.DataFrame]
) -> None:
    """Add the rows of a key that one computation gives for all seeds that the file lacks."""
    found = kept(path, [key])
    lacking = [seed for seed in seeds if found.empty or seed not in {*found["seed"]}]
    if lacking:
        rows = compute(**key, seeds=lacking).assign(**key)
        print(key, lacking, flush=True)
        _write(path, [*_rows(path), *rows.to_dict("records")])


def kept(path: Path, keys: list[dict]) -> pd.DataFrame:
    """Return the rows of those keys that the file has, in the order of the keys."""
    wanted = pd.DataFrame(keys)
    found = pd.DataFrame(_rows(path), columns=None if path.exists() else wanted.columns)
    return wanted.merge(found, on=list(wanted.columns))


def _write(path: Path, rows: list[dict]) -> None:
    """Write all rows at once: who is stopped meanwhile leaves the file as it was."""
    whole = path.with_suffix(".tmp")
    pd.DataFrame(rows).to_csv(whole, index=False)
    whole.replace(path)


def _rows(path: Path) -> list[dict]:
    return pd.read_csv(path).to_dict("records") if path.exists() else []
