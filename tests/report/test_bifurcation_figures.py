"""The figures of branches and sweeps show what they are given."""

import dataclasses

import pytest
import torch
from helpers.branches import along_drive, unit
from matplotlib.figure import Figure

import ratenet as rn
from ratenet.errors import InputError
from ratenet.report.bifurcation import bifurcation_diagram, hysteresis_loop

TAU = 0.01


def styles(figure: Figure) -> dict[str, int]:
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    return {
        "solid": sum(line.get_linestyle() == "-" for line in lines),
        "dashed": sum(line.get_linestyle() == "--" for line in lines),
        "marks": sum(line.get_linestyle() == "None" for line in lines),
    }


def test_a_diagram_shows_stability_and_folds() -> None:
    figure = bifurcation_diagram(along_drive(2.0), title="one unit")
    assert styles(figure) == {"solid": 2, "dashed": 1, "marks": 1}
    axis = figure.axes[0]
    assert axis.get_xlabel() == "scale of the drive"
    assert "dimensionless" in axis.get_ylabel()
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["fold", "stable", "unstable"]


def test_a_loop_shows_both_ways_and_what_did_not_settle() -> None:
    sweep = rn.sweep_fixed_points(unit(2.0), [1.0], rn.DriveScale(), [-1.0, 0.0, 1.0])
    figure = hysteresis_loop(sweep, branch=along_drive(2.0))
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["fixed points", "up and down differ", "up", "down"]
    status = torch.tensor([rn.Status.SETTLED, rn.Status.UNSETTLED, rn.Status.SETTLED])
    broken = dataclasses.replace(sweep, up=dataclasses.replace(sweep.up, status=status))
    labels = [t.get_text() for t in hysteresis_loop(broken).axes[0].get_legend().get_texts()]
    assert labels == ["up", "up, not settled", "down"]


def test_figures_refuse_what_does_not_fit() -> None:
    branch = along_drive(2.0)
    other = dataclasses.replace(branch, label="scale of W")
    sweep = rn.sweep_fixed_points(unit(0.5), [1.0], rn.DriveScale(), [0.0, 1.0])
    with pytest.raises(InputError, match="unit: expected a number from 0 to 0, got 1"):
        bifurcation_diagram(branch, unit=1)
    with pytest.raises(InputError, match="branches: expected .* same parameter"):
        bifurcation_diagram([branch, other])
    with pytest.raises(InputError, match="branches: expected .* one and the same parameter"):
        bifurcation_diagram([])
    with pytest.raises(InputError, match="branch: expected a branch along scale of the drive"):
        hysteresis_loop(sweep, branch=other)
