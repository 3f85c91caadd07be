"""The tasks of compare: how they are drawn, their losses, errors and scores."""

import dataclasses

import numpy as np
import pytest
import torch

from ratenet.equations import load_model
from ratenet.errors import InputError
from ratenet.fixed_points import Status
from ratenet.hypotheses.tasks import TASKS, Setting

SETTING = Setting(
    units=20, samples=15, held_out=10, model=load_model("rate"), data="mnist-5k", data_root="data"
)


@pytest.fixture(params=TASKS)
def task(request, few_digits):
    return TASKS[request.param].drawn(SETTING, seed=3)


def test_samples_are_as_many_as_asked_for_and_each_is_its_own(task):
    sizes = [len(samples.drive) for samples in (task.train, task.validation, task.test)]
    assert sizes == [15, 10, 10]
    assert [len(samples.aim) for samples in (task.train, task.validation, task.test)] == sizes
    every = torch.cat([task.train.drive, task.validation.drive, task.test.drive])
    assert len(every.unique(dim=0)) == 35


def test_a_seed_gives_the_same_task_and_another_another(task):
    same, other = (type(task).drawn(SETTING, seed=seed) for seed in (3, 4))
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(same, part).drive, getattr(task, part).drive)
        assert torch.equal(getattr(same, part).aim, getattr(task, part).aim)
        assert not torch.equal(getattr(other, part).drive, getattr(task, part).drive)
    W = task.network.connectivity.dense()
    assert torch.equal(same.network.connectivity.dense(), W)
    assert not torch.equal(other.network.connectivity.dense(), W)


def test_errors_are_the_slopes_of_the_losses(task):
    drive, aim = task.train
    rates = task.reached(drive).rates
    error, step = task.error(rates, aim), 1e-6
    for unit in (0, 7):
        move = torch.zeros_like(rates)
        move[:, unit] = step
        slope = (task.losses(rates + move, aim) - task.losses(rates - move, aim)) / (2 * step)
        np.testing.assert_allclose(error[:, unit], slope, rtol=1e-6, atol=1e-8)


def test_unsettled_samples_are_wrong(task):
    fp = task.reached(task.train.drive)
    assert fp.converged.all()
    none = dataclasses.replace(
        fp,
        rates=torch.full_like(fp.rates, torch.nan),
        status=torch.full_like(fp.status, Status.DIVERGED),
    )
    assert task.score(none, task.train.aim) == 0
    half = fp.replaced(torch.arange(7), none.select(torch.arange(7)))
    right = task.score(fp.select(torch.arange(7, 15)), task.train.aim[7:])
    if task.score_name.startswith("share"):
        assert task.score(half, task.train.aim) == pytest.approx(right * 8 / 15)
    else:
        target, rates = task.train.aim.numpy(), fp.rates.numpy()
        missed = ((rates - target) ** 2).sum(axis=1)
        spread = ((target - target.mean(axis=0)) ** 2).sum(axis=1)
        expected = (spread[:7].sum() + missed[7:].sum()) / spread.sum()
        assert task.score(half, task.train.aim) == pytest.approx(-np.log10(expected))


def test_the_accuracy_of_digits_is_that_of_the_read_out(few_digits):
    task = TASKS["mnist"].drawn(dataclasses.replace(SETTING, held_out=60), seed=0)
    drive, labels = task.test
    fp = task.reached(drive)
    answers = (fp.rates.numpy() @ task.classifier.read_out.numpy().T).argmax(axis=1)
    right = (answers == labels.numpy()).mean()
    assert 0 < right < 1
    assert task.score(fp, labels) == pytest.approx(right)
    np.testing.assert_allclose(
        task.error(fp.rates, labels), task.classifier.error(fp.rates, labels), rtol=1e-12
    )


def test_digits_to_learn_from_are_never_tested(few_digits):
    setting = dataclasses.replace(SETTING, samples=300, held_out=100)
    task = TASKS["mnist"].drawn(setting, seed=0)
    of_train = few_digits.train.pixels.double() @ task.classifier.read_in.T
    of_test = few_digits.test.pixels.double() @ task.classifier.read_in.T
    for samples, origin in ((task.train, of_train), (task.validation, of_train),
                            (task.test, of_test)):  # fmt: skip
        nearest = torch.cdist(samples.drive, origin).min(dim=1).values
        assert nearest.max() < 1e-6


def test_cues_are_taken_to_the_pattern_that_is_closest():
    task = TASKS["association"].drawn(SETTING, seed=0)
    assert task.patterns.shape == (4, 20)
    assert set(task.patterns.abs().unique().tolist()) == {0.5 * np.tanh(0) + 0.5}
    fp, aim = task.reached(task.test.drive), task.test.aim
    distances = np.linalg.norm(fp.rates.numpy()[:, None] - task.patterns.numpy(), axis=2)
    assert task.score(fp, aim) == pytest.approx((distances.argmin(axis=1) == aim.numpy()).mean())


def test_teachers_are_settled_networks_of_the_same_model():
    task = TASKS["teacher"].drawn(dataclasses.replace(SETTING, model=load_model("voltage")), seed=1)
    assert task.network.model.name == "voltage"
    assert torch.isfinite(task.train.aim).all()
    assert (task.train.aim.abs() < 1).all()


def test_too_few_images_are_one_sentence(few_digits):
    with pytest.raises(InputError, match="at most the 400 training images, got 410"):
        TASKS["mnist"].drawn(dataclasses.replace(SETTING, samples=400), seed=0)
    with pytest.raises(InputError, match="at most the 100 test images, got 101"):
        TASKS["mnist"].drawn(dataclasses.replace(SETTING, held_out=101), seed=0)
