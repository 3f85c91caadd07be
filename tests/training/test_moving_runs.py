"""Training on stimuli: the images move while they are held, or others are shown in their place."""

import math
from dataclasses import dataclass
from functools import partial

import pandas as pd
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, UnknownNameError, UnsettledError
from ratenet.stimuli import DATA_SETS, STIMULI, AbstractStimulus, HeldImages, ImageSet, Rotate, Walk
from ratenet.training.network_run import new_network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.step import take_step
from ratenet.training.workers import Workers

SIDE, NUMBER, B = 8, 48, 12
HOLD, FADE = 0.03, 0.01  # 4 tau


def own_images() -> ImageSet:
    """Return smooth images of three classes, a blob in one of three places."""
    place = torch.arange(SIDE) - SIDE / 2 + 0.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(NUMBER) % 3
    noise = 0.1 * torch.rand(NUMBER, SIDE, SIDE, generator=generator)
    blobs = torch.stack([torch.exp(-((x - 2 * k + 2) ** 2 + (y + 1) ** 2) / 3) for k in labels])
    pixels = (blobs + noise).clamp(0, 1)
    return ImageSet.from_arrays((pixels, labels), (pixels[:18], labels[:18]), name="blobs")


IMAGES = own_images()


@pytest.fixture(autouse=True)
def blobs(monkeypatch):
    """Let the default data set be these images."""
    monkeypatch.setitem(DATA_SETS, "mnist-5k", lambda: IMAGES)


def config(**options) -> rn.TrainingConfig:
    common = {
        "units": 20, "batch_size": B, "epochs": 1, "threads": 1,
        "dtype": "float64", "hold": HOLD, "fade": FADE, "unsettled": "include",
        "learning_rate": 0.1,
    }  # fmt: skip
    return rn.TrainingConfig(**{**common, **options})


def new_run(**options):
    chosen = config(**options)
    return new_network_run(chosen, chosen.model, RunFolder("nowhere"), Workers())


def weights_after(steps: int = 4, **options) -> torch.Tensor:
    run = new_run(**options)
    for _ in range(steps):
        take_step(run)
        run.progress.step += 1
    return run.classifier.network.connectivity.W.clone()


@pytest.mark.parametrize("name", ["hold-and-fade", "hold-and-fade()", " hold-and-fade "])
def test_hold_and_fade_by_name_is_what_is_shown_without_one(name):
    assert torch.equal(weights_after(), weights_after(stimulus=name))


@pytest.mark.parametrize("still", ["rotate", "drift", "scale", "shear"])
def test_an_endless_period_is_holding(still):
    """Fades of images read in, and images read in after the fade, agree to rounding."""
    held = weights_after(method="euler")
    assert float((held - weights_after(steps=0)).norm()) > 1e-3
    moved = weights_after(method="euler", stimulus=f"{still}(period=1e9*second)")
    assert torch.allclose(held, moved, atol=1e-9)


def test_a_period_that_can_be_seen_is_another_thing():
    assert not torch.allclose(weights_after(), weights_after(stimulus="rotate(period=0.2*second)"))


def test_each_epoch_shows_all_images_with_their_labels():
    run = new_run(stimulus="rotate(period=1e9*second)", epochs=2)
    train, seen, last = IMAGES.train, [], torch.zeros(1, dtype=torch.float64)
    for _ in range(run.steps):
        shown, (pixels, labels) = run.shown(), run.batch()
        end = HOLD + FADE
        assert torch.equal(shown.labels_at(end), labels)
        assert torch.allclose(shown.at(end), pixels, atol=1e-4)
        assert torch.allclose(shown.at(0.0), last.expand_as(pixels), atol=1e-4)  # fades in from it
        distance = torch.cdist(shown.at(end), train.pixels.double())
        seen.append(distance.argmin(dim=1))
        last, run.progress.step = pixels, run.progress.step + 1
    for epoch in (seen[: run.steps_per_epoch], seen[run.steps_per_epoch :]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(NUMBER))


def test_the_stimulus_goes_on_from_step_to_step():
    run = new_run(stimulus="rotate(period=0.1*second)", fade=0.0)
    source = run.stimulus.source
    for step in range(3):
        run.progress.step = step
        t = step * HOLD + 0.4 * HOLD
        turned = Rotate(source, 0.1).at(t)
        assert torch.equal(run.shown().at(0.4 * HOLD), turned)
    assert not torch.allclose(turned, source.at(t))


def test_a_jump_to_the_next_image_comes_after_the_rule():
    run = new_run(stimulus="contrast(sd=1e-9, mean=1.0)", fade=0.0)
    _, labels = run.batch()
    assert torch.equal(run.shown().labels_at(HOLD), labels)
    run.progress.step = 1
    assert torch.equal(run.shown().labels_at(0.0), run.batch()[1])


@pytest.mark.parametrize(
    "stimulus",
    ["gaps", "morphing", "random-dwell(sd=5*ms)", "contrast(time_constant=20*ms)", "moving-mnist",
     "hold-and-fade(profile=raised-cosine)"],
)  # fmt: skip
def test_every_stimulus_can_be_trained_on(stimulus):
    run = new_run(stimulus=stimulus)
    row = take_step(run)
    assert math.isfinite(row["train_loss"])
    assert run.progress.unlabelled == 0
    assert run.progress.shown == B


def test_a_gap_lies_in_the_fade():
    run = new_run(stimulus="gaps(gap=6*ms)")
    run.progress.step = 1
    shown, (pixels, labels) = run.shown(), run.batch()
    assert float(shown.at(0.005).abs().max()) == 0.0
    assert (shown.labels_at(0.005) == -1).all()
    for t in (FADE, FADE + HOLD / 2, FADE + HOLD):
        assert torch.allclose(shown.at(t), pixels)
        assert torch.equal(shown.labels_at(t), labels)


def test_a_resumed_run_goes_on_with_the_same_stimulus(tmp_path):
    """Contrast is random: what it does must follow from time and seed alone."""
    options = {"stimulus": "contrast(time_constant=20*ms)", "epochs": 2}
    whole = rn.train(config(**options), out=tmp_path / "whole")
    stopped = rn.train(
        config(**options), out=tmp_path / "cut", callbacks=[lambda run, row: "enough"]
    )
    assert stopped.summary["steps"] == 1
    again = rn.resume(tmp_path / "cut", {"epochs": 3})
    last = pd.read_csv(tmp_path / "cut" / "metrics.csv").iloc[:8]
    assert len(again.metrics) == 12
    pd.testing.assert_frame_equal(
        last[["train_loss", "train_accuracy", "residual"]],
        whole.metrics[["train_loss", "train_accuracy", "residual"]],
        check_exact=True,
    )


def test_two_processes_show_what_one_does():
    options = {"stimulus": "contrast(time_constant=20*ms)"}
    whole = new_run(**options).shown().at(0.02)
    parts, run = [], new_run(**options)
    for rank in (0, 1):
        run.workers = Workers(rank, 2)
        parts.append(run.shown().at(0.02))
    assert torch.equal(whole, torch.cat(parts))


@dataclass(frozen=True, eq=False)
class Blinking(AbstractStimulus):
    """Half of the streams show no class."""

    source: HeldImages
    factor: float = 0.5

    @property
    def shape(self):
        return self.source.shape

    @property
    def time_scale(self):
        return 0.5

    def at(self, t):
        return self.factor * self.source.at(t)

    def labels_at(self, t):
        labels = self.source.labels_at(t).clone()
        labels[::2] = -1
        return labels


def test_samples_without_a_class_are_not_learned_from():
    """The change is the mean over the others: that of a run in which these are the whole batch."""
    run = new_run(stimulus=Blinking)
    shown, W = run.shown(), run.classifier.network.connectivity.W
    before = W.clone()
    fp = run.presentation.show(run.classifier.network, shown.drive(run.classifier))
    labels = shown.labels_at(HOLD + FADE)
    fp, labels = fp.with_tolerance(math.inf).select(labels >= 0), labels[labels >= 0]
    error = run.classifier.error(fp.rates, labels)
    wanted = run.rule.update(fp, error, run.config.learning_rate)
    run.load_extra_state_dict({})  # the streams begin again
    row = take_step(run)
    assert torch.allclose(W - before, wanted, rtol=1e-10)
    assert run.progress.unlabelled == B // 2
    assert row["train_accuracy"] in [n / (B / 2) for n in range(B // 2 + 1)]
    assert run.findings()["unlabelled_samples"] == B / 2
    assert run.findings()["speed"] == pytest.approx(0.01 / 0.5)
    assert int(run.test_slowly().confusion.sum()) == 8  # 4 of 9 streams, twice


def test_an_object_with_streams_of_its_own_is_shown_as_it_is():
    own = Rotate(HeldImages(IMAGES.train, B, 0.02, 0.01, seed=5), 0.3)
    run = new_run(stimulus=own, dtype="float32")
    assert torch.equal(run.shown().at(0.01), own.at(0.01))
    assert run.test_slowly() is None


def test_rules_without_an_error_learn_from_a_walk():
    walk = "walk(time_constant=20*ms, components=5)"
    assert not torch.equal(
        weights_after(0, rule="oja", stimulus=walk), weights_after(1, rule="oja", stimulus=walk)
    )
    with pytest.raises(InputError, match="shows no class when the rule acts"):
        new_run(stimulus=walk).rehearse()


def test_slow_test_shows_every_test_image_once():
    """18 images in batches of at most 12: two rounds of 9."""
    run = new_run(stimulus="rotate(period=1e9*second)")
    found = run.test_slowly()
    assert int(found.confusion.sum()) == 18
    held = new_run().test_slowly()
    assert torch.equal(found.confusion.sum(dim=1), held.confusion.sum(dim=1))


@pytest.mark.parametrize("period", [0.02, 20.0])
def test_the_speed_is_that_of_what_happens_to_the_images(period):
    run = new_run(stimulus=f"rotate(period={period})")
    assert run.findings()["speed"] == pytest.approx(0.01 / (period / (2 * math.pi)))
    assert new_run(stimulus="gaps").findings()["speed"] == pytest.approx(0.01 / (HOLD + FADE))
    assert new_run().findings()["speed"] == pytest.approx(0.01 / (HOLD + FADE))
    assert "speed" not in new_run(presentation="static", hold=None, fade=None).findings()


def test_what_never_rests_is_learned_from_unless_it_is_asked_otherwise():
    assert rn.TrainingConfig(stimulus="rotate").unsettled == "include"
    assert rn.TrainingConfig(stimulus="gaps").unsettled == "leave-out"
    assert rn.TrainingConfig().unsettled == "leave-out"
    run = new_run(stimulus="rotate(period=50*ms)", unsettled="leave-out")
    with pytest.raises(UnsettledError, match="the stimulus never rests: slow it down"):
        take_step(run)


def test_the_lag_behind_a_stimulus_that_moves_is_predicted():
    rotating = {"stimulus": "rotate(period=3*second)", "fade": 0.0, "hold": 0.1}
    off = []
    for correct_lag in (False, True):
        run = new_run(**rotating, correct_lag=correct_lag)
        shown, network = run.shown(), run.classifier.network
        fp = run.presentation.show(network, shown.drive(run.classifier))
        truth = rn.find_fixed_points(network, run.classifier.drive(shown.at(0.1))).rates
        off.append(float((fp.rates - truth).norm() / truth.norm()))
    assert off[0] > 0.01
    assert off[1] < 0.3 * off[0]


@pytest.mark.slow
@pytest.mark.brian2
def test_brian2_trains_the_same_weights():
    stimulus = {"stimulus": "shear(period=0.1*second)", "method": "euler"}
    torch_, brian2 = (weights_after(2, **stimulus, backend=b) for b in ("torch", "brian2"))
    assert torch.allclose(torch_, brian2, atol=1e-12)


BAD = {
    "rotate(period=0*ms)": "stimulus: Rotate, period: expected a finite time above 0",
    "rotate(period=nan)": "stimulus: Rotate, period: expected a time",
    "rotate(period=-1*second)": "stimulus: Rotate, period: expected a finite time above 0",
    "rotate(period=3*mV)": "stimulus: Rotate, period: expected a time",
    "rotate(speed=3)": "Unknown setting of stimulus 'rotate': 'speed'; .* period, spread",
    "rotat": "Unknown stimulus 'rotat'; did you mean 'rotate'",
    "rotate+drift": "stimulus: expected one stimulus, got a sum",
    "rotate(period=1": "stimulus 'rotate\\(period=1'",
    "": "expected a name",
    "gaps(gap=1*second)": "stimulus: gap: expected less than the fade",
    "moving-mnist(digits=3)": "stimulus: digits: expected 1 or 2, got 3",
    "walk(components=0)": "stimulus: Walk, components: expected a whole number",
    "contrast(mean=nan)": "stimulus: Contrast, mean",
    "hold-and-fade(profile=wobbly)": "Unknown fade profile 'wobbly'",
    7: "stimulus: expected a stimulus such as 'rotate\\(period=2\\*second\\)'",
    None: "stimulus: expected a stimulus such as",
}


@pytest.mark.parametrize(("stimulus", "sentence"), BAD.items())
def test_a_bad_stimulus_is_one_sentence(stimulus, sentence):
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        config(stimulus=stimulus)


def test_a_stimulus_that_does_not_fit_is_refused(monkeypatch):
    with pytest.raises(
        InputError, match=r"stimulus, images: expected the shape \(12, 64\), .* got \(12, 256\)"
    ):
        new_run(stimulus="moving-mnist(digits=2, size=16)")
    with pytest.raises(
        InputError, match=r"stimulus, labels: expected the shape \(12,\), .* got \(12, 2\)"
    ):
        monkeypatch.setitem(DATA_SETS, "mnist-5k", larger)
        new_run(stimulus="moving-mnist(digits=2, size=16)")
    monkeypatch.setitem(DATA_SETS, "mnist-5k", lambda: IMAGES)
    with pytest.raises(InputError, match=r"stimulus, images: .* got \(7, 64\)"):
        new_run(stimulus=Walk(IMAGES.train, 7, 0.1, components=3))
    with pytest.raises(InputError, match="stimulus: has no effect on static presentation"):
        config(presentation="static", hold=None, fade=None, stimulus="rotate")
    with pytest.raises(InputError, match="correct_lag: images that are held have settled"):
        config(correct_lag=True, stimulus="gaps")


def larger() -> ImageSet:
    train = IMAGES.train
    pixels = train.pixels.reshape(-1, SIDE, SIDE).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return ImageSet.from_arrays((pixels, train.labels), (pixels, train.labels))


OWN = """
from ratenet.stimuli import AbstractModulation, Shear

def leaning(source, period=0.5):
    return Shear(source, period)

def nothing(source):
    return 3

TEXT = "rotate"
"""


def test_a_function_in_a_file_is_recorded_and_not_imported_by_itself(tmp_path):
    file, out = tmp_path / "own.py", tmp_path / "run"
    file.write_text(OWN)
    given = f"{file}:leaning(period=0.3)"
    result = rn.train(config(stimulus=given), out=out)
    assert result.summary["stimulus"] == given
    shipped = rn.train(config(stimulus="shear(period=0.3)"), out=tmp_path / "shipped")
    W = [each.classifier.network.connectivity.W for each in (result, shipped)]
    assert torch.equal(*W)
    assert torch.equal(rn.load_run(out).network.connectivity.W, W[0])
    with pytest.raises(InputError, match="stimulus: recorded is .* give the stimulus again"):
        rn.resume(out, {"epochs": 2})
    again = rn.resume(out, {"epochs": 2, "stimulus": given})
    assert again.summary["steps"] == 8


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "expected a stimulus such as .* got 3"),
        ("TEXT", "expected a stimulus such as"),
        ("none", "none"),
        ("leaning(speed=3)", "Unknown setting of stimulus .*; available: period"),
    ],
)
def test_a_file_without_a_stimulus_is_refused(name, sentence, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        new_run(stimulus=f"{tmp_path / 'own.py'}:{name}")


def test_a_partial_call_is_recorded_by_what_it_calls():
    chosen = config(stimulus=partial(Blinking, factor=0.25))
    assert STIMULI.written(chosen.stimulus).endswith(":Blinking(factor=0.25)")
