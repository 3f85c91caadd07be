"""Layers and stacks come back from their file to the last bit; what cannot be kept is told."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ratenet as rn
from ratenet.connectivity import Masked
from ratenet.errors import DataError, InputError, UnsupportedError
from ratenet.layers.feedback import FeedbackLayers
from ratenet.plasticity import Hebb, Oja, TruncatedAdjoint
from ratenet.tensor_files import read_table, write_table


def sparse() -> rn.FixedPointLayer:
    """Return a layer with all that a connectivity, a model and a rule may have."""
    W = 0.3 * torch.randn(6, 6, dtype=torch.float64)
    return rn.FixedPointLayer(
        3,
        6,
        connectivity=Masked(W * (W > 0), W > 0),
        parameters={"tau": "normal(20*ms, 1*ms)"},
        rule=TruncatedAdjoint(terms=7),
        bias=False,
        tol=1e-6,
        on_unsettled="include",
    )


def stack() -> torch.nn.Sequential:
    layers = torch.nn.Sequential(
        OrderedDict(
            shape1=torch.nn.Unflatten(1, (1, 8, 8)),
            layer1=rn.ConvFixedPointLayer(1, 2, 8, 8, stride=2, read_in_size=5, border="circular"),
            layer2=torch.nn.AvgPool2d(2),
            shape2=torch.nn.Flatten(),
            layer3=rn.FixedPointLayer(8, 5),
            layer4=torch.nn.Linear(5, 3),
        )
    )
    layers.get_submodule("layer1.core").requires_grad_(False)
    return layers


CASES: dict[str, tuple[Callable[[], torch.nn.Module], tuple[int, ...]]] = {
    "full": (sparse, (4, 3)),
    "core": (lambda: sparse().core, (4, 6)),
    "convolutional": (lambda: rn.ConvFixedPointLayer(2, 3, 5, 4, bias=False), (4, 2, 5, 4)),
    "feedback": (lambda: FeedbackLayers(4, [5, 3], rule=Hebb()), (4, 4)),
    "stack": (stack, (4, 64)),
}


@pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)
def test_layers_come_back_to_the_last_bit(
    make: Callable[[], torch.nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module, path = make(), tmp_path / "layers.safetensors"
    rn.layers.save(module, path)
    random = torch.random.get_rng_state()
    loaded = rn.layers.load(path)
    assert torch.equal(random, torch.random.get_rng_state())
    assert repr(loaded) == repr(module)
    mine, other = module.state_dict(), loaded.state_dict()
    assert list(mine) == list(other)
    assert all(torch.equal(mine[n], other[n]) and mine[n].dtype == other[n].dtype for n in mine)
    learns = [[p.requires_grad for p in m.parameters()] for m in (module, loaded)]
    assert learns[0] == learns[1]
    x = torch.randn(shape, dtype=next(module.parameters()).dtype)
    assert torch.equal(module(x), loaded(x))


def test_options_and_rule_of_a_layer_come_back(tmp_path: Path) -> None:
    sparse().save(tmp_path / "layer")
    core = rn.layers.load(tmp_path / "layer").core
    assert (core.rule, core.tol, core.on_unsettled) == (TruncatedAdjoint(terms=7), 1e-6, "include")
    again = rn.layers.load(tmp_path / "layer", rule="oja", dtype=torch.float32)
    assert again.core.rule == Oja()
    assert {p.dtype for p in again.parameters()} == {torch.float32}


def test_a_loaded_layer_goes_on_learning(tmp_path: Path) -> None:
    module, x = sparse(), torch.randn(4, 3, dtype=torch.float64)
    module.save(tmp_path / "layer")
    loaded = rn.layers.load(tmp_path / "layer")
    for each in (module, loaded):
        each(x).sum().backward()
    assert torch.equal(loaded.core.recurrent["W"].grad, module.core.recurrent["W"].grad)


def test_a_rule_of_ones_own_is_not_imported_by_itself(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import ratenet as rn\n\n\n@rn.plasticity.rule(metric='none')\n"
        "def mine(fp, error, learning_rate):\n"
        "    return -learning_rate * error.T @ fp.rates / len(fp)\n"
    )
    layer = rn.FixedPointLayer(2, 3, rule=rn.plasticity.rule_named(f"{own}:mine"))
    layer.save(tmp_path / "layer")
    with pytest.raises(InputError, match=r"rule: .*not imported by itself"):
        rn.layers.load(tmp_path / "layer")
    assert rn.layers.load(tmp_path / "layer", rule=Hebb()).core.rule == Hebb()
    assert "mine" in repr(rn.layers.load(tmp_path / "layer", trust=True).core.rule)


def test_other_modules_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="save: 1, ReLU: only fixed-point layers"):
        rn.layers.save(
            torch.nn.Sequential(rn.FixedPointLayer(2, 3), torch.nn.ReLU()), tmp_path / "x"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_not_taken_for_layers(tmp_path: Path) -> None:
    rn.Network("rate", [[0.5]]).save(tmp_path / "net")
    with pytest.raises(DataError, match=r"expected saved layers, got a saved network"):
        rn.layers.load(tmp_path / "net")


def _modules(table: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = table["module"]["modules"]
    return found


FORGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nothing": lambda t: t.pop("module"),
    "kind": lambda t: _modules(t)["layer1"].update(kind="pickle"),
    "size": lambda t: _modules(t)["layer4"]["arguments"].update(in_features=9),
    "units": lambda t: _modules(t)["layer3"]["arguments"].update(units=9),
    "argument": lambda t: _modules(t)["layer3"]["arguments"].update(evil=9),
    "tolerance": lambda t: _modules(t)["layer3"]["core"]["options"].update(tol=-1),
    "core": lambda t: _modules(t)["layer3"].update(core=3),
    "frozen": lambda t: t.update(frozen=["x"]),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_forged_files_are_refused(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    rn.layers.save(stack(), tmp_path / "stack")
    table, tensors = read_table(tmp_path / "stack", "layers")
    changed = copy.deepcopy(table)
    change(changed)
    write_table(tmp_path / "stack", "layers", changed, tensors)
    with pytest.raises(DataError, match="cannot be used"):
        rn.layers.load(tmp_path / "stack")
