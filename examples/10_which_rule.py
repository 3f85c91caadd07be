"""Which plasticity rule made these weight changes?

A network of 50 units learns targets for 20 stimuli, in five steps of the linearized
reparameterized rule. Measured are 500 of its 2,500 synapses, with noise as large as half of the
changes, and then only its rates. Five rules are the candidates; and one that is not among them.

    python examples/10_which_rule.py [FIGURE.png]

Expect the right rule, with a confidence of 1.000, from the synapses and from the rates; no rule for
random changes; and for a rule that is not a candidate an alignment well below what noise allows.
"""

import sys
from pathlib import Path

import torch

import ratenet as rn
from ratenet.hypotheses import identify, observe_rates, observe_weights
from ratenet.report.figures import save
from ratenet.report.identification import alignment_figure

# --- Parameters -------------------------------------------------------------------------------
N, B = 50, 20  # units, stimuli
steps, rate = 5, 0.004
noise = 0.5  # of the size of the changes
candidates = ["euclidean", "linearized-reparameterized", "gain-free-reparameterized",
              "feedback-alignment", "hebb"]  # fmt: skip

# --- A network learns -------------------------------------------------------------------------
generator = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    """Return normal numbers."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


W, drive, target = 0.5 * normal(N, N) / N**0.5, normal(B, N), 0.3 * normal(B, N)
before = rn.Network("rate", W)


def learned(rule: rn.plasticity.AbstractRule) -> rn.Network:
    """Return the network after some steps."""
    network = rn.Network("rate", W.clone())
    for _ in range(steps):
        fp = rn.find_fixed_points(network, drive)
        network.connectivity.add_(rule.update(fp, fp.rates - target, rate))
    return network


def some_synapses(changes: torch.Tensor) -> rn.hypotheses.Observation:
    """Measure 500 synapses with noise."""
    sd = noise * float(changes.pow(2).mean().sqrt())
    after = W + changes + sd * normal(N, N)
    after[torch.rand(N, N, generator=generator) > 0.2] = torch.nan  # not measured
    return observe_weights(before, after, noise=sd)


# --- Which rule was it? -----------------------------------------------------------------------
after = learned(rn.plasticity.LinearizedReparameterized())
old, new = (rn.find_fixed_points(network, drive).rates for network in (before, after))
other = learned(rn.plasticity.NaturalGradient())
cases = {
    "synapses": some_synapses(after.connectivity.dense() - W),
    "rates": observe_rates(before, old, new + 0.1 * (new - old).std() * normal(B, N)),
    "random changes": some_synapses(normal(N, N) / 100),
    "another rule": some_synapses(other.connectivity.dense() - W),
}
for name, observed in cases.items():
    found = identify(before, drive, observed, candidates, target=target)
    print(f"--- {name}: {found.summary()}")
    if name == "synapses":
        figure = alignment_figure(found.table, ceiling=found.ceiling)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "10_which_rule.png"))
