"""Do units become selective for digits that nobody names?

Twelve units receive synapses from a 7 x 7 retina, on which handwritten digits fade into one
another. The synapses follow the rule of Bienenstock, Cooper & Munro 1982 (J Neurosci 2:32), shipped
as models/plasticity/bcm.toml: a synapse grows while its unit fires above a threshold, shrinks while
it fires below, and the threshold slides with the square of the unit's rate. No class is used.

    python examples/14_bcm_selectivity.py [FIGURE.png]

Expect that each unit, which answered to all digits alike, ends up answering to few, and that units
differ in which. Selectivity is 1 - mean / maximum of the mean rates in the ten classes, measured
at the fixed points of test digits: 0 for a unit that answers to all classes alike, 0.9 for one that
answers to a single class.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import ratenet as rn
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
side, cells, streams = 7, 12, 32
hold, fade = 0.15, 0.05  # seconds; tau is 10 ms
duration, dt = 15.0, 2e-3  # seconds
rule = rn.load_plasticity("bcm").with_parameters(eta="0.5*Hz", tau_theta="2*second")
torch.manual_seed(0)

# --- The network: a retina of side x side units, and cells that receive from all of them ---------
retina = side**2
W = torch.zeros(retina + cells, retina + cells)
W[retina:, :retina] = torch.rand(cells, retina) ** 3
W[retina:, :retina] /= 3.0
network = rn.Network("threshold_linear", rn.connectivity.Masked(W, W != 0))

# --- Digits that change slowly; each pixel of the retina sees the mean of a square of the image --
images = rn.stimuli.load_images("mnist-5k")
row, column = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
seen = (row // (28 // side) * side + column // (28 // side)).flatten()
read_in = torch.zeros(retina + cells, 784)
read_in[seen, torch.arange(784)] = (side / 28) ** 2
train, test = (some.read_in(read_in) for some in (images.train, images.test))
drive = rn.stimuli.HeldImages(train, streams, dwell=hold, fade=fade, seed=0)

# --- Plasticity ---------------------------------------------------------------------------------
records = 30
steps = round(duration / dt)
run = rn.simulate(
    network, drive, duration, dt, plasticity=rule, weights="shared",
    record_every=steps // records, record_weights=steps // records,
)  # fmt: skip


def tuning(weights: torch.Tensor) -> np.ndarray:
    """Return the mean rate of each cell in each class, (10, cells), at fixed points."""
    of = network.changed(W=rn.connectivity.Masked(weights, W != 0))
    fp = rn.find_fixed_points(of, test.pixels)
    rates = fp.rates[:, retina:]
    return np.stack([rates[test.labels == k].mean(dim=0).numpy() for k in range(10)])


curves = [tuning(weights) for weights in run.plasticity.weights]
selectivity = np.array([1 - each.mean(axis=0) / each.max(axis=0) for each in curves])
for name, each, curve in zip(("before", "after"), selectivity[[0, -1]], (curves[0], curves[-1]),
                             strict=True):  # fmt: skip
    preferred = len({*curve.argmax(axis=0).tolist()})
    print(f"{name:6s} selectivity {each.mean():.2f} ({each.min():.2f} to {each.max():.2f}), "
          f"{preferred} classes preferred")  # fmt: skip

# --- The picture ------------------------------------------------------------------------------
figure, (course, tuned, fields) = new_figure(ncols=3, figsize=(12, 3.6))
time = np.linspace(0, duration, len(selectivity))
course.plot(time, selectivity, color=COLOURS[5], lw=0.8)
course.plot(time, selectivity.mean(axis=1), color=COLOURS[0], lw=2, label="mean of the cells")
course.set(xlabel="time (s)", ylabel="selectivity", ylim=(0, 1))
course.legend(frameon=False, loc="lower right")

order = curves[-1].argmax(axis=0).argsort(kind="stable")
rates = (curves[-1] / curves[-1].max(axis=0))[:, order]
shade = tuned.imshow(rates.T, cmap="cividis", vmin=0, vmax=1, aspect="auto")
tuned.set(xlabel="digit", ylabel="cell, by its preferred digit", xticks=range(10))
figure.colorbar(shade, ax=tuned, label="rate / largest rate")

synapses = run.plasticity.weights[-1, retina:, :retina][torch.as_tensor(order)]
mosaic = np.full((3 * (side + 1) - 1, 4 * (side + 1) - 1), np.nan)
for index, weights in enumerate(synapses.numpy()):
    down, right = (side + 1) * (index // 4), (side + 1) * (index % 4)
    mosaic[down : down + side, right : right + side] = (weights / abs(weights).max()).reshape(
        side, side
    )
shade = fields.imshow(mosaic, cmap="PuOr", vmin=-1, vmax=1)
fields.set(xticks=[], yticks=[], xlabel="synapses, in the same order")
figure.colorbar(shade, ax=fields, label="weight / largest weight")
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "14_bcm_selectivity.png"))
