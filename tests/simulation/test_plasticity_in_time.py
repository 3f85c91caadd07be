"""Weights that move while a network is simulated: by hand, continued, constrained, refused."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from brian2 import ms, volt
from helpers.problems import FLOAT, TARGETS, random, random_weights

import ratenet as rn
from ratenet.connectivity import LowRank, Masked, Signed
from ratenet.errors import DivergenceError, InputError, UnknownNameError, UnsupportedError

B, N, DT, TAU = 3, 5, 1e-3, 0.01
STEPS = 60
MASK = torch.tensor([[True, False, True, True, True]]).T & ~torch.eye(N, dtype=torch.bool)
SIGNS = torch.tensor([1, -1, 1, 1, -1])
RICH = rn.PlasticitySpec(
    name="rich",
    equations="""
    dw/dt = eta*c*reward + 0.5*eta*tanh(y_post*y_pre)*(norm_post - out_pre) + 0.01*eta*sin(nu*t) : 1
    dc/dt = (-c + z_post*y_pre*mod_post) / tau_c : 1
    dtheta/dt = (y**2 - theta + 0.1*norm) / tau_t : 1
    z = y - theta : 1
    norm_post = w**2*y_pre : 1 (summed)
    out_pre = c*y_post : 1 (summed)
    """,
    parameters={"eta": "20*Hz", "tau_c": "50*ms", "tau_t": "100*ms", "nu": "30*Hz"},
    signals={"reward": "1", "mod": "1"},
)
SIGNALS = {"reward": lambda t: np.array([np.sin(60 * t), 1.0, t]), "mod": [1, 2, 3, 0.5, 1]}


def network(W: Any = None) -> rn.Network:
    W = random_weights(N, seed=5, scale=0.6) if W is None else W
    return rn.Network("rate", W, parameters={"tau": TAU})


def drive() -> torch.Tensor:
    return random(B, N, seed=6)


def connectivities() -> dict[str, Any]:
    W = random_weights(N, seed=5, scale=0.6)
    return {
        "dense": W,
        "masked": Masked(W * MASK, MASK),
        "signed": Signed(W.abs() * SIGNS, SIGNS),
    }


def run(rule: Any, W: Any = None, **options: Any) -> rn.Trajectory:
    spec = rn.load_plasticity(rule).with_parameters(eta="20*Hz") if isinstance(rule, str) else rule
    return rn.simulate(
        network(W), options.pop("drive", drive()), options.pop("duration", STEPS * DT), DT,
        plasticity=spec, **options,
    )  # fmt: skip


def by_hand(rule: str, weights: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights (B, N, N) and rates after Euler steps by loops over streams."""
    x, w = drive(), network().connectivity.dense().expand(B, N, N).clone()
    y, theta = torch.zeros(B, N, dtype=FLOAT), torch.zeros(B, N, dtype=FLOAT)
    for _ in range(STEPS):
        change = torch.empty_like(w)
        for b in range(B):
            post, pre = y[b][:, None], y[b][None]
            change[b] = {
                "hebb": post * pre,
                "oja": post * (pre - post * w[b]),
                "bcm": post * (post - theta[b][:, None]) * pre,
            }[rule]
        if weights == "shared":
            change = change.mean(dim=0, keepdim=True)
        recurrent = torch.stack([w[b] @ y[b] for b in range(B)])
        theta = theta + DT * (y**2 - theta)
        y = y + DT / TAU * (-y + torch.tanh(recurrent + x))
        w = w + DT * 20 * change
    return w, y


@pytest.mark.parametrize("weights", ["own", "shared"])
@pytest.mark.parametrize("rule", ["hebb", "oja", "bcm"])
def test_weights_move_as_by_hand(rule: str, weights: str) -> None:
    expected, rates = by_hand(rule, weights)
    found = run(rule, weights=weights)
    shape = (B, N, N) if weights == "own" else (N, N)
    assert tuple(found.final_weights.shape) == shape
    torch.testing.assert_close(found.final_weights.expand(B, N, N), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.rates[-1], rates, rtol=0, atol=1e-13)
    assert float((expected - network().connectivity.dense()).abs().max()) > 0.01


def test_the_network_given_is_not_changed() -> None:
    W = random_weights(N, seed=5)
    given, before = network(W), W.clone()
    found = rn.simulate(given, drive(), 0.02, DT, plasticity=rn.load_plasticity("hebb"))
    assert torch.equal(W, before)
    assert found.network is given
    assert not torch.equal(found.final_weights[0], W)
    by_name = rn.simulate(given, drive(), 0.02, DT, plasticity="hebb")
    assert torch.equal(by_name.final_weights, found.final_weights)


@pytest.mark.brian2
@pytest.mark.parametrize("target", TARGETS, indirect=True)
@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("kind", ["dense", "masked", "signed"])
def test_both_backends_agree_on_a_rule_with_everything(kind: str) -> None:
    W = connectivities()[kind]
    runs = [
        run(RICH, W, signals=SIGNALS, backend=name, start=0.2, record_every=20, record_weights=20)
        for name in ("torch", "brian2")
    ]
    first, second = (found.plasticity for found in runs)
    assert first is not None and second is not None
    for name in first.final:
        assert float(first.final[name].abs().max()) > 0.1
        torch.testing.assert_close(first.final[name], second.final[name], rtol=0, atol=1e-12)
    torch.testing.assert_close(first.weights, second.weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(runs[0].rates, runs[1].rates, rtol=0, atol=1e-12)


@pytest.mark.brian2
def test_names_of_a_rule_are_free_in_brian2() -> None:
    """Brian2 keeps names that end in _post, and the model has an I of its own."""
    spec = rn.PlasticitySpec(
        equations="dI/dt = eta*post_post*pre*y_pre : 1\ndpost/dt = (y - post)/tau : 1",
        weight="I",
        parameters={"eta": "5*Hz", "tau": "50*ms"},
        signals={"pre": "1"},
    )
    network = rn.Network("rate", torch.full((2, 2), 0.2, dtype=torch.float64))
    here, there = (
        rn.simulate(network, [1.0, 0.5], 0.01, 1e-3, plasticity=spec, signals={"pre": 2.0},
                    backend=backend)
        for backend in ("torch", "brian2")
    )  # fmt: skip
    for name, values in here.plasticity.final.items():
        torch.testing.assert_close(there.plasticity.final[name], values, rtol=0, atol=1e-13)
    assert (here.final_weights != 0.2).all()


@pytest.mark.brian2
def test_brian2_shares_the_weights_of_one_stimulus() -> None:
    signals = {"reward": 1.0, "mod": 2.0}
    one, two = (
        run(RICH, drive=drive()[0], signals=signals, weights="shared", backend=backend)
        for backend in ("torch", "brian2")
    )
    torch.testing.assert_close(one.final_weights, two.final_weights, rtol=0, atol=1e-12)
    with pytest.raises(UnsupportedError, match="shares weights of one stimulus only, got 3"):
        run("oja", weights="shared", backend="brian2")


@pytest.mark.parametrize("weights", ["own", "shared"])
@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4"])
def test_a_run_is_continued_exactly(weights: str, method: str) -> None:
    whole = run(RICH, signals=SIGNALS, weights=weights, method=method)
    half = run(RICH, signals=SIGNALS, weights=weights, method=method, duration=STEPS * DT / 2)
    assert half.plasticity is not None
    rest = run(
        RICH, signals=SIGNALS, weights=weights, method=method, duration=STEPS * DT / 2,
        initial=half.final, start=half.t[-1], initial_plasticity=half.plasticity.final,
    )  # fmt: skip
    assert torch.equal(rest.final_weights, whole.final_weights)
    assert torch.equal(rest.rates[-1], whole.rates[-1])


def test_constraints_of_the_connectivity_are_kept() -> None:
    masked = run("hebb", connectivities()["masked"]).final_weights
    assert not masked[:, ~MASK].any()
    assert (masked[:, MASK] != 0).all()
    signed = run(RICH, connectivities()["signed"], signals=SIGNALS, duration=0.3).final_weights
    assert (signed * SIGNS >= 0).all()
    assert (signed == 0).any()  # some would have changed their sign


def test_sums_go_over_the_synapses_that_there_are() -> None:
    spec = rn.PlasticitySpec(
        equations="""
        dw/dt = 0*w*onto_post*from_pre/tau : 1
        da/dt = (onto - a) / tau : 1
        db/dt = (from - b) / tau : 1
        onto_post = 1 : 1 (summed)
        from_pre = 1 : 1 (summed)
        """.replace("from", "out"),
        parameters={"tau": "1*ms"},
    )
    found = run(spec, connectivities()["masked"], duration=DT)
    assert found.plasticity is not None
    assert torch.equal(found.plasticity.final["a"], MASK.sum(dim=1).expand(B, N).to(FLOAT))
    assert torch.equal(found.plasticity.final["b"], MASK.sum(dim=0).expand(B, N).to(FLOAT))


def test_shared_weights_of_equal_streams_are_those_of_one() -> None:
    x = drive()[:1]
    one = run("bcm", drive=x, weights="shared").final_weights
    four = run("bcm", drive=x.expand(4, N), weights="shared").final_weights  # a mean of 4 is exact
    torch.testing.assert_close(one, four, rtol=0, atol=1e-15)


def test_weights_are_recorded_at_an_interval_and_by_synapse() -> None:
    found = run("bcm", record_every=10, record_weights=20).plasticity
    assert found is not None
    assert found.t.tolist() == pytest.approx([0, 0.02, 0.04, 0.06])
    assert tuple(found.weights.shape) == (4, B, N, N)
    assert torch.equal(found.weights[0], network().connectivity.dense().expand(B, N, N))
    assert torch.equal(found.weights[-1], found.final["w"])
    assert tuple(found.units["theta"].shape) == (4, B, N)
    chosen = run("bcm", record_every=20, record_synapses=[(0, 1), (4, 2)]).plasticity
    assert chosen is not None
    assert torch.equal(chosen.weights[..., 0], found.weights[..., 0, 1])
    assert torch.equal(chosen.weights[..., 1], found.weights[..., 4, 2])


@pytest.mark.parametrize("weights", ["own", "shared"])
def test_weights_are_kept_in_a_file(weights: str, tmp_path: Path) -> None:
    found = run("bcm", weights=weights, record_every=10, record_weights=20)
    found.save(tmp_path / "run.nc")
    with xarray.open_dataset(tmp_path / "run.nc") as kept:
        assert kept.attrs["plasticity"] == "bcm"
        streams = ("stimulus",) if weights == "own" else ()
        assert kept["final_weights"].dims == (*streams, "post", "pre")
        assert kept["weights"].dims == ("t_weights", *streams, "post", "pre")
        assert kept["weights"][-1].values == pytest.approx(found.final_weights.numpy())
        assert kept["t_weights"].values == pytest.approx([0, 0.02, 0.04, 0.06])
    chosen = run("bcm", weights=weights, record_every=20, record_synapses=[(0, 1), (4, 2)])
    data = chosen.to_xarray()
    assert data["weights"].dims == ("t_weights", *streams, "synapse")
    assert data["synapse_post"].values.tolist() == [0, 4]
    assert repr(found).endswith(", plasticity bcm)")


def test_a_signal_is_held_sampled_or_a_function() -> None:
    spec = rn.load_plasticity("three_factor")
    steps = np.linspace(0, 1, STEPS + 1)
    sampled = rn.SampledDrive(steps[:, None], DT)
    kinds = [sampled, lambda t: steps[round(t / DT)], lambda t: np.full(B, steps[round(t / DT)])]
    first, *others = (run(spec, signals={"reward": kind}).final_weights for kind in kinds)
    for other in others:
        assert torch.equal(first, other)
    constant = [run(spec, signals={"reward": value}).final_weights for value in (0.5, [0.5] * B)]
    assert torch.equal(*constant)
    assert torch.equal(run(spec, signals={"reward": 0}).final_weights[0], network().connectivity.W)


def test_exploding_weights_end_at_the_last_good_record() -> None:
    spec = rn.load_plasticity("hebb_decay").with_parameters(eta="0*Hz", tau_w="1*us")
    with pytest.raises(
        DivergenceError, match=r"synapse w\[\d, \d\] \(post, pre\) of stimulus"
    ) as e:
        run(spec, duration=0.2, record_every=10)
    assert "by t = 0.11 s" in str(e.value)
    result = e.value.result
    assert float(result.t[-1]) == pytest.approx(0.1)
    assert len(result.t) == len(result.rates) == 11
    assert torch.isfinite(result.final_weights).all()


@pytest.mark.parametrize("backend", ["torch", pytest.param("brian2", marks=pytest.mark.brian2)])
def test_an_explosion_is_noticed_long_before_the_next_record(backend: str) -> None:
    """One synapse grows without bound among 25; w[3, 1] = 2 e^(10^4 t) is infinite after 71 ms."""
    spec = rn.PlasticitySpec(
        equations="dw/dt = eta*chosen_post*w*y_pre**2 : 1",
        parameters={"eta": "10/ms", "chosen": [0.0, 0, 0, 1, 0]},
    )
    W = torch.zeros(N, N, dtype=FLOAT)
    W[3, 1], W[0, 4] = 2.0, 9.0
    x = torch.tensor([0.0, 5.0, 0.0, 0.0, 0.0], dtype=FLOAT)
    with pytest.raises(DivergenceError) as e:
        run(spec, W, drive=x, duration=100.0, record_every=100_000, backend=backend)
    assert "synapse w[3, 1] (post, pre) of stimulus 0" in str(e.value)
    time = float(str(e.value).split(" s. ")[0].split("t = ")[1])
    assert time < 0.6
    assert float(e.value.result.t[-1]) == 0
    assert torch.equal(e.value.result.final_weights[0], W)


def test_other_rates_and_weights_may_have_units() -> None:
    model = rn.ModelSpec(
        equations="dv/dt = (-v + I_rec + I_ext) / tau : volt\nI_rec : volt\nI_ext : volt",
        output="v", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms"},
    )  # fmt: skip
    given = rn.Network(model, [[0.5]])
    with pytest.raises(InputError, match=r"in the rule 'hebb' y is in 1, in the model .* in V"):
        rn.simulate(given, [1.0], 0.01, DT, plasticity=rn.load_plasticity("hebb"))
    spec = rn.PlasticitySpec(
        equations="dw/dt = eta*y_post*y_pre : 1\ny : volt", parameters={"eta": "1*Hz/volt**2"}
    )
    found = rn.simulate(given, [1.0] * volt, 10 * ms, DT, plasticity=spec)
    assert 0.5 < float(found.final_weights) < 0.51


def test_what_does_not_part_is_computed_synapse_by_synapse() -> None:
    parted = rn.PlasticitySpec(
        equations="dw/dt = eta*y_post**2*y_pre*w : 1", parameters={"eta": "20*Hz"}
    )
    whole = rn.PlasticitySpec(
        equations="dw/dt = eta*(y_post**4*y_pre**2)**0.5*w*sign(y_pre) : 1",
        parameters={"eta": "20*Hz"},
    )
    for weights in ("own", "shared"):
        one, two = (run(spec, weights=weights).final_weights for spec in (parted, whole))
        torch.testing.assert_close(one, two, rtol=0, atol=1e-13)


REFUSED = {
    "no such rule": ({"plasticity": "ojja"}, UnknownNameError, r"plasticity rule 'ojja'; did you"),
    "no rule": ({"plasticity": 3}, InputError, r"plasticity rule: expected the name of .*got 3"),
    "weights": (
        {"weights": "mine"},
        InputError,
        r"weights: expected 'own' or 'shared'",
    ),
    "dopri5": ({"method": "dopri5"}, UnsupportedError, r"method: weights take Euler steps"),
    "settled": ({"until_settled": 1e-3}, UnsupportedError, r"weights that move never settle"),
    "a missing signal": ({"rule": RICH}, InputError, r"needs reward, mod; give signals=\{'reward'"),
    "an unknown signal": ({"signals": {"a": 1}}, UnknownNameError, r"Unknown signal 'a'"),
    "no mapping": ({"signals": 3}, InputError, r"signals: expected a mapping"),
    "a signal's shape": (
        {"rule": RICH, "signals": {"reward": [1, 2], "mod": 1}},
        InputError,
        r"signals, reward: expected a number, or shape \(B,\) = \(3,\), got \(2,\)",
    ),
    "a unit signal's shape": (
        {"rule": RICH, "signals": {"reward": 1, "mod": [1, 2]}},
        InputError,
        r"signals, mod: .*\(N,\) = \(5,\) or \(B, N\) = \(3, 5\)",
    ),
    "a signal that is NaN": (
        {"rule": RICH, "signals": {"reward": lambda t: float("nan"), "mod": 1}},
        InputError,
        r"signals, reward at t = 0 s: NaN",
    ),
    "an unknown variable": (
        {"initial_plasticity": {"v": 1}},
        UnknownNameError,
        r"Unknown variable in initial_plasticity 'v'",
    ),
    "first weights": (
        {"initial_plasticity": {"w": [1.0, 2.0]}},
        InputError,
        r"initial_plasticity, w: expected a number, or shape",
    ),
    "an interval": ({"record_weights": 7}, InputError, r"record_weights: expected a whole number"),
    "a synapse": (
        {"record_synapses": [(0, 5)]},
        InputError,
        r"pairs \(post, pre\) of units from",
    ),
    "first weights of streams": (
        {"weights": "shared", "initial_plasticity": {"w": torch.zeros(B, N, N)}},
        InputError,
        r"initial_plasticity, w: expected a number, or shape \(5, 5\), got \(3, 5, 5\)",
    ),
    "no such synapse": (
        {"W": connectivities()["masked"], "record_synapses": [(0, 2), (2, 2)]},
        InputError,
        r"record_synapses: there is no synapse from unit 2 to unit 2",
    ),
    "low rank": (
        {"W": LowRank(torch.ones(N, 1, dtype=FLOAT), torch.ones(N, 1, dtype=FLOAT))},
        UnsupportedError,
        r"which LowRank weights do not allow",
    ),
    "standalone": (
        {"backend": "brian2", "device": "cpp_standalone"},
        UnsupportedError,
        r"'cpp_standalone' does not offer plasticity",
    ),
}


@pytest.mark.parametrize(("options", "kind", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_one_sentence(
    options: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    options = {"plasticity": options.get("rule", rn.load_plasticity("oja")), **options}
    options.pop("rule", None)
    with pytest.raises(kind, match=sentence):
        rn.simulate(network(options.pop("W", None)), drive(), 0.01, DT, **options)


def test_an_empty_batch_is_refused() -> None:
    empty = torch.zeros(0, N, dtype=FLOAT)
    with pytest.raises(InputError, match="drive: expected at least one stimulus"):
        rn.simulate(network(), empty, 0.01, DT, plasticity=rn.load_plasticity("oja"))


@pytest.mark.parametrize("name", ["signals", "record_weights"])
def test_what_has_no_effect_without_a_rule_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: it has no effect without plasticity="):
        rn.simulate(network(), drive(), 0.01, DT, **{name: {"a": 1}})


def test_memory_that_would_not_fit_is_refused_before() -> None:
    given = rn.Network("rate", torch.zeros(2000, 2000))
    with pytest.raises(InputError, match=r"plasticity: .* need .* GB"):
        rn.simulate(
            given, torch.zeros(100_000, 2000), 0.01, DT, plasticity=rn.load_plasticity("hebb")
        )


def test_recorded_weights_count_among_the_memory() -> None:
    """Rates of 100,000 records take 1.6 GB, weights 1.6 TB."""
    given, steps = rn.Network("rate", torch.zeros(2000, 2000)), 100_000
    with pytest.raises(InputError, match=r"100,001 records .* need 1.6e\+03 GB .*record_weights"):
        rn.simulate(
            given, torch.zeros(2000), steps * DT, DT, plasticity=rn.load_plasticity("hebb"),
            record_weights=1,
        )  # fmt: skip


def test_gradients_are_not_kept() -> None:
    W = random_weights(N, seed=5).requires_grad_()
    with pytest.warns(rn.errors.RatenetWarning, match=r"plasticity= does not compute gradients"):
        found = rn.simulate(network(W), drive(), 0.01, DT, plasticity=rn.load_plasticity("hebb"))
    assert not found.rates.requires_grad


def test_rounding_does_not_depend_on_what_is_recorded() -> None:
    finals = [
        run("bcm", weights=weights, record_every=every).final_weights
        for weights, every in itertools.product(("own", "shared"), (1, STEPS))
    ]
    assert torch.equal(finals[0], finals[1])
    assert torch.equal(finals[2], finals[3])
