"""Every circuit: consistent, finite, and clear about a wrong argument."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from brian2 import Hz, amp, ms, mV, nA, volt

import ratenet as rn
from ratenet import circuits
from ratenet.errors import InputError, UnknownNameError


@pytest.mark.parametrize("name", circuits.names())
def test_circuit_is_consistent(name):
    circuit = circuits.load(name)
    network, units = circuit.network, circuit.network.units
    assert circuit.name == name
    assert circuit.title and re.search(r"\b(19|20)\d\d\b", circuit.source)
    assert network.dtype == torch.float64
    assert circuit.drive.dtype == torch.float64 and circuit.drive.shape[1] == units
    assert network.as_drive(circuit.drive).shape == circuit.drive.shape
    network.as_state(circuit.initial, len(circuit.drive))
    assert (circuit.duration / circuit.dt) == pytest.approx(round(circuit.duration / circuit.dt))
    assert circuit.dt <= network.shortest_time_constant() / 10  # Euler's method is at ease
    if circuit.coordinate is not None:
        assert circuit.coordinate.values.shape == (units,)
        assert re.search(r"\(.+\)$", circuit.coordinate.label)  # its unit
    with pytest.raises(dataclasses.FrozenInstanceError):
        circuit.name = "other"


@pytest.mark.parametrize("name", circuits.names())
def test_circuit_stays_finite_and_bounded(name):
    """Its own dt and start for 100 steps: no warning of a large step, no divergence."""
    circuit = circuits.load(name)
    run = rn.simulate(
        circuit.network, circuit.drive, 100 * circuit.dt, circuit.dt, initial=circuit.initial
    )
    assert torch.isfinite(run.rates).all()


def test_unknown_circuit():
    with pytest.raises(UnknownNameError, match=r"Unknown circuit 'ssn'.*balanced_.*wong_wang"):
        circuits.load("ssn")


def test_a_circuit_prints_as_a_line():
    assert repr(circuits.wilson_cowan_multistable()) == (
        "Circuit(wilson_cowan_multistable: Wilson-Cowan populations, multistable; 2 units, "
        "2 stimuli, 0.3 s in steps of 0.0001 s)"
    )


def test_every_constructor_is_listed():
    others = {"Circuit", "Coordinate", "load", "names"}
    assert set(circuits.__all__) - others == set(circuits.names())


@pytest.mark.parametrize(
    ("constructor", "arguments", "message"),
    [
        (
            "ssn_ring",
            {"contrast": -3.0},
            r"ssn_ring, contrast: expected values of at least 0, got -3.0",
        ),
        ("ssn_ring", {"contrast": "high"}, r"contrast: expected real numbers, got strings"),
        (
            "ssn_ring",
            {"contrast": []},
            r"ssn_ring, contrast: expected one finite number, or a list",
        ),
        ("ssn_ring", {"contrast": float("nan")}, r"ssn_ring, contrast: expected one finite number"),
        ("ssn_ring", {"contrast": 3 * mV}, r"contrast: expected values with no unit, got 3. mV"),
        ("ssn_ring", {"contrast": [1, 2], "orientation": [0, 1, 2]}, r"ssn_ring: lists of 2, 3"),
        ("ssn_ring", {"units": 2.5}, r"units: expected a whole number of at least 4, got 2.5"),
        ("ssn_ring", {"gain": [1, 2]}, r"ssn_ring, gain: expected one number, got"),
        ("ssn_stochastic", {"drive": 2 * nA}, r"drive: expected values with the unit V, got 2. nA"),
        (
            "wong_wang",
            {"coherence": 51.2},
            r"wong_wang, coherence: expected values of -1 to 1, got 51.2",
        ),
        (
            "wong_wang",
            {"noise": -1e-9},
            r"wong_wang, noise: expected values of at least 0, got -1e-09",
        ),
        ("inhibition_stabilized", {"w_EE": 3}, r"w_EE: expected values of 0 to 2.75, got 3"),
        (
            "inhibition_stabilized",
            {"drive_E": 3 * ms},
            r"drive_E: expected values with the unit Hz, got 3. ms",
        ),
        ("hopfield", {"patterns": 0}, r"patterns: expected a whole number of at least 1, got 0"),
        ("chaotic", {"seed": -1}, r"seed: expected a whole number of at least 0, got -1"),
        ("chaotic", {"units": 10**9}, r"units: the weights of 1,000,000,000 units need .* memory"),
        ("ssn_ring", {"units": 10**9}, r"units: the weights of 2,000,000,000 units need"),
    ],
)
def test_a_wrong_argument_is_one_sentence(constructor, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        getattr(circuits, constructor)(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("constructor", "quantity", "plain"),
    [
        ("ssn_stochastic", {"drive": [0, 2, 15] * mV}, {"drive": [0, 0.002, 0.015]}),
        ("ssn_stochastic", {"drive": 2 * mV}, {"drive": 0.002 * volt}),
        ("wong_wang", {"rate": 30 * Hz, "noise": 0.02 * nA}, {"rate": 30, "noise": 2e-11 * amp}),
        ("inhibition_stabilized", {"drive_E": [20 * Hz, 30 * Hz]}, {"drive_E": [20.0, 30.0]}),
    ],
)
def test_quantities_are_si_floats(constructor, quantity, plain):
    make = getattr(circuits, constructor)
    torch.testing.assert_close(make(**quantity).drive, make(**plain).drive, rtol=1e-15, atol=0)


@pytest.mark.parametrize("units", [36, 100])
def test_ring_does_not_depend_on_its_resolution(units):
    """The Gaussian kernel is resolved to 1e-4 with 5 degrees between neighbours."""
    fine, coarse = circuits.ssn_ring(), circuits.ssn_ring(units=units)
    fixed = [
        rn.find_fixed_points(circuit.network, circuit.drive).rates[0] for circuit in (fine, coarse)
    ]
    assert fixed[1][units // 2] == pytest.approx(fixed[0][90].item(), rel=1e-3)


def test_drive_of_a_list_has_one_row_a_stimulus():
    circuit = circuits.ssn_line(contrast=[10, 50], size=4)
    assert circuit.drive.shape == (2, 202)
    np.testing.assert_allclose(circuit.drive[1], 5 * circuit.drive[0])
