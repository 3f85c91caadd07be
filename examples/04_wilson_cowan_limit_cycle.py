"""From a Wilson-Cowan fixed point to a limit cycle: for which drive does the pair oscillate?

As the drive P to the excitatory population grows, its resting state ends in a fold, and a limit
cycle takes over; its frequency rises with the drive, from 11 to 52 Hz, until a Hopf point ends it.

Wilson, H. R. & Cowan, J. D. (1972). Excitatory and inhibitory interactions in localized
populations of model neurons. Biophys. J. 12:1. https://doi.org/10.1016/S0006-3495(72)86068-5

    python examples/04_wilson_cowan_limit_cycle.py [FIGURE.png]

Expect 25 Hz at P = 1.25, with E between 0.10 and 0.27, a fold at P = 1.087, a Hopf point at 1.879.
"""

import sys
from pathlib import Path

import numpy as np
from brian2 import ms

import ratenet as rn
from ratenet import circuits
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
w_II = 3.0  # c4, inhibition of inhibition, dimensionless
shown = 1.25  # P of the time course, dimensionless
drives = np.r_[shown, 1.0, 1.088, np.arange(1.1, 1.86, 0.05)]  # P of the simulations
duration, transient = 3000 * ms, 1000 * ms
dt = 0.5 * ms  # of rk4

# --- The branch of fixed points, with its folds and its Hopf point ----------------------------
pair = circuits.wilson_cowan_oscillating(drive_E=0, w_II=w_II)
branch = rn.continue_fixed_points(
    pair.network, pair.drive[0], rn.DriveShift([1.0, 0.0]), start=0.5, stop=2.5
)
for point in branch.special:
    print(f"{point.kind.value} at P = {point.value:.3f}")

# --- Simulation: every drive a row of one batch -----------------------------------------------
batch = circuits.wilson_cowan_oscillating(drive_E=drives, w_II=w_II)
run = rn.simulate(batch.network, batch.drive, duration, dt, method="rk4", initial=batch.initial)
t, E = run.t.numpy(), run.rates[..., 0].numpy()  # (T,) in s, (T, B)
late = E[t > float(transient)]
low, high = late.min(axis=0), late.max(axis=0)
cycle = high - low > 1e-3
above = late > (low + high) / 2
rising = (above[1:] & ~above[:-1])[:, cycle]  # (T, cycles)
frequency = [1 / (np.diff(np.flatnonzero(column)).mean() * float(dt)) for column in rising.T]  # Hz
print(f"P = {shown}: {frequency[0]:.1f} Hz, E between {low[0]:.3f} and {high[0]:.3f}")

# --- Figure -----------------------------------------------------------------------------------
figure, (left, middle, right) = new_figure(figsize=(11, 3.8), ncols=3)
left.plot(1e3 * t, E[:, 0], color=COLOURS[1], label="E")
left.plot(1e3 * t, run.rates[:, 0, 1].numpy(), color=COLOURS[0], ls="--", label="I")
left.set(xlabel="time (ms)", ylabel="activity (share of cells)", xlim=(0, 200), ylim=(0, 0.35))
left.legend(frameon=False, loc="upper right", ncols=2, title=f"$P$ = {shown}")
values, fixed, stable = branch.values.numpy(), branch.rates[:, 0].numpy(), branch.stable.numpy()
middle.plot(values, np.where(stable, fixed, np.nan), color="black", label="stable")
middle.plot(values, np.where(stable, np.nan, fixed), "k:", label="unstable")
for extreme, label in ((low, "cycle, least and most"), (high, None)):
    middle.plot(drives[cycle], extreme[cycle], "o", ms=3.5, color=COLOURS[1], label=label)
for kind, marker, colour in ((rn.SpecialKind.FOLD, "s", 4), (rn.SpecialKind.HOPF, "D", 2)):
    x, y = zip(*((p.value, p.rates[0]) for p in branch.of_kind(kind)), strict=True)
    middle.plot(x, y, marker, color=COLOURS[colour], label=kind.value, ls="none")
middle.set(xlabel="drive $P$ to E (dimensionless)", ylabel="E (share of cells)", ylim=(0, 0.45))
middle.legend(frameon=False, loc="upper left", fontsize="small", ncols=2)
right.plot(drives[cycle], frequency, "o", color=COLOURS[1])
right.set(
    xlabel="drive $P$ to E (dimensionless)", ylabel="frequency of the cycle (Hz)", ylim=(0, 60)
)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "04_wilson_cowan_limit_cycle.png"))
