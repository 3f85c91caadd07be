"""Settings that all tests share."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import brian2
import pytest
import torch

# As on a machine without oneDNN; ratenet looks when it is imported.
if os.environ.get("RATENET_TESTS_WITHOUT_ONEDNN"):
    torch.backends.mkldnn.enabled = False

from ratenet.stimuli import DATA_SETS, ImageSet, load_images

# Batched LAPACK of torch is not safe on several threads, and tests are small.
torch.set_num_threads(1)

# Compiling takes Brian2 some 10 s a network; tests of compiled code take `target`.
brian2.prefs.codegen.target = "numpy"


def pytest_collection_finish() -> None:
    """Spare Brian2, which collects garbage in each run, a search through all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let Brian2 generate code of the kind that a test names, by `parametrize`, indirectly."""
    before, brian2.prefs.codegen.target = brian2.prefs.codegen.target, request.param
    yield
    brian2.prefs.codegen.target = before


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


@pytest.fixture
def few_digits(monkeypatch):
    """Make mnist-5k a set of 400 + 100 digits, so that runs take a moment."""
    whole = load_images("mnist-5k")
    _, train = whole.train.split(per_class=40, seed=0)
    _, test = whole.test.split(per_class=10, seed=0)
    few = ImageSet("mnist-5k", train, test, whole.shape, whole.classes)
    monkeypatch.setitem(DATA_SETS, "mnist-5k", lambda: few)
    return few
