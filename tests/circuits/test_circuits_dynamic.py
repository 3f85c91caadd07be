"""The published signature of each circuit, where it is a time course."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import ratenet as rn
from ratenet import circuits


def simulate(circuit, duration=None, dt=None, **options):
    """Return the circuit's trajectory on its own grid, unless said otherwise."""
    options = {"initial": circuit.initial, **options}
    return rn.simulate(
        circuit.network, circuit.drive, duration or circuit.duration, dt or circuit.dt, **options
    )


def frequency(t, x):
    """Return the mean frequency of the upward crossings of the middle of x."""
    above = x > (x.max() + x.min()) / 2
    crossings = t[1:][above[1:] & ~above[:-1]]
    return 1 / np.diff(crossings).mean()


def wilson_cowan(t, y, w_II):
    """Return the equations of Wilson and Cowan's oscillation, by hand."""
    tau, a, theta = 0.008, np.array([1.3, 2.0]), np.array([4.0, 3.7])
    u = np.array([16 * y[0] - 12 * y[1] + 1.25, 15 * y[0] - w_II * y[1]])
    floor = 1 / (1 + np.exp(a * theta))
    return (-y + (1 - floor - y) * (1 / (1 + np.exp(-a * (u - theta))) - floor)) / tau


@pytest.mark.parametrize(
    ("w_II", "expected", "low", "high"), [(3.0, 25.0, 0.103, 0.270), (4.0, 34.9, 0.168, 0.256)]
)
@pytest.mark.slow
def test_wilson_cowan_limit_cycle(w_II, expected, low, high):
    """Against an adaptive solution of equations written by hand; rk4 with dt = 0.5 ms."""
    circuit = circuits.wilson_cowan_oscillating(w_II=w_II)
    run = simulate(circuit, 1.5, 0.0005, method="rk4")
    late = run.t.numpy() > 1.0
    t, E = run.t.numpy()[late], run.rates[late, 0, 0].numpy()
    hand = solve_ivp(
        wilson_cowan, (0, 1.5), [0.1, 0.05], t_eval=t, args=(w_II,), rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(E, hand.y[0], atol=1e-4)
    assert frequency(t, E) == pytest.approx(expected, abs=0.2)  # crossings to a step
    assert (E.min(), E.max()) == pytest.approx((low, high), abs=1e-3)
    points = rn.find_all_fixed_points(circuit.network, circuit.drive[0], span=(0.0, 0.5))
    assert len(points) == 1 and points.abscissa() > 0  # so that nothing but the cycle is left


@pytest.mark.slow
def test_wilson_cowan_cycle_with_euler_and_a_step_of_50_microseconds():
    """33 Hz and E in 0.157 to 0.263: w_II = 4, and an Euler step that is too long by 4 %."""
    run = simulate(circuits.wilson_cowan_oscillating(w_II=4.0), 1.5, 5e-5)
    late = run.t.numpy() > 1.0
    E = run.rates[late, 0, 0].numpy()
    assert frequency(run.t.numpy()[late], E) == pytest.approx(33.4, abs=0.2)
    assert (E.min(), E.max()) == pytest.approx((0.157, 0.263), abs=5e-4)


def test_balanced_amplification_transient():
    """A difference of length 1 grows to 2.78; the best start, to the norm 2.79 of exp(A t)."""
    circuit = circuits.balanced_amplification()
    length = simulate(circuit).rates[:, 0].norm(dim=1)
    assert length[0] == pytest.approx(1.0) and length[-1] < 0.1
    assert length.max() == pytest.approx(2.776, abs=0.01)  # Euler: dt / tau = 0.005
    two = rn.simulate(
        circuit.network, torch.zeros(2, 2), circuit.duration, circuit.dt, initial=np.eye(2)
    )
    assert torch.linalg.matrix_norm(two.rates, ord=2).max() == pytest.approx(2.793, abs=0.01)


def test_paradoxical_response_begins_the_usual_way():
    """I first rises with its drive, then falls below where it was, as excitation withdraws."""
    circuit = circuits.inhibition_stabilized()
    before = rn.find_fixed_points(circuit.network, circuit.drive)
    stepped = circuit.drive + torch.tensor([0.0, 5.0])
    r_I = rn.simulate(
        circuit.network, stepped, circuit.duration, circuit.dt, initial=before.state
    ).rates[:, 0, 1]
    assert r_I.max() > r_I[0] + 0.5
    assert r_I[-1] - r_I[0] == pytest.approx(-4 / 7 * 5, abs=1e-3)  # settled to exp(-15)


def lyapunov_exponent(circuit, seconds, discarded):
    """Return the largest exponent in 1/s: growth of a distance of 1e-7, renewed every 20 ms."""
    network, state = circuit.network, network_state(circuit)
    drive = torch.zeros(state.shape[1], network.units, dtype=torch.float64)
    growth = []
    for window in range(round(seconds / 0.02)):
        run = rn.simulate(network, drive, 0.02, 0.0005, initial=state, record_every=40)
        state = run.states["v"][-1][None]
        apart = state[:, 1::2] - state[:, ::2]
        distance = apart.norm(dim=2, keepdim=True)
        state[:, 1::2] = state[:, ::2] + 1e-7 * apart / distance
        if window * 0.02 >= discarded:
            growth.append((distance / 1e-7).log().mean() / 0.02)
    return float(torch.stack(growth).mean())


def network_state(circuit, pairs=4):
    """Return starts of several trajectories, each with a neighbour at a distance of 1e-7."""
    generator = torch.Generator().manual_seed(5)
    starts = torch.randn(pairs, circuit.network.units, generator=generator, dtype=torch.float64)
    aside = torch.randn(starts.shape, generator=generator, dtype=torch.float64)
    near = starts + 1e-7 * aside / aside.norm(dim=1, keepdim=True)
    return torch.stack([starts, near], dim=1).flatten(0, 1)[None]


def test_chaos_without_chaos():
    """For g = 0.8 all decays to 0, at the pace of the Jacobian's abscissa there: near g - 1."""
    circuit = circuits.chaotic(gain=0.8)
    abscissa = rn.find_fixed_points(circuit.network, circuit.drive).abscissa().item()
    exponent = lyapunov_exponent(circuit, 3.0, discarded=1.5)
    assert exponent == pytest.approx(abscissa, rel=0.05)  # of complex pairs, over 1.5 s
    assert 0.01 * exponent == pytest.approx(-0.19, abs=0.03)  # in 1/tau; -0.18 to -0.22 by seed


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "expected"), [(1.5, 0.025), (2.0, 0.083)])
def test_chaos_above_a_gain_of_one(gain, expected):
    """Mean of three networks of 400 units; they scatter by 0.015 each, so by 0.009 in the mean."""
    exponents = [
        0.01 * lyapunov_exponent(circuits.chaotic(gain=gain, seed=seed), 3.0, discarded=0.5)
        for seed in range(3)
    ]
    assert np.mean(exponents) == pytest.approx(expected, abs=0.02)
    assert np.mean(exponents) > 0


def energy(circuit, run):
    """Return Hopfield's energy (T, B): -y W y / 2 + sum of the integral of atanh(y) / beta."""
    y, W = run.rates, circuit.network.connectivity.dense()
    y = y.clamp(-1 + 1e-15, 1 - 1e-15)
    leak = (y * y.atanh() + torch.log1p(-(y**2)) / 2) / 4.0  # beta
    return (leak - y * (y @ W.T) / 2).sum(dim=2)


def test_hopfield_energy_never_rises_and_patterns_are_recalled():
    circuit = circuits.hopfield()
    run = simulate(circuit)
    steps = energy(circuit, run).diff(dim=0)
    assert steps.max() < 1e-10  # rounding of sums of about 50
    W = circuit.network.connectivity.dense()
    torch.testing.assert_close(W, W.T)
    assert (W.diagonal() == 0).all()
    signs = run.rates[-1].sign()
    before = run.rates[0].sign()
    overlap_gained = ((signs * before).mean(dim=1)).numpy()
    np.testing.assert_allclose(overlap_gained, 0.6, atol=0.05)  # 20 of 100 signs are put right


@pytest.mark.slow
def test_short_term_plasticity_reactivates_itself():
    """At rest silent; with facilitated synapses, population spikes at some per second."""
    quiet = simulate(circuits.short_term_plasticity(facilitation=0.2), dt=0.0005)
    r = softplus_rate(quiet)
    assert r.max() < 1.0  # Hz
    spiking = simulate(circuits.short_term_plasticity(), 4.0, 0.0005)
    late = spiking.t.numpy() > 1.0
    r = softplus_rate(spiking)[late]
    # An adaptive solution of the equations by hand: every 354 ms, to 74.0 Hz, from 0.52 Hz.
    assert frequency(spiking.t.numpy()[late], r) == pytest.approx(1 / 0.354, rel=0.01)
    assert (r.min(), r.max()) == (pytest.approx(0.52, rel=0.03), pytest.approx(74.0, rel=0.03))


def softplus_rate(run):
    """Return r = alpha log(1 + exp(h / alpha)) of the single population, in Hz."""
    return 1.5 * np.logaddexp(0, run.states["h"][:, 0, 0].numpy() / 1.5)


@pytest.mark.parametrize("nmda", [0.1, 0.5])
@pytest.mark.slow
def test_slow_synapses_stop_an_oscillation(nmda):
    circuit = circuits.synaptic_currents(nmda=nmda)
    run = simulate(circuit, 2.0)
    late = run.t.numpy() > 1.5
    r_E = run.states["r"][late, 0, 0].numpy()
    if nmda == 0.5:
        np.testing.assert_allclose(r_E, 5.0, atol=0.01)
    else:
        assert np.ptp(r_E) > 5
        assert 5 < frequency(run.t.numpy()[late], r_E) < 20


@pytest.mark.slow
def test_stochastic_network_sd():
    """The nonlinear network: 0.21, 0.86, 0.30 mV; 0.96 of the linear theory is too much at 2 mV.

    3 x 1000 realisations of 1.5 s, correlated over about 0.1 s: 0.6 % of an sd. Independent
    simulations in NumPy gave the same. dt = 0.5 ms adds 2 % at h = 0.
    """
    drives = np.repeat([0.0, 0.002, 0.015], 1000)
    circuit = circuits.ssn_stochastic(drive=drives)
    run = simulate(circuit, 2.0, 0.0005, seed=3, record_every=20)
    V_E = 1e3 * run.states["V"][run.t > 0.5, :, 0]  # mV
    sd = V_E.reshape(len(V_E), 3, 1000).transpose(0, 1).flatten(1).std(dim=1)
    np.testing.assert_allclose(sd, [0.214, 0.860, 0.299], rtol=0.03)


def test_wong_wang_decides_by_evidence():
    """With noise, strong evidence is decided rightly, none evenly."""
    coherence = np.repeat([0.0, 0.512], 200)
    circuit = circuits.wong_wang(coherence=coherence)
    run = simulate(circuit, seed=1, dt=0.0005, record_every=100)
    S = run.states["S"][-1]
    right = (S[:, 0] > S[:, 1]).double().reshape(2, 200).mean(dim=1)
    assert right[0] == pytest.approx(0.5, abs=0.15)  # four standard errors
    assert right[1] > 0.97
    assert ((S.max(dim=1).values - S.min(dim=1).values) > 0.3).double().mean() > 0.9
    I_noise = 1e9 * run.states["I_noise"][1:]
    assert I_noise.std() == pytest.approx(0.02 / math.sqrt(2), rel=0.15)  # dt / tau_AMPA = 1/4


def jansen_rit(t, y, p):
    """Return the six equations of Jansen and Rit 1995 in their own units, mV and 1/s, by hand."""
    A, B, a, b, C = 3.25, 22.0, 100.0, 50.0, 135.0

    def fired(v):
        return 5.0 / (1 + np.exp(0.56 * (6.0 - v)))

    return [
        *y[3:],
        A * a * fired(y[1] - y[2]) - 2 * a * y[3] - a**2 * y[0],
        A * a * (p + 0.8 * C * fired(C * y[0])) - 2 * a * y[4] - a**2 * y[1],
        B * b * 0.25 * C * fired(0.25 * C * y[0]) - 2 * b * y[5] - b**2 * y[2],
    ]


def test_jansen_rit_alpha_rhythm():
    """10.9 Hz at p = 220 Hz, and potentials as an adaptive solution of the six equations has."""
    circuit = circuits.jansen_rit()
    run = simulate(circuit, 1.5, 0.002, method="rk4")
    t, v = run.t.numpy(), 1e3 * run.rates[:, 0].numpy()  # mV
    hand = solve_ivp(
        jansen_rit, (0, 1.5), np.zeros(6), t_eval=t, args=(220.0,), rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(v, hand.y[:3].T, atol=2e-3 * v.max())
    late = t > 0.5
    assert frequency(t[late], v[late, 1] - v[late, 2]) == pytest.approx(10.9, abs=0.1)
    for drive in (40.0, 400.0):  # below and above the rhythm the column rests
        still = circuits.jansen_rit(drive=drive)
        found = rn.find_fixed_points(still.network, still.drive)
        assert found.abscissa() < 0
