"""relu, sigmoid, softplus, erf in Brian2, for each target, against SciPy and against torch."""

import brian2
import numpy as np
import pytest
import scipy.special
import torch
from brian2 import ms

import ratenet as rn

pytestmark = pytest.mark.brian2

U = np.concatenate([np.linspace(-800, 800, 81), np.linspace(-6, 6, 61), [1e-12, -1e-12, 1e-300]])
EXACT = {
    "relu": lambda u: np.maximum(u, 0),
    "sigmoid": scipy.special.expit,
    "softplus": lambda u: np.logaddexp(0, u),
    "erf": scipy.special.erf,
    "exprel": scipy.special.exprel,
}
PLACES = [
    ("numpy", None),
    ("cython", None),
    pytest.param("numpy", "cpp_standalone", marks=pytest.mark.slow),
]


def spec(body: str) -> rn.ModelSpec:
    """One Euler step of dt = tau from 0 gives f(I_ext) itself."""
    return rn.ModelSpec(
        equations="dr/dt = (-r + f(I_ext) + 0*I_rec) / tau : 1",
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        functions={"f": body},
        parameters={"tau": "10*ms"},
    )


@pytest.mark.parametrize(("target", "device"), PLACES, indirect=["target"])
@pytest.mark.usefixtures("target")
def test_values_in_every_target_are_scipys_and_torchs(device: str | None) -> None:
    names = list(EXACT)
    equations = "\n".join(
        [f"d{n}_/dt = (-{n}_ + {n}(I_ext)) / tau : 1".replace(f"{n}_", f"s{n}") for n in names]
        + ["dr/dt = (-r + 0*I_rec) / tau : 1"]
    )
    model = rn.ModelSpec(
        equations=equations, output="r", recurrent="I_rec", drive="I_ext",
        parameters={"tau": "10*ms"},
    )  # fmt: skip
    u = np.clip(U, -700, 700)  # beyond, exprel itself is too large for a float
    net = rn.Network(model, np.zeros((len(u), len(u))))
    with np.errstate(all="ignore"):
        found = [
            rn.simulate(net, u, 10 * ms, 10 * ms, backend=backend, device=where).final
            for backend, where in (("brian2", device), ("torch", None))
        ]
    for name, exact in EXACT.items():
        for final in found:
            # a few roundings of each library's exp and erf; tiny values are compared absolutely
            np.testing.assert_allclose(
                final[f"s{name}"][0], exact(u), rtol=1e-13, atol=1e-300, err_msg=name
            )


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softplus", "erf"])
def test_large_arguments_neither_overflow_nor_warn(name: str) -> None:
    from ratenet.simulation.backends.brian2_functions import functions

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_allclose(functions()[name].pyfunc(U), EXACT[name](U), rtol=1e-14)


@pytest.mark.parametrize("target", ["numpy", "cython"], indirect=True)
@pytest.mark.usefixtures("target")
def test_relu_keeps_its_unit_and_nan() -> None:
    model = rn.ModelSpec(
        equations="""dv/dt = (-v + relu(V_ext - v0) + V_rec) / tau : volt
        V_rec : volt
        V_ext : volt""",
        output="v", recurrent="V_rec", drive="V_ext", parameters={"tau": "10*ms", "v0": "5*mV"},
    )  # fmt: skip
    net, drive = rn.Network(model, np.zeros((2, 2))), np.array([3, 8]) * brian2.mV
    run = rn.simulate(net, drive, 10 * ms, 10 * ms, backend="brian2")
    np.testing.assert_allclose(run.rates[-1, 0], [0, 3e-3], rtol=1e-12)
    # inf - inf: relu(nan) = 0 would hide it
    growing = rn.Network(spec("relu(exp(u) - exp(1.5*u))"), np.zeros((1, 1)))
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError, match="diverged"):
        rn.simulate(growing, [800.0], 10 * ms, 10 * ms, backend="brian2")


@pytest.mark.parametrize(("target", "device"), PLACES, indirect=["target"])
@pytest.mark.usefixtures("target")
def test_all_of_them_together_agree_with_torch_over_time(device: str | None) -> None:
    body = "relu(u) + softplus(3*u) - sigmoid(u)*erf(2*u) + 0.1*exprel(u)"
    model = rn.ModelSpec(
        equations="dr/dt = (-r + tanh(f(I_rec + I_ext))) / tau : 1", output="r",
        recurrent="I_rec", drive="I_ext", functions={"f": body}, parameters={"tau": "10*ms"},
    )  # fmt: skip
    generator = torch.Generator().manual_seed(81)
    W = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    x = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    one, other = (
        rn.simulate(rn.Network(model, W), x, 50 * ms, 0.5 * ms, backend=backend, device=where)
        for backend, where in (("torch", None), ("brian2", device))
    )
    # W is not contracting: a rounding may grow by some powers of ten
    torch.testing.assert_close(one.rates, other.rates, rtol=0, atol=1e-11)
