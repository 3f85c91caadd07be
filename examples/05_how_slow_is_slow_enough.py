"""How slow must a stimulus be, for the rates to be those of a fixed point?

Digits fade into one another, each in a time T. The rates trail the moving fixed point y*(x(t)) by
a lag that follows from the time constants and the weights alone:

    y - y* = -(I - G W)^{-1} tau dy*/dt

It is proportional to tau / T, larger for stronger weights, and can be subtracted before a
plasticity rule acts, without solving for y*.

    python examples/05_how_slow_is_slow_enough.py [FIGURE.png]

Expect a lag of 1.8 % at tau / T = 0.01, which is predicted to a hundredth and can be corrected to
0.01 %; at 0.1 a lag of 18 %, corrected to 2 %; and beyond 0.2 a prediction that misleads.
"""

import sys
from pathlib import Path

import torch
from brian2 import ms

import ratenet as rn
from ratenet.quasi_static import correct_lag, measure_lag
from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.stimuli import HeldImages, load_images

# --- Parameters -------------------------------------------------------------------------------
N, B = 200, 16  # units, streams of digits
tau = 10 * ms
radius = 0.5  # spectral radius of W
speeds = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]  # tau / T

# --- Network, and digits that are read in once ------------------------------------------------
generator = torch.Generator().manual_seed(0)
W = radius * torch.randn(N, N, generator=generator, dtype=torch.float64) / N**0.5
read_in = torch.randn(N, 784, generator=generator, dtype=torch.float64) / 28
network = rn.Network("rate", W, parameters={"tau": tau})
digits = load_images("mnist-5k").train
drives = digits.read_in(read_in)

# --- The rates in the middle of the fourth fade -----------------------------------------------
lag, predicted, corrected = [], [], []
for speed in speeds:
    T = float(tau) / speed
    stimulus = HeldImages(drives, streams=B, dwell=0, fade=T)
    half = max(20, round(5 / speed))  # Euler steps in T / 2; of tau / 10, or shorter
    run = rn.simulate(network, stimulus, 4 * T, T / (2 * half), record_every=half)
    found = measure_lag(run, stimulus, records=[-2])  # in the middle of the last fade
    here = rn.fixed_points_at(network, stimulus.at(3.5 * T), found.rates[0])
    velocity = (stimulus.at(3.6 * T) - stimulus.at(3.4 * T)) / (0.2 * T)
    left = correct_lag(here, velocity).rates - found.fixed_points.rates
    lag.append(100 * float(found.relative_lag.median()))
    predicted.append(100 * float(found.relative_predicted.median()))
    size = found.fixed_points.rates.norm(dim=1)
    corrected.append(100 * float((left.norm(dim=1) / size).median()))
    print(
        f"tau / T = {speed:<4g}  lag {lag[-1]:6.2f} %  predicted {predicted[-1]:6.2f} %  "
        f"left after correction {corrected[-1]:8.3g} %"
    )

# --- Figure -----------------------------------------------------------------------------------
figure, axis = new_figure(figsize=(6, 4))
axis.loglog(speeds, lag, "o-", color=COLOURS[0], label="lag, measured")
axis.loglog(speeds, predicted, "--", color=COLOURS[6], label="lag, predicted")
axis.loglog(speeds, corrected, "s-", color=COLOURS[1], label="error after correction")
axis.set(xlabel=r"speed of the stimulus, $\tau / T$", ylabel=r"distance from $y^*$ (% of $|y^*|$)")
axis.legend(frameon=False)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "05_how_slow_is_slow_enough.png"))
