"""Rules and models as objects and of the user's own: trained, recorded, imported on demand."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, RatenetWarning, UnknownNameError
from ratenet.training import read_options
from ratenet.training.same_run import digest_of_config

SMALL = {"epochs": 1, "units": 6, "batch_size": 40, "presentation": "static"}
OWN = """
import torch

import ratenet as rn

assert not globals().get("forbidden")


@rn.plasticity.rule(metric="none: three factors")
def three_factor(fp, error, learning_rate):
    return -learning_rate * (fp.gain * error).T @ fp.rates / len(fp)


@rn.plasticity.rule(metric="none")
def misshapen(fp, error, learning_rate):
    return error


@rn.plasticity.rule(metric="none")
def not_a_number(fp, error, learning_rate):
    return float("nan") * error.T @ fp.rates


def quartic(outputs, targets):
    return ((outputs - torch.nn.functional.one_hot(targets, 2)) ** 4).sum(dim=1)


divisive = {
    "name": "divisive",
    "equations": "dr/dt = (-r + tanh(I_rec + I_ext)) / tau : 1",
    "output": "r",
    "recurrent": "I_rec",
    "drive": "I_ext",
    "parameters": {"tau": "10*ms"},
}
noisy = {**divisive, "equations": "dr/dt = (-r + tanh(I_rec + I_ext)) / tau + xi / tau**0.5 : 1"}
"""


@pytest.fixture
def few() -> rn.stimuli.ImageSet:
    """Images of two classes."""
    generator = torch.Generator().manual_seed(0)
    x, t = torch.rand(80, 3, 3, generator=generator), torch.arange(80) % 2
    return rn.stimuli.ImageSet.from_arrays(train=(x, t), test=(x[:20], t[:20]), name="few")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def config_of(few: rn.stimuli.ImageSet, **options: object) -> rn.TrainingConfig:
    return rn.TrainingConfig(**{**SMALL, "data": few, **options})


@pytest.mark.parametrize(
    "given",
    [
        rn.plasticity.TruncatedAdjoint(5),
        "truncated-adjoint( terms = 5 )",
        {"name": "truncated-adjoint", "terms": 5},
    ],
)
def test_a_rule_is_the_same_in_all_ways_of_giving_it(given: object) -> None:
    config = rn.TrainingConfig(rule=given)
    digests = {
        digest_of_config(each, {})
        for each in (config, rn.TrainingConfig(rule="truncated-adjoint(terms=5)"))
    }
    if not isinstance(given, str):
        assert config.rule == "truncated-adjoint(terms=5)"
        assert len(digests) == 1


def test_layers_take_rules_and_models_as_objects() -> None:
    layer = {
        "kind": "fixed-point",
        "units": 3,
        "rule": rn.plasticity.TruncatedAdjoint(2),
        "model": rn.load_model("rate(tau=5*ms)"),
    }
    config = rn.TrainingConfig(layers=[layer, {"kind": "read-out"}], presentation="static")
    assert config.layers[0]["rule"] == "truncated-adjoint(terms=2)"
    assert config.layers[0]["model"]["parameters"] == {"tau": "0.005*second"}


def test_a_model_of_ones_own_is_recorded_whole(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    rn.train(config_of(few, model=f"{own}:divisive"), out=out)
    own.unlink()
    table = tomllib.loads((out / "config.toml").read_text())
    assert table["model"]["name"] == "divisive"
    assert "model" not in table["training"]
    assert rn.load_run(out).network.model.name == "divisive"
    options = read_options(out / "config.toml")
    assert rn.TrainingConfig(**{**options, "data": few}).model.name == "divisive"


def test_code_of_ones_own_is_kept_and_imported_only_when_it_is_given_or_trusted(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    out, name = tmp_path / "run", f"{own}:three_factor"
    rn.train(config_of(few, rule=name), out=out)
    table = tomllib.loads((out / "config.toml").read_text())
    assert table["training"]["rule"] == name
    (code,) = table["code"]
    assert (out / code["copy"]).read_text() == OWN

    own.write_text("raise SystemExit")  # nothing below may import it
    assert rn.load_run(out).config.rule == name
    asked = "rule: recorded is .*not imported by itself; give the rule again .*--trust"
    with pytest.raises(InputError, match=asked):
        rn.resume(out, {"epochs": 2, "data": few})
    with pytest.raises(InputError, match=asked):
        rn.evaluate(out, data=few)
    with pytest.raises(InputError, match=asked):
        config = rn.TrainingConfig(**{**read_options(out / "config.toml"), "data": few})
        rn.train(config, out=tmp_path / "other")

    own.write_text(OWN)
    again = rn.evaluate(out, data=few, rule=name)[0]
    assert again.loss == rn.evaluate(out, data=few, trust=True)[0].loss
    with pytest.raises(InputError, match="rule: expected .*three_factor', as the run was started"):
        rn.resume(out, {"rule": "hebb", "data": few})
    with pytest.raises(
        UnknownNameError, match=r"name in mine\.py: 'three'; available: three_factor"
    ):
        rn.resume(out, {"rule": f"{own}:three", "data": few})


def test_resuming_with_the_rule_goes_on_as_if_it_had_not_been_stopped(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    config = config_of(few, rule=f"{own}:three_factor", epochs=2)
    whole = rn.train(config, out=tmp_path / "whole")
    rn.train(dataclasses.replace(config, epochs=1), out=tmp_path / "run")
    elsewhere = tmp_path / "elsewhere" / "mine.py"
    elsewhere.parent.mkdir()
    elsewhere.write_text(OWN + "\n# edited\n")
    with pytest.warns(RatenetWarning, match="mine.py has changed since the run was started"):
        resumed = rn.resume(
            tmp_path / "run", {"epochs": 2, "data": few, "rule": f"{elsewhere}:three_factor"}
        )
    assert resumed.summary["test_loss"] == whole.summary["test_loss"]
    table = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert [each.get("since_step") for each in table["code"]] == [None, "2"]
    assert rn.load_run(tmp_path / "run").summary["steps"] == 4


def test_a_rule_that_has_no_name_is_asked_for_again(
    few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    @rn.plasticity.rule(metric="none")
    def inside(fp, error, learning_rate):
        return -learning_rate * error.T @ fp.rates / len(fp)

    out = tmp_path / "run"
    assert rn.train(config_of(few, rule=inside), out=out).summary["rule"].startswith("<Function")
    with pytest.raises(InputError, match="an object without a name; give the rule again"):
        rn.resume(out, {"epochs": 2, "data": few}, trust=True)
    assert rn.resume(out, {"epochs": 2, "data": few, "rule": inside}).summary["steps"] == 4


def test_a_loss_of_ones_own_is_kept_as_a_rule_is(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    rn.train(config_of(few, loss=f"{own}:quartic"), out=out)
    assert (out / "code").exists()
    own.write_text("raise SystemExit")
    assert rn.load_run(out).answer(few.test).shape == (20, 2)
    with pytest.raises(InputError, match="loss: recorded is .*give the loss again .*--loss FILE"):
        rn.evaluate(out, data=few)
    own.write_text(OWN)
    assert rn.evaluate(out, data=few, loss=f"{own}:quartic")[0].loss > 0


def test_a_stack_with_a_rule_of_ones_own_is_loaded_without_it(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    layers = [
        {"kind": "fixed-point", "units": 4, "rule": f"{own}:three_factor"},
        {"kind": "read-out"},
    ]
    options = {"epochs": 1, "batch_size": 40, "presentation": "static", "data": few}
    rn.train(rn.TrainingConfig(layers=layers, **options), out=tmp_path / "run")
    own.write_text("raise SystemExit")
    outputs = rn.load_run(tmp_path / "run").learner(few.test.pixels.float())
    with pytest.raises(InputError, match="give the rule again"):
        outputs.sum().backward()
    own.write_text(OWN)
    again = {"epochs": 2, "data": few, "layers": layers}
    assert rn.resume(tmp_path / "run", again).summary["steps"] == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rule": "{}:misshapen"}, r"rule misshapen: expected tensors shaped .*'W': \(6, 6\)"),
        ({"rule": "{}:three_factors"}, "name in mine.py: 'three_factors'; did you mean"),
        ({"rule": "{}"}, "expected what in the file is meant, FILE.py:NAME"),
        ({"rule": "{}:divisive"}, "expected a rule: .*, got {"),
        ({"rule": "oja(rate=1)"}, "Unknown setting of rule 'oja': 'rate'; available: none"),
        ({"model": "{}:three_factor"}, "expected the name of a model, a path, a table or"),
        ({"model": "{}:noisy"}, r"model: 'divisive' has noise \(xi\), which has no effect on"),
        ({"model": "rate(tua=5*ms)"}, "Unknown setting of model 'rate': 'tua'; did you mean 'tau'"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(
    options: dict, sentence: str, own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    given = {name: value.replace("{}", str(own)) for name, value in options.items()}
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        rn.train(config_of(few, **given), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_change_that_is_not_a_number_is_told_with_the_rule(
    own: Path, few: rn.stimuli.ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(rn.errors.DivergenceError, match="rule not_a_number: .*NaN"):
        rn.train(config_of(few, rule=f"{own}:not_a_number"), out=tmp_path / "run")
