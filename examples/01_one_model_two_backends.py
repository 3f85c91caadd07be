"""One model file, two simulators: do Brian2 and torch give the same rates?

The response of the supralinear ring to a grating that comes on at t = 0: a bump of excitation and
inhibition at the grating's orientation. Both backends run models/ssn.toml, here with a time
constant of its own for every unit.

Rubin, D. B., Van Hooser, S. D. & Miller, K. D. (2015). The stabilized supralinear network: a
unifying circuit motif underlying multi-input integration in sensory cortex. Neuron 85:402.
https://doi.org/10.1016/j.neuron.2014.12.026

    python examples/01_one_model_two_backends.py [FIGURE.png]

Expect a largest difference of rounding size, below 1e-11 Hz.
"""

import sys
from pathlib import Path

import numpy as np
from brian2 import ms

import ratenet as rn
from ratenet import circuits
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
orientations = 36  # preferred orientations, each with an E and an I unit
contrast = 20  # of the grating, dimensionless
duration = 150 * ms
dt = 0.1 * ms
tau = {"E": "normal(20*ms, 2*ms)", "I": "normal(10*ms, 1*ms)"}  # every unit has its own

# --- One network, two backends ----------------------------------------------------------------
ring = circuits.ssn_ring(contrast=contrast, units=orientations)
network = rn.Network(ring.network.model, ring.network.connectivity, {"tau": tau}, seed=1)
runs = {
    backend: rn.simulate(network, ring.drive, duration, dt, backend=backend, method="euler")
    for backend in ("torch", "brian2")
}
t = 1e3 * runs["torch"].t.numpy()  # ms
rates = {backend: run.rates[:, 0].numpy() for backend, run in runs.items()}  # (T, N), Hz
difference = np.abs(rates["torch"] - rates["brian2"]).max(axis=1)
print(f"largest difference of any unit at any time: {difference.max():.1e} Hz")

# --- Figure -----------------------------------------------------------------------------------
figure, (left, middle, right) = new_figure(figsize=(11, 3.6), ncols=3)
preferred = ring.coordinate.values[:orientations]
best = orientations // 2  # the unit that prefers the grating
for name, colour, units in (
    ("E", COLOURS[1], slice(None, orientations)),
    ("I", COLOURS[0], slice(orientations, None)),
):
    torch_rates, brian2_rates = rates["torch"][:, units], rates["brian2"][:, units]
    circles = {"ls": "none", "marker": "o", "mfc": "none", "color": colour}
    left.plot(t, torch_rates[:, best], color=colour, label=f"{name}, torch")
    left.plot(t[::75], brian2_rates[::75, best], **circles, label=f"{name}, Brian2")
    middle.plot(preferred, torch_rates[-1], color=colour)
    middle.plot(preferred, brian2_rates[-1], **circles)
left.set(xlabel="time after stimulus onset (ms)", ylabel="rate of the preferring unit (Hz)")
left.set_ylim(0, 60)
left.legend(frameon=False, loc="upper left", ncols=2, fontsize="small")
middle.set(
    xlabel="preferred orientation (deg)", ylabel=f"rate at {t[-1]:.0f} ms (Hz)", ylim=(0, 60)
)
middle.set_xticks([0, 45, 90, 135, 180])
right.semilogy(t[1:], np.maximum(difference[1:], 1e-17), color="black", lw=0.8)
right.set(xlabel="time after stimulus onset (ms)", ylabel="largest difference of any unit (Hz)")
right.set_ylim(1e-17, 1e-9)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "01_one_model_two_backends.png"))
