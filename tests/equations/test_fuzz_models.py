"""Hostile model files: whatever the text, the answer is a model or a ModelError, and soon.

Derandomised, so that a failure can be seen again.
"""

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.specs import table
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy import special

from ratenet import ModelSpec, load_model, model_names
from ratenet.equations.files import models_folder, parse_model
from ratenet.equations.functions import FUNCTIONS
from ratenet.equations.torch_model import translate
from ratenet.errors import ModelError

SETTINGS = settings(
    max_examples=150,
    deadline=2000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SHIPPED = [(models_folder() / f"{name}.toml").read_text(encoding="utf-8") for name in model_names()]
CODE = "__import__('pathlib').Path('executed').touch()"


def use(model: ModelSpec) -> None:
    """Ask for all that a network needs of a model."""
    functions = translate(model)
    assert functions.right_hand_sides is not None
    assert functions.blocks is not None
    assert str(model)
    assert parse_model(model.to_table()) == model


def is_refused_or_used(values: dict[str, Any]) -> None:
    """Refuse or use a table; anything but a ModelError goes through and fails the test."""
    try:
        model = parse_model(values)
    except ModelError as error:
        assert str(error).isprintable()
        return
    use(model)


# Expressions that are mostly arithmetic ---------------------------------------------------------

ATOMS = st.sampled_from(
    ["u", "u", "u", "tau", "0", "1", "2", "-1", "0.5", "1e300", "1e-320", "9", "pi", "e", "inf",
     "-inf", "r", "I_rec", "t", "f", "x0", "True", "None", "''", "(u > 0)", "u.real", CODE]
)  # fmt: skip
OPERATORS = st.sampled_from(["+", "-", "*", "/", "**", "**", ">", "<=", "==", "%", "//", ", "])
NAMES = st.sampled_from([*FUNCTIONS, "f", "g", "rand", "int", "clip"])


def composite(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{} {} {}".format, inner, OPERATORS, inner),
        st.builds("{}({})".format, NAMES, inner),
        st.builds("clip({}, {}, {})".format, inner, inner, inner),
        st.builds("int({} >= {})".format, inner, inner),
        st.builds("-{}".format, inner),
    )


EXPRESSIONS = st.recursive(ATOMS, composite, max_leaves=25)
ARITHMETIC = st.recursive(
    st.sampled_from(["u", "u", "u", "1", "0.5", "3", "-2", "b"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({}**{})".format, inner, st.sampled_from(["2", "3", "-1", "0.5", "b", "u"])),
        st.builds("{}({})".format, st.sampled_from(sorted(set(FUNCTIONS) - {"clip"})), inner),
        st.builds("clip({}, {}, inf)".format, inner, inner),
    ),
    max_leaves=25,
)


@SETTINGS
@given(EXPRESSIONS)
def test_any_function_body(body: str) -> None:
    is_refused_or_used(table(functions={"f": body}))


@SETTINGS
@given(ARITHMETIC)
def test_arithmetic_function_bodies(body: str) -> None:
    is_refused_or_used(table(functions={"f": body}, parameters={"tau": "10*ms", "b": 2.5}))


@SETTINGS
@given(st.lists(ARITHMETIC, min_size=2, max_size=4), st.sampled_from(["r", "g0(r)", "r*r"]))
def test_functions_of_functions(bodies: list[str], output: str) -> None:
    functions = {f"g{i}": body for i, body in enumerate(bodies)}
    functions["f"] = "(".join(functions) + "(u" + ")" * len(functions)
    parameters = {"tau": "10*ms", "b": 2.5}
    is_refused_or_used(table(functions=functions, output=output, parameters=parameters))


@SETTINGS
@given(EXPRESSIONS, st.sampled_from(["1", "volt", "1/second", "ms", "integer", "volt**2"]))
def test_any_equation(right: str, unit: str) -> None:
    right = right.replace("u", "r")
    text = f"dr/dt = (-r + {right} + I_rec + I_ext) / tau : {unit}"
    is_refused_or_used(table(equations=text, functions={}))


NUMPY = {name: getattr(np, name) for name in FUNCTIONS if hasattr(np, name)}
NUMPY |= {"erf": special.erf, "sigmoid": special.expit, "exprel": special.exprel}
NUMPY |= {"relu": lambda u: np.maximum(u, 0), "softplus": lambda u: np.logaddexp(0, u)}
NUMPY |= {"int": lambda x: np.trunc(x), "inf": np.inf, "b": 2.5, "r": 0.0, "tau": 1.0, "I_rec": 0.0}


@SETTINGS
@given(ARITHMETIC)
def test_torch_and_brian2_are_given_the_same_function(body: str) -> None:
    """The text for Brian2, computed by numpy, against the torch function of the same model."""
    try:
        model = parse_model(table(functions={"f": body}, parameters={"tau": "1*second", "b": 2.5}))
    except ModelError:
        return
    drive = np.array([-2.3, -0.7, 0.1, 0.9, 3.1])
    with np.errstate(all="ignore"):
        expected = eval(model.brian2_expression("r"), {**NUMPY, "I_ext": drive})
    names = {name: torch.full((1, 5), NUMPY[name]).double() for name in ("r", "I_rec", "tau", "b")}
    values = {**names, "I_ext": torch.as_tensor(drive)}
    (found,) = translate(model).right_hand_sides(values)
    expected = np.broadcast_to(expected, (1, 5))
    found = np.broadcast_to(found, (1, 5))
    known = np.isfinite(expected) & (np.abs(expected) < 1e6)
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-7, atol=1e-7)


# Anything at all --------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="()[]{}*+-/.:=,'\"\\ \n\0urIdt019e_#@", max_size=40),
    st.sampled_from(["r", "tau", "10*ms", "1", "u", CODE, "9**9**9**9", "9" * 5000, "(" * 300]),
    st.sampled_from(["normal(1*ms, 1*ms)", "uniform(1, 2)", "lognormal(0, u)", "xi", "E"]),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
KEYS = st.sampled_from([*table(), "populations", ""])


@SETTINGS
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_table(changes: dict[str, Any]) -> None:
    is_refused_or_used(table(**changes))


@SETTINGS
@given(
    st.dictionaries(TEXTS, VALUES, max_size=3),
    st.sampled_from(["functions", "parameters", "populations"]),
)
def test_any_subtable(entries: dict[str, Any], key: str) -> None:
    is_refused_or_used(table(**{key: {**table().get(key, {}), **entries}}))


SIZES = st.dictionaries(
    st.sampled_from(["E", "I", "P"]), st.one_of(st.integers(-1, 5), st.floats(0, 1), TEXTS)
)


@SETTINGS
@given(SIZES, st.dictionaries(st.sampled_from(["E", "I", "P"]), st.one_of(VALUES, TEXTS)))
def test_any_populations(sizes: dict[str, Any], tau: dict[str, Any]) -> None:
    is_refused_or_used(table(populations=sizes, parameters={"tau": tau}))


@SETTINGS
@given(
    st.text(alphabet="0123456789.e+-*/() msVnAkOhzt'_", max_size=25)
    | st.builds("{}*{}**{}".format, st.floats(), st.sampled_from(["ms", "mV", "Hz"]), EXPRESSIONS)
)
def test_any_quantity(text: str) -> None:
    is_refused_or_used(table(parameters={"tau": text}))
    is_refused_or_used(table(parameters={"tau": "10*ms", "b": text}))


# Shipped files with mistakes ---------------------------------------------------------------------


@SETTINGS
@given(
    text=st.sampled_from(SHIPPED),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 8), TEXTS | EXPRESSIONS), min_size=1, max_size=3
    ),
)
def test_mutated_files(text: str, edits: list[tuple[float, int, str]], tmp_path: Path) -> None:
    for place, removed, inserted in edits:
        start = int(place * len(text))
        text = text[:start] + inserted + text[start + removed :]
    path = tmp_path / "model.toml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        model = load_model(path)
    except ModelError as error:
        assert str(error).removeprefix(str(path)).isprintable()
        return
    use(model)
    assert tomllib.loads(text).get("name", path.stem) == model.name


@SETTINGS
@given(noise=st.binary(max_size=60), text=st.sampled_from(SHIPPED), place=st.floats(0, 1))
def test_files_with_bytes_in_them(noise: bytes, text: str, place: float, tmp_path: Path) -> None:
    start = int(place * len(text))
    path = tmp_path / "model.toml"
    path.write_bytes(text[:start].encode() + noise + text[start:].encode())
    try:
        load_model(path)
    except ModelError as error:
        assert str(error).startswith(str(path))


# Nothing is executed -----------------------------------------------------------------------------


@SETTINGS
@given(
    text=st.sampled_from(SHIPPED),
    place=st.floats(0, 1),
    code=st.sampled_from([CODE, f'"{CODE}"', f"({CODE})"]),
)
def test_planted_code_is_never_executed(
    text: str, place: float, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = int(place * len(text))
    Path("model.toml").write_text(text[:start] + code + text[start:], encoding="utf-8")
    with contextlib.suppress(ModelError):
        use(load_model("model.toml"))
    assert not Path("executed").exists()
