"""The authors' protocol of benchmarks/authors_protocol.py, small, beside what its words say."""

import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ratenet as rn
from ratenet.fixed_points.adjoint import solve_adjoint

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import authors_protocol as protocol


@pytest.fixture
def network() -> rn.Network:
    torch.manual_seed(0)
    return rn.Network("rate", 0.9 * torch.randn(30, 30) / 30**0.5, parameters={"tau": 0.01})


def test_five_tau_are_the_steps_of_simulate(network: rn.Network) -> None:
    drive = torch.randn(8, 30)
    found = protocol.after_five_tau(network, drive, steps=20)
    run = rn.simulate(network, drive, 0.05, 0.0005, method="euler", record_every=100)
    torch.testing.assert_close(found.rates, run.rates[-1], rtol=0, atol=1e-5)
    assert (found.residual > 1e-4).all()  # 5 tau are too few to settle


def test_the_authors_keep_all_samples_take_gains_from_rates_and_solve_exactly(
    network: rn.Network,
) -> None:
    drive, error = torch.randn(8, 30), torch.randn(8, 30)
    fp = protocol.AUTHORS.show(network, drive)
    assert fp.converged.all() and fp.tol == math.inf
    torch.testing.assert_close(fp.gain, 1 - fp.rates**2)
    W, found = network.connectivity.dense(), solve_adjoint(fp, error).values
    inverse = torch.linalg.inv(torch.eye(30) - W.T * fp.gain[:, None, :])
    expected = fp.gain * torch.einsum("bij,bj->bi", inverse, error)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_each_protocol_differs_from_the_authors_in_what_its_name_says() -> None:
    authors = dataclasses.asdict(protocol.AUTHORS)

    def changed(name: str) -> set[str]:
        other = dataclasses.asdict(protocol.PROTOCOLS[name])
        return {key for key in authors if authors[key] != other[key]}

    assert changed("solved") == {"dynamics"}
    assert changed("training-batches") == {"batches"}
    assert changed("left-out") == {"unsettled"}
    assert changed("gain-of-input") == {"gain"}
    assert changed("fine-steps") == {"steps"}
    assert changed("ratenet") == {"dynamics", "unsettled", "batches", "gain"}


def test_a_run_is_made_tested_and_put_into_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"UNITS": 20, "BATCH": 16, "STEPS": 4}.items():
        monkeypatch.setattr(protocol, name, value)
    draw = np.random.default_rng(0)
    some = (draw.random((40, 28, 28)), np.tile(np.arange(10), 4))
    data = rn.stimuli.ImageSet.from_arrays(train=some, test=some, name="noise")
    cells = [
        protocol.Cell(seed, name, "rule 1", 0.01)
        for seed in range(2)
        for name in ("authors", "ratenet")
    ]
    rows = [{**dataclasses.asdict(cell), **protocol.carry_out(cell, data)} for cell in cells]
    assert all(row["steps"] == 4 and not row["stopped"] for row in rows)
    table = protocol.table(pd.DataFrame(rows))
    assert len(table) == 4 and " 2 " in table[2]
    expected = np.mean([rows[1]["after_5_tau"] - rows[0]["after_5_tau"],
                        rows[3]["after_5_tau"] - rows[2]["after_5_tau"]])  # fmt: skip
    assert f"{expected:+.3f} (" in table[3]
