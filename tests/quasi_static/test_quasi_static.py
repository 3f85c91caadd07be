"""The quasi-static certificate: predicted lag against closed forms, matrices and simulations."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import ratenet as rn
from ratenet.errors import InputError, StaleError, UnsupportedError
from ratenet.fixed_points import fixed_points_at
from ratenet.quasi_static import correct_lag, measure_lag, predict_lag
from ratenet.report.figures import save
from ratenet.report.lag import slowness_figure
from ratenet.stimuli import HeldImages, Images

N, B = 12, 5
SOLVED = 1e-8  # relative; the solves are asked for 1e-10, and conditions are below 100


def weights(radius=0.6, seed=3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return radius * torch.randn(N, N, generator=generator, dtype=torch.float64) / math.sqrt(N)


def drives(seed=4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, N, generator=generator, dtype=torch.float64)


TAUS = torch.linspace(0.004, 0.03, N, dtype=torch.float64)
NETWORKS = {
    "rate": lambda: rn.Network("rate", weights()),
    "rate, a tau for each unit": lambda: rn.Network("rate", weights(), {"tau": TAUS}),
    "voltage": lambda: rn.Network("voltage", weights(), {"tau": TAUS}),
    "adaptation": lambda: rn.Network("adaptation", weights(), {"tau": TAUS, "tau_a": 0.05}),
    "excitation and inhibition": lambda: rn.Network(
        "wilson_cowan", {p: {"E": 0.6, "I": -0.4} for p in "EI"}, populations={"E": 8, "I": 4}
    ),
}
SLOW = {"adaptation": 0.3}  # rad/s; its slowest time constant is ten times as long


@pytest.fixture(params=NETWORKS)
def network(request) -> rn.Network:
    return NETWORKS[request.param]()


class Swing:
    """x(t) = a + b sin(w t): never at rest where it is looked at."""

    def __init__(self, speed: float) -> None:
        self.mean, self.size, self.speed = drives(4), 0.5 * drives(5), speed

    def at(self, t: float) -> torch.Tensor:
        return self.mean + math.sin(self.speed * t) * self.size

    def velocity(self, t: float) -> torch.Tensor:
        return self.speed * math.cos(self.speed * t) * self.size


def followed(network: rn.Network, speed: float, **options):
    """Return the certificate of a swing that is followed for long enough to forget the start."""
    drive, duration = Swing(speed), 1.0
    first = rn.find_fixed_points(network, drive.at(0.0))
    run = rn.simulate(
        network, drive, duration, 1e-3, initial=first.state, record_every=100, method="rk4"
    )
    return measure_lag(run, drive, records=[6, 8, 10], **options)


# --- The formula --------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.01, TAUS])
def test_rate_model_is_the_formula_of_one_time_constant_a_unit(tau):
    network = rn.Network("rate", weights(), {"tau": tau})
    fp, velocity = rn.find_fixed_points(network, drives(), tol=1e-12), drives(9)
    lag = predict_lag(fp, velocity)
    W, T = weights(), torch.as_tensor(tau, dtype=torch.float64).expand(N)
    for b in range(B):
        G = torch.diag(1 - fp.rates[b] ** 2)
        inverse = torch.linalg.inv(torch.eye(N) - G @ W)
        moving = inverse @ G @ velocity[b]
        assert torch.allclose(lag.velocity[b], moving, rtol=SOLVED, atol=1e-10)
        assert torch.allclose(lag.rates[b], -inverse @ (T * moving), rtol=SOLVED, atol=1e-11)
    assert lag.residual.max() <= 1e-9


def test_any_model_is_minus_the_inverse_jacobian_twice(network):
    fp, velocity = rn.find_fixed_points(network, drives()), drives(9)
    lag = predict_lag(fp, velocity)
    k, h = len(fp.state), 1e-6
    # Both derivatives by central differences of the equations; both solves by dense matrices.
    for b in range(B):
        state, drive = fp.state[:, [b]], fp.drive[[b]]
        ahead = network.derivative(state, drive + h * velocity[[b]])
        behind = network.derivative(state, drive - h * velocity[[b]])
        push = ((ahead - behind) / (2 * h)).flatten()
        J = fp.jacobian(b)
        expected = torch.linalg.solve(J, torch.linalg.solve(J, -push))
        # 1e-6: differences of step 1e-6 of functions with third derivatives of order 1
        assert torch.allclose(lag.state[:, b].flatten(), expected, rtol=1e-6, atol=1e-9)
    assert lag.state.shape == (k, B, N)


def test_velocity_of_the_fixed_point_is_that_of_solved_ones(network):
    h, velocity = 1e-5, drives(9)
    here = rn.find_fixed_points(network, drives(), tol=1e-13)
    ahead, behind = (
        rn.find_fixed_points(network, drives() + sign * h * velocity, tol=1e-13, initial=here.state)
        for sign in (1, -1)
    )
    measured = (ahead.rates - behind.rates) / (2 * h)
    # h^2 of truncation, and 1e-13 / h of the solver
    assert torch.allclose(predict_lag(here, velocity).velocity, measured, rtol=1e-6, atol=1e-7)


# --- Against simulations ------------------------------------------------------------------------


def test_a_linear_ramp_is_followed_at_exactly_the_predicted_distance():
    network = rn.Network("linear", weights(), {"tau": TAUS})
    ramp = drives(9)
    first = rn.find_fixed_points(network, drives())
    start = first.state + predict_lag(first, ramp).state
    run = rn.simulate(
        network, lambda t: drives() + t * ramp, 0.3, 1e-3, initial=start, record_every=100
    )
    found = measure_lag(run, lambda t: drives() + t * ramp)
    assert found.lag.abs().max() > 0.01
    # Exact for a linear network, and for Euler's steps along a ramp; fixed points to 1e-9
    assert torch.allclose(found.predicted, found.lag, atol=1e-8)
    assert torch.allclose(found.corrected.rates, found.fixed_points.rates, atol=1e-8)


@pytest.mark.parametrize("speed", [0.2, 1.0])
def test_predicted_and_measured_lag_agree_where_the_lag_is_small(network, speed):
    found = followed(network, speed * SLOW.get(network.model.name, 1.0))
    small = found.relative_lag < 0.05
    assert small.all()
    assert found.relative_lag.min() > 1e-5  # there is something to predict
    assert found.error[small].max() < 0.1  # the promise, for the whole vector
    assert (found.relative_corrected < 0.1 * found.relative_lag).all()
    assert (found.corrected.residual < found.relative_lag.view(-1)).all()


def test_error_of_the_prediction_is_of_second_order():
    network = NETWORKS["rate, a tau for each unit"]()
    slow, fast = (followed(network, speed) for speed in (0.25, 0.5))
    assert float(fast.relative_lag.median() / slow.relative_lag.median()) == pytest.approx(
        2, rel=0.2
    )
    assert float(fast.error.median() / slow.error.median()) == pytest.approx(2, rel=0.3)


def test_prediction_breaks_down_beyond_some_speed():
    network = NETWORKS["rate"]()
    found = followed(network, 2 * math.pi * 40)  # 4 periods in 10 tau
    assert found.relative_lag.median() > 0.2
    assert found.error.median() > 0.5


def test_lag_grows_without_bound_towards_a_bifurcation():
    lags = []
    for distance in (0.1, 0.01):
        network = rn.Network("linear", [[1 - distance]])
        fp = rn.find_fixed_points(network, [1.0])
        lag = predict_lag(fp, torch.tensor([1.0]))
        lags.append(float(lag.rates.abs() / fp.rates.abs()))
    assert lags == pytest.approx([0.1, 1.0])  # tau / distance, relative to y*


def test_a_network_at_its_bifurcation_has_no_prediction():
    network = rn.Network("linear", [[1.0]])
    fp = fixed_points_at(network, [0.0], [0.0])
    lag = predict_lag(fp, torch.tensor([1.0]))
    assert torch.isnan(lag.rates).all()
    kept = correct_lag(fp, torch.tensor([1.0]))
    assert torch.equal(kept.rates, fp.rates)


# --- The certificate ----------------------------------------------------------------------------


def test_a_given_velocity_is_that_of_central_differences():
    network, drive = NETWORKS["voltage"](), Swing(1.0)
    by_differences = followed(network, 1.0)
    given = followed(network, 1.0, drive_velocity=drive.velocity)
    # dt^2 / 6 of the third derivative inside the run; one-sided, dt / 2, at its end
    assert torch.allclose(given.predicted[:-1], by_differences.predicted[:-1], rtol=1e-5)
    assert torch.allclose(given.predicted, by_differences.predicted, rtol=1e-2)


def test_corrected_states_are_nearer_and_fit_for_a_rule():
    network = NETWORKS["rate"]()
    found = followed(network, 1.0)
    truth, corrected = found.fixed_points, found.corrected
    raw = fixed_points_at(network, truth.drive, found.rates.flatten(0, 1), tol=math.inf)
    error = torch.ones_like(truth.rates)
    rule = rn.plasticity.LinearizedReparameterized()
    right, of_raw, of_corrected = (rule.update(fp, error, 1.0) for fp in (truth, raw, corrected))
    assert corrected.converged.all()
    assert (of_corrected - right).norm() < 0.1 * (of_raw - right).norm()


def test_correction_needs_no_fixed_point():
    network, drive = NETWORKS["rate, a tau for each unit"](), Swing(1.0)
    found = followed(network, 1.0)
    last = found.rates[-1]
    here = fixed_points_at(network, drive.at(1.0), last)
    corrected = correct_lag(here, drive.velocity(1.0))
    truth = found.fixed_points.rates.view(3, B, N)[-1]
    assert (corrected.rates - truth).norm() < 0.1 * (last - truth).norm()


def test_a_correction_that_fails_is_not_made():
    network, drive = NETWORKS["rate"](), Swing(1.0)
    here = fixed_points_at(network, drive.at(1.0), torch.full((B, N), 0.3))
    far = correct_lag(here, 1e4 * drive.velocity(1.0))
    assert torch.equal(far.rates, here.rates)
    assert torch.equal(far.residual, here.residual)


def test_the_end_of_a_hold_is_a_transient_that_nothing_is_predicted_of():
    network = rn.Network("rate", weights(), {"tau": 0.01})
    held = Images(drives(5), torch.zeros(B, dtype=torch.int64), is_drive=True)
    fade = HeldImages(held, B, dwell=0.05, fade=0.02, shuffle=False, before=drives())
    run = rn.simulate(network, fade, 0.07, 1e-3, record_every=70)
    found = measure_lag(run, fade, records=[-1])
    assert found.relative_lag.max() > 1e-3
    assert found.predicted.abs().max() == 0


def test_what_was_not_found_is_missing_and_said():
    # 2 I + W: three fixed points, and with a strong push one; a network that swings has none.
    spin = torch.tensor([[1.2, -3.0], [3.0, 1.2]], dtype=torch.float64)
    network = rn.Network("rate", spin)
    run = rn.simulate(network, [0.1, 0.0], 0.3, 1e-3, initial=[0.5, 0.0], record_every=100)
    found = measure_lag(run, lambda t: torch.tensor([[0.1, 0.0]]), records=[1, 3])
    assert torch.isnan(found.lag).all()
    assert "2 of 2 moving fixed points were not found" in found.summary()
    assert (found.status != rn.Status.SETTLED).all()


def test_float32_is_measured_as_far_as_it_goes():
    network = rn.Network("rate", weights().float())
    first = rn.find_fixed_points(network, Swing(1.0).at(0.0))
    run = rn.simulate(network, Swing(1.0), 1.0, 1e-3, initial=first.state, record_every=200)
    found = measure_lag(run, Swing(1.0), records=[3, 5])
    assert found.lag.dtype == torch.float32
    assert found.error.median() < 0.05  # differences over 2 ms of numbers with 7 digits


# --- Refusals -----------------------------------------------------------------------------------


def test_mistakes_are_one_sentence():
    network = NETWORKS["rate"]()
    run = rn.simulate(network, drives(), 0.01, 1e-3, record_every=5)
    part = rn.simulate(network, drives(), 0.01, 1e-3, record_units=[0, 1])
    with pytest.raises(InputError, match="2 of 12 units were recorded"):
        measure_lag(part, drives())
    with pytest.raises(
        InputError, match="records: expected numbers of records from -3 to 2, got 3"
    ):
        measure_lag(run, drives(), records=[3])
    with pytest.raises(InputError, match="records: expected .* got 1.5"):
        measure_lag(run, drives(), records=[1.5])
    with pytest.raises(InputError, match="drive: expected 5 stimuli, as were simulated, got 2"):
        measure_lag(run, drives()[:2])
    with pytest.raises(
        InputError, match=r"drive_velocity: expected .* B = 5 and N = 12, got \(3, 12\)"
    ):
        measure_lag(run, drives(), drive_velocity=lambda t: drives()[:3])
    with pytest.raises(InputError, match="records: expected the number of at least one record"):
        measure_lag(run, drives(), records=[])
    fp = rn.find_fixed_points(network, drives())
    with pytest.raises(InputError, match="drive_velocity: expected 1 or 5 rows, .* got 3"):
        predict_lag(fp, drives()[:3])
    network.connectivity.add_(0.01 * torch.ones(N, N, dtype=torch.float64))
    with pytest.raises(StaleError):
        predict_lag(fp, drives())


def test_a_lag_prints_as_a_line():
    network = NETWORKS["rate"]()
    run = rn.simulate(network, drives(), 0.1, 1e-3, record_every=50)
    lag = predict_lag(rn.find_fixed_points(network, drives()), drives())
    assert repr(lag).startswith("Lag(stimuli=5, units=12, largest |y - y*| ")
    assert repr(measure_lag(run, drives())).startswith(
        "QuasiStatic(times=3, stimuli=5, units=12; lag:"
    )


def test_equations_that_name_t_have_no_fixed_points():
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext + sin(w*t)) / tau : 1\nI_rec : 1\nI_ext : 1",
        output="r", recurrent="I_rec", drive="I_ext",
        parameters={"tau": "10*ms", "w": "60/second"},
    )  # fmt: skip
    network = rn.Network(model, weights())
    run = rn.simulate(network, drives(), 0.01, 1e-3)
    with pytest.raises(UnsupportedError, match="depend on t explicitly"):
        measure_lag(run, drives())


def test_the_figure_shows_every_case(tmp_path):
    speeds = np.logspace(-2, 0, 3)
    cases = [(0.5, "moving"), (0.95, "moving"), (0.5, "held")]
    columns = ("lag", "predicted", "corrected", *(
        f"angle, {rule}{end}" for rule in ("rule 1", "rule 3") for end in ("", ", corrected")
    ))  # fmt: skip
    lags = pd.DataFrame(
        {"radius": radius, "presentation": shown, "speed": speed, **dict.fromkeys(columns, speed)}
        for radius, shown in cases
        for speed in speeds
    )
    accuracies = pd.DataFrame(
        {"rule": rule, "way": way, "speed": speed, "seed": 0, "test_accuracy": 0.8}
        for rule in ("rule 1", "rule 3")
        for way in ("moving", "moving, corrected", "held", "fixed points")
        for speed in (speeds if way != "fixed points" else [0.0])
    )
    figure = slowness_figure(lags, accuracies)
    labels = [axis.get_legend_handles_labels()[1] for axis in figure.axes]
    assert [len(each) for each in labels] == [4, 4, 4, 8]
    save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
