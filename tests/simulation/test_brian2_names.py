"""Names that mean something to Brian2, NumPy, Python or C++ are ordinary names of a model."""

import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random, random_weights

import ratenet as rn

pytestmark = pytest.mark.brian2

NAMES = (
    *("self", "owner", "variables", "namespace", "clock", "equations", "method", "codeobj"),
    *("numpy", "np", "array", "dtype", "len", "range", "print", "math", "numpy_array"),
    *("double", "new", "this", "template", "operator", "static", "signed", "auto", "NULL"),
    *("std", "cout", "main", "errno", "stdout", "M_PI", "INFINITY", "isnan", "int32_t", "brian"),
    *("j", "delay", "lastupdate", "summed", "N_incoming", "idx", "output", "x", "w", "g"),
)


def network() -> rn.Network:
    """Return a network whose state, roles, subexpression, function and parameters are so named."""
    parameters = {name: 1 + 0.01 * n for n, name in enumerate(NAMES)}
    model = rn.ModelSpec(
        equations=(
            "dthread_local/dt = (-thread_local + union + short(volatile)) / long : 1\n"
            f"union = ({'*'.join(NAMES)})*friend/50 : 1"
        ),
        output="thread_local", recurrent="friend", drive="volatile",
        functions={"short": "tanh(u)*self"}, parameters={"long": "10*ms", **parameters},
    )  # fmt: skip
    return rn.Network(model, random_weights(3, seed=1))


@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
@pytest.mark.parametrize(
    ("target", "device"),
    [
        ("numpy", "runtime"),
        pytest.param("cython", "runtime", marks=pytest.mark.slow),
        pytest.param("numpy", "cpp_standalone", marks=pytest.mark.slow),
    ],
    indirect=["target"],
)
@pytest.mark.usefixtures("target")
def test_a_model_of_taken_names_runs_as_in_torch(method: str, device: str) -> None:
    net, drive = network(), random(2, 3, seed=2)
    runs = [
        rn.simulate(net, drive, 5 * ms, 0.1 * ms, method=method, backend=backend, device=where)
        for backend, where in (("torch", None), ("brian2", device))
    ]
    assert runs[0].rates.dtype == FLOAT
    assert runs[0].rates[-1].abs().min() > 0.01
    torch.testing.assert_close(runs[0].rates, runs[1].rates, rtol=1e-12, atol=1e-12)
