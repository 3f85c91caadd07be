"""Paradoxical inhibition: why does driving inhibitory cells lower their rate?

Where recurrent excitation alone would be unstable (w_EE > 1) and inhibition stabilises it, more
drive to the inhibitory population I lowers its steady rate, since excitation withdraws more than
was added. With w_EE < 1 the rate of I rises. The time constants of E and I do not move the steady
state; they decide how it is reached, and whether it is stable.

Tsodyks, M. V., Skaggs, W. E., Sejnowski, T. J. & McNaughton, B. L. (1997). Paradoxical effects of
external modulation of inhibitory interneurons. J. Neurosci. 17:4382.
https://doi.org/10.1523/JNEUROSCI.17-11-04382.1997

    python examples/02_paradoxical_inhibition.py [FIGURE.png]

Expect a slope of -4/7 (paradoxical) with w_EE = 2 and of +2/19 without (w_EE = 0.5).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from brian2 import Hz, ms

import ratenet as rn
from ratenet import circuits
from ratenet.report.figures import COLOURS, GREY, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
drive_E, drive_I = 30 * Hz, 20 * Hz  # before the step
step = 5 * Hz  # added to the drive of I at t = 0
tau_E = 20 * ms
tau_I = (10 * ms, 30 * ms)  # fast and slow inhibition
drives_I = np.linspace(10, 30, 21) * Hz  # for the steady state

# --- Step responses: from the fixed point before the step -------------------------------------
responses = []
for tau in tau_I:
    circuit = circuits.inhibition_stabilized(drive_E=drive_E, drive_I=drive_I)
    model, W = circuit.network.model, circuit.network.connectivity
    network = rn.Network(model, W, {"tau": {"E": tau_E, "I": tau}})
    before = rn.find_fixed_points(network, circuit.drive)
    stepped = circuit.drive + torch.tensor([0.0, float(step)])
    responses.append(rn.simulate(network, stepped, 300 * ms, 0.1 * ms, initial=before.state))

# --- Steady states against the drive to I -----------------------------------------------------
steady = {}
for w_EE in (2.0, 0.5):
    circuit = circuits.inhibition_stabilized(w_EE=w_EE, drive_E=drive_E, drive_I=drives_I)
    steady[w_EE] = rn.find_fixed_points(circuit.network, circuit.drive).rates.numpy()
    slope = np.polyfit(np.asarray(drives_I), steady[w_EE][:, 1], 1)[0]
    print(f"w_EE = {w_EE}: d r_I / d drive_I = {slope:+.4f}")

# --- Figure -----------------------------------------------------------------------------------
figure, axes = new_figure(figsize=(10, 3.6), ncols=3)
for axis, tau, response in zip(axes[:2], tau_I, responses, strict=True):
    t = 1e3 * response.t.numpy()
    for unit, (name, colour) in enumerate((("E", COLOURS[1]), ("I", COLOURS[0]))):
        rate = response.rates[:, 0, unit].numpy()
        axis.plot(np.r_[-50, 0, t], np.r_[rate[0], rate[0], rate], color=colour, label=name)
        axis.axhline(rate[0], color=colour, lw=0.7, ls=":")
    axis.axvline(0, color=GREY, lw=0.8, ls="--")
    axis.set(xlabel="time after the step (ms)", ylabel="rate (Hz)", xlim=(-50, 300), ylim=(0, 36))
    axis.set_title(rf"$w_{{EE}}$ = 2, $\tau_I$ = {tau / ms:g} ms", fontsize="medium")
    axis.legend(frameon=False, loc="lower right", title="population", ncols=2)
for w_EE, style in ((2.0, "-"), (0.5, "--")):
    axes[2].plot(
        drives_I / Hz, steady[w_EE][:, 1], style, color=COLOURS[0], label=rf"$w_{{EE}}$ = {w_EE:g}"
    )
axes[2].set(xlabel="drive to I (Hz)", ylabel="steady rate of I (Hz)", ylim=(0, 45))
axes[2].legend(frameon=False)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "02_paradoxical_inhibition.png"))
