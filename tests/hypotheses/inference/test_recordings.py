"""Recordings at the door: what fits, and a sentence for each thing that does not."""

import numpy as np
import pytest
import torch
from brian2 import ms, volt

from ratenet.errors import InputError
from ratenet.hypotheses import Recording

TIME = [0.0, 1.0, 2.0]
RATES = np.arange(6.0).reshape(3, 2)


def test_a_recording_keeps_arrays_of_its_own_in_si_units():
    weights = torch.zeros(3, 2, 2)
    found = Recording(time=[0, 10, 20] * ms, rates=RATES, weights=weights, drive=RATES.tolist())
    weights += 1
    assert found.time.tolist() == pytest.approx([0, 0.01, 0.02])
    assert not found.weights.any()
    assert (len(found), found.units) == (3, 2)
    assert found.signals == {}


def test_it_prints_how_much_was_observed():
    rates = np.where(RATES > 2, RATES, np.nan)
    found = Recording(TIME, rates=rates, stimulus=[0, 4, np.nan], animal=3.0, session="a")
    assert repr(found) == (
        "Recording of animal 3, session a: 3 times from 0 to 2 s, 2 units; "
        "rates (50 % observed), 2 stimuli"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "rates: nothing was observed"),
        ({"rates": RATES[:2]}, r"rates: expected \(T, N\), here \(3, 2\)"),
        ({"rates": RATES, "drive": RATES[:, :1]}, r"drive: expected \(T, N\), here \(3, 2\)"),
        ({"rates": RATES, "weights": np.ones((3, 2, 3))}, r"weights: expected \(T, N, N\)"),
        ({"rates": RATES, "signals": {"reward": [1.0]}}, r"signals, reward: expected \(T,\)"),
        ({"rates": RATES, "signals": [1.0]}, "signals: expected a dict"),
        ({"rates": RATES, "signals": {"a b": TIME}}, "signals: expected names such as 'reward'"),
        ({"rates": RATES, "noise": {"weights": 0.1}}, "noise: expected the error of"),
        ({"rates": RATES, "noise": {"rates": -0.1}}, "noise, rates: expected standard deviations"),
        ({"rates": RATES, "noise": {"rates": RATES[:1]}}, r"noise, rates: expected \(T, N\)"),
        ({"rates": RATES, "stimulus": [0.0, 1.5, 2.0]}, "stimulus: expected whole numbers"),
        ({"rates": RATES, "names": ["a", "a"]}, "names: expected 2 different names"),
        ({"rates": RATES + np.inf}, "rates: expected numbers of at most"),
        ({"rates": RATES * 1j}, "rates: expected real numbers"),
        ({"rates": [*RATES.tolist(), ["x", None]]}, "rates: expected"),
        ({"rates": RATES * volt}, "rates: expected numbers without a unit"),
        ({"rates": RATES, "rate_unit": "volts"}, "rates: expected a unit of rates"),
        ({"rates": RATES, "rate_unit": "mV"}, "rates: expected a unit of rates"),
        ({"rates": -RATES, "rate_unit": "Hz"}, "rates: expected rates of at least 0 Hz"),
        ({"rates": -RATES, "rate_unit": "spikes"}, "rates: expected rates of at least 0 spikes"),
        ({"rates": RATES, "rate_unit": 3}, "rate_unit: expected the name of a unit"),
    ],
)
def test_what_does_not_fit_is_one_sentence(given, sentence):
    with pytest.raises(InputError, match=f"^{sentence}.*") as error:
        Recording(time=TIME, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("time", "sentence"),
    [
        ([0, 1, 1], "increasing times, got 1 after 1 in row 2"),
        ([0, np.nan, 1], "a time in seconds for each row, got NaN"),
        ([0], "two times or more"),
        ([[0, 1, 2]], "two times or more"),
        (None, r"the times \(T,\) in seconds"),
        ([0, 1, 2] * volt, "the unit s"),
    ],
)
def test_times_increase(time, sentence):
    with pytest.raises(InputError, match=f"^time: expected .*{sentence}"):
        Recording(time=time, rates=RATES)


@pytest.mark.parametrize("unit", ["", "dF/F", "a.u.", "n.a.", "lumens", "percent", "deconvolved"])
def test_relative_rates_may_be_negative(unit):
    assert Recording(time=TIME, rates=-RATES, rate_unit=unit).rates.min() == -5
