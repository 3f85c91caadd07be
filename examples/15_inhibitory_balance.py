"""How does inhibition come to match excitation that is tuned?

40 excitatory units prefer one of eight stimuli each; 16 inhibitory units are tuned, too, but at
first each of them inhibits all excitatory units alike. Their synapses follow the rule of Vogels et
al. 2011 (Science 334:1569), shipped as models/plasticity/vogels.toml: inhibition of a unit grows
where it fires above a target rate, and shrinks where it fires below.

    python examples/15_inhibitory_balance.py [FIGURE.png]

Expect rates that reach the target for all stimuli, and inhibition that has become tuned as the
excitation is: detailed balance, though no synapse knows what its unit prefers.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import ratenet as rn
from ratenet.report.figures import COLOURS, GREY, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
cells, inhibitory, stimuli = 40, 16, 8  # excitatory units, inhibitory units, stimuli
target = 0.2  # rate of the excitatory units
duration, dt = 60.0, 2e-3  # seconds
rule = rn.load_plasticity("vogels").with_parameters(
    eta="0.5*Hz",
    target=target,
    inhibitory=[0.0] * cells + [1.0] * inhibitory,  # whose synapses are plastic
)

# --- The network: E to E and E to I weak and fixed, I to E plastic, none from I to I ------------
torch.manual_seed(0)
W = torch.zeros(cells + inhibitory, cells + inhibitory, dtype=torch.float64)
W[:cells, :cells] = 0.2 / cells * torch.rand(cells, cells, dtype=torch.float64)
W[cells:, :cells] = 0.1 / cells
W[:cells, cells:] = -0.05
network = rn.Network("threshold_linear", rn.connectivity.Masked(W, W != 0))

# --- Stimuli: a bump of drive around the preferred one, on a ring ------------------------------
shown = torch.arange(stimuli)


def tuned(units: int, base: float, height: float) -> torch.Tensor:
    """Return the drive (stimuli, units) of units that prefer the stimuli in turn."""
    preferred = stimuli * torch.arange(units) / units
    angle = 2 * torch.pi * (shown[:, None] - preferred) / stimuli
    return base + height * torch.exp(2 * (torch.cos(angle.double()) - 1))


drive = torch.cat([tuned(cells, 0.5, 1.0), tuned(inhibitory, 0.1, 0.8)], dim=1)

# --- Plasticity: all stimuli act on the same weights, by the mean of dw/dt ---------------------
run = rn.simulate(
    network, drive, duration, dt, plasticity=rule, weights="shared", record_every=500
)  # fmt: skip
learned = network.changed(W=run.plasticity.connectivity)


def currents(of: rn.Network) -> tuple[torch.Tensor, torch.Tensor]:
    """Return excitation and inhibition (stimuli, cells) of the excitatory units at fixed points."""
    fp = rn.find_fixed_points(of, drive)
    weights = of.connectivity.dense()[:cells]
    recurrent = fp.rates[:, :cells] @ weights[:, :cells].T
    return drive[:, :cells] + recurrent, -fp.rates[:, cells:] @ weights[:, cells:].T


def match(of: rn.Network) -> float:
    """Return the mean correlation, over units, of excitation and inhibition across stimuli."""
    pairs = zip(*(current.T for current in currents(of)), strict=True)
    return float(np.mean([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]))


for name, of in (("before", network), ("after", learned)):
    rates = rn.find_fixed_points(of, drive).rates[:, :cells]
    print(
        f"{name:6s} rates {float(rates.mean()):.3f} +- {float(rates.std()):.3f}, target {target}; "
        f"correlation of inhibition with excitation {match(of):.3f}"
    )

# --- The picture ------------------------------------------------------------------------------
unit = cells // 2
before, after = currents(network), currents(learned)
figure, (course, tuning) = new_figure(ncols=2, figsize=(9, 3.6))
rates = run.rates[..., :cells].flatten(1).numpy()
low, middle, high = np.quantile(rates, [0.05, 0.5, 0.95], axis=1)
course.fill_between(run.t, low, high, color=COLOURS[0], alpha=0.25, lw=0, label="5 to 95 %")
course.plot(run.t, middle, color=COLOURS[0], label="median over units and stimuli")
course.axhline(target, color=GREY, ls=":", label="target")
course.set(xlabel="time (s)", ylabel="rate of excitatory units")
course.legend(frameon=False, fontsize="small")
tuning.plot(shown, after[0][:, unit], "o-", color=COLOURS[1], label="excitation")
tuning.plot(shown, before[1][:, unit], "s:", color=COLOURS[5], label="inhibition before")
tuning.plot(shown, after[1][:, unit], "s-", color=COLOURS[0], label="inhibition after")
tuning.set(xlabel="stimulus", ylabel=f"input of unit {unit}", ylim=(0, None))
tuning.legend(frameon=False, fontsize="small")
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "15_inhibitory_balance.png"))
