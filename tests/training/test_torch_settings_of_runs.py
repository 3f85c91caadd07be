"""A run gives the same numbers whatever torch is set to outside of it."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

import ratenet as rn

SETTINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
}
KINDS: dict[str, dict[str, Any]] = {
    "network": {"units": 5, "learn": ("read-in", "read-out"), "optimizer": "adam"},
    "stack": {"layers": [{"kind": "fixed-point", "units": 5}, {"kind": "read-out"}]},
}


@pytest.fixture
def few():
    numbers = np.random.default_rng(0)
    pixels, labels = numbers.random((12, 3, 3)), np.arange(12) % 3
    return rn.stimuli.ImageSet.from_arrays(
        train=(pixels, labels), test=(pixels[:6], labels[:6]), name="few"
    )


def losses(few, setting, folder, options) -> list[float]:
    with setting:
        config = rn.TrainingConfig(
            data=few, epochs=2, batch_size=4, presentation="static", threads=1, **options
        )
        return rn.train(config, out=folder).metrics["train_loss"].tolist()


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_training_does_not_depend_on_torchs_settings(options, few, tmp_path) -> None:
    plain = losses(few, nullcontext(), tmp_path / "plain", options)
    assert len(plain) == 6
    for name, setting in SETTINGS.items():
        assert losses(few, setting(), tmp_path / name, options) == plain, name


def test_a_stacks_weights_change_without_gradients_outside(few, tmp_path) -> None:
    found = losses(few, torch.no_grad(), tmp_path, KINDS["stack"])
    assert len(set(found)) == 6
