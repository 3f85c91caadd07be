"""A stack under a moving stimulus: its layers trail one another, and the joint certificate says so.

The speed is that at which the stimulus turns, in radians per time constant.
"""

import math

import pytest
import torch
from torch import Tensor

import ratenet as rn
from ratenet.errors import InputError, UnsupportedError
from ratenet.layers import Stack

FLOAT = torch.float64
TAU = 0.01  # s
UNITS = 60
TRIAL = (4.6, 10.0, 18.0, 31.0, 43.0)  # % of each layer's rates, as a trial of five layers found


def deep(depth: int, read_in: float) -> Stack:
    """Return layers of tanh units of radius 0.5, whose read-ins have this spectral radius."""
    torch.manual_seed(0)
    layers = [rn.FixedPointLayer(UNITS, UNITS, dtype=FLOAT, bias=False) for _ in range(depth)]
    for layer in layers:
        torch.nn.init.normal_(layer.read_in.weight, std=read_in / math.sqrt(UNITS))
    return Stack(*layers)


class Turning:
    """Stimuli that turn in a plane of pixels: always as large, never at rest."""

    def __init__(self, stack: Stack, speed: float, stimuli: int = 8) -> None:
        generator = torch.Generator().manual_seed(1)
        plane = torch.randn(2, stimuli, UNITS, generator=generator, dtype=FLOAT)
        self.stack, self.plane, self.rate = stack, plane, speed / TAU

    def at(self, t: float) -> Tensor:
        pixels = math.cos(self.rate * t) * self.plane[0] + math.sin(self.rate * t) * self.plane[1]
        return self.stack.drive(pixels)


def simulated(stack: Stack, stimulus: Turning) -> rn.Trajectory:
    """Return a run that starts at rest, 20 time constants long."""
    network = stack.network()
    start = rn.find_fixed_points(network, stimulus.at(0.0), certificate="residual")
    return rn.simulate(
        network, stimulus, duration=0.2, dt=2e-4, initial=start.state, record_every=500
    )


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_the_predicted_lag_is_the_measured_one_at_slow_speeds(depth: int) -> None:
    stack = deep(depth, read_in=0.7)
    stimulus = Turning(stack, 0.003)
    found = rn.measure_lag(simulated(stack, stimulus), stimulus, records=[2], tol=1e-11)
    for name in stack.network().populations:
        assert float(found.within(name).error.max()) < 0.05
    assert float(found.error.median()) < 0.05
    assert float(found.relative_corrected.max()) < 0.05 * float(found.relative_lag.min())


@pytest.fixture(scope="module")
def fast() -> tuple[Stack, Turning, rn.Trajectory]:
    stack = deep(5, read_in=2.5)
    stimulus = Turning(stack, 0.03, stimuli=16)
    return stack, stimulus, simulated(stack, stimulus)


def test_the_joint_certificate_sees_what_one_layer_by_itself_does_not(
    fast: tuple[Stack, Turning, rn.Trajectory],
) -> None:
    stack, stimulus, run = fast
    network, drive = stack.network(), stimulus.at(float(run.t[-1]))
    found = rn.certify_state(network, drive, run.final, tol=0.05)
    lags = [100 * float(part.lag.median()) for part in found.populations.values()]
    assert lags == pytest.approx(TRIAL, rel=0.3)
    for part in stack.split(rn.fixed_points_at(network, drive, run.final)).values():
        own = rn.certify_state(part.network, part.drive, part.state)
        assert float(own.whole.lag.median()) < 0.12  # of its fixed point at its present input
    assert list(found.populations) == [f"layer{n}" for n in range(1, 6)]
    assert found.populations["layer1"].settled.any()
    assert not found.populations["layer5"].settled.any()
    assert not found.settled.any()
    assert "layer5: 0 of 16 stimuli settled" in found.summary()


def test_at_rest_every_layer_and_the_whole_is_settled(
    fast: tuple[Stack, Turning, rn.Trajectory],
) -> None:
    stack, stimulus, _ = fast
    fp = rn.find_fixed_points(stack.network(), stimulus.at(0.0))
    found = rn.certify_state(stack.network(), stimulus.at(0.0), fp.state)
    assert found.settled.all()
    assert float(found.whole.lag.max()) < 1e-7
    off = fp.state.clone()
    off[..., -1] += 1.0  # one unit of the last layer
    off[:, 3] = torch.nan
    found = rn.certify_state(stack.network(), stimulus.at(0.0), off)
    assert found.populations["layer4"].settled.tolist() == [n != 3 for n in range(16)]
    assert not found.populations["layer5"].settled.any()
    assert not found.settled.any()


def test_a_correction_that_does_not_lower_the_joint_residual_is_refused(
    fast: tuple[Stack, Turning, rn.Trajectory],
) -> None:
    stack, stimulus, run = fast
    t, network = float(run.t[-1]), stack.network()
    velocity = (stimulus.at(t + 1e-6) - stimulus.at(t - 1e-6)) / 2e-6
    before = rn.fixed_points_at(network, stimulus.at(t), run.final)
    after = rn.correct_lag(before, velocity)
    moved = (after.state != before.state).any(dim=2).any(dim=0)
    assert not moved.all()
    assert (after.residual[moved] < before.residual[moved]).all()
    assert torch.equal(after.residual[~moved], before.residual[~moved])
    refused = before.state - rn.predict_lag(before, velocity).state
    worse = rn.fixed_points_at(network, stimulus.at(t), refused).residual >= before.residual
    assert torch.equal(worse, ~moved)


def test_the_lag_of_each_layer_is_printed(fast: tuple[Stack, Turning, rn.Trajectory]) -> None:
    _, stimulus, run = fast
    found = rn.measure_lag(run, stimulus, records=[2])
    lines = found.summary().splitlines()
    assert [line.split(":")[0] for line in lines] == ["lag", *(f"layer{n}" for n in range(1, 6))]
    with pytest.raises(InputError, match="Unknown population 'layer6'"):
        found.within("layer6")


def test_a_joint_fixed_point_that_is_not_found_is_no_lag() -> None:
    network = rn.Network("linear", [[2.0]])  # grows without end
    found = rn.certify_state(network, [1.0], [0.5])
    assert not found.settled.any() and found.whole.lag.isnan().all()
    assert found.populations == {}
    assert int(found.whole.status) != rn.Status.UNSETTLED


@pytest.mark.parametrize("tol", [0.0, -1.0, "much", float("nan")])
def test_a_tolerance_that_is_none_is_refused(tol: object) -> None:
    with pytest.raises(InputError, match="tol"):
        rn.certify_state(rn.Network("rate", [[0.0]]), [1.0], [0.0], tol=tol)


def test_equations_that_depend_on_time_have_no_certificate() -> None:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext + sin(t / tau)) / tau : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="depend on t"):
        rn.certify_state(rn.Network(model, [[0.0]]), [1.0], [0.0])
