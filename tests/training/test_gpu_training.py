"""Training on a GPU: the numbers of the CPU; skipped where there is none."""

import pytest
import torch
from helpers.small_runs import small, weights

import ratenet as rn

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda is not available"),
]


@pytest.mark.parametrize("presentation", ["slow", "static"])
def test_a_gpu_trains_the_weights_of_a_cpu(presentation, few_digits, tmp_path):
    options = {"presentation": presentation, "dtype": "float64", "epochs": 2}
    cpu, gpu = (
        rn.train(small(**options, device=device), out=tmp_path / device)
        for device in ("cpu", "cuda")
    )
    assert float((weights(cpu) - weights(gpu).cpu()).abs().max()) < 1e-6
    resumed = rn.resume(tmp_path / "cuda", {"epochs": 3})
    assert resumed.classifier.network.device.type == "cuda"
    assert resumed.summary["steps"] == 12
