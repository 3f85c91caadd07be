"""What the architectures of docs/results.md, made small, learn from slowly changing digits."""

from pathlib import Path

import pytest

import ratenet as rn
from ratenet.training import TrainingConfig

ARCHITECTURES = {
    "one layer": [{"kind": "fixed-point", "units": 60}],
    "feedback": [{"kind": "feedback", "units": [40, 40], "model": "threshold_linear"}],
    "convolutional": [
        {"kind": "convolutional", "channels": channels, "model": "threshold_linear", "stride": 2,
         "read_in_size": 5}
        for channels in (2, 4)
    ],
}  # fmt: skip
LEAST = 0.7  # a tenth would be chance


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["euclidean", "linearized-reparameterized"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_slow_digits_teach_as_well_as_fixed_points(
    name: str, rule: str, few_digits, tmp_path: Path
) -> None:
    layers = [*ARCHITECTURES[name], {"kind": "read-out"}]
    slow = {"presentation": "slow", "hold": 0.15, "fade": 0.02}
    found = {}
    for presentation in ({"presentation": "static"}, slow):
        config = TrainingConfig(
            **presentation, layers=layers, rule=rule, optimizer="adam", learning_rate=1e-2,
            recurrent_learning_rate=3e-4, epochs=3, batch_size=50, threads=1,
        )  # fmt: skip
        out = tmp_path / presentation["presentation"]
        found[out.name] = rn.train(config, out=out).summary
    assert found["slow"]["unsettled_samples"] == 0
    at_rest = found["static"]["test_accuracy"]
    assert at_rest > LEAST
    for kind in ("test_accuracy", "test_accuracy_slow"):
        assert found["slow"][kind] == pytest.approx(at_rest, abs=0.03), kind
