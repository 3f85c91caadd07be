"""The animation of settling: its numbers are the library's, its files small and playable."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.report import settling
from ratenet.report.animation import FRAME_TIME, write_animation
from ratenet.report.settling import SettlingPicture, animate_settling, follow
from ratenet.stimuli import ReadIn, stimulus_named

PERIOD, TAU = 0.15, 0.01


@pytest.fixture
def scene(few_digits, monkeypatch):
    """Return a stimulus, a network with its read-in, and what `follow` makes of them."""
    monkeypatch.setattr(settling, "FRAMES", 15)
    stimulus = stimulus_named("hold-and-fade", rn.stimuli.load_images("mnist-5k").train, 1, PERIOD)
    generator = torch.Generator().manual_seed(0)
    read_in = torch.randn(20, 784, generator=generator).double() / 28
    W = 0.5 * torch.randn(20, 20, generator=generator).double() / math.sqrt(20)
    network = rn.Network("rate", W, parameters={"tau": TAU})
    return stimulus, network, read_in, follow(network, read_in, stimulus, 3 * PERIOD)


def test_rates_are_those_of_a_simulation_and_circles_fixed_points(scene):
    stimulus, network, read_in, found = scene
    drive = ReadIn(stimulus, read_in)
    run = rn.simulate(network, drive, 3 * PERIOD, TAU / 20, record_every=60)
    torch.testing.assert_close(found.rates, run.rates, rtol=0, atol=1e-10)
    targets = rn.find_fixed_points(network, torch.cat([drive.at(float(t)) for t in run.t]))
    picture = SettlingPicture(found, stimulus)
    picture.set(9)
    for unit, (rate, target, dot, circle) in zip(picture.units, picture._lines, strict=True):
        np.testing.assert_allclose(rate.get_ydata(), run.rates[:10, 0, unit], atol=1e-10)
        np.testing.assert_allclose(target.get_ydata(), targets.rates[:10, unit], atol=1e-8)
        np.testing.assert_allclose(dot.get_xydata(), [[270, run.rates[9, 0, unit]]])
        np.testing.assert_allclose(circle.get_xydata(), [[270, targets.rates[9, unit]]], atol=1e-8)
    distance = (run.rates[9, 0] - targets.rates[9]).norm() / targets.rates[9].norm()
    assert picture._distance[1].get_ydata()[0] == pytest.approx(100 * float(distance), rel=1e-5)
    pixels = stimulus.at(9 * 0.03)[0].view(28, 28)
    np.testing.assert_array_equal(picture._image.get_array(), pixels)


def test_units_are_those_whose_fixed_points_move_most(scene):
    stimulus, _, _, found = scene
    targets = (found.rates - found.lag)[:, 0]
    moved = targets.amax(dim=0) - targets.amin(dim=0)
    shown = SettlingPicture(found, stimulus).units
    others = [unit for unit in range(20) if unit not in shown]
    assert len(shown) == 5
    assert moved[shown].min() >= moved[others].max()


def test_a_gap_where_there_is_no_fixed_point(few_digits, monkeypatch):
    monkeypatch.setattr(settling, "FRAMES", 6)
    stimulus = stimulus_named("hold-and-fade", rn.stimuli.load_images("mnist-5k").train, 1, 0.03)
    turning = rn.Network("rate", [[2.0, -4.0], [4.0, 2.0]], parameters={"tau": TAU})
    found = follow(turning, torch.zeros(2, 784).double(), stimulus, 0.09)
    assert found.lag.isnan().all()
    assert np.asarray(SettlingPicture(found, stimulus).frame(5)).shape == (400, 700, 3)


def test_gif_is_small_and_moves(scene, tmp_path):
    stimulus, _, _, found = scene
    place = tmp_path / "x.gif"
    animate_settling(found, stimulus, place)
    assert place.stat().st_size < 1_000_000 * 15 / 90
    with Image.open(place) as animation:
        assert (animation.n_frames, animation.size) == (15, (700, 400))
        assert animation.info["duration"] == FRAME_TIME
        first = np.asarray(animation.convert("RGB"), dtype=float)
        animation.seek(14)
        assert abs(np.asarray(animation.convert("RGB")) - first).max() > 200


def test_mp4_is_a_video_with_even_sides(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    frames = [Image.new("RGB", (71, 40), colour) for colour in ("white", "red", "blue")]
    place = tmp_path / "x.mp4"
    write_animation(frames, place)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    video = subprocess.run([ffmpeg, "-v", "error", "-i", place, *raw], capture_output=True)
    shown = np.frombuffer(video.stdout, np.uint8).reshape(3, 40, 72, 3)
    np.testing.assert_allclose(
        shown[:, 20, 30].astype(float), [[255] * 3, [254, 0, 0], [0, 0, 254]], atol=6
    )


def test_mp4_without_imageio_ffmpeg_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ratenet\[video\]'"):
        write_animation([Image.new("RGB", (8, 8))], tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


def test_what_would_take_too_long_is_refused(scene):
    stimulus, network, read_in, _ = scene
    with pytest.raises(InputError, match="expected a time of at most 10,000 of the network's"):
        follow(network, read_in, stimulus, 1e4 * TAU + 1)
    with pytest.raises(InputError, match="ReadIn, weights"):
        follow(network, read_in[:, :5], stimulus, 0.1)
