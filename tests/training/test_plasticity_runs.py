"""Training with plasticity as equations: the weights move while digits change slowly."""

import math
import tomllib

import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import DivergenceError, InputError, ModelError, UnknownNameError
from ratenet.plasticity.loss import slope
from ratenet.stimuli import batches_of_epoch
from ratenet.training.classifier import random_classifier
from ratenet.training.fitted_read_out import PENALTIES, ridge
from ratenet.training.presentation import Static

HOLD, FADE, STEPS, DT = 0.04, 0.02, 60, 0.001
SLOW = {"presentation": "slow", "dtype": "float64", "hold": HOLD, "fade": FADE}
BCM = "bcm(eta=0.2*Hz, tau_theta=0.1*second)"
DELTA = {
    "name": "delta",
    "equations": "dw/dt = -eta * error_post * y_pre : 1",
    "parameters": {"eta": "2*Hz"},
    "signals": {"error": "1"},
}
TRACE = {
    "name": "trace",
    "equations": """
    dw/dt = eta * (reward + base) * c : 1
    dc/dt = (y_post * y_pre - c) / tau_c : 1
    """,
    "parameters": {"eta": "1*Hz", "base": 2.3, "tau_c": "50*ms"},
    "signals": {"reward": "1"},
}
UNITS = {"units": 20, "batch_size": 50}


def by_hand(few, spec, signals=lambda classifier, labels: {}):
    """Return the classifier after one epoch in which each batch is one simulation."""
    classifier = random_classifier(
        "rate", units=20, inputs=784, classes=10, tau=None, seed=0,
        device=torch.device("cpu"), dtype=torch.float64,
    )  # fmt: skip
    network, state, variables = classifier.network, None, {}
    before = torch.zeros(50, 20, dtype=torch.float64)
    for batch in batches_of_epoch(400, 50, seed=0, epoch=0):
        drive = classifier.drive(few.train.pixels[batch].double())

        def fading(t: float, before=before, drive=drive) -> torch.Tensor:
            return torch.lerp(before, drive, min(1.0, t / FADE))

        run = rn.simulate(
            network, fading, STEPS * DT, DT, initial=state, plasticity=spec, weights="shared",
            signals=signals(classifier, few.train.labels[batch]), initial_plasticity=variables,
        )  # fmt: skip
        network.connectivity.W.copy_(run.final_weights)
        state, before = run.final, drive
        variables = {n: v for n, v in run.plasticity.final.items() if n != spec.weight}
    return classifier


def test_weights_move_as_in_one_simulation_after_another(few_digits, tmp_path):
    result = rn.train(small(**SLOW, **UNITS, plasticity=BCM), out=tmp_path)
    expected = by_hand(few_digits, rn.load_plasticity(BCM)).network.connectivity.W
    assert torch.allclose(weights(result), expected, rtol=0, atol=1e-13)


def test_an_error_is_the_slope_of_the_loss_at_the_present_rates(few_digits, tmp_path):
    def signals(classifier, labels):
        def error(t, rates):  # by autograd
            return slope(lambda y: classifier.losses(y, labels), rates)

        return {"error": rn.simulation.Feedback(error)}

    result = rn.train(small(**SLOW, **UNITS, plasticity=DELTA), out=tmp_path)
    expected = by_hand(few_digits, rn.load_plasticity(DELTA), signals)
    assert torch.allclose(weights(result), expected.network.connectivity.W, rtol=0, atol=1e-13)
    assert torch.equal(result.classifier.read_out, expected.read_out)  # nothing else learns


def test_a_reward_is_minus_the_loss(few_digits, tmp_path):
    def signals(classifier, labels):
        def reward(t, rates):
            return -torch.nn.functional.cross_entropy(
                rates @ classifier.read_out.T, labels, reduction="none"
            )

        return {"reward": rn.simulation.Feedback(reward)}

    result = rn.train(small(**SLOW, **UNITS, plasticity=TRACE), out=tmp_path)
    expected = by_hand(few_digits, rn.load_plasticity(TRACE), signals).network.connectivity.W
    assert torch.allclose(weights(result), expected, rtol=0, atol=1e-13)


def test_an_error_in_time_teaches_the_digits(few_digits, tmp_path):
    table = {**DELTA, "equations": "dw/dt = -eta * (1 - y_post**2) * error_post * y_pre : 1"}
    config = small(**SLOW, plasticity=table, epochs=8, learn=["read-out"], learning_rate=0.1)
    summary = rn.train(config, out=tmp_path).summary
    assert summary["test_accuracy"] > summary["control_accuracy"] + 0.2
    frozen = small(
        **SLOW, rule="frozen", epochs=8, learn=["read-out"], learning_rate=0.1, unsettled="include"
    )
    control = rn.train(frozen, out=tmp_path / "frozen").summary
    assert summary["test_loss"] < control["test_loss"]


def test_the_read_out_is_fitted_before_the_first_step_and_after_each_epoch(few_digits, tmp_path):
    result = rn.train(small(**SLOW, **UNITS, plasticity=BCM, epochs=2), out=tmp_path)
    summary, classifier = result.summary, result.classifier
    assert summary["read_out"] == "fitted" and summary["rule"] == "plasticity bcm"
    measured = result.metrics["test_accuracy"].dropna()
    assert [*measured.index] == [7, 15]
    assert measured.iloc[-1] == summary["test_accuracy"]

    fresh = by_hand(few_digits, rn.load_plasticity(BCM).with_parameters(eta="0*Hz"))
    for each, score in ((fresh, "control_accuracy"), (classifier, "test_accuracy")):
        train, test = (
            Static().show(each.network, each.drive(images.pixels.double())).rates
            for images in (few_digits.train, few_digits.test)
        )
        targets = torch.nn.functional.one_hot(few_digits.train.labels, 10).double()
        answers = (test @ ridge(train, targets).T).argmax(dim=1)
        assert float((answers == few_digits.test.labels).double().mean()) == summary[score]


def test_ridge_regression_has_the_penalty_with_the_least_cross_validation_error():
    generator = torch.Generator().manual_seed(3)
    Y = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    T = Y @ torch.randn(6, 2, generator=generator, dtype=torch.float64)
    T = T + 2 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    one, largest = torch.eye(6, dtype=torch.float64), torch.linalg.eigvalsh(Y.T @ Y)[-1]
    errors = []
    for penalty in PENALTIES * largest:
        hat = Y @ torch.linalg.solve(Y.T @ Y + penalty * one, Y.T)  # T -> R Y
        errors.append(float((T - hat @ T).square().sum() / (40 - hat.trace()) ** 2))
    best = PENALTIES[torch.tensor(errors).argmin()] * largest
    expected = torch.linalg.solve(Y.T @ Y + best * one, Y.T @ T).T
    assert 0 < errors.index(min(errors)) < len(errors) - 1  # a penalty in the midst is best
    assert torch.allclose(ridge(Y, T), expected, rtol=0, atol=1e-12)
    assert torch.equal(ridge(torch.zeros_like(Y), T), torch.zeros(2, 6, dtype=torch.float64))


@pytest.mark.parametrize("rule", [BCM, DELTA, TRACE], ids=["bcm", "delta", "trace"])
def test_a_run_is_resumed_bit_for_bit(rule, few_digits, tmp_path):
    options = {**SLOW, **UNITS, "plasticity": rule, "epochs": 2, "dtype": "float32"}
    whole = rn.train(small(**options), out=tmp_path / "whole")

    def stop(run, row):
        if row["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rn.train(small(**options), out=tmp_path / "cut", callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        rn.resume(
            tmp_path / "cut", callbacks=[lambda run, row: stop(run, {"step": row["step"] - 6})]
        )
    again = rn.resume(tmp_path / "cut")
    assert torch.equal(weights(again), weights(whole))
    assert torch.equal(again.classifier.read_out, whole.classifier.read_out)
    assert again.metrics.equals(whole.metrics)
    assert again.summary["test_accuracy"] == whole.summary["test_accuracy"]


def test_a_run_folder_holds_the_equations_and_needs_no_file(few_digits, tmp_path):
    file, out = tmp_path / "mine.toml", tmp_path / "run"
    file.write_text(
        'name = "mine"\nequations = "dw/dt = eta * y_post * (y_pre - y_post*w) : 1"\n'
        '[parameters]\neta = "0.5*Hz"\n'
    )
    result = rn.train(small(**SLOW, **UNITS, plasticity=file), out=out)
    file.unlink()
    table = tomllib.loads((out / "config.toml").read_text())["training"]
    assert table["plasticity"]["equations"] == "dw/dt = eta * y_post * (y_pre - y_post*w) : 1"
    run = rn.load_run(out)
    assert run.config.plasticity.name == "mine"
    assert torch.equal(run.network.connectivity.W, weights(result))
    assert torch.equal(run.read_out, result.classifier.read_out)
    assert "plasticity mine" in repr(run)
    solved, slow = rn.evaluate(out)
    assert solved.accuracy == result.summary["test_accuracy"]
    assert slow.accuracy == result.summary["test_accuracy_slow"]
    assert len(rn.resume(out, {"epochs": 2}).metrics) == 16
    with pytest.raises(
        InputError, match="plasticity: expected 'mine', as the run was started, got"
    ):
        rn.resume(out, {"plasticity": "oja"})


def test_code_that_a_run_folder_names_is_not_imported(few_digits, tmp_path):
    own, out = tmp_path / "own.py", tmp_path / "run"
    own.write_text(f"rule = {DELTA!r}")
    rn.train(small(**SLOW, **UNITS, plasticity=f"{own}:rule"), out=out)
    own.write_text("raise SystemExit")
    assert rn.load_run(out).config.plasticity.name == "delta"  # recorded as data
    config = out / "config.toml"
    table = config.read_text()
    start, end = table.index("[training.plasticity]"), table.index("[model]")
    config.write_text(
        table[:start].replace("[training]", f'[training]\nplasticity = "{own}:rule"') + table[end:]
    )
    with pytest.raises(InputError, match="not imported by itself"):
        rn.load_run(out)


def test_exploding_weights_end_the_run_at_the_last_good_state(few_digits, tmp_path):
    rule = {"equations": "dw/dt = eta * (1 + w**2) * y_pre**2 : 1", "parameters": {"eta": "5*kHz"}}
    with pytest.raises(DivergenceError, match=r"step 1 of 8: .* synapse w\[\d+, \d+\] .* t = 0.0"):
        rn.train(small(**SLOW, **UNITS, plasticity=rule), out=tmp_path)
    summary = rn.load_run(tmp_path).summary
    assert summary["status"] == "stopped" and "synapse w[" in summary["reason"]
    assert math.isfinite(float(rn.load_run(tmp_path).network.connectivity.W.sum()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": "euclidean"}, "rule: the plasticity 'bcm' moves the recurrent weights already"),
        ({"rule": "linearized-reparameterized"}, "rule: the plasticity 'bcm' moves"),
        ({"presentation": "static"}, "plasticity: .* static .* use presentation 'slow'"),
        ({"presentation": "static", "layers": [{"kind": "read-out"}]}, "weights of one network"),
        ({"learn": ["read-out"]}, "learn: has no effect: the rule 'bcm' has no signal error"),
        ({"learning_rate": 0.1}, "learning_rate: has no effect"),
        ({"optimizer": "adam"}, "optimizer: has no effect"),
        ({"recurrent_learning_rate": 0.1}, "recurrent_learning_rate: .* parameters of 'bcm'"),
        ({"loss": "cross-entropy"}, "loss: .* fitted .* squared error"),
        ({"backend": "brian2"}, "batch_size: expected 1 with plasticity in backend 'brian2'"),
        ({"plasticity": "contrastive_hebbian"}, "needs the signal 'phase'; training gives error"),
        ({"plasticity": 3}, "expected the name of a plasticity rule"),
        ({"plasticity": {**DELTA, "signals": {"error": "volt"},
                         "parameters": {"eta": "2*Hz/volt"}}}, "has a unit"),
        ({"plasticity": {**DELTA, "equations": "dw/dt = eta*error*y_pre : 1"}}, "error_post or"),
        ({"plasticity": {"equations": "dw/dt = eta*sin(t*eta) : 1",
                         "parameters": {"eta": "1*Hz"}}}, "name t"),
    ],
)  # fmt: skip
def test_what_cannot_be_together_is_refused_in_a_sentence(options, said):
    with pytest.raises(InputError, match=said) as caught:
        rn.TrainingConfig(**{"plasticity": "bcm", **options})
    assert "\n" not in str(caught.value)


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Unknown plasticity rule 'ojja'.*oja"):
        rn.TrainingConfig(plasticity="ojja")
    with pytest.raises(UnknownNameError, match="Unknown plasticity rule file"):
        rn.TrainingConfig(plasticity=tmp_path / "nothing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text('equations = "dw/dt = eta*y*y_pre : 1"\n[parameters]\neta="1*Hz"\n')
    with pytest.raises(ModelError, match=r"broken\.toml"):
        rn.TrainingConfig(plasticity=broken)


def test_a_rule_of_other_units_is_refused_before_anything_is_written(few_digits, tmp_path):
    rule = {"equations": "dw/dt = eta*y_post*y_pre : 1\ny : Hz", "parameters": {"eta": "1*second"}}
    with pytest.raises(InputError, match="y is in Hz"):
        rn.train(small(**SLOW, plasticity=rule), out=tmp_path / "run")
    assert not (tmp_path / "run" / "config.toml").exists()


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.parametrize("rule", [BCM, DELTA], ids=["bcm", "delta"])
def test_both_backends_train_alike(rule, few_digits, tmp_path):
    few = rn.stimuli.ImageSet.from_arrays(
        train=(few_digits.train.pixels[::40].numpy(), few_digits.train.labels[::40].numpy()),
        test=(few_digits.test.pixels[::50].numpy(), few_digits.test.labels[::50].numpy()),
    )
    options = {**SLOW, "data": few, "units": 8, "batch_size": 1, "plasticity": rule}
    found = [
        weights(rn.train(small(**options, backend=backend), out=tmp_path / backend))
        for backend in ("torch", "brian2")
    ]
    assert torch.allclose(*found, rtol=0, atol=1e-13)
