"""Own images: arrays, an .npz file, a folder of classes; and what cannot be used, by its name."""

import numpy as np
import pytest
import torch
from PIL import Image

from ratenet.errors import DataError, InputError, UnknownNameError
from ratenet.report.preview import MARGIN, draw_frame
from ratenet.stimuli import HeldImages, ImageSet, Rotate, Still, load_images
from ratenet.stimuli.images import picture

RNG = np.random.default_rng(0)
X, T = RNG.random((6, 8, 8)), [0, 1, 2, 0, 1, 2]
TARGETS = RNG.random((6, 2))


def made(**changed) -> ImageSet:
    return ImageSet.from_arrays(**{"train": (X, T), "test": (X, T), "name": "mine", **changed})


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (X, (8, 8)),
        (X.tolist(), (8, 8)),
        (torch.as_tensor(X), (8, 8)),
        (list(X), (8, 8)),
        (list(torch.as_tensor(X)), (8, 8)),
        (X[:, None], (8, 8)),
        (X.reshape(6, 64), (8, 8)),
        (X.reshape(6, 4, 4, 4), (4, 4, 4)),
        (X.reshape(6, 64)[:, :7], (7,)),
    ],
)
def test_arrays_of_every_kind_become_pixels(images, shape):
    given = made(train=(images, T), test=(images, T))
    assert (given.name, given.shape, given.classes, given.outputs) == ("mine", shape, 3, 3)
    expected = torch.as_tensor(X).reshape(6, -1)[:, : given.train.pixels.shape[1]]
    torch.testing.assert_close(given.train.pixels.double(), expected, atol=1e-7, rtol=0)
    assert given.train.labels.tolist() == T


def test_bytes_are_divided_by_255():
    given = np.arange(256, dtype=np.uint8).reshape(2, 128)
    for images in (given, torch.as_tensor(given)):
        pixels = made(train=(images, [0, 1]), test=(images, [0, 1])).train.pixels
        expected = torch.arange(256).view(2, 128).float() / 255
        assert torch.equal(pixels, expected)


def test_rows_of_floats_are_the_targets_of_a_regression():
    given = made(train=(X, TARGETS), test=(X, TARGETS[::-1].copy()))
    assert given.classes is None
    assert given.outputs == 2
    assert given.train.labels.tolist() == TARGETS.tolist()
    assert given.to(torch.device("cpu"), torch.float32).test.labels.dtype == torch.float32
    held = given.with_validation(2, seed=0)
    assert (len(held.train), len(held.validation)) == (4, 2)


def test_the_sha256_belongs_to_the_content_alone():
    same, renamed = made(), made(name="other")
    assert same.sha256() == renamed.sha256()
    for other in (made(train=(X, T[::-1])), made(test=(X[:3], T[:3])), made(train=(X[::-1], T))):
        assert other.sha256() != same.sha256()


def bad(name: str, value: object, sentence: str):
    part, _, what = name.partition(", ")
    pair = {"images": (value, T), "targets": (X, value), "": value}[what]
    return pytest.param({part: pair}, sentence, id=sentence[:60])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        bad("train, images", 2 * X, "train, images: expected values from 0 to 1"),
        bad("train, images", X - 0.5, "train, images: expected values from 0 to 1"),
        bad("train, images", np.where(X > 0.5, np.nan, X), "train, images: NaN or infinite"),
        bad("test, images", np.where(X > 0.5, np.inf, X), "test, images: NaN or infinite"),
        bad("train, images", X + 0j, "train, images: expected real numbers, got complex"),
        bad("train, images", X > 0.5, "train, images: expected real numbers, got booleans"),
        bad("train, images", np.ma.masked_greater(X, 0.5), "train, images: .* masked entries"),
        bad("train, images", (X > 0.5).astype(np.uint8), r"bytes \(uint8\) are taken as 0 to 255"),
        bad("train, images", X[0], r"train, targets: expected one per image, \(8,\)"),
        bad("train, images", X[0, 0], r"train, images: expected the shape \(number, M\)"),
        bad("train, images", X[:0], "train, images: there are none|one per image"),
        bad("train, images", [X[0], X[1, :5]], r"different sizes, \(8, 8\) and \(5, 8\)"),
        bad("train, images", np.zeros((6, 8, 8, 3)), "channels before height and width"),
        bad("test, images", X[:, :5], r"test, images: .* \(8, 8\), got \(5, 8\)"),
        bad("train, targets", [0, 1, 3, 0, 1, 3], "train, targets: class 2 has no image"),
        bad("train, targets", [1, 2, 3, 1, 2, 3], "train, targets: class 0 has no image"),
        bad("train, targets", [0] * 6, "all images are of one class"),
        bad("train, targets", [-1, 0, 1, 0, 1, 2], "train, targets: expected whole numbers from 0"),
        bad("test, targets", [0, 1, 3, 0, 1, 2], "test, targets: .* from 0 to 2.*got 3"),
        bad("train, targets", T[:3], r"train, targets: expected one per image, \(6,\), got \(3,\)"),
        bad("train, targets", np.array(T, float), "targets of a regression are floats of shape"),
        bad("train, targets", np.array(T)[:, None], "targets of a regression are floats"),
        bad("train, targets", list("abcabc"), "train, targets: expected real numbers, got strings"),
        bad("test, targets", TARGETS, "test, targets: expected classes"),
        bad("train, targets", TARGETS, "test, targets: expected floats"),
        bad("train, targets", np.where(TARGETS > 0.5, np.nan, 1), "train, targets: NaN"),
        bad("train, targets", TARGETS[:4], r"train, targets: .*\(6, K\), got \(4, 2\)"),
        bad("train", X, r"train: expected a pair \(images, targets\)"),
        pytest.param({"name": ""}, "name: expected a non-empty string", id="name"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_sentence(changed, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        made(**changed)
    assert error.value.argument is not None
    assert "\n" not in str(error.value)


def test_targets_of_another_number_are_refused():
    with pytest.raises(InputError, match="test, targets: expected 2 targets per image"):
        made(train=(X, TARGETS), test=(X, TARGETS[:, :1]))


# --- files ---------------------------------------------------------------------------------------

ARRAYS = {"train_images": X, "train_targets": T, "test_images": X[:3], "test_targets": T[:3]}


def test_an_npz_file_holds_the_same_as_its_arrays(tmp_path):
    np.savez_compressed(tmp_path / "own.npz", **ARRAYS, notes=np.zeros(3))
    found = load_images(tmp_path / "own.npz")
    assert found.sha256() == made(test=(X[:3], T[:3])).sha256()
    assert load_images(str(tmp_path / "own.npz")).name == "own.npz"


@pytest.mark.parametrize("name", list(ARRAYS))
def test_an_npz_without_an_array_says_what_is_there(name, tmp_path):
    file = tmp_path / "own.npz"
    np.savez(file, notes=np.zeros(1), **{key: ARRAYS[key] for key in ARRAYS if key != name})
    with pytest.raises(InputError, match=f"own.npz: {name} is missing; .* found: notes"):
        load_images(file)


def test_an_npz_that_cannot_be_used_is_one_sentence(tmp_path):
    file = tmp_path / "own.npz"
    with pytest.raises(DataError, match="does not exist"):
        load_images(file)
    file.write_bytes(b"PK not an archive")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        load_images(file)
    np.savez(file, **{**ARRAYS, "train_targets": np.array([{}] * 6, dtype=object)})
    with pytest.raises(DataError, match="Object arrays cannot be loaded|pickle"):
        load_images(file)
    np.savez(file, **{**ARRAYS, "test_targets": [0, 1, 5]})
    with pytest.raises(InputError, match=r"own.npz: test_targets: expected classes|own.npz: test"):
        load_images(file)


def write_folders(root, colour: bool = False, size: tuple[int, int] = (6, 5)) -> None:
    """Write two classes, cats bright above and dogs bright below, (width, height) = size."""
    for part, number in (("train", 3), ("test", 2)):
        for name, rows in (("cat", slice(0, 2)), ("dog", slice(3, 5))):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(number):
                values = np.zeros((size[1], size[0], 3) if colour else size[::-1], np.uint8)
                values[rows] = 100 + index
                Image.fromarray(values).save(folder / f"{index}.png")


@pytest.mark.parametrize("colour", [False, True])
def test_a_folder_of_class_folders(colour, tmp_path):
    write_folders(tmp_path / "pets", colour)
    found = load_images(tmp_path / "pets")
    assert found.name == "pets"
    assert found.shape == ((3, 5, 6) if colour else (5, 6))
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    image = found.train.pixels[1].view(-1, 5, 6)[-1]
    expected = torch.zeros(5, 6)
    expected[:2] = 101 / 255
    assert torch.equal(image, expected)


def test_size_and_grey_of_a_folder_are_settings(tmp_path):
    write_folders(tmp_path / "my pets", colour=True)
    found = load_images(f'folder(path="{tmp_path}/my pets", size=10, grey=true)')
    assert found.shape == (10, 10)
    assert load_images(f"folder(path={tmp_path}/my pets)").shape == (3, 5, 6)
    assert load_images({"name": "folder", "path": f"{tmp_path}/my pets", "size": 4}).shape[1:] == (
        4,
        4,
    )
    with pytest.raises(UnknownNameError, match="path, size, grey"):
        load_images(f'folder(path="{tmp_path}", sise=3)')
    with pytest.raises(InputError, match="size: expected a whole number from 1"):
        load_images(f'folder(path="{tmp_path}", size=0)')
    with pytest.raises(InputError, match="the setting .path. is missing"):
        load_images("folder")


def test_folders_that_cannot_be_used_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"lay them out as train/CLASS/\*.png"):
        load_images(tmp_path)
    write_folders(tmp_path)
    Image.new("L", (9, 9)).save(tmp_path / "test" / "dog" / "9.png")
    sentence = r"different sizes: .*9\.png' has 9 x 9 .* 6 x 5; set a size"
    with pytest.raises(InputError, match=sentence):
        load_images(tmp_path)
    assert load_images(f'folder(path="{tmp_path}", size=7)').shape == (7, 7)
    (tmp_path / "test" / "dog" / "9.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"9\.png' cannot be read as an image"):
        load_images(tmp_path)
    (tmp_path / "test" / "dog" / "9.png").unlink()
    (tmp_path / "train" / "fish").mkdir()
    with pytest.raises(DataError, match="fish"):
        load_images(tmp_path)
    (tmp_path / "train" / "fish").rmdir()
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "wolf")
    with pytest.raises(InputError, match="class 'wolf' has test images and no training images"):
        load_images(tmp_path)


def test_a_function_of_ones_own_gives_data(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom ratenet.stimuli import ImageSet\n"
        "def made(number=4):\n"
        "    x, t = np.zeros((number, 3, 3)), np.arange(number) % 2\n"
        "    return ImageSet.from_arrays((x, t), (x, t))\n"
        "whole = made(6)\n"
        "nothing = 3\n"
    )
    assert len(load_images(f"{tmp_path}/mine.py:made").train) == 4
    assert len(load_images(f"{tmp_path}/mine.py:made(number=8)").train) == 8
    assert len(load_images(f"{tmp_path}/mine.py:whole").train) == 6
    with pytest.raises(InputError, match="expected a data set"):
        load_images(f"{tmp_path}/mine.py:nothing")
    with pytest.raises(UnknownNameError, match="absent"):
        load_images(f"{tmp_path}/mine.py:absent")


def test_unknown_data_say_what_there_is():
    with pytest.raises(UnknownNameError, match=r"did you mean 'kmnist'\? Available: mnist-5k"):
        load_images("kmnst")
    with pytest.raises(InputError, match="data: expected a data set"):
        load_images(3)
    with pytest.raises(InputError, match="data: expected one data set, got a sum"):
        load_images("0.5*mnist+0.5*kmnist")
    for name in ("", "a\0b", "a" * 900):
        with pytest.raises((InputError, UnknownNameError)) as error:
            load_images(name)
        assert "\n" not in str(error.value)


# --- colours -------------------------------------------------------------------------------------


def test_movements_keep_the_channels():
    colour = RNG.random((2, 3, 9, 9))
    given = made(train=(colour, [0, 1]), test=(colour, [0, 1])).train
    moved = Rotate(Still(given), period=1.0)
    assert moved.shape == (3, 9, 9)
    turned = moved.at(0.25).view(2, 3, 9, 9)
    for channel in range(3):
        one = made(train=(colour[:, channel], [0, 1]), test=(colour[:, channel], [0, 1])).train
        alone = Rotate(Still(one), period=1.0).at(0.25).view(2, 9, 9)
        torch.testing.assert_close(turned[:, channel], alone)


def test_pictures_of_one_and_of_three_channels():
    pixels = torch.arange(12.0) / 12
    assert picture(pixels, (3, 4)).shape == (3, 4)
    colour = picture(pixels, (3, 2, 2))
    assert colour.shape == (2, 2, 3)
    np.testing.assert_allclose(colour[0, 1], [1 / 12, 5 / 12, 9 / 12], rtol=1e-6)
    np.testing.assert_allclose(picture(pixels, (2, 2, 3))[0, 0], 3 / 12, rtol=1e-6)
    assert picture(pixels[:5], (5,)).shape == (1, 5)


def test_previews_are_in_colour_and_tell_targets():
    red = np.zeros((2, 3, 4, 4))
    red[:, 0] = 1.0
    targets = [[0.25, -1.0], [0.5, 2.0]]
    given = made(train=(red, targets), test=(red, targets)).train
    frame = draw_frame(Still(given), 0.0)
    assert frame.mode == "RGB"
    assert frame.getpixel((MARGIN + 3, MARGIN + 3)) == (255, 0, 0)
    grey = made(train=(red[:, :1], [0, 1]), test=(red[:, :1], [0, 1])).train
    frame = draw_frame(Still(grey), 0.0)
    assert (frame.mode, frame.getpixel((MARGIN + 3, MARGIN + 3))) == ("L", 255)


def test_targets_are_shown_with_their_images_and_hidden_in_gaps():
    given = made(train=(X, TARGETS), test=(X, TARGETS)).train
    shown = HeldImages(given, 2, dwell=0.1, fade=0.02, gap=0.05, shuffle=False)
    assert torch.equal(shown.labels_at(0.05), given.labels[:2])
    assert shown.labels_at(0.16).isnan().all()  # 0.02 + 0.1 + 0.02, then the gap
    assert torch.equal(shown.labels_at(0.25), given.labels[2:4])
