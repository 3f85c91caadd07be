"""Methods of slow presentations: what is the default where, what is refused, and resuming."""

from pathlib import Path

import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn
from ratenet.errors import InputError
from ratenet.training.config_checks import resolved
from ratenet.training.same_run import digest_of_config

SLOW = {"presentation": "slow", "hold": 0.03, "fade": 0.01, "unsettled": "include"}
NETWORK = rn.Network("rate", torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("options", "method", "rtol"),
    [
        ({}, "rkc", 6e-3),
        ({"rtol": 1e-3}, "rkc", 1e-3),
        ({"method": "dopri5"}, "dopri5", 1e-4),
        ({"method": "rk4"}, "rk4", None),
        ({"update_at": "continuous"}, "euler", None),
        ({"backend": "brian2"}, "euler", None),
        ({"plasticity": "oja"}, "euler", None),
    ],
)
def test_the_method_follows_from_what_a_run_does(options, method, rtol) -> None:
    config = resolved(small(**{**SLOW, **options}), NETWORK)
    assert (config.method, config.rtol) == (method, rtol)


def test_static_runs_have_no_method() -> None:
    assert resolved(small(), NETWORK).method is None


def test_noise_takes_euler_steps() -> None:
    model = rn.ModelSpec(
        equations="dr/dt = (-r + I_rec + I_ext) / tau + sigma * xi * tau**-0.5 : 1",
        output="r", recurrent="I_rec", drive="I_ext", parameters={"tau": "10*ms", "sigma": 0.1},
    )  # fmt: skip
    network = rn.Network(model, torch.zeros(3, 3))
    assert resolved(small(**SLOW), network).method == "euler"
    for options, sentence in (
        ({"method": "rkc"}, "method: expected euler, since model .* has noise, got 'rkc'"),
        ({"rtol": 1e-3}, "rtol: has no effect with method 'euler', which takes equal steps"),
    ):
        with pytest.raises(InputError, match=sentence):
            resolved(small(**SLOW, **options), network)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "eulr"}, "method: expected one of rkc, euler.*got 'eulr'"),
        (
            {"method": "rkc", "backend": "brian2"},
            "method: expected euler or exponential_euler",
        ),
        ({"method": "rkc", "plasticity": "oja"}, "method: expected euler, .* with plasticity"),
        ({"method": "euler", "rtol": 1e-3}, "rtol: has no effect with method 'euler'"),
        ({"backend": "brian2", "rtol": 1e-3}, "rtol: has no effect with method 'euler'"),
        ({"rtol": 0}, "rtol"),
        ({"rtol": float("nan")}, "rtol"),
        ({"dt": "3*mV"}, "dt: expected a time"),
        ({"dt": 0}, "dt: expected a finite time above 0"),
        ({"presentation": "static", "hold": None, "fade": None, "method": "rkc"}, "method: has no"),
        ({"presentation": "static", "hold": None, "fade": None, "dt": 1e-3}, "dt: has no effect"),
    ],
)
def test_what_cannot_be_is_one_sentence(options, sentence) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        small(**{**SLOW, **options})
    assert "\n" not in str(error.value)


def test_a_run_without_a_method_was_begun_with_euler_steps(few_digits, tmp_path: Path) -> None:
    config = small(**SLOW, method="euler")
    begun = rn.train(config, out=tmp_path)
    file = tmp_path / "config.toml"
    written = file.read_text()
    assert 'method = "euler"\n' in written
    file.write_text(written.replace('method = "euler"\n', ""))  # as it was before
    again = rn.training.resume(tmp_path, {"epochs": 2})
    assert rn.load_run(tmp_path).config.method == "euler"
    whole = rn.train(small(**SLOW, method="euler", epochs=2), out=tmp_path / "whole")
    assert torch.equal(weights(again), weights(whole))
    assert begun.summary["steps"] < again.summary["steps"]
    assert rn.training.read_options(file)["method"] == "euler"


def test_a_resumed_run_of_rkc_gives_the_same_bits(few_digits, tmp_path: Path) -> None:
    rn.train(small(**SLOW), out=tmp_path / "parts")
    parts = rn.training.resume(tmp_path / "parts", {"epochs": 2})
    whole = rn.train(small(**SLOW, epochs=2), out=tmp_path / "whole")
    assert torch.equal(weights(parts), weights(whole))


def test_methods_agree(few_digits, tmp_path: Path) -> None:
    found = {
        method: weights(rn.train(small(**SLOW, method=method), out=tmp_path / method))
        for method in ("rkc", "rk4", "euler")
    }
    off = {m: float((W - found["rk4"]).abs().max()) for m, W in found.items()}
    assert 0 < off["rkc"] < off["euler"]


def test_a_digest_is_that_of_the_time_before_there_were_methods() -> None:
    without, euler, rk4 = (
        digest_of_config(small(**SLOW, method=method), {}) for method in (None, "euler", "rk4")
    )
    assert without == euler
    assert rk4 != euler
