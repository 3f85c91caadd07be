"""Stimuli that change in time, each against an independent answer."""

import math

import numpy as np
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError
from ratenet.stimuli import (
    Contrast,
    Drift,
    GammaDwell,
    HeldImages,
    Images,
    MovingMNIST,
    ReadIn,
    Rotate,
    Scale,
    Shear,
    Still,
    Walk,
)
from ratenet.stimuli.ornstein_uhlenbeck import OrnsteinUhlenbeck

SIDE = 8
ROUNDING = 1e-5  # float32 coordinates of up to 14 pixels, and 16 products of the interpolation


def images(number=12, side=SIDE, dtype=torch.float32) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(number, side * side, generator=generator).to(dtype)
    return Images(pixels, torch.arange(number) % 10)


def framed(number=3, side=28) -> Images:
    """Return smooth images that are 0 at the border, so that nothing leaves the frame."""
    place = torch.arange(side) - side / 2 + 0.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    blobs = [torch.exp(-((x - b) ** 2 + (y + 1) ** 2) / 12).flatten() for b in range(number)]
    return Images(torch.stack(blobs), torch.arange(number))


def shown(stimulus, t) -> torch.Tensor:
    return stimulus.at(t).view(-1, *stimulus.shape)


EVERY = {
    "still": lambda seed: Still(images()),
    "held": lambda seed: HeldImages(images(), 3, 0.1, 0.02, seed=seed),
    "gaps": lambda seed: HeldImages(images(), 3, 0.1, 0.02, 0.05, "raised-cosine", seed),
    "random dwell": lambda seed: HeldImages(images(), 3, GammaDwell(0.1, 0.05), 0.02, seed=seed),
    "drift": lambda seed: Drift(Still(images()), 0.3, direction=30),
    "rotate": lambda seed: Rotate(Still(images()), 0.3),
    "scale": lambda seed: Scale(Still(images()), 0.3),
    "shear": lambda seed: Shear(Still(images()), 0.3),
    "contrast": lambda seed: Contrast(Still(images()), 1.0, 0.3, 0.05, seed),
    "walk": lambda seed: Walk(images(), 3, 0.05, components=5, seed=seed),
    "moving digits": lambda seed: MovingMNIST(images(side=28), 3, 0.2, seed=seed),
    "composition": lambda seed: Contrast(
        Rotate(HeldImages(images(), 3, 0.1, 0.02, seed=seed), 0.3), 1.0, 0.3, 0.05, seed
    ),
}
SEEDED = ("held", "gaps", "random dwell", "contrast", "walk", "moving digits", "composition")


@pytest.mark.parametrize("name", EVERY)
def test_a_stimulus_is_a_function_of_the_time(name):
    times = [0.0, 0.31, 0.07, 3.9, 0.31, 0.0701]
    once, again = EVERY[name](1), EVERY[name](1)
    there = {t: once.at(t) for t in sorted(times)}
    for t in times:  # in another order
        assert torch.equal(again.at(t), there[t])
        assert torch.equal(again.labels_at(t), once.labels_at(t))
    assert there[0.0].dtype == torch.float32
    assert there[0.0].shape[1] == math.prod(once.shape)
    assert len(once.labels_at(0.0)) == len(there[0.0])


@pytest.mark.parametrize("name", SEEDED)
def test_another_seed_is_another_stimulus(name):
    assert not torch.equal(EVERY[name](1).at(0.31), EVERY[name](2).at(0.31))


@pytest.mark.parametrize(
    ("name", "T"),
    [
        ("held", 0.12), ("gaps", 0.19), ("random dwell", 0.12), ("rotate", 0.3 / 2 / math.pi),
        ("drift", 0.3 / 2 / math.pi), ("contrast", 0.05), ("walk", 0.05), ("still", math.inf),
        ("moving digits", 0.2 / 2 / math.pi), ("composition", 0.3 / 2 / math.pi),
    ],
)  # fmt: skip
def test_time_scale_and_speed(name, T):
    stimulus = EVERY[name](0)
    assert stimulus.time_scale == pytest.approx(T, rel=1e-12)
    assert stimulus.speed(0.01) == pytest.approx(0.01 / T, rel=1e-12)


# --- Held images --------------------------------------------------------------------------------


def test_images_follow_one_another_with_their_labels():
    given = images()
    stimulus = HeldImages(given, streams=4, dwell=0.08, fade=0.02, seed=5)
    seen = []
    for k in range(6):  # two epochs of three
        label = stimulus.labels_at(0.1 * k + 0.05)
        held = stimulus.at(0.1 * k + 0.05)
        assert torch.equal(held, given.pixels[label + 10 * (held != given.pixels[label]).any(1)])
        half = 0.5 * (held + (seen[-1][1] if seen else 0.0))
        assert torch.allclose(stimulus.at(0.1 * k + 0.01), half, atol=1e-6)
        seen.append((label, held))
    first_epoch = torch.cat([held for _, held in seen[:3]])
    assert len(first_epoch.unique(dim=0)) == 12  # each image once


@pytest.mark.parametrize("dwell", [0.08, GammaDwell(0.08, 0.02)])
def test_a_fade_goes_from_one_image_to_the_next(dwell):
    stimulus = HeldImages(images(), 1, dwell, 0.02, profile="raised-cosine", seed=5)
    begin = float(stimulus._showing(0.15).begin[0])
    before, after = stimulus.at(begin - 1e-4), stimulus.at(begin + 0.02)
    for t in (0.0, 0.005, 0.013, 0.02):
        weight = math.sin(math.pi * t / 0.04) ** 2
        assert torch.allclose(stimulus.at(begin + t), torch.lerp(before, after, weight), atol=1e-6)


def test_gaps_are_blank_and_without_a_label():
    stimulus = HeldImages(images(), 4, dwell=0.1, fade=0.0, gap=0.05, seed=1)
    for k in range(4):
        assert (stimulus.labels_at(0.15 * k) >= 0).all()
        assert (stimulus.at(0.15 * k + 0.099).sum(dim=1) > 0).all()
        assert (stimulus.labels_at(0.15 * k + 0.1) == -1).all()
        assert stimulus.at(0.15 * k + 0.101).abs().max() == 0


def test_no_fade_is_a_step_on_the_grid_of_a_simulation():
    stimulus = HeldImages(images(), 2, dwell=0.1, seed=0)
    times = [n * 0.0001 for n in range(20_000)]  # rounded like the times of a simulation
    labels = torch.stack([stimulus.labels_at(t) for t in times[::50]])
    jumps = torch.nonzero((labels[1:] != labels[:-1]).any(dim=1))[:, 0] + 1
    assert (jumps * 50 % 1000 == 0).all()


@pytest.mark.parametrize(("mean", "sd"), [(0.2, 0.1), (0.1, 0.1)])
def test_random_dwells_have_their_mean_and_sd(mean, sd):
    stimulus = HeldImages(images(200), 100, GammaDwell(mean, sd), seed=3)
    stimulus.at(60 * mean)
    begins = stimulus._begins.block(0).numpy()
    dwell = np.diff(begins, axis=0)
    # 25,600 draws: standard error sd / 160 of the mean, below 1.5 % of the sd
    assert dwell.mean() == pytest.approx(mean, abs=5 * sd / 160)
    assert dwell.std() == pytest.approx(sd, rel=0.06)
    assert abs(np.corrcoef(dwell[1:].ravel(), dwell[:-1].ravel())[0, 1]) < 5 / 160


def test_random_dwells_go_on_beyond_a_block():
    stimulus = HeldImages(images(12), 3, GammaDwell(0.01, 0.02), seed=3)
    number, begin, end = stimulus._places(12.0)  # about 1,200 images, more than four blocks
    assert (number > 800).all()
    assert ((begin <= 12.0) & (end > 12.0)).all()
    begins = torch.cat([stimulus._begins.block(n)[:-1] for n in range(8)])
    assert torch.equal((begins <= 12.0).sum(dim=0) - 1, number)


# --- Movements ----------------------------------------------------------------------------------


@pytest.mark.parametrize("quarter", [0, 1, 2, 3, 4])
def test_a_quarter_turn_is_rot90(quarter):
    stimulus = Rotate(Still(images()), period=0.4)
    expected = torch.rot90(images().pixels.view(-1, SIDE, SIDE), quarter, dims=(1, 2))
    assert torch.allclose(shown(stimulus, 0.1 * quarter), expected, atol=ROUNDING)


@pytest.mark.parametrize(("direction", "shift"), [(0, (0, 1)), (90, (-1, 0)), (180, (0, -1))])
def test_drift_by_whole_pixels_is_a_roll(direction, shift):
    stimulus = Drift(Still(images()), period=0.8, direction=direction)  # 0.1 s a pixel
    given = images().pixels.view(-1, SIDE, SIDE)
    for pixels in (0, 1, 3, 5, 8, 13):
        expected = torch.roll(given, (pixels * shift[0], pixels * shift[1]), dims=(1, 2))
        assert torch.allclose(shown(stimulus, 0.1 * pixels), expected, atol=ROUNDING)


def test_scale_and_shear_move_a_blob_where_they_say():
    given = framed()
    sizes = [
        (shown(stimulus, t) ** 2).sum(dim=(1, 2)).sqrt()
        for stimulus in (Scale(Still(given), period=0.4, factor=1.5),)
        for t in (0.0, 0.1, 0.3)
    ]
    # A blob that is s times as wide has s times the root of its integrated square.
    assert torch.allclose(sizes[1] / sizes[0], torch.tensor(1.5), rtol=1e-2)
    assert torch.allclose(sizes[2] / sizes[0], torch.tensor(1 / 1.5), rtol=1e-2)
    slanted = shown(Shear(Still(given), period=0.4, amount=0.5), 0.1)
    column = torch.arange(28) - 13.5
    centre = (slanted * column).sum(dim=(1, 2)) / slanted.sum(dim=(1, 2))
    assert torch.allclose(centre, torch.tensor([0.0, 1.0, 2.0]) + 0.5, atol=1e-2)  # 1 px above


@pytest.mark.parametrize("make", [Drift, Rotate, Scale, Shear])
def test_movements_have_a_continuous_velocity(make):
    stimulus = make(Still(images(side=14)), period=1.0)
    times = torch.linspace(0.0, 0.1, 2001).tolist()
    frames = torch.stack([stimulus.at(t).double() for t in times])
    velocity = frames.diff(dim=0)
    jump = velocity.diff(dim=0).abs().max() / velocity.abs().max()
    assert jump < 0.05  # with linear interpolation it is above 1


# --- Ornstein-Uhlenbeck -------------------------------------------------------------------------


def test_ornstein_uhlenbeck_statistics():
    process = OrnsteinUhlenbeck((400,), time_constant=0.05, kind="test", seed=1)
    values = torch.stack([process.at(0.01 * n) for n in range(1000)]).numpy()  # 200 T
    # 400 x 200 T / (2 T) = 40,000 independent values: standard error 0.005
    assert values.mean() == pytest.approx(0.0, abs=0.025)
    assert values.var() == pytest.approx(1.0, abs=0.04)
    for steps in (1, 5, 15):
        correlation = (values[steps:] * values[:-steps]).mean()
        assert correlation == pytest.approx(math.exp(-0.01 * steps / 0.05), abs=0.03)


def test_ornstein_uhlenbeck_is_linear_between_grid_points():
    process = OrnsteinUhlenbeck((3,), time_constant=0.2, kind="test", seed=1)  # grid of 1 ms
    middle = 0.5 * (process.at(0.255) + process.at(0.256))  # across two blocks
    assert torch.allclose(process.at(0.2555), middle, atol=1e-12)


def test_contrast_multiplies_and_is_clipped():
    stimulus = Contrast(Still(images(200)), mean=0.5, sd=0.5, time_constant=0.02, seed=2)
    factors = torch.stack([stimulus.contrast_at(0.02 * n) for n in range(200)])
    assert factors.min() == 0.0
    # The mean of max(0, X) for X ~ N(m, s^2) is m Phi(m / s) + s phi(m / s).
    expected = 0.5 * 0.8413447 + 0.5 * 0.2419707
    assert float(factors.mean()) == pytest.approx(expected, abs=0.02)
    product = stimulus.contrast_at(0.07).float() * images(200).pixels
    assert torch.equal(stimulus.at(0.07), product)


def test_processes_of_two_kinds_are_independent_with_one_seed():
    given = images(2)
    contrast = Contrast(Still(given), 1.0, 0.1, 0.05, seed=0)._process.at(0.0)
    walk = Walk(given, 2, 0.05, components=1, seed=0)._process.at(0.0)
    assert not torch.allclose(contrast, walk)


def test_walk_has_mean_and_covariance_of_the_images():
    few = images(100)
    few = Images(few.pixels @ torch.diag(torch.linspace(0.1, 1.0, SIDE * SIDE)), few.labels)
    walk = Walk(few, streams=2000, time_constant=0.05, components=20, seed=0)
    pixels = walk.at(0.02).double().numpy()
    given = few.pixels.double().numpy()
    values, vectors = np.linalg.eigh(np.cov(given.T, bias=True))
    projected = (pixels - given.mean(axis=0)) @ vectors[:, ::-1]
    # 2,000 streams: standard error 3 % of each variance, 2 % of each sd in the mean
    assert projected[:, :20].var(axis=0) == pytest.approx(values[::-1][:20], rel=0.2)
    assert abs(projected[:, :20].mean(axis=0) / np.sqrt(values[::-1][:20])).max() < 0.12
    assert abs(projected[:, 20:]).max() < 1e-4  # float32 pixels
    assert (walk.labels_at(0.0) == -1).all()


# --- Moving digits ------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "side"), [(64, 28), (28, 12), (96, 42)])
def test_digits_stay_in_the_frame_and_bounce(size, side):
    moving = MovingMNIST(images(side=28), streams=20, period=0.1, size=size, seed=4)
    places = torch.stack([moving.places_at(0.001 * n) for n in range(3000)])
    assert places.min() >= 0.0
    assert places.max() <= size - side
    assert moving.at(0.5).shape == (20, size * size)
    speed = places.diff(dim=0) / 0.001
    straight = (speed[1:] - speed[:-1]).abs().amax(dim=-1) < 1e-6
    size_of = speed[1:].norm(dim=-1)[straight] * 0.1 / side  # of the mean speed
    assert 0.5 - 1e-6 <= size_of.min() < size_of.max() <= 1.5 + 1e-6
    turned = speed.sign().diff(dim=0).abs().sum(dim=(0, 1, 2)) / 2
    assert (turned > 0).all()


def test_a_digit_is_drawn_where_it_is():
    given = Images(torch.ones(1, 28 * 28), torch.tensor([7]))
    moving = MovingMNIST(given, streams=5, period=0.1, seed=0)
    frames, places = shown(moving, 0.04), moving.places_at(0.04)
    for frame, corners in zip(frames, places, strict=True):
        inside = torch.zeros(64, 64, dtype=torch.bool)
        outside = torch.ones(64, 64, dtype=torch.bool)
        for x, y in corners.tolist():  # within two pixels of its edge a digit is interpolated
            rows, columns = (slice(math.ceil(v) + 2, math.floor(v) + 26) for v in (y, x))
            inside[rows, columns] = True
            rows, columns = (slice(max(0, math.floor(v) - 2), math.ceil(v) + 30) for v in (y, x))
            outside[rows, columns] = False
        assert frame[inside].min() >= 1 - ROUNDING
        assert frame[outside].abs().max() <= ROUNDING
    assert moving.labels_at(0.0).tolist() == [[7, 7]] * 5


# --- As a drive ---------------------------------------------------------------------------------


def test_read_in_is_the_product():
    stimulus = Rotate(HeldImages(images(), 3, 0.1, 0.02), 0.3)
    weights = torch.randn(5, SIDE * SIDE, dtype=torch.float64)
    drive = ReadIn(stimulus, weights)
    assert torch.equal(drive.at(0.07), stimulus.at(0.07).double() @ weights.T)
    assert drive.at(0.07).dtype == torch.float64


def test_images_read_in_once_are_the_same_drive():
    given = images(dtype=torch.float64)
    weights = torch.randn(5, SIDE * SIDE, dtype=torch.float64)
    options = {"streams": 3, "dwell": 0.1, "fade": 0.05, "seed": 2}
    early = HeldImages(given.read_in(weights), **options)
    late = ReadIn(HeldImages(given, **options), weights)
    for t in (0.01, 0.12, 0.16, 0.5):
        assert torch.allclose(early.at(t), late.at(t), atol=1e-12)


@pytest.mark.brian2
def test_both_backends_see_the_same_stimulus():
    generator = torch.Generator().manual_seed(0)
    W = 0.3 * torch.randn(4, 4, generator=generator, dtype=torch.float64)
    weights = torch.randn(4, SIDE * SIDE, generator=generator, dtype=torch.float64) / SIDE
    drive = ReadIn(Contrast(Drift(Still(images(2)), 0.05), 1.0, 0.3, 0.01), weights)
    network = rn.Network("rate", W)
    runs = [
        rn.simulate(network, drive, 0.03, 0.001, backend=backend).rates
        for backend in ("torch", "brian2")
    ]
    assert torch.allclose(*runs, atol=1e-12)  # rounding


def test_lag_behind_an_ornstein_uhlenbeck_drive_shrinks_like_the_root():
    # y' = (-y + x) / tau behind dx = -x dt / T + ...: var(y - x) = tau / (tau + T), exactly.
    tau, T, dt = 0.01, 0.1, 0.0005  # dt: that of the stimulus' grid
    network = rn.Network("linear", [[0.0]], parameters={"tau": tau})
    given = Images(torch.ones(500, 1, dtype=torch.float64), torch.zeros(500, dtype=torch.int64))
    drive = Contrast(Still(given), mean=10.0, sd=1.0, time_constant=T, seed=0)  # never clipped
    run = rn.simulate(network, drive, 3.0, dt, initial=10.0, record_every=500)
    target = torch.stack([drive.at(float(t)) for t in run.t])
    variance = float((run.rates - target)[4:].square().mean())
    # 500 streams x 9 times: 2 % each; the Euler step and the grid: another dt / tau = 5 %
    assert variance == pytest.approx(tau / (tau + T), rel=0.1)


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: HeldImages(images(), 13, 0.1), "streams: expected .* from 1 to 12, got 13"),
        (lambda: HeldImages(images(), 3, -1), "dwell: expected a finite time of at least 0"),
        (lambda: HeldImages(images(), 3, 0.0), "dwell, fade and gap cannot all be 0"),
        (lambda: HeldImages(images(), 3, 0.1, seed=-1), "HeldImages, seed: .*got -1"),
        (lambda: HeldImages(images().pixels, 3, 0.1), "expected Images with at least one image"),
        (lambda: GammaDwell(0.1, 0.0), "GammaDwell, sd: expected a finite time above 0, got 0.0"),
        (lambda: Rotate(images(), 0.1), "Rotate, source: expected a stimulus.*got Images"),
        (lambda: Rotate(Still(images()), 0), "Rotate, period: expected a finite time above 0"),
        (lambda: Scale(Still(images()), 1, factor=0), "factor: expected a finite number above 0"),
        (lambda: Shear(Still(images()), 1, amount=math.inf), "amount: expected a finite number"),
        (lambda: Contrast(Still(images()), 1.0, 0.0, 0.1), "Contrast, sd: expected .*got 0.0"),
        (lambda: Walk(images(), 3, 0.1, components=65), "components: .* from 1 to 64, got 65"),
        (lambda: MovingMNIST(images(), 3, 0.1, size=8), "size: expected .* of at least.*got 8"),
        (lambda: ReadIn(Still(images()), torch.zeros(3, 5)), r"weights: expected .*, got \(3, 5\)"),
        (lambda: Rotate(Still(Images(torch.zeros(1, 5), torch.zeros(1).long())), 1.0).at(0.0),
         "5 pixels make no square"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", EVERY)
def test_a_stimulus_is_the_same_on_a_gpu(name, monkeypatch):
    here = EVERY[name](1)
    given = images
    monkeypatch.setitem(globals(), "images", lambda *a, **k: given(*a, **k).to("cuda"))
    there = EVERY[name](1)
    for t in (0.0, 0.07, 0.31):
        assert there.at(t).device.type == "cuda"
        assert torch.allclose(there.at(t).cpu(), here.at(t), atol=ROUNDING)
        assert torch.equal(there.labels_at(t).cpu(), here.labels_at(t))
