"""Torchvision's data sets by name, each read from a small set written in its own format."""

import bz2
import hashlib
import pickle
import struct

import numpy as np
import pytest
import scipy.io
import torchvision

from ratenet.errors import DataError, UnknownNameError
from ratenet.stimuli import load_images

RNG = np.random.default_rng(1)
NUMBERS = {"train": 100, "test": 20}


def write_idx(file, values: np.ndarray) -> None:
    """Write bytes in the IDX format of MNIST."""
    file.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    file.write_bytes(head + values.astype(np.uint8).tobytes())


def drawn(part: str, *shape: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return random bytes and classes, each of which occurs."""
    number = NUMBERS[part]
    return RNG.integers(256, size=(number, *shape)), np.arange(number) % classes


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def as_bytes(images) -> np.ndarray:
    """Return pixels as bytes, (n, *shape of an image)."""
    return (images.pixels * 255).round().numpy().astype(np.int64).reshape(-1, *images.shape)


def assert_same(found, written) -> None:
    for images, part in ((found.train, "train"), (found.test, "test")):
        pixels, labels = written[part]
        np.testing.assert_array_equal(as_bytes(images), pixels)
        np.testing.assert_array_equal(images.labels.numpy(), labels)


@pytest.mark.parametrize(
    ("name", "folder"), [("kmnist", "KMNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_sets_in_the_format_of_mnist(name, folder, tmp_path):
    written = {part: drawn(part, 28, 28) for part in NUMBERS}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        pixels, labels = written[part]
        write_idx(tmp_path / folder / "raw" / f"{prefix}-images-idx3-ubyte", pixels)
        write_idx(tmp_path / folder / "raw" / f"{prefix}-labels-idx1-ubyte", labels)
    found = load_images(name, root=tmp_path, download=False)
    assert (found.name, found.shape, found.classes) == (name, (28, 28), 10)
    assert_same(found, written)


@pytest.mark.parametrize(
    ("text", "split", "classes", "first"),
    [
        ("emnist", "balanced", 47, 0),
        ("emnist(split=letters)", "letters", 26, 1),
        ("emnist(split=digits)", "digits", 10, 0),
    ],
)
def test_emnist_is_upright_and_counts_its_classes_from_0(text, split, classes, first, tmp_path):
    written = {part: drawn(part, 28, 28, classes=classes) for part in NUMBERS}
    for part, (pixels, labels) in written.items():
        start = tmp_path / "EMNIST" / "raw" / f"emnist-{split}-{part}"
        write_idx(start.with_name(f"{start.name}-images-idx3-ubyte"), pixels.transpose(0, 2, 1))
        write_idx(start.with_name(f"{start.name}-labels-idx1-ubyte"), labels + first)
    found = load_images(text, root=tmp_path, download=False)
    assert (found.name, found.classes) == (text, classes)
    assert_same(found, written)


def test_a_split_that_emnist_does_not_have_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="'capitals'; available: balanced, byclass"):
        load_images("emnist(split=capitals)", root=tmp_path, download=False)
    with pytest.raises(UnknownNameError, match="split"):
        load_images("emnist(part=letters)", root=tmp_path, download=False)


def test_usps_from_its_text(tmp_path):
    written = {part: drawn(part, 16, 16) for part in NUMBERS}
    for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        pixels, labels = written[part]
        lines = [
            f"{label + 1} " + " ".join(f"{n}:{v / 255 * 2 - 1:.6f}" for n, v in enumerate(image, 1))
            for image, label in zip(pixels.reshape(-1, 256), labels, strict=True)
        ]
        (tmp_path / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    found = load_images("usps", root=tmp_path, download=False)
    assert (found.shape, found.classes) == ((16, 16), 10)
    for images, part in ((found.train, "train"), (found.test, "test")):
        off = np.abs(as_bytes(images) - written[part][0])
        assert off.max() <= 1  # torchvision cuts decimals off
        np.testing.assert_array_equal(images.labels.numpy(), written[part][1])


def write_cifar(root, written, monkeypatch) -> None:
    """Write batches of CIFAR-10, and let torchvision know their MD5."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    known = {}

    def write(name: str, content: dict) -> None:
        (folder / name).write_bytes(pickle.dumps(content))
        known[name] = md5((folder / name).read_bytes())

    pixels, labels = written["train"]
    for index in range(5):
        some = slice(20 * index, 20 * (index + 1))
        rows = pixels[some].reshape(20, -1).astype(np.uint8)
        write(f"data_batch_{index + 1}", {"data": rows, "labels": labels[some].tolist()})
    pixels, labels = written["test"]
    rows = pixels.reshape(20, -1).astype(np.uint8)
    write("test_batch", {"data": rows, "labels": labels.tolist()})
    write("batches.meta", {"label_names": [str(index) for index in range(10)]})
    cifar = torchvision.datasets.CIFAR10
    batches = [[name, known[name]] for name in known if name.startswith("data")]
    monkeypatch.setattr(cifar, "train_list", batches)
    monkeypatch.setattr(cifar, "test_list", [["test_batch", known["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": known["batches.meta"]})


def test_cifar_10_in_colour(tmp_path, monkeypatch):
    written = {part: drawn(part, 3, 32, 32) for part in NUMBERS}
    write_cifar(tmp_path, written, monkeypatch)
    found = load_images("cifar-10", root=tmp_path, download=False)
    assert (found.shape, found.classes) == ((3, 32, 32), 10)
    assert_same(found, written)


def test_pickles_that_are_not_those_of_cifar_10_are_not_opened(tmp_path, monkeypatch):
    write_cifar(tmp_path, {part: drawn(part, 3, 32, 32) for part in NUMBERS}, monkeypatch)

    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="Dataset not found or corrupted"):
        load_images("cifar-10", root=tmp_path, download=False)
    assert not (tmp_path / "sprung").exists()


def test_svhn_with_ten_for_zero(tmp_path, monkeypatch):
    written = {part: drawn(part, 3, 32, 32) for part in NUMBERS}
    known = {}
    for part, (pixels, labels) in written.items():
        file = tmp_path / f"{part}_32x32.mat"
        ones = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        values = pixels.transpose(2, 3, 1, 0).astype(np.uint8)
        scipy.io.savemat(file, {"X": values, "y": ones})
        known[part] = ["", file.name, md5(file.read_bytes())]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", known)
    found = load_images("svhn", root=tmp_path, download=False)
    assert (found.shape, found.classes) == ((3, 32, 32), 10)
    assert_same(found, written)


@pytest.mark.parametrize("name", ["kmnist", "emnist", "usps", "cifar-10", "svhn"])
def test_a_set_that_is_not_there_is_one_sentence(name, tmp_path):
    with pytest.raises(DataError, match=rf"^Data set '{name}': .*download=False") as error:
        load_images(name, root=tmp_path, download=False)
    assert "\n" not in str(error.value)


def test_damaged_usps_is_one_sentence(tmp_path):
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(bz2.compress(b"\n3 1:0.5 2:x"))
    with pytest.raises(DataError, match="it is not complete"):
        load_images("usps", root=tmp_path, download=False)
