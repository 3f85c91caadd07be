"""The quasi-static limit of plasticity: closed forms, the rule at fixed points, orders in speed."""

import math

import pandas as pd
import pytest
import torch

import ratenet as rn
from ratenet.connectivity import LowRank, Masked, Signed
from ratenet.errors import (
    ConvergenceError,
    DivergenceError,
    InputError,
    UnknownNameError,
    UnsupportedError,
)
from ratenet.report.figures import save
from ratenet.report.plasticity_lag import plasticity_lag_figure

FLOAT, N = torch.float64, 4
MASK = ~torch.eye(N, dtype=torch.bool)
TAUS = torch.linspace(0.01, 0.04, N, dtype=FLOAT)


def random(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=FLOAT)


W = random(N, N, seed=1, scale=0.2)
STIMULI = random(3, N, seed=2)


def swing(t: float) -> torch.Tensor:
    """Go round once in a second."""
    a, b, c = STIMULI
    return 0.5 * a + math.sin(2 * math.pi * t) * b + math.cos(2 * math.pi * t) * c


def measured(network: rn.Network, plasticity="oja", drive=swing, dt=5e-3, **options):
    options = {"speeds": (0.25, 0.125), "records": 40, **options}
    return rn.measure_plasticity_lag(network, drive, 1.0, dt, plasticity, **options)


def rate_network(connectivity=W) -> rn.Network:
    return rn.Network("rate", connectivity, {"tau": TAUS})


def falls_with(values: torch.Tensor) -> float:
    """Return the exponent with which values fall from the first speed to half of it."""
    first, second = values.flatten(1).norm(dim=1).tolist()
    return math.log2(first / second)


def is_first_order(found: rn.PlasticityLag) -> None:
    assert falls_with(found.relative_difference) == pytest.approx(1.0, abs=0.1)
    assert falls_with(found.relative_remaining) == pytest.approx(2.0, abs=0.25)
    assert (found.relative_remaining[1] < 0.1 * found.relative_difference[1]).all()
    assert (found.rates_lag[1] / found.rates_predicted[1] - 1).abs().max() < 0.1


# --- Closed forms -------------------------------------------------------------------------------

OMEGA, PERIOD = 2 * math.pi, 1.0


def circle(t: float) -> list[float]:
    return [math.sin(OMEGA * t), math.cos(OMEGA * t)]


def test_hebb_along_a_circle_trails_by_the_area_times_the_difference_of_time_constants() -> None:
    """y* = x without recurrent weights, and the integral of dy_i/dt y_j is the area, pi or -pi."""
    slow, fast, eta = 0.02, 0.005, 0.1
    network = rn.Network("linear", torch.zeros(2, 2, dtype=FLOAT), {"tau": [slow, fast]})
    found = rn.measure_plasticity_lag(
        network, circle, PERIOD, 1e-3, "hebb", speeds=[1.0, 0.5], plasticity_speeds=1e-7,
        records=100,
    )  # fmt: skip
    scale = 1e-7 * eta
    torch.testing.assert_close(
        found.at_fixed_points[0, 0] / scale, 0.5 * torch.eye(2, dtype=FLOAT), rtol=0, atol=1e-5
    )
    area = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], dtype=FLOAT) * math.pi * (slow - fast)
    torch.testing.assert_close(found.from_rates[0, 0] / scale, area, rtol=0, atol=1e-5)
    assert found.from_variables.abs().max() == 0
    # The simulation, exactly: a low-pass filter of each unit, and the transient from x(0).
    for q, speed in enumerate([1.0, 0.5]):
        expected = speed * exact_correlation(speed * OMEGA, [slow, fast], PERIOD / speed)
        torch.testing.assert_close(
            found.change[q, 0] / scale, expected, rtol=0, atol=2e-3 * speed
        )  # fmt: skip


def exact_correlation(omega: float, taus: list[float], duration: float) -> torch.Tensor:
    """Return the integral of y y^T for tau dy/dt = -y + (sin, cos)(omega t), y(0) = (0, 1)."""
    t = torch.linspace(0, duration, 400_001, dtype=FLOAT)
    rates = []
    for tau, phase in zip(taus, (0.0, math.pi / 2), strict=True):
        size, delay = 1 / math.hypot(1, omega * tau), math.atan(omega * tau)
        steady = size * torch.sin(omega * t + phase - delay)
        start = math.sin(phase) - float(steady[0])
        rates.append(steady + start * torch.exp(-t / tau))
    return torch.tensor(
        [[float(torch.trapezoid(a * b, t)) for b in rates] for a in rates], dtype=FLOAT
    )


def test_the_weights_own_drift_is_that_of_a_separable_equation() -> None:
    """y* = x / (1 - w), so dw/dt = eta x^2 / (1 - w)^2: w = 1 - (1 - 3 E)^(1/3), E + E^2 + ..."""
    network = rn.Network("linear", torch.zeros(1, 1, dtype=FLOAT), {"tau": 2e-3})
    found = rn.measure_plasticity_lag(
        network, lambda t: [math.sin(OMEGA * t)], PERIOD, 2e-3, "hebb", speeds=[0.25],
        plasticity_speeds=1.0, records=100,
    )  # fmt: skip
    E = 0.1 * 0.5 * PERIOD
    assert float(found.at_fixed_points) == pytest.approx(E, rel=1e-6)
    assert float(found.from_weights) == pytest.approx(E**2, rel=1e-4)
    assert float(found.change) == pytest.approx(1 - (1 - 3 * E) ** (1 / 3), rel=1e-4)


# --- Against the rule at fixed points, and orders ------------------------------------------------

FAST_TRACE = rn.load_plasticity("three_factor").with_parameters(tau_c="30*ms", eta="0.1*Hz")
SLOW_THRESHOLD = rn.load_plasticity("bcm").with_parameters(tau_theta="4*second")
FACILITATED = rn.load_plasticity("facilitated_hebb").with_parameters(tau_f="30*ms")
RULES = {
    "hebb": ("hebb", {}),
    "oja": ("oja", {}),
    "bcm, slow threshold": (SLOW_THRESHOLD, {"slow": ["theta"]}),
    "bcm, fast threshold": (SLOW_THRESHOLD.with_parameters(tau_theta="20*ms"), {}),
    "a variable of synapses": (FAST_TRACE, {"signals": {"reward": 1.5}}),
    "a variable of units": (FACILITATED, {}),
    "a sum over synapses": ("subspace", {}),
    "slow means": ("covariance", {"slow": "m"}),
}


QUICK = ("hebb", "bcm, slow threshold", "a variable of synapses", "voltage")


def mostly_slow(names):
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", mostly_slow(RULES))
def test_the_difference_is_of_first_order_and_predicted_to_second(name: str) -> None:
    rule, options = RULES[name]
    is_first_order(measured(rate_network(), rule, **options))


@pytest.mark.parametrize("name", RULES)
def test_the_change_at_fixed_points_is_that_of_the_rule(name: str) -> None:
    plasticity, options = RULES[name]
    found = measured(rate_network(), plasticity, speeds=[0.5], plasticity_speeds=0.5, **options)
    rule = rn.load_plasticity(plasticity).rule(options.get("slow", ()), options.get("signals"))
    # A smooth round trip: the mean over equal times is as exact as any rule of integration.
    fp = found.fixed_points.select(torch.arange(40))
    expected = rule.update(fp, torch.zeros_like(fp.rates), learning_rate=0.5)
    size = expected.abs().max()
    torch.testing.assert_close(found.at_fixed_points[0, 0], expected, rtol=0, atol=1e-4 * size)


def test_each_kind_of_trailing_falls_with_its_own_speed() -> None:
    network = rate_network()
    slow_weights = measured(network, plasticity_speeds=1e-6)
    assert falls_with(slow_weights.relative_difference) == pytest.approx(1.0, abs=0.1)
    assert slow_weights._relative(slow_weights.from_weights).max() < 1e-6
    same = measured(network, speeds=[0.125, 0.125], plasticity_speeds=[0.4, 0.2])
    assert falls_with(same._relative(same.difference - same.from_rates)) == pytest.approx(
        1.0, abs=0.1
    )


NETWORKS = {
    "voltage": lambda: rn.Network("voltage", W, {"tau": TAUS}),
    "adaptation": lambda: rn.Network("adaptation", W, {"tau": TAUS, "tau_a": 0.05}),
    "two populations": lambda: rn.Network(
        "wilson_cowan", {p: {"E": 0.6, "I": -0.4} for p in "EI"}, populations={"E": 2, "I": 2}
    ),
    "masked": lambda: rate_network(Masked(W * MASK, MASK)),
    "signed": lambda: rate_network(Signed(W.abs() + 0.1, torch.ones(N, dtype=FLOAT))),
}


@pytest.mark.parametrize("name", mostly_slow(NETWORKS))
def test_other_models_and_connectivities(name: str) -> None:
    is_first_order(measured(NETWORKS[name](), FACILITATED))


class Streams:
    """Two streams that never rest."""

    def at(self, t: float) -> torch.Tensor:
        return torch.stack([swing(t), swing(0.7 * t + 0.2)])


@pytest.mark.parametrize("weights", ["own", "shared"])
def test_streams_have_their_own_weights_or_share_them(weights: str) -> None:
    rule = SLOW_THRESHOLD
    found = measured(rate_network(), rule, Streams(), weights=weights, slow=["theta"])
    assert found.change.shape == (2, 2 if weights == "own" else 1, N, N)
    assert found.rates_lag.shape == (2, 2)
    is_first_order(found)


def test_signals_change_with_the_stimulus() -> None:
    def plateau(t: float) -> torch.Tensor:
        return 1 + torch.sin(2 * math.pi * t + torch.arange(N, dtype=FLOAT))

    rule = rn.load_plasticity("btsp").with_parameters(tau_p="30*ms", eta="0.3*Hz")
    is_first_order(measured(rate_network(), rule, signals={"plateau": plateau}))
    trace = rn.PlasticitySpec(
        equations="dw/dt = eta*a_post*y_pre : 1\nda/dt = (reward*y - a)/tau_a : 1",
        parameters={"eta": "0.1*Hz", "tau_a": "30*ms"},
        signals={"reward": "1"},
    )
    is_first_order(measured(rate_network(), trace, signals={"reward": plateau}))
    closed_loop = rn.simulation.Feedback(lambda t, rates: plateau(t) - rates**2)
    is_first_order(measured(rate_network(), trace, signals={"reward": closed_loop}))


def test_parts_of_the_times_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(rate_network(), SLOW_THRESHOLD, slow=["theta"])
    monkeypatch.setattr("ratenet.quasi_static.plasticity_limit.MOST", 7 * N * N)
    parts = measured(rate_network(), SLOW_THRESHOLD, slow=["theta"])
    for name in ("at_fixed_points", "from_rates", "from_variables", "from_weights"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=0)


# --- The result -----------------------------------------------------------------------------------


def test_a_result_prints_as_a_line_for_each_speed_and_as_a_table() -> None:
    found = measured(rate_network())
    first, second = found.summary().splitlines()
    assert first.startswith("speed 0.25, plasticity 0.25: the change of weights differs by ")
    assert second.startswith("speed 0.125, ")
    assert repr(found).startswith("PlasticityLag(speeds=2, streams=1, units=4; speed 0.25")
    table = found.to_dataframe()
    assert list(table["speed"]) == [0.25, 0.125]
    assert table["difference"][0] == pytest.approx(float(found.relative_difference[0, 0]))
    speed = found.tolerated(0.01)
    assert speed.shape == (2, 1)
    assert float(speed[0] / speed[1]) == pytest.approx(1.0)  # both rows have the same ratio
    assert float(speed[0]) == pytest.approx(0.25 * 0.01 / float(found.relative_predicted[0]))
    with pytest.raises(InputError, match=r"tolerance: expected a finite number above 0, got 0"):
        found.tolerated(0)


def test_the_figure_marks_where_a_prediction_reaches_the_tolerance(tmp_path) -> None:
    speeds = [0.01, 0.02, 0.04]
    rows = [
        {
            "rule": rule, "presentation": "moving", "seed": seed, "sweep": sweep, "speed": speed,
            "moved": speed, "difference": (1.1 + 0.1 * seed) * speed, "predicted": speed,
            "rates_lag": 10 * speed,
        }
        for rule in ("hebb", "oja")
        for seed in (0, 1)
        for sweep in ("stimulus", "plasticity")
        for speed in speeds
    ]  # fmt: skip
    figure = plasticity_lag_figure(pd.DataFrame(rows), tolerance=0.03)
    for axis in figure.axes:
        points = axis.containers[0].lines[0]
        assert list(points.get_ydata()) == pytest.approx([115 * speed for speed in speeds])
        marks = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == 10]
        assert marks == pytest.approx([0.03, 0.03])
    save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


# --- Bad input ------------------------------------------------------------------------------------


def test_a_stimulus_that_does_not_change_or_jumps_is_refused() -> None:
    with pytest.raises(InputError, match=r"drive: expected a drive that changes in time, or at"):
        measured(rate_network(), drive=STIMULI[0])
    with pytest.raises(InputError, match=r"drive: it does not change, so that nothing trails"):
        measured(rate_network(), drive=lambda t: STIMULI)
    with pytest.raises(InputError, match=r"drive: between 40 records it does not change as its"):
        measured(rate_network(), drive=lambda t: STIMULI * (1 if t < 0.6 else -1))
    with pytest.raises(InputError, match=r"at least two stimuli \(S, N\), .*, got \(0, 4\)"):
        measured(rate_network(), drive=STIMULI[:0])
    held = rn.SampledDrive(STIMULI, 0.3)
    with pytest.raises(InputError, match=r"drive: a SampledDrive that is held jumps"):
        measured(rate_network(), drive=held)


def test_a_network_that_has_no_fixed_point_to_follow_is_refused() -> None:
    noisy = rn.ModelSpec(
        equations="dr/dt = (-r + I)/tau + 0.1*xi/sqrt(tau) : 1\nI = I_rec + I_ext : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"has noise \(xi\)"):
        measured(rn.Network(noisy, W))
    fold = rn.Network("linear", torch.zeros(N, N, dtype=FLOAT)).changed(
        W=1.5 * torch.eye(N, dtype=FLOAT)
    )
    with pytest.raises(ConvergenceError):
        measured(fold)


def test_a_rule_that_cannot_be_compared_is_refused() -> None:
    network = rate_network()
    with pytest.raises(InputError, match=r"'three_factor' needs reward"):
        measured(network, "three_factor")
    with pytest.raises(UnknownNameError, match=r"Unknown signal 'x'"):
        measured(network, signals={"x": 1.0})
    with pytest.raises(UnknownNameError, match=r"Unknown slow variable 'b'"):
        measured(network, "bcm", slow=["b"])
    with pytest.raises(InputError, match=r"'covariance' changes no weight at these fixed points"):
        measured(network, "covariance")
    restless = rn.PlasticitySpec(
        equations="dw/dt = eta*a_post*y_pre : 1\nda/dt = eta*y : 1", parameters={"eta": "1*Hz"}
    )
    with pytest.raises(UnsupportedError, match=r"a of .* have no rest"):
        measured(network, restless)
    with pytest.raises(UnsupportedError, match=r"weights that change synapse by synapse"):
        measured(rate_network(LowRank(random(N, 1, seed=5), random(N, 1, seed=6))))
    explosive = rn.load_plasticity("hebb").with_parameters(eta="2000*Hz")
    with pytest.raises(DivergenceError, match=r"speed 0.25, plasticity 0.25"):
        measured(rn.Network("relu" if "relu" in rn.model_names() else "linear", W), explosive)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"speeds": []}, r"speeds: expected at least one number above 0"),
        ({"speeds": [0.0]}, r"speeds: expected a finite number above 0, got 0.0"),
        ({"speeds": [math.nan]}, r"speeds: expected a finite number above 0, got nan"),
        ({"speeds": "fast"}, r"speeds: expected numbers above 0, got 'fast'"),
        ({"speeds": None}, r"speeds: expected numbers above 0, got None"),
        ({"speeds": [True]}, r"speeds: expected a finite number above 0, got True"),
        ({"plasticity_speeds": [1, 2, 3]}, r"plasticity_speeds: expected 1 or 2 speeds"),
        ({"records": 3}, r"records: expected a whole number of at least 8, got 3"),
        ({"records": 10**9}, r"records: 1,000,000,000 fixed points need .* choose fewer records"),
        ({"weights": "mine"}, r"weights: expected 'own' or 'shared', got 'mine'"),
        ({"slow": 3}, r"slow: expected names of variables of units, got 3"),
        ({"signals": 3}, r"signals: expected a mapping"),
        ({"tol": -1.0}, r"tol"),
        ({"method": "dopri5"}, r"method: weights take Euler steps"),
        ({"method": 3}, r"method"),
    ],
)
def test_bad_arguments_are_one_sentence(options: dict, sentence: str) -> None:
    with pytest.raises(rn.errors.RatenetError, match=sentence):
        measured(rate_network(), **options)


def test_other_things_than_networks_times_and_drives_are_refused() -> None:
    for arguments, sentence in [
        ((3, STIMULI, 1.0, 1e-3, "oja"), r"network: expected rn.Network"),
        ((rate_network(), STIMULI, 0.0, 1e-3, "oja"), r"duration: expected a finite time above 0"),
        ((rate_network(), STIMULI, 1.0, "x", "oja"), r"dt: expected a time"),
        ((rate_network(), STIMULI[:, :2], 1.0, 1e-3, "oja"), r"drive"),
        ((rate_network(), math.nan * STIMULI, 1.0, 1e-3, "oja"), r"drive"),
        ((rate_network(), STIMULI, 1.0, 1e-3, "ojja"), r"did you mean 'oja'"),
        ((rate_network(), STIMULI, 1.0, 1e-3, 3), r"plasticity"),
    ]:
        with pytest.raises(rn.errors.RatenetError, match=sentence):
            rn.measure_plasticity_lag(*arguments)
