"""Rows of a benchmark that takes hours, each computed once and kept in a file."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd


def computed(path: Path, keys: list[dict], compute: Callable[..., dict]) -> pd.DataFrame:
    """Return a row for each key, from the file where it is there, else computed and added."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    for key in keys:
        if not any(all(found[name] == value for name, value in key.items()) for found in rows):
            rows.append({**key, **compute(**key)})
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(path, index=False)
    wanted = pd.DataFrame(keys)
    return wanted.merge(pd.DataFrame(rows), on=list(wanted.columns), how="left")
