"""Stacks of layers as data: built right, trained as the layers' own gradients say, resumed."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import torch
from brian2 import ms

import ratenet as rn
from ratenet.errors import InputError, RatenetError, UnsettledError, UnsupportedError
from ratenet.layers import FeedbackLayers
from ratenet.layers.architecture import Common, build_stack, cores_of, rates_of, read_tables
from ratenet.layers.weights import connectivity_of
from ratenet.training import TrainingConfig, read_options
from ratenet.training.network_run import new_network_run
from ratenet.training.run_folder import RunFolder
from ratenet.training.stack_run import new_stack_run
from ratenet.training.workers import ALONE

FLOAT = torch.float64
COMMON = Common(10, "euclidean", 1e-3, 1e-4)
TWO = (
    {"kind": "fixed-point", "units": 20, "rule": "linearized-reparameterized"},
    {"kind": "fixed-point", "units": 15, "model": "adaptation", "parameters": {"tau": "20*ms"}},
    {"kind": "read-out"},
)
SMALL = {
    "presentation": "static",
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "batch_size": 200,
    "epochs": 2,
    "threads": 1,
    "rule": "euclidean",
}


def built(*tables: dict, image: tuple[int, int] = (28, 28), seed: int = 0) -> torch.nn.Sequential:
    return build_stack(read_tables(tables), image, COMMON, seed=seed)


def config(*tables: dict, **options: object) -> TrainingConfig:
    return TrainingConfig(**{**SMALL, **options}, layers=tables)


def test_each_layer_has_its_own_model_rule_and_time_constant() -> None:
    stack = built(*TWO)
    lower, upper = cores_of(stack).values()
    assert lower.network.model.name == "rate"
    assert upper.network.model.name == "adaptation"
    assert isinstance(lower.rule, rn.plasticity.LinearizedReparameterized)
    assert isinstance(upper.rule, rn.plasticity.Euclidean)  # the rule that holds for all
    assert float(upper.network.parameters["tau"]) == pytest.approx(0.02)
    assert stack(torch.rand(3, 784)).shape == (3, 10)


def test_the_same_seed_builds_the_same_weights_and_leaves_torch_alone() -> None:
    torch.manual_seed(5)
    first, second, third = built(*TWO), built(*TWO), built(*TWO, seed=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    for a, b, c in zip(first.parameters(), second.parameters(), third.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c) or a.unique().numel() == 1


def test_images_and_numbers_are_brought_into_form() -> None:
    stack = built(
        {"kind": "convolutional", "channels": 3, "kernel_size": 5, "stride": 2},
        {"kind": "average-pool", "size": 2},
        {"kind": "convolutional", "channels": 2, "border": "circular"},
        {"kind": "read-in", "units": 7},
        {"kind": "feedback", "units": [6, 5, 4]},
        {"kind": "read-out"},
        image=(11, 13),
    )
    x, shapes = torch.rand(2, 143), []
    for layer in stack:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [
        (1, 11, 13), (3, 6, 7), (3, 3, 3), (2, 3, 3), (18,), (7,), (4,), (10,),
    ]  # fmt: skip


def test_what_is_not_to_learn_is_frozen_and_rates_are_the_layers_own() -> None:
    tables = read_tables(
        [
            {"kind": "fixed-point", "units": 5, "learn": ["recurrent"], "learning_rate": 0.01},
            {"kind": "fixed-point", "units": 5, "learn": ["read-in"]},
            {"kind": "fixed-point", "units": 5},
            {"kind": "read-out", "learn": False},
        ]
    )
    stack = build_stack(tables, (2, 2), COMMON, seed=0)
    assert rates_of(tables, stack, COMMON) == {
        "layer1.core.recurrent.W": 0.01,
        "layer2.read_in.weight": 1e-3,
        "layer2.read_in.bias": 1e-3,
        "layer3.read_in.weight": 1e-3,
        "layer3.read_in.bias": 1e-3,
        "layer3.core.recurrent.W": 1e-4,
    }


@pytest.mark.parametrize(
    ("table", "check"),
    [
        ({}, lambda W: W.parameters["W"].count_nonzero() == 2500),
        ({"kind": "masked", "density": 0.2}, lambda W: 300 < W.mask.sum() < 700),
        ({"kind": "signed", "excitatory": 0.6}, lambda W: (W.signs > 0).sum() == 30),
        ({"kind": "low-rank", "rank": 3}, lambda W: torch.linalg.matrix_rank(W.dense()) == 3),
    ],
    ids=["dense", "masked", "signed", "low-rank"],
)
def test_first_weights_have_the_radius_that_is_asked_for(table: dict, check) -> None:
    torch.manual_seed(0)
    W = connectivity_of({**table, "radius": 0.7}, 50)
    assert check(W)
    assert rn.connectivity.eigenvalues(W).abs().max() == pytest.approx(0.7, rel=0.4)


def test_layers_with_feedback_rest_where_their_blocks_say() -> None:
    torch.manual_seed(0)
    layers = FeedbackLayers(3, [6, 5, 4], rule=rn.plasticity.Euclidean())
    layers.to(FLOAT)
    x = torch.randn(2, 3, dtype=FLOAT, requires_grad=True)
    W = dict(layers.core.recurrent)
    one, two, three = torch.zeros(2, 6).to(x), torch.zeros(2, 5).to(x), torch.zeros(2, 4).to(x)
    for _ in range(400):  # each layer from its neighbours, in turn
        one = torch.tanh(
            one @ W["layer1_from_layer1/W"].T
            + two @ W["layer1_from_layer2/W"].T
            + layers.read_in(x)
        )
        two = torch.tanh(
            one @ W["layer2_from_layer1/W"].T
            + two @ W["layer2_from_layer2/W"].T
            + three @ W["layer2_from_layer3/W"].T
        )
        three = torch.tanh(two @ W["layer3_from_layer2/W"].T + three @ W["layer3_from_layer3/W"].T)
    torch.testing.assert_close(layers(x), three, rtol=0, atol=1e-8)
    torch.autograd.gradcheck(lambda x: layers(x), (x,), eps=1e-5, atol=1e-5)


def test_first_weights_of_feedback_layers_have_a_radius_of_a_half() -> None:
    torch.manual_seed(0)
    for units in ([300, 200], [150, 300, 200]):
        W = FeedbackLayers(2, units).network.connectivity
        assert rn.connectivity.eigenvalues(W).abs().max() == pytest.approx(0.5, rel=0.08)


@pytest.mark.parametrize("border", ["zero", "circular"])
def test_a_read_in_with_a_stride_leaves_the_recurrent_equation(border: str) -> None:
    torch.manual_seed(0)
    layer = rn.ConvFixedPointLayer(2, 3, 9, 6, 3, border, stride=2, read_in_size=5)
    x = torch.randn(4, 2, 9, 6)
    rates = layer(x)
    assert rates.shape == (4, 3, 5, 3)
    mode = "constant" if border == "zero" else "circular"
    drive = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x, (2, 2, 2, 2), mode=mode),
        layer.read_in.weight, layer.read_in.bias, stride=2,
    )  # fmt: skip
    own = torch.nn.functional.conv2d(
        torch.nn.functional.pad(rates, (1, 1, 1, 1), mode=mode), layer.core.recurrent["kernel"]
    )
    torch.testing.assert_close(rates, torch.tanh(own + drive), rtol=0, atol=1e-4)


def test_a_stack_of_one_layer_learns_as_the_network_does(tmp_path: Path) -> None:
    """The loop's own classifier and a stack with its weights, two ways of one gradient."""
    rule, same = "linearized-reparameterized", {"optimizer": "sgd", "dtype": "float64"}
    tables = (
        {"kind": "fixed-point", "units": 30, "bias": False, "rule": rule},
        {"kind": "read-out", "bias": False},
    )
    both = {**SMALL, **same, "epochs": 1, "learning_rate": 0.2, "recurrent_learning_rate": 0.05}
    stacked = TrainingConfig(**both, layers=tables)
    single = TrainingConfig(**{**both, "rule": rule}, units=30, learn=("read-in", "read-out"))

    stack_run = new_stack_run(stacked, RunFolder(tmp_path / "a"), ALONE)
    network_run = new_network_run(single, "rate", RunFolder(tmp_path / "b"), ALONE)
    pairs = {
        "W": "layer1.core.recurrent.W",
        "read-in": "layer1.read_in.weight",
        "read-out": "layer2.weight",
    }
    with torch.no_grad():
        for one, other in pairs.items():
            stack_run.parameters[other].copy_(network_run.parameters[one])
    for _ in range(4):
        rows = [run.take_step() for run in (stack_run, network_run)]
        for name in ("train_loss", "train_accuracy", "settled"):
            assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-7)
        stack_run.progress.step += 1
        network_run.progress.step += 1
    for one, other in pairs.items():
        torch.testing.assert_close(
            stack_run.parameters[other].detach(), network_run.parameters[one], rtol=1e-5, atol=1e-7
        )


def test_a_stack_is_trained_recorded_repeated_and_evaluated(tmp_path: Path) -> None:
    result = rn.train(config(*TWO, validation=200, patience=5), out=tmp_path / "run")
    assert result.summary["test_accuracy"] > 0.6
    assert set(result.summary["layers"]) == {"layer1", "layer2"}
    assert result.summary["rule"] == "linearized-reparameterized, euclidean"
    ends = result.metrics.dropna(subset="weight_norm")
    assert len(ends) == 2
    W = result.classifier.get_submodule("layer2").core.network.connectivity.dense()
    assert result.summary["layers"]["layer2"]["weight_norm"] == pytest.approx(
        float(torch.linalg.matrix_norm(W.double(), 2)), rel=1e-6
    )
    assert (ends["abscissa"] < 0).all()
    assert (tmp_path / "run" / "figures" / "learning_curve.png").stat().st_size > 10_000
    recorded = tmp_path / "run" / "config.toml"
    table = tomllib.loads(recorded.read_text())
    assert "units" not in table["training"]
    assert table["layers"][1]["model"]["name"] == "adaptation"
    again = rn.train(TrainingConfig(**read_options(recorded)), out=tmp_path / "again")
    for a, b in zip(result.classifier.parameters(), again.classifier.parameters(), strict=True):
        assert torch.equal(a, b)
    tested, slowly = rn.training.evaluate(tmp_path / "run")
    assert tested.accuracy == result.summary["test_accuracy"]
    assert slowly is None


@pytest.mark.parametrize("step", [20, 27], ids=["end of an epoch", "amid one"])
def test_a_stack_that_was_stopped_goes_on_with_the_same_numbers(tmp_path: Path, step: int) -> None:
    options = {"validation": 200}  # whose images must leave no trace in the solvers
    whole = rn.train(config(*TWO, **options), out=tmp_path / "whole")

    def stop(run: object, row: dict) -> None:
        if row["step"] == step:
            raise OSError("the power fails")

    with pytest.raises(OSError, match="power"):
        rn.train(config(*TWO, **options), out=tmp_path / "stopped", callbacks=[stop])
    resumed = rn.training.resume(tmp_path / "stopped")
    for a, b in zip(whole.classifier.parameters(), resumed.classifier.parameters(), strict=True):
        assert torch.equal(a, b)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]


def test_a_frozen_network_does_not_change_while_the_rest_learns(tmp_path: Path) -> None:
    tables = ({"kind": "fixed-point", "units": 20, "rule": "frozen"}, {"kind": "read-out"})
    decay = {"optimizer": "adamw", "weight_decay": 0.3}
    result = rn.train(config(*tables, epochs=1, **decay), out=tmp_path)
    before = built(*tables)
    after = dict(result.classifier.named_parameters())
    for name, parameter in before.named_parameters():
        assert torch.equal(parameter, after[name]) == ("recurrent" in name), name


@pytest.mark.filterwarnings("ignore:FixedPointCore")
@pytest.mark.parametrize("unsettled", ["leave-out", "include"])
def test_too_many_unsettled_samples_end_a_run_unless_they_are_kept(
    unsettled: str, tmp_path: Path
) -> None:
    run = new_stack_run(config(*TWO, unsettled=unsettled), RunFolder(tmp_path), ALONE)
    cores_of(run.stack)["layer2"].max_iterations = 2
    before = {name: tensor.detach().clone() for name, tensor in run.parameters.items()}
    if unsettled == "leave-out":
        with pytest.raises(UnsettledError, match=r"200 of 200 samples did not .*layer2: Settled"):
            run.take_step()
    else:
        assert run.take_step()["settled"] == 0
        for name, tensor in run.parameters.items():
            assert not torch.equal(tensor, before[name]), name
    assert run.progress.left_out == run.progress.shown == 200


@pytest.mark.filterwarnings("ignore:FixedPointCore")
def test_kept_samples_get_the_gradient_of_a_state_at_rest() -> None:
    network = rn.Network("linear", torch.tensor([[0.5]], dtype=FLOAT))
    drive = torch.tensor([[1.0], [0.0]], dtype=FLOAT, requires_grad=True)
    for how, expected in (("mask", 0.0), ("include", 2.0)):  # 1 / (1 - W)
        drive.grad = None
        core = rn.FixedPointCore(
            network, solver=rn.DampedIteration(), max_iterations=3, on_unsettled=how
        )
        core(drive).sum().backward()
        assert core.last.unsettled == 1
        assert drive.grad.flatten().tolist() == pytest.approx([expected, 2.0])


@pytest.mark.filterwarnings("ignore:FixedPointCore")
def test_no_rule_learns_from_samples_that_another_layer_lost(tmp_path: Path) -> None:
    """A rule that uses no error would, since an error of 0 says nothing to it."""
    tables = (
        {"kind": "fixed-point", "units": 8, "rule": "hebb"},
        {"kind": "fixed-point", "units": 8},
        {"kind": "read-out"},
    )
    run = new_stack_run(config(*tables, optimizer="sgd"), RunFolder(tmp_path), ALONE)
    lower, upper = cores_of(run.stack).values()
    W = lower.recurrent["W"].detach().clone()
    pixels, _ = run.batch()
    rates = lower(run.stack.layer1.read_in(pixels)).detach()
    lost = torch.arange(200) % 5 < 2
    find = upper._find

    def losing(*arguments: object) -> rn.FixedPoints:
        found = find(*arguments)
        status = found.status.masked_fill(lost, 1)
        upper.fixed_points = dataclasses.replace(found, status=status)
        return upper.fixed_points

    upper._find = losing
    run.take_step()
    kept = rates[~lost]
    expected = W + 2e-3 * kept.T @ kept / len(kept)
    torch.testing.assert_close(lower.recurrent["W"].detach(), expected, rtol=1e-4, atol=1e-7)
    assert run.progress.left_out == 80


def test_options_go_before_what_a_recorded_run_did_not_say_itself(tmp_path: Path) -> None:
    rn.train(config(*TWO, epochs=1), out=tmp_path)
    options = read_options(tmp_path / "config.toml")
    again = TrainingConfig(**{**options, "rule": "hebb", "recurrent_learning_rate": 0.5})
    run = new_stack_run(again, RunFolder(tmp_path / "again"), ALONE)
    lower, upper = cores_of(run.stack).values()
    assert isinstance(lower.rule, rn.plasticity.LinearizedReparameterized)  # its own
    assert isinstance(upper.rule, rn.plasticity.Hebb)


def test_quantities_are_recorded_as_texts(tmp_path: Path) -> None:
    table = {"kind": "fixed-point", "units": 5, "parameters": {"tau": 30 * ms}}
    rn.train(config(table, {"kind": "read-out"}, epochs=1), out=tmp_path)
    found = tomllib.loads((tmp_path / "config.toml").read_text())
    network = rn.Network("rate", torch.eye(2), found["layers"][0]["parameters"])
    assert float(network.parameters["tau"]) == pytest.approx(0.03)


BAD = {
    "no table": ([3], r"layers, 1\. 3 is no table"),
    "no kind": ([{"units": 3}], r"layers, 1\., kind: None is not one of fixed-point"),
    "unknown key": (
        [{"kind": "fixed-point", "unit": 3}],
        r"layers, 1\. \(fixed-point\): the key 'unit' is unknown; allowed are model, rule",
    ),
    "missing": ([{"kind": "fixed-point"}], "the key 'units' is missing"),
    "type": ([{"kind": "fixed-point", "units": "3"}], "units: '3' is not a whole number"),
    "bool": ([{"kind": "fixed-point", "units": True}], "units: True is not a whole number"),
    "no read-out": ([{"kind": "fixed-point", "units": 3}], "one read-out, as the last layer"),
    "not recurrent": ([{"kind": "read-out"}], "none of them is recurrent"),
    "learn": (
        [{"kind": "fixed-point", "units": 3, "learn": ["W"]}, {"kind": "read-out"}],
        "learn: 'W' is not one of read-in, recurrent",
    ),
}


@pytest.mark.parametrize(("tables", "said"), BAD.values(), ids=list(BAD))
def test_a_wrong_table_is_one_clear_sentence(tables: list[dict], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config(*tables)


UNBUILT = {
    "rule": ({"kind": "fixed-point", "units": 3, "rule": "rule-5"}, "no rule 'rule-5'"),
    "model": ({"kind": "fixed-point", "units": 3, "model": "none"}, "no model 'none'"),
    "units": ({"kind": "fixed-point", "units": 0}, "units: 0 is no whole number"),
    "feedback": ({"kind": "feedback", "units": [3]}, "not the sizes of two layers"),
    "read-in": (
        {"kind": "convolutional", "channels": 2, "read_in_size": 4},
        "read_in_size: 4 is no odd whole number",
    ),
    "large read-in": (
        {"kind": "convolutional", "channels": 2, "read_in_size": 99, "border": "circular"},
        "read_in_size: 99 is no odd whole number up to the 28 places",
    ),
    "even": ({"kind": "convolutional", "channels": 2, "kernel_size": 4}, "odd"),
    "loss": ({"kind": "fixed-point", "units": 3, "rule": "node-perturbation"}, "needs each sample"),
    "density": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "masked"}},
        r"connectivity \(masked\): the key 'density' is missing",
    ),
    "kind": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": ["dense"]}},
        r"connectivity, kind: \['dense'\] is not one of dense",
    ),
    "nan": (
        {
            "kind": "fixed-point",
            "units": 3,
            "connectivity": {"kind": "low-rank", "rank": float("nan")},
        },
        r"connectivity \(low-rank\), rank: nan is no number above 0",
    ),
    "share": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "signed", "excitatory": 2}},
        "excitatory: 2 is no share of the units",
    ),
    "empty": (
        {"kind": "fixed-point", "units": 10, "connectivity": {"kind": "masked", "density": 0.001}},
        "it cannot be built",
    ),
    "huge": ({"kind": "fixed-point", "units": 2**40}, "it cannot be built"),
    "no rule": ({"kind": "fixed-point", "units": 3, "rule": ""}, "no rule ''"),
    "connectivity": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "ring"}},
        "connectivity, kind: 'ring' is not one of dense",
    ),
}


@pytest.mark.parametrize(("table", "said"), UNBUILT.values(), ids=list(UNBUILT))
def test_a_layer_that_cannot_be_built_says_which(table: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(RatenetError, match=rf"layers, 1\. \({table['kind']}\): .*{said}"):
        rn.train(config(table, {"kind": "read-out"}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_image_layer_after_numbers_is_refused() -> None:
    with pytest.raises(InputError, match=r"layers, 2\. \(convolutional\): it takes images"):
        built(
            {"kind": "fixed-point", "units": 4}, {"kind": "convolutional", "channels": 2},
            {"kind": "read-out"},
        )  # fmt: skip


def test_options_of_one_network_are_refused_beside_layers() -> None:
    with pytest.raises(InputError, match="units: layers say it for themselves"):
        config(*TWO, units=50)
    with pytest.raises(InputError, match="presentation: 'slow'"):
        config(*TWO, presentation="slow")


def test_a_finite_step_wants_a_plain_optimizer_and_a_constant_rate(tmp_path: Path) -> None:
    tables = (
        {"kind": "fixed-point", "units": 10, "model": "linear", "rule": "reparameterized"},
        {"kind": "read-out"},
    )
    with pytest.raises(UnsupportedError, match="it takes optimizer 'sgd'"):
        rn.train(config(*tables), out=tmp_path)
    with pytest.raises(UnsupportedError, match="use schedule 'constant'"):
        rn.train(config(*tables, optimizer="sgd", schedule="cosine"), out=tmp_path)
    whole = config(*tables, optimizer="sgd", learning_rate=0.05, epochs=1)
    assert rn.train(whole, out=tmp_path).summary["status"] == "done"


def test_the_shipped_architectures_can_be_built() -> None:
    for path in sorted(Path("benchmarks/architectures").glob("*.toml")):
        found = TrainingConfig(**read_options(path))
        assert dataclasses.replace(found, epochs=1).layers
        stack = build_stack(read_tables(found.layers), (28, 28), COMMON, seed=0)
        assert stack(torch.rand(1, 784)).shape == (1, 10)
