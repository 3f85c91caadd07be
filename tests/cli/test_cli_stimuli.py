"""``ratenet stimuli``: the list, the speed, the preview, and mistakes in one sentence."""

import sys

import numpy as np
import pytest
from PIL import Image

from ratenet.cli import main
from ratenet.report.preview import FRAMES, draw_frame
from ratenet.stimuli import Images, load_images, stimulus_named, stimulus_names
from ratenet.training import TrainingConfig, train


@pytest.fixture
def ratenet(monkeypatch, capsys, few_digits):
    """Return a function that runs a command here; it returns exit code, output and error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code, said.out, said.err

    return run


def test_without_a_name_all_are_listed(ratenet):
    code, said, _ = ratenet("stimuli")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == list(stimulus_names())
    assert all("period: " in line for line in said.splitlines())


def test_speed_is_stated(ratenet):
    code, said, _ = ratenet("stimuli", "hold-and-fade", "--period", 200, "--tau", 20)
    assert code == 0
    assert "T        200 ms" in said
    assert "tau / T  0.1 for tau = 20 ms" in said


def test_preview_is_an_animation_that_moves(ratenet, tmp_path):
    out = tmp_path / "new.gif"
    code, said, _ = ratenet("stimuli", "shear", "--preview", out, "--seed", 3)
    assert code == 0
    assert str(out) in said
    with Image.open(out) as animation:
        assert animation.n_frames == FRAMES
        frames = []
        for n in (0, 8, 30):
            animation.seek(n)
            frames.append(np.asarray(animation.convert("L"), dtype=float))
    assert frames[0].max() > 200  # digits are bright
    assert abs(frames[1] - frames[0]).mean() > 5  # slanted
    # Three periods in 90 frames: after 30 all is as it was, but for the time below.
    assert abs(frames[2] - frames[0])[:-30].mean() < 1


@pytest.mark.parametrize("name", stimulus_names())
def test_each_named_stimulus_can_be_drawn(name):
    digits = load_images("mnist-5k").train
    stimulus = stimulus_named(name, Images(digits.pixels[:50], digits.labels[:50]), 4, 0.3, seed=1)
    frame = np.asarray(draw_frame(stimulus, 0.11))
    assert frame.max() > 200
    assert frame.shape[1] > 4 * stimulus.shape[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nope",), "Unknown stimulus 'nope'; available: hold-and-fade"),
        (("drift", "--period", 0), "period: expected a time from 1e-06 to 1e+12 ms, got 0.0"),
        (("drift", "--tau", -1), "tau: expected a time from 1e-06 to 1e+12 ms, got -1.0"),
        (("drift", "--seed", -1), "seed: expected a whole number from 0 to"),
        (("drift", "--data", "cifar"), "Unknown data set 'cifar'"),
        (("drift", "--preview", "x.png"), "expected a name that ends in .gif or .mp4, got 'x.png'"),
        (("--preview", "x.gif"), "preview: name the stimulus too"),
        (("--period", 3), "period: name the stimulus too"),
        (("drift", "--overwrite"), "overwrite: without --preview or --settling no file"),
        (("drift", "--settling", "x.png"), "settling: expected a name that ends in .gif or .mp4"),
        (("drift", "--settling", "no/x.mp4"), "settling: 'no/x.mp4' cannot be written"),
        (("drift", "--settling", ""), "settling: expected the path of a file or folder, got ''"),
        (("drift", "--settling", "x.gif", "--run", "no"), "'no' holds no run"),
        (("drift", "--run", "no"), "run: its network is drawn with --settling FILE only"),
        (("drift", "--settling", "x.gif", "--run", "no", "--tau", 3), "tau: the run has its own"),
        (("drift", "--settling", "x.gif", "--tau", 1e-3), "duration: expected a time of at most"),
        (("drift", "--period", 1e-320), "period: expected a time from 1e-06"),
        (("drift", "--period", "nan"), "period: expected a time from 1e-06"),
        (("drift", "--preview", ""), "preview: expected the path of a file or folder, got ''"),
        (("drift", "--preview", "no/x.gif"), "preview: 'no/x.gif' cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence, ratenet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = ratenet("stimuli", *arguments)
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_settling_is_drawn_for_random_weights_and_for_a_run(ratenet, tmp_path, monkeypatch):
    monkeypatch.setattr("ratenet.report.settling.FRAMES", 4)
    random, trained = tmp_path / "random.gif", tmp_path / "trained.gif"
    code, said, _ = ratenet("stimuli", "morphing", "--period", 150, "--settling", random)
    assert code == 0
    assert f"settling {random}" in said
    config = TrainingConfig(epochs=1, units=12, batch_size=50, presentation="static", tau=0.02)
    train(config, out=tmp_path / "run")
    code, said, _ = ratenet(
        "stimuli", "morphing", "--period", 150, "--settling", trained, "--run", tmp_path / "run"
    )
    assert code == 0
    assert "for tau = 20 ms" in said
    assert random.read_bytes() != trained.read_bytes()


def test_a_preview_replaces_nothing_unless_told(ratenet, tmp_path, monkeypatch):
    place = tmp_path / "x.gif"
    place.write_text("precious")
    code, _, error = ratenet("stimuli", "drift", "--preview", place)
    assert code == 2
    assert "exists already; choose another name, or replace it with --overwrite" in error
    assert place.read_text() == "precious"
    monkeypatch.setattr("ratenet.report.preview.FRAMES", 2)
    assert ratenet("stimuli", "drift", "--preview", place, "--overwrite")[0] == 0
    assert place.read_bytes().startswith(b"GIF")
