"""Runs of one's own data: recorded, resumed with the same images only, judged by what they have."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError
from ratenet.stimuli import ImageSet
from ratenet.training.config_file import read_options
from ratenet.validation import read_toml

RNG = np.random.default_rng(3)
MIX = RNG.normal(size=(25, 2)) / 5
SHARED = {"units": 12, "batch_size": 20, "presentation": "static", "learning_rate": 0.02}


def arrays(number: int, *, classes: bool = False):
    """Return images of 5 x 5 pixels, and two sums of them or the larger one of the two."""
    x = RNG.random((number, 5, 5))
    sums = (x.reshape(number, -1) - 0.5) @ MIX
    return x, sums.argmax(axis=1) if classes else sums


@pytest.fixture(scope="module")
def regression() -> ImageSet:
    return ImageSet.from_arrays(train=arrays(60), test=arrays(20), name="sums")


def squared(outputs, targets):
    return ((outputs - targets) ** 2).sum(dim=1) / 2


def test_a_regression_is_judged_by_its_loss(regression, tmp_path, pictures):
    config = rn.TrainingConfig(
        data=regression, epochs=4, validation=20, evaluate_every=1, learn=("read-out",), **SHARED
    )
    result = rn.train(config, out=tmp_path / "run")
    summary, metrics = result.summary, result.metrics
    assert summary["data"] == "sums"
    assert summary["test_loss"] < 0.7 * summary["control_loss"]
    assert summary["best_validation_loss"] == metrics["validation_loss"].min()
    assert not any("accuracy" in name for name in (*summary, *metrics.columns))
    assert metrics["test_loss"].iloc[-1] == pytest.approx(summary["test_loss"])
    run = rn.load_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"images: expected images of the shape \(5, 5\), or 25"):
        run.answer(np.zeros((2, 4, 5)))
    outputs = run.answer(regression.test)
    expected = squared(outputs.double(), regression.test.labels).mean()
    assert summary["test_loss"] == pytest.approx(float(expected), rel=1e-5)
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == {
        "learning_curve.png",
        "learning_curve-figure.csv",
        "digits.png",
        "digits-figure.csv",
    }


def test_patience_waits_for_the_loss_to_fall(regression, tmp_path):
    config = rn.TrainingConfig(
        data=regression, epochs=30, validation=20, patience=1, **{**SHARED, "learning_rate": 1e-9}
    )
    result = rn.train(config, out=tmp_path / "run")
    assert result.summary["steps"] < 60
    assert "the validation loss has not fallen below" in result.summary["reason"]


@pytest.mark.parametrize(
    "layers", [(), ({"kind": "fixed-point", "units": 12}, {"kind": "read-out"})]
)
def test_a_function_trains_as_the_loss_of_the_same_formula(layers, regression, tmp_path):
    shared = {name: SHARED[name] for name in SHARED if not layers or name != "units"}
    found = [
        rn.train(
            rn.TrainingConfig(
                data=regression, loss=loss, epochs=2, layers=layers, dtype="float64", **shared
            ),
            out=tmp_path / str(number),
        ).metrics["train_loss"]
        for number, loss in enumerate(("squared-error", squared))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_classes_with_squared_error_have_an_accuracy(tmp_path):
    images = ImageSet.from_arrays(arrays(60, classes=True), arrays(20, classes=True))
    config = rn.TrainingConfig(data=images, loss="squared-error", epochs=5, **SHARED)
    summary = rn.train(config, out=tmp_path / "run").summary
    assert summary["test_accuracy"] >= summary["control_accuracy"]
    assert summary["test_loss"] < 0.6


def test_a_run_of_arrays_goes_on_with_the_same_arrays_only(regression, tmp_path):
    out, whole = tmp_path / "run", tmp_path / "whole"
    rn.train(rn.TrainingConfig(data=regression, epochs=1, **SHARED), out=out)
    table = read_toml(out / "config.toml")["data"]
    assert table == {
        "name": "sums",
        "shape": [5, 5],
        "targets": 2,
        "train": 60,
        "test": 20,
        "sha256": regression.sha256(),
    }
    with pytest.raises(InputError, match="data: recorded is '<sums>'.* give the data again"):
        rn.resume(out, {"epochs": 2})
    other = ImageSet.from_arrays(train=arrays(60), test=arrays(20), name="sums")
    with pytest.raises(InputError, match="data: expected the images that the run was started with"):
        rn.resume(out, {"epochs": 2, "data": other})
    resumed = rn.resume(out, {"epochs": 2, "data": regression})
    straight = rn.train(rn.TrainingConfig(data=regression, epochs=2, **SHARED), out=whole)
    pd.testing.assert_frame_equal(resumed.metrics, straight.metrics)
    solved, slow = rn.evaluate(out, data=regression)
    assert slow is None
    assert solved.accuracy is None
    assert solved.confusion is None
    assert solved.loss == pytest.approx(resumed.summary["test_loss"])


def test_a_run_of_a_file_reads_it_again_and_checks_it(tmp_path, monkeypatch):
    file, out = tmp_path / "own.npz", tmp_path / "run"
    names = ("train_images", "train_targets", "test_images", "test_targets")

    def write(*given) -> None:
        np.savez(file, **dict(zip(names, given, strict=True)))

    first = (*arrays(60), *arrays(20))
    write(*first)
    monkeypatch.chdir(tmp_path)
    rn.train(rn.TrainingConfig(data="own.npz", epochs=1, **SHARED), out=out)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert rn.resume(out, {"epochs": 2}).summary["epochs"] == 2
    write(*arrays(60), *arrays(20))
    with pytest.raises(InputError, match="data: expected the images .* SHA-256"):
        rn.resume(out, {"epochs": 3})
    assert rn.load_run(out).answer(first[2]).shape == (20, 2)  # needs no data
    file.rename(tmp_path / "moved.npz")
    with pytest.raises(OSError, match=r"own.npz' does not exist"):
        rn.resume(out, {"epochs": 3})
    file = tmp_path / "moved.npz"
    write(*first)
    assert rn.resume(out, {"epochs": 3, "data": str(file)}).summary["epochs"] == 3


def test_data_that_a_run_folder_names_is_not_imported_by_itself(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom pathlib import Path\nfrom ratenet.stimuli import ImageSet\n"
        "Path(__file__).with_name('ran').touch()\n"
        "def made():\n"
        "    x, t = np.linspace(0, 1, 160).reshape(40, 2, 2), np.arange(40) % 2\n"
        "    return ImageSet.from_arrays((x, t), (x, t))\n"
    )
    data, out = f"{tmp_path}/mine.py:made", tmp_path / "run"
    rn.train(rn.TrainingConfig(data=data, epochs=1, **SHARED), out=out)
    (tmp_path / "ran").unlink()
    with pytest.raises(InputError, match="is not imported by itself; give the data again"):
        rn.resume(out, {"epochs": 2})
    with pytest.raises(InputError, match="is not imported by itself"):
        rn.train(rn.TrainingConfig(**read_options(out / "config.toml")), out=tmp_path / "again")
    assert rn.load_run(out).config.data == data
    assert not (tmp_path / "ran").exists()
    assert rn.resume(out, {"epochs": 2, "data": data}).summary["epochs"] == 2


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"data": 3}, "data: expected a data set"),
        ({"data": (np.zeros((3, 2, 2)), [0, 1, 0])}, "data: expected a data set.*from_arrays"),
        ({"data": "missing.npz"}, "missing.npz' does not exist"),
        ({"data": "emnist(split=capitals)"}, "capitals"),
        ({"loss": "cross-entropy"}, "loss: 'cross-entropy' requires classes"),
        ({"loss": lambda z, t: z.mean()}, "loss: expected one number per sample"),
        ({"loss": "hinge"}, "'hinge'; available: cross-entropy, squared-error"),
        ({"validation": 60}, "validation: expected fewer than the 60 training images"),
        ({"batch_size": 61}, "batch_size: expected at most the 60 training images"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(changed, sentence, regression, tmp_path):
    with pytest.raises((InputError, OSError, KeyError), match=sentence):
        rn.train(rn.TrainingConfig(**{"data": regression, **SHARED, **changed}), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_images_in_colour_train_a_convolutional_stack(tmp_path):
    x = torch.as_tensor(RNG.random((40, 3, 6, 6)))
    labels = (x[:, 0].mean(dim=(1, 2)) > x[:, 1].mean(dim=(1, 2))).long()
    images = ImageSet.from_arrays(train=(x, labels), test=(x[:20], labels[:20]), name="colour")
    layers = (
        {"kind": "convolutional", "channels": 2, "stride": 2},
        {"kind": "read-out"},
    )
    config = rn.TrainingConfig(
        data=images, layers=layers, epochs=1, batch_size=20, presentation="static"
    )
    result = rn.train(config, out=tmp_path / "run")
    assert tuple(result.classifier.layer1.read_in.weight.shape[:2]) == (2, 3)
    answers = rn.load_run(tmp_path / "run").answer(x[:4])
    assert answers.shape == (4, 2)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["data"] == "colour"
