"""Stacks of layers as data: built right, and a wrong table is one clear sentence."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import torch
from brian2 import ms
from helpers.stack_cases import COMMON, TWO, built, config

import ratenet as rn
from ratenet.errors import InputError, RatenetError, RatenetWarning
from ratenet.layers import FeedbackLayers
from ratenet.layers.architecture import build_stack, cores_of, rates_of
from ratenet.layers.tables import read_tables
from ratenet.layers.weights import connectivity_of
from ratenet.training import TrainingConfig, read_options

FLOAT = torch.float64


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


def test_a_sample_is_given_as_many_iterations_as_its_layers_table_says() -> None:
    table = {"kind": "fixed-point", "units": 5, "tol": 1e-12, "max_iterations": 3}
    stack = build_stack(
        read_tables([table, {"kind": "read-out"}]), (28, 28), COMMON, seed=0, dtype=FLOAT
    )
    with pytest.warns(RatenetWarning, match="stopped at max_iterations"):
        stack(torch.rand(3, 784, dtype=FLOAT))
    (core,) = cores_of(stack).values()
    assert core.fixed_points.unsettled == 3
    assert int(core.fixed_points.iterations.max()) <= 3


def test_a_tolerance_is_judged_in_the_precision_of_the_run() -> None:
    tables = read_tables([{"kind": "fixed-point", "units": 5, "tol": 1e-8}, {"kind": "read-out"}])
    stack = build_stack(tables, (28, 28), COMMON, seed=0, dtype=FLOAT)
    stack(torch.rand(3, 784, dtype=FLOAT))
    (core,) = cores_of(stack).values()
    assert core.fixed_points.tol == 1e-8
    with pytest.raises(
        InputError,
        match=r"layers, 1\. \(fixed-point\): tol: expected at least 5e-07, .* got 1e-08",
    ):
        build_stack(tables, (28, 28), COMMON, seed=0)


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


def test_quantities_are_recorded_as_texts(tmp_path: Path) -> None:
    table = {"kind": "fixed-point", "units": 5, "parameters": {"tau": 30 * ms}}
    rn.train(config(table, {"kind": "read-out"}, epochs=1), out=tmp_path)
    found = tomllib.loads((tmp_path / "config.toml").read_text())
    network = rn.Network("rate", torch.eye(2), found["layers"][0]["parameters"])
    assert float(network.parameters["tau"]) == pytest.approx(0.03)


BAD = {
    "no table": ([3], r"layers, 1: expected a table, got 3"),
    "no kind": ([{"units": 3}], r"layers, 1\., kind: missing; expected one of fixed-point"),
    "unknown key": (
        [{"kind": "fixed-point", "unit": 3}],
        r"layers, 1\. \(fixed-point\): Unknown key 'unit'; did you mean 'units'",
    ),
    "missing": ([{"kind": "fixed-point"}], "units: missing; expected a whole number"),
    "type": (
        [{"kind": "fixed-point", "units": "3"}],
        "units: expected a whole number from 1 to 1000000, got '3'",
    ),
    "bool": (
        [{"kind": "fixed-point", "units": True}],
        "units: expected a whole number .*, got True",
    ),
    "huge": (
        [{"kind": "fixed-point", "units": 2**40}],
        "units: expected .* to 1000000, got 1099511627776",
    ),
    "one of them": (
        [{"kind": "feedback", "units": [3, 10**7]}],
        "units, 2: expected .* to 1000000, got 10000000",
    ),
    "number": (
        [{"kind": "fixed-point", "units": 3, "tol": "1"}],
        "tol: expected a number above 0, got '1'",
    ),
    "iterations": (
        [{"kind": "fixed-point", "units": 3, "max_iterations": 0}],
        "max_iterations: expected .* from 1 .*, got 0",
    ),
    "units": ([{"kind": "fixed-point", "units": 0}], "units: expected .* from 1 .*, got 0"),
    "no read-out": ([{"kind": "fixed-point", "units": 3}], "one read-out, as the last layer"),
    "not recurrent": ([{"kind": "read-out"}], "none of them is recurrent"),
    "learn": (
        [{"kind": "fixed-point", "units": 3, "learn": ["W"]}, {"kind": "read-out"}],
        "learn, 1: expected one of read-in, recurrent, got 'W'",
    ),
}


@pytest.mark.parametrize(("tables", "said"), BAD.values(), ids=list(BAD))
def test_a_wrong_table_is_one_clear_sentence(tables: list[dict], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config(*tables)


UNBUILT = {
    "no unit": (
        {
            "kind": "fixed-point",
            "units": 10,
            "connectivity": {"kind": "signed", "excitatory": 0.001},
        },
        "expected a share that leaves at least one .*of 10 units it makes 0",
    ),
    "rule": ({"kind": "fixed-point", "units": 3, "rule": "rule-5"}, "Unknown rule 'rule-5'"),
    "model": ({"kind": "fixed-point", "units": 3, "model": "none"}, "Unknown model 'none'"),
    "feedback": (
        {"kind": "feedback", "units": [3]},
        "units: expected the sizes of at least two layers",
    ),
    "read-in": (
        {"kind": "convolutional", "channels": 2, "read_in_size": 4},
        "read_in_size: expected an odd whole number.*got 4",
    ),
    "large read-in": (
        {"kind": "convolutional", "channels": 2, "read_in_size": 99, "border": "circular"},
        "read_in_size: expected an odd whole number up to the size of the images, 28, got 99",
    ),
    "even": ({"kind": "convolutional", "channels": 2, "kernel_size": 4}, "odd"),
    "loss": ({"kind": "fixed-point", "units": 3, "rule": "node-perturbation"}, "needs each sample"),
    "density": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "masked"}},
        r"connectivity \(masked\), density: missing; expected a number above 0",
    ),
    "kind": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": ["dense"]}},
        r"connectivity, kind: expected one of dense, .*, got \['dense'\]",
    ),
    "nan": (
        {
            "kind": "fixed-point",
            "units": 3,
            "connectivity": {"kind": "low-rank", "rank": float("nan")},
        },
        r"connectivity \(low-rank\), rank: expected a whole number of at least 1, got nan",
    ),
    "share": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "signed", "excitatory": 2}},
        "excitatory: expected a number above 0 and below 1, got 2",
    ),
    "empty": (
        {"kind": "fixed-point", "units": 10, "connectivity": {"kind": "masked", "density": 0.001}},
        "radius",
    ),
    "tol": (
        {"kind": "fixed-point", "units": 3, "tol": 1.0},
        "tol: expected a relative error.*got 1",
    ),
    "infinite": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "dense", "radius": 10**400}},
        "radius: expected a (finite )?number above 0",
    ),
    "huge": ({"kind": "fixed-point", "units": 10**6}, "there is not the memory for it"),
    "no rule": ({"kind": "fixed-point", "units": 3, "rule": ""}, "rule '': expected a name"),
    "connectivity": (
        {"kind": "fixed-point", "units": 3, "connectivity": {"kind": "ring"}},
        "connectivity, kind: expected one of dense, .*, got 'ring'",
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
    with pytest.raises(InputError, match="units: cannot be combined with layers; set it in each"):
        config(*TWO, units=50)
    with pytest.raises(InputError, match="tau: cannot be combined with layers"):
        config(*TWO, tau=0.02)


def test_the_shipped_architectures_can_be_built() -> None:
    for path in sorted(Path("benchmarks/architectures").glob("*.toml")):
        found = TrainingConfig(**read_options(path))
        assert dataclasses.replace(found, epochs=1).layers
        stack = build_stack(read_tables(found.layers), (28, 28), COMMON, seed=0)
        assert stack(torch.rand(1, 784)).shape == (1, 10)
