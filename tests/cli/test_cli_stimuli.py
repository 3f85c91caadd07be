"""``ratenet stimuli``: the list, the speed, the preview, and mistakes in one sentence."""

import sys

import numpy as np
import pytest
from PIL import Image

from ratenet.cli import main
from ratenet.report.preview import FRAMES, draw_frame
from ratenet.stimuli import Images, load_images, stimulus_named, stimulus_names


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
        (("nope",), "There is no stimulus 'nope'; there are hold-and-fade"),
        (("drift", "--period", 0), "period: expected a finite time above 0, got 0.0"),
        (("drift", "--tau", -1), "tau: expected a finite time above 0, got -0.001"),
        (("drift", "--seed", -1), "seed: -1 is no whole number"),
        (("drift", "--data", "cifar"), "There is no data set 'cifar'"),
        (("drift", "--preview", "x.png"), "'x.png' does not end in .gif"),
        (("--preview", "x.gif"), "preview: say of which stimulus"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence, ratenet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = ratenet("stimuli", *arguments)
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_sentence(ratenet, tmp_path):
    code, _, error = ratenet("stimuli", "drift", "--preview", tmp_path / "no" / "x.gif")
    assert code == 2
    assert "cannot be written" in error
