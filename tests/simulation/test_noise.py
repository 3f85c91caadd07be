"""Noise: Euler-Maruyama in torch and in Brian2, against closed forms and against each other.

Where random numbers are compared with an expectation, the tolerance is 4 standard errors, worked
out beside it; seeds are fixed, so a test that passes once passes always.
"""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import ms
from helpers.problems import FLOAT

import ratenet as rn
from ratenet.simulation import SampledDrive, Statistics

SIGMA, A = 0.3, 0.1  # noise amplitude; dt / tau
DT = 1 * ms
BACKENDS = ["torch", pytest.param("brian2", marks=pytest.mark.brian2)]
STANDARD_ERRORS = 4


def model(equations: str) -> rn.ModelSpec:
    return rn.ModelSpec(
        equations=equations,
        output="r",
        recurrent="I_rec",
        drive="I_ext",
        parameters={"tau": "10*ms", "sigma": SIGMA},
    )


OU = "dr/dt = (-r + I_rec + I_ext) / tau + sigma*sqrt(2/tau)*xi : 1"


def independent_units(equations: str = OU, units: int = 100) -> rn.Network:
    return rn.Network(model(equations), torch.zeros(units, units, dtype=FLOAT))


def stationary(backend: str, seed: int = 1) -> np.ndarray:
    """Return rates (records, 5 stimuli, 100 units), 4 tau apart, after 10 tau from rest."""
    drive = torch.linspace(-1, 1, 5, dtype=FLOAT)[:, None].expand(5, 100)
    run = rn.simulate(
        independent_units(), drive, 2.1, DT, backend=backend, seed=seed, record_every=10
    )
    return run.rates.numpy()[10:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_stationary_mean_variance_and_autocovariance_of_ornstein_uhlenbeck(backend: str) -> None:
    """The Euler chain r' = (1 - a) r + a x + sigma sqrt(2 a) z: variance sigma^2 / (1 - a/2)."""
    rates = stationary(backend)
    drive = np.linspace(-1, 1, 5)
    variance = SIGMA**2 / (1 - A / 2)
    decay = (1 - A) ** 10  # from one record to the next
    centred = rates - drive[:, None]
    # Records are correlated: n samples of a chain count as n (1 - decay) / (1 + decay) (mean),
    # and squares, which decay twice as fast, as n (1 - decay^2) / (1 + decay^2).
    of_mean = np.sqrt(variance * (1 + decay) / (1 - decay) / centred[:, 0].size)
    of_variance = variance * np.sqrt(2 * (1 + decay**2) / (1 - decay**2) / centred.size)
    assert np.abs(centred.mean(axis=(0, 2))).max() < STANDARD_ERRORS * of_mean
    assert abs((centred**2).mean() - variance) < STANDARD_ERRORS * of_variance
    lagged = (centred[1:] * centred[:-1]).mean()
    # var(z z') is at most 2 variance^2, and so the same bound holds
    assert abs(lagged - variance * decay) < STANDARD_ERRORS * of_variance


@pytest.mark.brian2
def test_the_backends_agree_in_mean_and_variance_of_a_coupled_network() -> None:
    equations = """dr/dt = (-r + tanh(I_rec + I_ext)) / tau + sigma*sqrt(2/tau)*xi_1 : 1
    da/dt = (-a + r) / tau + sigma*r*sqrt(1/tau)*xi_2 : 1"""
    W = torch.tensor([[0.0, -1.0], [1.5, 0.5]], dtype=FLOAT)
    net, drive = rn.Network(model(equations), W), torch.tensor([0.5, -0.2], dtype=FLOAT)
    ends = []
    for backend, seed in (("torch", 5), ("brian2", 6)):
        run = rn.simulate(
            net, drive.expand(1000, 2), 0.08, DT, backend=backend, seed=seed, record_every=80
        )
        ends.append(torch.stack(list(run.final.values())))  # (2, 1000 stimuli, 2), independent
    means = [end.mean(dim=1) for end in ends]
    variances = [end.var(dim=1) for end in ends]
    # of the difference of two independent sample means, and of two sample variances: the fourth
    # moment of what is nearly Gaussian is 3 var^2; the product noise of a makes it up to 5 var^2
    of_mean = (2 * variances[0] / 1000).sqrt()
    of_variance = variances[0] * (2 * 4 / 1000) ** 0.5
    assert ((means[0] - means[1]).abs() < STANDARD_ERRORS * of_mean).all()
    assert ((variances[0] - variances[1]).abs() < STANDARD_ERRORS * of_variance).all()
    assert (variances[0] > 0.01).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_that_depends_on_the_state_is_itos(backend: str) -> None:
    """Its mean decays as without noise; in Stratonovich's sense it would grow by sigma^2/2."""
    net = independent_units("dr/dt = (-r + I_rec + I_ext + 0*sigma)/tau + r*sqrt(1/tau)*xi : 1")
    run = rn.simulate(
        net, torch.zeros(10, 100), 10 * DT, DT, backend=backend, seed=2, initial={"r": 1.0}
    )
    mean = (1 - A) ** 10
    # E r'^2 = ((1 - a)^2 + a) E r^2
    spread = np.sqrt(((1 - A) ** 2 + A) ** 10 - mean**2)
    assert abs(float(run.rates[-1].mean()) - mean) < STANDARD_ERRORS * spread / np.sqrt(1000)
    assert mean * (np.exp(0.5) - 1) > 3 * STANDARD_ERRORS * spread / np.sqrt(1000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_variables_that_name_one_xi_share_it_and_others_do_not(backend: str) -> None:
    equations = """dr/dt = (I_rec + I_ext + sigma*0)/tau + sqrt(1/tau)*xi_1 : 1
    da/dt = 2*sqrt(1/tau)*xi_1 : 1
    db/dt = sqrt(1/tau)*xi_2 : 1"""
    net = independent_units(equations)
    run = rn.simulate(net, torch.zeros(100), 10 * DT, DT, backend=backend, seed=3)
    r, a, b = (run.states[name].flatten(1) for name in "rab")
    torch.testing.assert_close(a, 2 * r, rtol=0, atol=1e-13)  # sums of ten equal numbers
    correlation = float(np.corrcoef(r[-1], b[-1])[0, 1])
    assert abs(correlation) < STANDARD_ERRORS / np.sqrt(100)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_gives_the_same_numbers_whatever_is_recorded(backend: str) -> None:
    def run(**options: Any) -> rn.Trajectory:
        net = independent_units(units=5)
        return rn.simulate(net, np.ones(5), 40 * DT, DT, backend=backend, **options)

    whole = run(seed=7)
    some = run(seed=7, record_every=8, record_units=[1, 3], statistics=Statistics())
    assert torch.equal(whole.rates[::8, :, [1, 3]], some.rates)
    assert not torch.equal(whole.rates, run(seed=8).rates)
    torch.manual_seed(11)
    first, second = run(), run()
    torch.manual_seed(11)
    assert torch.equal(run().rates, first.rates)
    assert not torch.equal(first.rates, second.rates)
    before = torch.random.get_rng_state()
    run(seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_continued_run_goes_on_in_the_default_generators_stream() -> None:
    net, x = independent_units(units=5), np.ones(5)
    torch.manual_seed(12)
    whole = rn.simulate(net, x, 40 * DT, DT)
    torch.manual_seed(12)
    half = rn.simulate(net, x, 20 * DT, DT)
    rest = rn.simulate(net, x, 20 * DT, DT, initial=half.final, start=half.t[-1])
    assert torch.equal(torch.cat([half.rates, rest.rates[1:]]), whole.rates)


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_methods_refuse_noise_in_one_sentence(backend: str) -> None:
    methods = ["exponential_euler", *(("rk4", "dopri5") if backend == "torch" else ())]
    for method in methods:
        with pytest.raises(NotImplementedError, match=f"{method}.* noise .xi.; use method='euler'"):
            rn.simulate(
                independent_units(units=2), [0, 0], 1 * ms, DT, backend=backend, method=method
            )


@pytest.mark.parametrize("seed", [-1, 1.5, "x", 2**63])
def test_a_wrong_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed: expected a whole number from 0"):
        rn.simulate(independent_units(units=2), [0, 0], 1 * ms, DT, seed=seed)


def test_gradients_pass_through_a_noisy_run() -> None:
    def end(drive: torch.Tensor) -> torch.Tensor:
        return rn.simulate(independent_units(units=2), drive, 5 * DT, DT, seed=4).rates[-1]

    assert torch.autograd.gradcheck(end, (torch.ones(2, dtype=FLOAT, requires_grad=True),))


@pytest.mark.brian2
def test_a_drive_in_time_and_noise_go_together() -> None:
    """Without noise strength the noisy model is the quiet one, in both backends."""
    spec = rn.ModelSpec(
        equations=OU, output="r", recurrent="I_rec", drive="I_ext",
        parameters={"tau": "10*ms", "sigma": 0.0},
    )  # fmt: skip
    net = rn.Network(spec, 0.5 * torch.ones(2, 2, dtype=FLOAT))
    drive = SampledDrive([[0.0, 1.0], [2.0, -1.0]], 5 * ms)
    one, other = (
        rn.simulate(net, drive, 10 * ms, DT, backend=backend) for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(one.rates, other.rates, rtol=0, atol=1e-13)  # ten steps


def test_a_seeded_run_in_two_halves_is_the_whole() -> None:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext)/tau + sigma*tau**-0.5*xi : 1",
        output="r", recurrent="I_rec", drive="I_ext",
        parameters={"tau": "10*ms", "sigma": 0.3},
    )  # fmt: skip
    network = rn.Network(model, torch.zeros(2, 2, dtype=torch.float64))
    whole = rn.simulate(network, [0.0, 1.0], 0.02, 1e-3, seed=5)
    first = rn.simulate(network, [0.0, 1.0], 0.01, 1e-3, seed=5)
    second = rn.simulate(
        network, [0.0, 1.0], 0.01, 1e-3, seed=5, initial=first.final, start=first.t[-1]
    )
    assert torch.equal(torch.cat([first.rates, second.rates[1:]]), whole.rates)
