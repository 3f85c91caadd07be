"""Equations are split into statements as Brian2 splits them: its own parser is the answer."""

import warnings

import pytest
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, Equations

from ratenet import load_model, model_names
from ratenet.equations.expressions import parse_expression, to_text
from ratenet.equations.statements import parse_statements
from ratenet.errors import ModelError

LAYOUTS = [
    "dr/dt = (-r +\n   I_rec\n + I_ext) / tau : 1  # of the rate\nI_ext : 1 # comment : volt",
    "d r / dt = -r/tau : volt**2/second\n  x=r :amp/metre**2\n\ntau : second (constant, shared)",
    "dv/dt = v/(1*tau) : 1/second\ntau:second(shared)\n# only a comment = x : 1\n",
    "dd/dt = -d/tau : 1\ndt_/dt = d : hertz\ntau : second",
    "x = a\n  + b : 1\na : 1\nb : siemens*metre**-2",
    "x = clip(a,\n  0,\n  1) : 1\na : 1",
]


def of_brian2(text: str) -> dict[str, tuple[bool, str | None, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        equations = Equations(text)
    return {
        name: (
            each.type == DIFFERENTIAL_EQUATION,
            None if each.type == PARAMETER else to_text(parse_expression(str(each.expr), "here")),
            each.dim,
        )
        for name, each in equations.items()
    }


@pytest.mark.parametrize("text", [*LAYOUTS, *(load_model(n).equations for n in model_names())])
def test_statements_are_those_of_brian2(text: str) -> None:
    found = {
        name: (each.is_differential, each.expression and to_text(each.expression), each.dimensions)
        for name, each in parse_statements(text).items()
    }
    assert found == of_brian2(text)
    assert list(found) == list(of_brian2(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dr/dt : 1", "expected dx/dt = expression"),
        ("dr/dt = -r : 1 : 2", "expected dx/dt = expression"),
        ("dr/dt == -r : 1", "expected an arithmetic expression"),
        ("r' = -r : 1", "expected dx/dt = expression"),
        ("dr/dt = -r", "has no unit; end it with the unit of r"),
        ("dr/dt = -r\ndx/dt = -x : 1", "'dr/dt = -r' has no unit"),
        ("dr/dt = -r\nx : 1", "'dr/dt = -r' has no unit"),
        ("x = 1 : 1\nx : 1", "'x' is defined twice"),
        ("x : 1 (unless refractory)", "flags"),
        ("x = 2 : 1 (constant over dt)", "flags"),
        ("d\u03c4/dt = 1 : 1", "expected a name"),
        ("x : 1\n" * 10_000, "more than 20000 characters"),
        ("x", "expected dx/dt = expression"),
    ],
)
def test_other_forms_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_statements(text)
    assert sentence in str(caught.value)
    assert str(caught.value).isprintable()
