"""Benchmarks are run seldom: what they take from the library must not go away unnoticed."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LOAD = """
import importlib, sys
sys.argv = ["benchmark"]
for name in {names}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # of the extra "benchmarks"
        if error.name.split(".")[0] not in ("jax", "torchdeq"):
            raise
    except Exception as error:
        raise SystemExit(f"{{name}}: {{error}}")
"""


def test_every_benchmark_still_finds_what_it_imports() -> None:
    names = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    run = subprocess.run(
        [sys.executable, "-c", LOAD.format(names=names)],
        cwd=BENCHMARKS, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert len(names) > 20
