"""The published signature of each circuit, where it is a fixed point and its stability.

Numbers to a few digits are compared to half of their last digit.
"""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov
from scipy.optimize import brentq

import ratenet as rn
from ratenet import circuits

CONTRASTS = (1.25, 5.0, 10.0, 20.0, 50.0)


def rates(circuit, drive=None, **options):
    """Return the rates (B, N) of the circuit's fixed points as NumPy."""
    drive = circuit.drive if drive is None else drive
    return rn.find_fixed_points(circuit.network, drive, **options).rates.numpy()


def test_supralinear_ring_sums_above_then_below_one():
    """r12 / (r1 + r2) of two orthogonal gratings, at the unit that prefers the first."""
    one = circuits.ssn_ring(contrast=CONTRASTS, orientation=45)
    other = circuits.ssn_ring(contrast=CONTRASTS, orientation=135)
    r1, r2, r12 = (
        rates(one, drive)[:, 45] for drive in (one.drive, other.drive, one.drive + other.drive)
    )
    expected = [1.06, 1.34, 0.78, 0.65, 0.70]
    np.testing.assert_allclose(r12 / (r1 + r2), expected, atol=0.005)
    assert r1[-1] == pytest.approx(38.6, abs=0.05)  # Hz


def test_supralinear_ring_is_stabilised_by_inhibition():
    """Stable at every contrast; E alone, with its gains, is not from contrast 5 on."""
    circuit = circuits.ssn_ring(contrast=CONTRASTS)
    found = rn.find_fixed_points(circuit.network, circuit.drive)
    assert (found.abscissa() < 0).all()
    E = circuit.network.populations["E"]
    W_EE = circuit.network.connectivity.dense()[E, E]
    alone = [torch.linalg.eigvals(gain[E, None] * W_EE).real.max() for gain in found.gain]
    assert [bool(radius > 1) for radius in alone] == [False, True, True, True, True]


def test_supralinear_line_suppresses_large_stimuli():
    """Suppression index 1 - r(17 deg) / r(peak) of the middle unit; the peak is at 1 to 2 deg."""
    sizes = np.arange(1.0, 18.0)
    index, peak = [], []
    for contrast in (10.0, 50.0):
        centre = rates(circuits.ssn_line(contrast=contrast, size=sizes))[:, 50]
        index.append(1 - centre[-1] / centre.max())
        peak.append(sizes[centre.argmax()])
    np.testing.assert_allclose(index, [0.32, 0.70], atol=0.005)
    assert peak == [2.0, 1.0]


def test_four_types_rates():
    found = rn.find_fixed_points(circuits.ssn_four_types().network, circuits.ssn_four_types().drive)
    np.testing.assert_allclose(found.rates[0], [1.6, 2.4, 4.8, 3.5], atol=0.05)  # Hz
    assert found.abscissa() < 0


def test_stochastic_network_variability_rises_then_falls():
    """sd of V_E = 0.20, 0.96, 0.30 mV at h = 0, 2, 15 mV, linearised about the fixed point.

    Stationary covariance C of ds = J s dt + L dW: J C + C J^T + L L^T = 0. The noise of the two
    units is independent, so L L^T is diagonal.
    """
    circuit = circuits.ssn_stochastic(drive=[0.0, 0.002, 0.015])
    found = rn.find_fixed_points(circuit.network, circuit.drive)
    strengths = circuit.network.noise_strengths(found.state, found.drive)[:, 0]  # (k, B, N)
    sd = []
    for sample in range(3):
        L = strengths[:, sample].flatten().numpy()
        C = solve_continuous_lyapunov(found.jacobian(sample).numpy(), -np.diag(L**2))
        sd.append(1e3 * math.sqrt(C[0, 0]))  # mV
    np.testing.assert_allclose(sd, [0.20, 0.96, 0.30], atol=0.005)


def test_inhibition_paradox_against_the_closed_form():
    """r = (1 - W)^-1 x; the response of I to its own drive is (1 - w_EE) / det(1 - W)."""
    for w_EE, slope in ((2.0, -4 / 7), (0.5, 2 / 19)):
        drives = np.array([20.0, 25.0])
        circuit = circuits.inhibition_stabilized(w_EE=w_EE, drive_I=drives)
        found = rates(circuit)
        W = np.array([[w_EE, -1.5], [2.5, -1.0]])
        expected = np.linalg.solve(np.eye(2) - W, [[30.0, 30.0], drives]).T
        np.testing.assert_allclose(found, expected, rtol=1e-8)
        assert (found[1, 1] - found[0, 1]) / 5.0 == pytest.approx(slope, rel=1e-7)


def test_inhibition_stabilises_what_excitation_alone_does_not():
    circuit = circuits.inhibition_stabilized()
    assert rn.find_fixed_points(circuit.network, circuit.drive).abscissa() < 0
    W_EE = circuit.network.connectivity.dense()[:1, :1]
    alone = rn.Network("linear", W_EE)
    assert rn.find_fixed_points(alone, [30.0], certificate="residual").abscissa() > 0


def test_wilson_cowan_has_two_stable_states():
    circuit = circuits.wilson_cowan_multistable()
    expected = [[0.0, 0.0], [0.440, 0.226]]
    found = rn.find_all_fixed_points(
        circuit.network, circuit.drive[0], starts=60, span=(0.0, 0.5), seed=1
    )
    np.testing.assert_allclose(found.rates[found.stable], expected, atol=5e-4)
    run = rn.simulate(
        circuit.network, circuit.drive, circuit.duration, circuit.dt, initial=circuit.initial
    )
    np.testing.assert_allclose(run.rates[-1], expected, atol=5e-4)


def test_balanced_amplification_is_stable_with_a_large_feedforward_weight():
    """Eigenvalues 0 and -0.43 of W; from difference to sum, w (1 + k) = 9."""
    circuit = circuits.balanced_amplification()
    W = circuit.network.connectivity.dense().numpy()
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(W).real), [-0.43, 0.0], atol=0.005)
    total, difference = np.array([1.0, 1.0]) / 2**0.5, np.array([1.0, -1.0]) / 2**0.5
    assert total @ W @ difference == pytest.approx(9.0, rel=1e-12)
    found = rn.find_fixed_points(circuit.network, circuit.drive)
    assert found.abscissa() * 0.02 == pytest.approx(-1.0, abs=1e-6)  # 1 / tau; 0 is nearly double


def low_rank_theory(overlap, gain):
    """Return kappa of N = infinity: kappa = overlap kappa <tanh'>, over x ~ N(0, D).

    D = g^2 <tanh^2> + kappa^2 is the variance of x (Mastrogiuseppe and Ostojic 2018).
    """
    z, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()

    def mean(function, D):
        return weights @ function(np.tanh(math.sqrt(D) * z))

    try:
        D = brentq(lambda D: overlap * mean(lambda y: 1 - y**2, D) - 1, 1e-9, 50.0)
    except ValueError:  # no root: only kappa = 0
        return 0.0
    return math.sqrt(D - gain**2 * mean(lambda y: y**2, D))


@pytest.mark.parametrize("overlap", [0.8, 1.5, 2.5])
def test_low_rank_network_against_mean_field_theory(overlap):
    """Tolerance: three standard deviations over seeds at N = 1000, about 0.01 each."""
    circuit = circuits.low_rank(overlap=overlap)
    m = circuit.initial["v"]
    both = {"v": np.stack([m, -m])}
    drive = torch.cat([circuit.drive] * 2)
    found = rn.find_fixed_points(circuit.network, drive, initial=both, solver=rn.Relaxation())
    kappa = overlap * found.rates.numpy() @ m / len(m)
    expected = low_rank_theory(overlap, 0.5)
    np.testing.assert_allclose(kappa, [expected, -expected], atol=0.035)


def width_by_interpolation(angles, bump):
    """Return the full width at half maximum in degrees, by linear interpolation."""
    half, peak = bump.max() / 2, bump.argmax()
    right = np.interp(-half, -bump[peak:], angles[peak:])
    left = np.interp(half, bump[: peak + 1], angles[: peak + 1])
    return right - left


def test_ring_attractor_width_does_not_depend_on_contrast():
    """40.0 degrees in the continuum; 23 of 100 units, 1.8 degrees each, are at least half as high.

    Counted so it is 41.4 degrees. A drive that is k times as high gives a bump k times as high.
    On the grid the bump that is centred on a unit is a saddle between two, half a unit aside.
    """
    contrasts = np.array([0.1, 0.2, 0.4, 0.8])
    circuit = circuits.ring_attractor(contrast=contrasts)
    bumps = rates(circuit, solver=rn.Relaxation(), certificate="residual")
    angles = circuit.coordinate.values
    widths = [width_by_interpolation(angles, bump) for bump in bumps]
    np.testing.assert_allclose(widths, 40.0, atol=0.01)
    counted = 1.8 * (bumps >= bumps.max(axis=1, keepdims=True) / 2).sum(axis=1)
    np.testing.assert_allclose(counted, 41.4)
    scaled = bumps / contrasts[:, None]  # Hz
    np.testing.assert_allclose(scaled, np.tile(scaled[0], (4, 1)), atol=1e-6)


def test_ring_attractor_bump_persists_without_tuning():
    """A uniform drive, begun at a bump of any orientation, keeps the bump there."""
    tuned = circuits.ring_attractor(orientation=30.6, units=100)  # a unit's own orientation
    bump = rates(tuned, solver=rn.Relaxation(), certificate="residual")
    flat = circuits.ring_attractor(tuning=0.0)
    kept = rates(flat, initial=bump, solver=rn.Relaxation(), certificate="residual")[0]
    assert flat.drive.std() == 0
    assert flat.coordinate.values[kept.argmax()] == pytest.approx(30.6)
    assert kept.min() == pytest.approx(0.0, abs=1e-6) and kept.max() > 10  # Hz


def wong_wang_rates(circuit):
    """Return the firing rates H in Hz at the fixed points, of S / tau_S = (1 - S) gamma H."""
    S = rates(circuit, initial=circuit.initial, solver=rn.Relaxation())
    return S / (0.1 * (1 - S) * 0.641)


def test_wong_wang_rest_and_decision():
    np.testing.assert_allclose(
        wong_wang_rates(circuits.wong_wang(rate=0.0)), [[1.8, 1.8]], atol=0.05
    )
    decided = wong_wang_rates(circuits.wong_wang(coherence=[0.512, -0.512]))
    np.testing.assert_allclose(decided[0], [34.5, 0.55], atol=0.05)
    np.testing.assert_allclose(decided[1], decided[0, ::-1], rtol=1e-6)


def test_wong_wang_at_the_removable_singularity():
    """Where a I = b the transfer function is 1 / d; its gain there is a / 2."""
    circuit = circuits.wong_wang()
    current = 108.0 / 270e9  # A, a I = b
    drive = torch.full((1, 2), current - 0.3255e-9, dtype=torch.float64)
    state = torch.zeros(2, 1, 2, dtype=torch.float64)  # S = 0, so that W S = 0
    slope = circuit.network.derivative(state, drive)[0]
    np.testing.assert_allclose(slope, 0.641 / 0.154, rtol=1e-12)
    F_I = circuit.network.jacobian_blocks(state, drive).F_I[0]
    np.testing.assert_allclose(F_I, 0.641 * 270e9 / 2, rtol=1e-6)


@pytest.mark.parametrize(("rate", "released"), [(1.0, 0.36), (5.0, 2.0), (20.0, 3.9)])
def test_short_term_plasticity_releases(rate, released):
    """Released is u x r, u = U (1 + tau_F r) / (1 + U tau_F r) and x = 1 / (1 + u r tau_D).

    Without recurrence, h = alpha log(exp(r / alpha) - 1) holds the rate r.
    """
    background = 1.5 * math.log(math.expm1(rate / 1.5))
    circuit = circuits.short_term_plasticity(weight=0.0, background=background)
    found = rates(circuit, initial=circuit.initial, solver=rn.Relaxation())
    u = 0.2 * (1 + 1.5 * rate) / (1 + 0.2 * 1.5 * rate)
    assert found.item() == pytest.approx(u * rate / (1 + u * rate * 0.2), rel=1e-6)
    assert found.item() == pytest.approx(released, abs=0.05)


def synaptic_eigenvalues(nmda):
    """Return the eigenvalues of the active network: roots of det(1 - W H(p)), loops written out.

    H = [share slow + rest fast] / (1 + p tau), slow = 1/((1 + p rise)(1 + p decay)), by unit.
    """
    P = np.polynomial.Polynomial
    one, (rise, decay) = P([1.0]), (P([1.0, 0.002]), P([1.0, 0.1]))

    def loop(tau, fast, share):  # numerator and denominator of H
        fast, membrane = P([1.0, fast]), P([1.0, tau])
        return share * fast + (1 - share) * rise * decay, membrane * fast * rise * decay

    n_E, d_E = loop(0.02, 0.005, nmda)
    n_I, d_I = loop(0.01, 0.01, 0.0)
    (a, b), (c, d) = (3.0, -2.0), (4.0, -1.0)
    return (one * (d_E - a * n_E) * (d_I - d * n_I) - b * c * n_E * n_I).roots()


@pytest.mark.parametrize("nmda", [0.0, 0.2, 0.5, 1.0])
def test_synaptic_currents_against_the_characteristic_polynomial(nmda):
    """A root of order 8 of a polynomial loses digits where roots nearly coincide: 1e-5."""
    circuit = circuits.synaptic_currents(nmda=nmda)
    found = rn.find_fixed_points(circuit.network, circuit.drive, certificate="residual")
    np.testing.assert_allclose(found.rates[0], [5.0, 20.0], rtol=1e-8)  # whatever the synapses
    abscissa = synaptic_eigenvalues(nmda).real.max()
    assert found.abscissa().item() == pytest.approx(abscissa, rel=1e-5)
    assert (abscissa < 0) == (nmda > 0.33)
