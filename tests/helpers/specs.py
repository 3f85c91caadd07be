"""Small models made of texts, for the tests of the front half."""

from typing import Any

import torch
from torch import Tensor

from ratenet import ModelSpec
from ratenet.equations.files import parse_model
from ratenet.equations.symbolic import left_derivative, symbol
from ratenet.equations.torch_expressions import TorchExpressions

EQUATIONS = "dr/dt = (-r + f(I)) / tau : 1\nI = I_rec + I_ext : 1"


def table(**changes: Any) -> dict[str, Any]:
    """Return the rate model as a table, with some keys changed."""
    return {
        "name": "test",
        "title": "A model of the tests",
        "source": "tests",
        "equations": EQUATIONS,
        "output": "r",
        "recurrent": "I_rec",
        "drive": "I_ext",
        "functions": {"f": "tanh(u)"},
        "parameters": {"tau": "10*ms"},
    } | changes


def spec(**changes: Any) -> ModelSpec:
    """Return the rate model with some keys changed."""
    return parse_model(table(**changes))


def gain_expressions(body: str) -> tuple[Any, Any]:
    """Return f and f' of a function body as SymPy expressions of u (the state carries f)."""
    model = spec(
        equations="dr/dt = (-r + I_rec + I_ext) / tau : 1",
        output="f(r)",
        functions={"f": body},
    )
    renamed = {symbol("r"): symbol("u")}
    value = model.output_expression.xreplace(renamed)
    return value, left_derivative(value, "u")


def value_and_slope(body: str, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(u) and f'(u), each of the shape of u."""
    value, slope = TorchExpressions(gain_expressions(body))({"u": u})
    return torch.as_tensor(value).expand(u.shape), torch.as_tensor(slope).expand(u.shape)
