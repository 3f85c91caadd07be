"""Settings that all tests share."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(
    1
)  # batched LAPACK of torch is not safe on several threads, and tests are small


@pytest.fixture
def generator() -> torch.Generator:
    """Return a generator with a fixed seed."""
    return torch.Generator().manual_seed(20_240_601)


@pytest.fixture(scope="session")
def full_mnist_root() -> Path:
    """Return a folder with the full MNIST as torchvision lays it out, or skip."""
    root = Path(os.environ.get("RATENET_DATA_ROOT", "data"))
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip(f"the full MNIST is not in {root}: set RATENET_DATA_ROOT to its folder")
    return root
