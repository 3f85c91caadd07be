"""The torch backend on a CUDA device: the same numbers as on the CPU, and nothing moved there."""

import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT, random, random_weights

import ratenet as rn
from ratenet.simulation import SampledDrive, Statistics

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def run(device: str, dtype: torch.dtype, method: str) -> rn.Trajectory:
    net = rn.Network("adaptation", random_weights(6, seed=95).to(dtype), device=device)
    drive = SampledDrive(random(5, 3, 6, seed=96), 3 * ms)
    return rn.simulate(
        net, drive, 20 * ms, 0.5 * ms, method=method, record_units=[4, 1],
        statistics=Statistics(covariance=True),
    )  # fmt: skip


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4", "dopri5"])
@pytest.mark.parametrize(("dtype", "atol"), [(FLOAT, 1e-12), (torch.float32, 1e-5)])
def test_numbers_are_those_of_the_cpu(dtype: torch.dtype, atol: float, method: str) -> None:
    here, there = run("cpu", dtype, method), run("cuda", dtype, method)
    assert there.rates.device.type == there.final["r"].device.type == "cuda"
    torch.testing.assert_close(there.rates.cpu(), here.rates, rtol=0, atol=atol)
    assert here.statistics is not None
    assert there.statistics is not None
    assert there.statistics.mean.device.type == "cuda"
    torch.testing.assert_close(
        there.statistics.covariance.cpu(), here.statistics.covariance, rtol=0, atol=atol
    )
    assert there.to_xarray()["rates"].shape == (41, 3, 2)


def test_noise_is_reproducible_there() -> None:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext)/tau + xi/sqrt(tau) : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    net = rn.Network(model, torch.zeros(4, 4, dtype=FLOAT), device="cuda")
    one, other = (rn.simulate(net, torch.ones(4), 20 * ms, 1 * ms, seed=1) for _ in range(2))
    assert torch.equal(one.rates, other.rates)
