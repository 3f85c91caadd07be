"""load_run: stacks by layer, unusable images, and folders of another version."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, RunFolderError, UnsupportedError

X = np.random.default_rng(0).random((60, 4, 5))
IMAGES = rn.stimuli.ImageSet.from_arrays(
    train=(X[:40], np.arange(40) % 2), test=(X[40:], np.arange(20) % 2), name="noise"
)
SMALL: dict[str, Any] = {
    "data": IMAGES, "epochs": 1, "batch_size": 20, "presentation": "static", "learning_rate": 0.01,
}  # fmt: skip
LAYERS = (
    {"kind": "fixed-point", "units": 6},
    {"kind": "fixed-point", "units": 5, "rule": "hebb"},
    {"kind": "read-out"},
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("stack")
    rn.train(rn.TrainingConfig(**SMALL, layers=LAYERS), out=out)
    return out


def test_a_stack_responds_layer_by_layer(stack: Path) -> None:
    run = rn.load_run(stack)
    found = run.respond_by_layer(X[:3])
    assert {name: tuple(fp.rates.shape) for name, fp in found.items()} == {
        "layer1": (3, 6), "layer2": (3, 5),
    }  # fmt: skip
    assert all(bool(fp.converged.all()) for fp in found.values())
    outputs = found["layer2"].rates @ run.learner[-1].weight.T + run.learner[-1].bias
    torch.testing.assert_close(run.answer(X[:3]), outputs)
    with pytest.raises(UnsupportedError, match="respond: a stack of layers .*respond_by_layer"):
        run.respond(X[:3])


def test_a_trained_stack_is_saved_and_loaded(stack: Path, tmp_path: Path) -> None:
    run = rn.load_run(stack)
    rn.layers.save(run.learner, tmp_path / "stack.safetensors")
    loaded = rn.layers.load(tmp_path / "stack.safetensors")
    pixels = torch.from_numpy(X[:3].reshape(3, -1)).float()
    torch.testing.assert_close(loaded(pixels), run.answer(X[:3]))


@pytest.mark.parametrize("images", [5, None, X[:3, :, :4], np.full((2, 4, 5), np.nan), "images"])
def test_unusable_images_are_refused(images: Any, stack: Path) -> None:
    with pytest.raises(InputError):
        rn.load_run(stack).answer(images)


def test_a_run_of_a_newer_version_says_so(stack: Path, tmp_path: Path) -> None:
    text = (stack / "config.toml").read_text()
    newer = text.replace(f'ratenet = "{rn.__version__}"', 'ratenet = "9.0.1.dev2"')
    assert newer != text
    (tmp_path / "config.toml").write_text(newer)
    for use in (rn.load_run, rn.evaluate, rn.resume):
        with pytest.raises(RunFolderError, match=r"written by ratenet 9.0.1.dev2, which is newer"):
            use(tmp_path)
