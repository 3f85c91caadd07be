"""Plasticity rules as equations: what a file may say, and what is refused."""

import copy
import dataclasses
import pickle
from pathlib import Path

import pytest
from brian2 import Hz, ms

import ratenet as rn
from ratenet.equations.latex import plasticity_latex
from ratenet.equations.synapse_terms import parted
from ratenet.errors import InputError, ModelError, UnknownNameError

OJA = "dw/dt = eta * y_post * (y_pre - y_post*w) : 1"


def rule(equations: str = OJA, **changes: object) -> rn.PlasticitySpec:
    return rn.PlasticitySpec(**{"equations": equations, "parameters": {"eta": "1*Hz"}, **changes})


@pytest.mark.parametrize("name", rn.plasticity_names())
def test_a_shipped_rule_is_complete(name: str) -> None:
    spec = rn.load_plasticity(name)
    assert spec.name == name
    assert spec.source and spec.title != spec.name
    assert spec.unused_parameters == ()
    assert rn.PlasticitySpec(**spec.to_table()) == spec
    assert spec.weight in str(spec)
    assert plasticity_latex(spec).startswith(r"\begin{align*}")


@pytest.mark.parametrize("name", rn.plasticity_names())
def test_the_weights_of_every_shipped_rule_are_matrix_products(name: str) -> None:
    spec = rn.load_plasticity(name)
    for expression in spec.synapses.values():
        terms = parted(expression, spec.synapse_variables)
        assert terms is not None
        total = sum(term.synapse * term.post * term.pre for term in terms)
        assert (total - expression).expand() == 0


def test_a_spec_is_a_value() -> None:
    spec = rn.load_plasticity("bcm")
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) is spec
    assert hash(spec) == hash(rn.load_plasticity("bcm"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]


def test_variables_are_sorted_into_units_and_synapses() -> None:
    spec = rule(
        """
        dw/dt = eta * c : 1
        dc/dt = (z_post * y_pre - c) / tau : 1
        z = y - m : 1                       # a subexpression of a unit
        dm/dt = (y - m) / tau : 1
        ds/dt = (c - s) / tau : 1           # follows a synapse
        """,
        parameters={"eta": "1*Hz", "tau": "1*second"},
    )
    assert spec.unit_variables == ("m",)
    assert spec.synapse_variables == ("w", "c", "s")
    assert str(spec.synapses["c"]) == "(-c + y_pre*(-m_post + y_post))/tau"


def test_a_file_is_loaded_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nequations = "{OJA}"\n[parameters]\neta = "1*Hz"\n')
    assert rn.load_plasticity(path).name == "mine"
    path.write_text(path.read_text() + "tau = '1*ms'\n")
    with pytest.warns(rn.errors.RatenetWarning, match=r"parameters, tau: never used"):
        rn.load_plasticity(str(path))
    path.write_text("equations = 3")
    with pytest.raises(ModelError, match=r"mine\.toml: equations: .*string"):
        rn.load_plasticity(path)
    with pytest.raises(UnknownNameError, match=r"Unknown plasticity rule 'ojja'; did you mean"):
        rn.load_plasticity("ojja")
    with pytest.raises(InputError, match="plasticity rule: expected the name of a plasticity rule"):
        rn.load_plasticity(3)  # type: ignore[arg-type]


def test_other_parameters() -> None:
    spec = rn.load_plasticity("bcm").with_parameters(eta=2 * Hz, tau_theta=20 * ms)
    assert float(spec.defaults["tau_theta"].values({}, 3, 0)) == 0.02
    with pytest.raises(UnknownNameError, match="Unknown parameter 'nu'"):
        spec.with_parameters(nu=1)
    with pytest.raises(ModelError, match="dw/dt: expected a right-hand side"):
        spec.with_parameters(eta=3 * ms)


BAD = {
    "a signal that nothing names": (
        OJA,
        {"signals": {"reward": "1"}},
        "signals, reward: no equation names it",
    ),
    "a name of both units": (
        "dw/dt = eta * y * y_pre : 1",
        {},
        r"dw/dt: both units of the synapse have 'y'; write y_pre or y_post",
    ),
    "a variable of both units": (
        "dw/dt = eta * y_post * m * y_pre : 1\ndm/dt = (y - m)*eta : 1",
        {},
        r"both units of the synapse have 'm'; write m_pre or m_post",
    ),
    "a side of a synapse's variable": (
        "dw/dt = eta * c_post * y_pre : 1\ndc/dt = eta*(y_pre*y_post - c) : 1",
        {},
        r"'c' is a variable of the synapse itself; write it without _post",
    ),
    "neither": (
        OJA + "\ndx/dt = -x*eta : 1",
        {},
        r"dx/dt: 'x' belongs to neither a unit nor a synapse",
    ),
    "units": (
        "dw/dt = y_post * y_pre : 1",
        {},
        r"dw/dt: expected a right-hand side in 1/second|Hz",
    ),
    "no weight": ("dv/dt = eta * y_post * y_pre : 1", {}, r"weight: 'w' has no equation"),
    "noise": ("dw/dt = eta * y_post * y_pre + xi : 1", {}, r"white noise \(xi\) is for models"),
    "an unknown name": ("dw/dt = eta * z_post * y_pre : 1", {}, r"unknown name 'z_post'"),
    "y defined": (OJA + "\ny = 3*w : 1", {}, r"'y' is what the weights transmit"),
    "a list without a side": (
        OJA,
        {"parameters": {"eta": ["1*Hz", "2*Hz"]}},
        r"'eta' has a value for each unit; write eta_pre or eta_post",
    ),
    "a sum without a side": (
        OJA + "\ntotal = w : 1 (summed)",
        {},
        r"a sum is a variable of a unit; write total_post",
    ),
    "a sum of sums": (
        "dw/dt = eta*b_post : 1\na_post = w : 1 (summed)\nb_post = a_pre : 1 (summed)",
        {},
        r"a sum over synapses cannot use the sum 'a'",
    ),
    "a signal with and without a side": (
        "dw/dt = eta * r * r_post * y_pre : 1",
        {"signals": {"r": "1"}},
        r"signals, r: equations name it with and without a side",
    ),
    "a signal without a unit": (OJA, {"signals": {"r": "3 apples"}}, r"signals, r: "),
    "a signal that is no string": (OJA, {"signals": {"r": 3}}, r"signals"),
    "a reserved name": (OJA + "\nde/dt = y*eta : 1", {}, r"'e' is the name of a constant"),
    "code": ("dw/dt = __import__('os') : 1", {}, r"dw/dt"),
    "a huge power": ("dw/dt = eta * y_post**9**9**9**9 : 1", {}, r"dw/dt"),
    "a division by 0": ("dw/dt = eta * y_post / 0 : 1", {}, r"finite real constants"),
    "a circle": ("dw/dt = eta*a : 1\na = b*w : 1\nb = a : 1", {}, r"in a circle"),
    "a population": (OJA, {"parameters": {"eta": {"E": "1*Hz"}}}, r"parameters, eta: .*population"),
    "a parameter in the equations": (OJA + "\neta = w*y_pre : 1", {}, r"also defined"),
    "no equation": ("", {}, r"equations: "),
}


@pytest.mark.parametrize(("equations", "changes", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_rule_is_one_sentence(
    equations: str, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        rule(equations, **changes)
    assert len(str(caught.value).splitlines()) == 1


def test_signals_that_all_share() -> None:
    spec = rule("dw/dt = eta * r * m_post * y_pre : 1", signals={"r": "1", "m": "1"})
    assert spec.global_signals == {"r"}


def test_what_does_not_part_runs_synapse_by_synapse() -> None:
    spec = rule("dw/dt = eta * tanh(y_post * y_pre) : 1")
    assert parted(spec.synapses["w"], ["w"]) is None


def test_terms_are_few() -> None:
    """A product of what two units have stays one term; terms that share factors are one."""
    few = {
        "eta*(y_post - m_post)*(y_pre - m_pre)": 1,
        "eta*(y_post*y_pre - y_post*m_pre)": 1,
        "eta*y_post*y_pre*(1 - w)": 1,
        "eta*y_post*(y_pre - y_post*w)": 2,
        "eta*(y_post*y_pre - y_post**2*w - w*m_post)": 2,
        "eta*exp(-w/w_0)*y_post*reward": 1,
    }
    for text, number in few.items():
        spec = rule(
            f"dw/dt = {text} : 1\ndm/dt = (y - m)*eta : 1",
            parameters={"eta": "1*Hz", "w_0": 1.0},
            signals={"reward": "1"} if "reward" in text else {},
        )
        terms = parted(spec.synapses["w"], ["w"], spec.global_signals)
        assert terms is not None and len(terms) == number
        total = sum(term.synapse * term.post * term.pre for term in terms)
        assert (total - spec.synapses["w"]).expand() == 0
