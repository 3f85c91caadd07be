"""The same seed gives the same numbers as version 0.1 did before its files were moved: kept runs.

Each table in kept/ is the metrics.csv of a run that the earlier code made, in float64 on one
thread. Processors round differently, so the last digits may differ; iterations are left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ratenet as rn

KEPT = Path(__file__).parent / "kept"
SHARED = {"epochs": 1, "dtype": "float64", "threads": 1}
STACK = (
    {
        "kind": "convolutional",
        "model": "threshold_linear",
        "channels": 4,
        "kernel_size": 3,
        "read_in_size": 5,
        "stride": 4,
        "tol": 1e-3,
    },
    {"kind": "fixed-point", "units": 20, "rule": "linearized-reparameterized"},
    {"kind": "read-out"},
)
RUNS = {
    "slow": {"units": 50, "seed": 1, "validation": 400, "method": "euler"},
    "barrier": {
        "units": 50,
        "seed": 2,
        "presentation": "static",
        "rule": "euclidean",
        "optimizer": "adam",
        "learning_rate": 0.003,
        "learn": ("read-in", "read-out"),
        "barrier": 0.3,
    },
    "stack": {
        "seed": 3,
        "presentation": "static",
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "learning_rate": 5e-3,
        "schedule": "cosine",
        "batch_size": 200,
        "validation": 500,
        "layers": STACK,
    },
    "continuous": {
        "units": 30,
        "seed": 4,
        "batch_size": 1000,
        "update_at": "continuous",
        "eligibility": 0.05,
        "unsettled": "include",
    },
}
COMPARED = ["step", "train_loss", "train_accuracy", "settled", "abscissa", "abscissa_mean_gain",
            "weight_norm", "validation_accuracy"]  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_the_numbers_that_it_gave(name: str, tmp_path: Path) -> None:
    rn.train(rn.TrainingConfig(**SHARED, **RUNS[name]), out=tmp_path / "run")
    now = pd.read_csv(tmp_path / "run" / "metrics.csv")[COMPARED]
    before = pd.read_csv(KEPT / f"{name}.csv")[COMPARED]
    assert len(now) == len(before)
    np.testing.assert_allclose(now, before, rtol=1e-6, atol=1e-9)
