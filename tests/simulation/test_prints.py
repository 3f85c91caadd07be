"""What a prompt or a notebook shows of trajectories, drives and statistics: a line each."""

import numpy as np
import torch
from brian2 import ms

import ratenet as rn
from ratenet.simulation import SampledDrive, Statistics
from ratenet.simulation.drives import drive_for

NET = rn.Network("adaptation", torch.zeros(5, 5, dtype=torch.float64))


def trajectory() -> rn.Trajectory:
    return rn.simulate(
        NET, np.ones((2, 5)), 50 * ms, 1 * ms, record_units=[1, 3],
        statistics=Statistics(covariance=True),
    )  # fmt: skip


def test_a_trajectory_prints_as_a_line() -> None:
    run = trajectory()
    assert repr(run) == (
        "Trajectory(adaptation: 51 records from 0 to 0.05 s, 2 stimuli, 2 of 5 units, rates 0 to "
        f"{float(run.rates.max()):.4g}; torch, euler, dt = 0.001 s)"
    )
    assert repr(run.statistics) == "RateStatistics(steps=50, stimuli=2, units=5, with covariance)"


def test_a_notebook_shows_a_table_with_a_row_for_each_variable() -> None:
    run = trajectory()
    shown = run._repr_html_()
    for name, values in {"rates": run.rates, **run.states}.items():
        assert f"<tr><th>{name}</th><td>0 to {float(values.max()):.4g} (1)</td></tr>" in shown


def test_drives_print_as_a_line() -> None:
    drive = SampledDrive(np.ones((1000, 5)), 10 * ms, "linear")
    assert repr(drive) == "SampledDrive(shape (1000, 5), every 0.01 s, linear)"
    assert repr(drive_for(NET, np.ones((2, 5)))) == "ConstantDrive(shape (2, 5))"
    assert len(repr(drive_for(NET, lambda t: np.ones(5)))) < 120
