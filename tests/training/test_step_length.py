"""Steps of a given length, and steps that a line search shortens: on one network and on stacks."""

import math

import pytest
import torch
from helpers.small_runs import small
from helpers.stack_cases import TWO, config

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.plasticity import rule_named
from ratenet.training.line_search import MOST_TRIALS, SUFFICIENT, backtrack
from ratenet.training.network_run import new_network_run
from ratenet.training.optimizers import new_optimizer
from ratenet.training.run import Progress, read_state
from ratenet.training.run_folder import RunFolder, RunState
from ratenet.training.stack_run import new_stack_run
from ratenet.training.step_length import of_length
from ratenet.training.workers import ALONE

B, M, K, N = 12, 5, 3, 8
LAYERS = tuple({**table, "learning_rate": 0.02 * n} if n < 3 else table
               for n, table in enumerate(TWO, start=1))  # fmt: skip


@pytest.fixture
def toy(generator) -> rn.stimuli.ImageSet:
    """Return vectors and targets, the same to learn from and to test."""
    x, t = torch.rand(B, M, generator=generator), torch.randn(B, K, generator=generator)
    return rn.stimuli.ImageSet.from_arrays(train=(x, t), test=(x, t), name="toy")


def linear(toy, **options) -> rn.TrainingConfig:
    """Return a linear network that learns all samples at once."""
    whole = {"data": toy, "model": "linear", "units": N, "batch_size": B, "epochs": 12}
    return small(**{**whole, "dtype": "float64", "step": "line-search", **options})


class Lengths:
    """Watches how far the recurrent weights go in each step, part by part."""

    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []
        self._before: dict[str, torch.Tensor] = {}

    def __call__(self, run, row) -> None:
        now = {n: part.connectivity.dense().clone() for n, part in run.parts.items()}
        if self._before:
            self.found.append({n: float((now[n] - self._before[n]).norm()) for n in now})
        self._before = now


@pytest.mark.parametrize(
    ("slope", "loss_after", "found"),
    [
        (-6.0, lambda share: (1 - 3 * share) ** 2, (0.5, 2)),  # 4, then 1/4
        (-1.0, lambda share: 1 - share, (1.0, 1)),
        (6.0, lambda share: (1 + 3 * share) ** 2, (0.0, 0)),  # not a descent
        (math.nan, lambda _: 0.0, (0.0, 0)),
        (-1.0, lambda _: math.inf, (0.0, MOST_TRIALS)),
        (-1.0, lambda share: math.nan if share > 0.25 else 0.0, (0.25, 3)),
        (-1.0, lambda share: 1 - 0.5 * SUFFICIENT * share, (0.0, MOST_TRIALS)),  # falls too little
    ],
)
def test_backtracking_takes_the_first_share_that_lowers_the_loss_enough(slope, loss_after, found):
    assert backtrack(loss_after, 1.0, slope) == found


def test_of_length_scales_several_tensors_together(generator):
    parts = {"a": torch.randn(4, 3, generator=generator), "b": torch.randn(2, generator=generator)}
    scaled = of_length(parts, 0.3)
    assert math.hypot(*(float(part.norm()) for part in scaled.values())) == pytest.approx(0.3)
    factors = torch.cat([(scaled[n] / parts[n]).flatten() for n in parts])
    torch.testing.assert_close(factors, factors[:1].expand_as(factors))
    tiny = of_length({"a": torch.full((2, 2), 1e-30)}, 0.3)["a"]
    assert float(tiny.norm()) == pytest.approx(0.3)
    assert torch.equal(of_length({"a": torch.zeros(2, 2)}, 0.3)["a"], torch.zeros(2, 2))


@pytest.mark.parametrize("name", ["sgd", "adam", "momentum"])
def test_a_normalized_step_goes_the_optimizers_way_at_its_length(name, generator):
    options = {"sgd": {}, "adam": {"optimizer": "adam"}, "momentum": {"momentum": 0.9}}[name]
    rate = {"learning_rate": 0.2, "schedule": "cosine"}
    parameters = [{"W": torch.randn(5, 5, generator=generator).double(), "read-out": torch.ones(2)}
                  for _ in range(2)]  # fmt: skip
    parameters[1] = {n: tensor.clone() for n, tensor in parameters[0].items()}
    rules = {"euclidean": rule_named("euclidean")}
    normalized, plain = (
        new_optimizer(small(step=step, **rate, **options), rules, own, 8, factors={"W": 0.5},
                      together=[("W",)])
        for step, own in zip(("normalized", "rate"), parameters, strict=True)
    )  # fmt: skip
    for step in range(3):
        before = parameters[0]["W"].clone()
        parameters[1]["W"].copy_(before)
        change = {"W": torch.randn(5, 5, generator=generator).double(), "read-out": -torch.ones(2)}
        for optimizer in (normalized, plain):
            optimizer.apply(change, step)
        moved, theirs = (own["W"] - before for own in parameters)
        length = 0.5 * 0.2 * (1 + math.cos(math.pi * step / 8)) / 2
        assert float(moved.norm()) == pytest.approx(length, rel=1e-9)
        torch.testing.assert_close(moved, theirs * (length / theirs.norm()))
        assert torch.equal(parameters[0]["read-out"], parameters[1]["read-out"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rule": "euclidean", "optimizer": "adam", "learn": ("read-in", "read-out")},
        {"rule": "exponentiated-gradient"},
        {"rule": "oja", "presentation": "slow"},
    ],
)
def test_normalized_steps_of_a_run(options, few_digits, tmp_path):
    watch = Lengths()
    asked = small(step="normalized", recurrent_learning_rate=None, learning_rate=0.05, **options)
    result = rn.train(asked, out=tmp_path, callbacks=[watch])
    assert len(watch.found) == len(result.metrics) - 1
    assert all(each[""] == pytest.approx(0.05, rel=1e-4) for each in watch.found)  # float32
    assert "trials" not in result.summary


def test_each_layer_has_a_length_of_its_own(few_digits, tmp_path):
    watch = Lengths()
    asked = config(*LAYERS, optimizer="sgd", step="normalized", epochs=1)
    rn.train(asked, out=tmp_path, callbacks=[watch])
    for each in watch.found:
        assert list(each.values()) == pytest.approx([0.02, 0.04], rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "euclidean"},
        {"rule": "reparameterized"},
        {"rule": "truncated-adjoint(terms=1)", "learn": ("read-in", "read-out")},
    ],
)
def test_under_line_search_the_loss_never_rises(options, toy, tmp_path):
    """All samples are one batch, so that the training loss is that which is searched along."""
    result = rn.train(linear(toy, learning_rate=2.0, epochs=6, **options), out=tmp_path)
    losses = result.metrics["train_loss"].to_numpy()
    assert (losses[1:] <= losses[:-1] + 1e-12).all()
    assert losses[-1] < 0.9 * losses[0]
    assert result.summary["trials"] >= len(losses) - result.summary["steps_not_taken"]
    assert 0 <= result.summary["steps_not_taken"] < len(losses)


def test_a_rule_that_does_not_descend_takes_no_step(toy, tmp_path):
    """The opposite of the gradient."""
    rule = rn.plasticity.rule(metric="none")(
        lambda fp, error, rate: -rn.plasticity.Euclidean().update(fp, error, rate)
    )
    result = rn.train(linear(toy, rule=rule, epochs=3), out=tmp_path)
    assert result.summary["steps_not_taken"] == 3
    assert result.summary["trials"] == 0
    losses = result.metrics["train_loss"]
    assert losses.max() - losses.min() < 1e-12


def test_a_searched_step_is_armijos(toy, tmp_path):
    """Against losses and slopes of the linear network in closed form."""
    asked = linear(toy, rule="linearized-reparameterized", learning_rate=50.0, epochs=1)
    run = new_network_run(asked, "linear", RunFolder(tmp_path), ALONE)
    W, pixels, labels = run.network.connectivity.W.clone(), *run.batch()
    eye, drive, out = torch.eye(N).double(), run.classifier.drive(pixels), run.classifier.read_out

    def loss(W):
        rates = torch.linalg.solve(eye - W, drive.T).T
        return run.loss(rates @ out.T, labels).mean()

    fp = rn.find_fixed_points(run.network, drive)
    error = run.classifier.error(fp.rates, labels)
    delta = run.rule.update(fp, error, 50.0)
    zero, one = torch.tensor([0.0, 1.0]).double()
    _, slope = torch.autograd.functional.jvp(lambda share: loss(W + share * delta), zero, one)
    run.take_step()
    share = run.progress.trials - 1
    torch.testing.assert_close(run.network.connectivity.W, W + 0.5**share * delta)
    enough = [bool(loss(W + 0.5**n * delta) <= loss(W) + SUFFICIENT * 0.5**n * slope)
              for n in range(share + 1)]  # fmt: skip
    assert enough == [*[False] * share, True]
    assert share > 0


def test_the_slope_of_a_stack_is_that_of_the_exact_gradient(few_digits, tmp_path):
    rules = ("linearized-reparameterized", "euclidean")
    runs = [
        new_stack_run(
            config(*({**table, "rule": rule} if "rule" in table else table for table in TWO),
                   optimizer="sgd", step="line-search", dtype="float64"),
            RunFolder(tmp_path), ALONE,
        )
        for rule in rules
    ]  # fmt: skip
    from ratenet.training.step import _samples

    seen = [next(run.present()) for run in runs]
    samples = [_samples(run, each) for run, each in zip(runs, seen, strict=True)]
    by_rule = runs[0].learn(seen[0], samples[0]).changes
    exact = runs[0].exact(seen[0], samples[0]).changes
    wanted = runs[1].learn(seen[1], samples[1]).changes
    first = "layer1.core.recurrent.W"
    assert not torch.allclose(by_rule[first], wanted[first], rtol=0.1)
    for name, change in wanted.items():
        torch.testing.assert_close(exact[name], change, rtol=1e-5, atol=1e-12)
    assert type(next(iter(runs[0].cores.values())).rule).__name__ == "LinearizedReparameterized"


def test_a_stack_under_line_search(few_digits, tmp_path):
    """One batch of all images, so that the loss never rises; the rates are those of the layers."""
    asked = config(*LAYERS, optimizer="sgd", step="line-search", learning_rate=1.0, epochs=4,
                   batch_size=len(few_digits.train))  # fmt: skip
    result = rn.train(asked, out=tmp_path)
    losses = result.metrics["train_loss"].to_numpy()
    assert (losses[1:] < losses[:-1]).all()
    assert result.summary["trials"] >= 4


def test_a_run_from_before_line_searches_is_restored(tmp_path):
    class Folder:
        def read_checkpoint(self, file, device):
            progress = {
                n: v for n, v in vars(Progress()).items() if n not in ("trials", "not_taken")
            }
            return RunState({}, progress, "digest", recent=())

    state = read_state(Folder(), tmp_path, "all", {}, "digest", "cpu")
    assert Progress(**state.progress) == Progress()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"step": "fixed"}, "step: expected one of rate, normalized, line-search, got 'fixed'"),
        ({"step": None}, "step: expected one of rate, normalized, line-search, got None"),
        (
            {"step": "line-search", "presentation": "slow"},
            "step: 'line-search' compares losses at solved fixed points.*use presentation 'static'",
        ),
        ({"step": "line-search", "optimizer": "adam"}, "step: .* requires optimizer 'sgd'"),
        ({"step": "line-search", "momentum": 0.9}, "step: .* requires optimizer 'sgd'"),
        ({"step": "line-search", "weight_decay": 0.1}, "step: .* requires optimizer 'sgd'"),
        ({"step": "line-search", "barrier": 0.2}, "step: .* cannot be combined with barrier"),
        ({"step": "line-search", "clip_norm": 1.0}, "clip_norm: has no effect with step 'line"),
        ({"step": "normalized", "clip_norm": 1.0}, "clip_norm: has no effect with step 'norm"),
        ({"step": "normalized", "rule": "frozen"}, "step: has no effect, since rule 'frozen'"),
        (
            {"step": "normalized", "presentation": "slow", "update_at": "continuous"},
            "step: 'normalized' cannot be combined with update_at 'continuous'",
        ),
        (
            {"step": "normalized", "presentation": "slow", "plasticity": "oja"},
            "step: has no effect on weights that move by equations, those of 'oja'",
        ),
    ],
)
def test_steps_that_cannot_be_are_one_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        small(**options)


def test_what_a_run_cannot_do_is_refused():
    asked = small(step="line-search")
    with pytest.raises(UnsupportedError, match="step: 'line-search' .* use one process"):
        new_optimizer(asked, {}, {}, 4, processes=2)
    frozen = config({**TWO[0], "rule": "frozen"}, TWO[2], optimizer="sgd", step="normalized")
    with pytest.raises(InputError, match="step: has no effect, since no recurrent weights learn"):
        new_optimizer(frozen, {}, {}, 4)
