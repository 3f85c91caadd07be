"""Supralinear networks: when do responses add up, and when does a larger stimulus suppress?

Ring: the response to two orthogonal gratings over the sum of the responses to each is above 1 at
low contrast and below 1 at high contrast. Line: the response to a growing stimulus rises, peaks,
and falls; the stronger the contrast, the earlier the peak and the stronger the suppression.

Rubin, D. B., Van Hooser, S. D. & Miller, K. D. (2015). The stabilized supralinear network: a
unifying circuit motif underlying multi-input integration in sensory cortex. Neuron 85:402.
https://doi.org/10.1016/j.neuron.2014.12.026

    python examples/03_ssn_contrast_and_surround.py [FIGURE.png]

Expect r12/(r1 + r2) = 1.34 at contrast 5 and 0.65 at 20; suppression of 0.34 at contrast 10 and
0.70 at 50 for a stimulus of 17 degrees.
"""

import sys
from pathlib import Path

import numpy as np

import ratenet as rn
from ratenet import circuits
from ratenet.report.figures import COLOURS, GREY, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
contrasts = np.r_[1.25:10:15j, 11:50:20j]  # of each grating
sizes = np.arange(1, 52) / 3  # deg of visual angle, centred
size_contrasts = (5.0, 10.0, 50.0)

# --- Ring: one grating, the other, both; three stimuli a contrast -----------------------------
one = circuits.ssn_ring(contrast=contrasts, orientation=45)
other = circuits.ssn_ring(contrast=contrasts, orientation=135)
preferred = 45  # the unit that prefers the first grating
r1, r2, r12 = (
    rn.find_fixed_points(one.network, drive).rates[:, preferred].numpy()
    for drive in (one.drive, other.drive, one.drive + other.drive)
)
ratio = r12 / (r1 + r2)
for c in (5, 20):
    print(f"contrast {c}: r12 / (r1 + r2) = {np.interp(c, contrasts, ratio):.2f}")

# --- Line: all sizes of one contrast at once --------------------------------------------------
centre = {}
for c in size_contrasts:
    line = circuits.ssn_line(contrast=c, size=sizes)
    rates = rn.find_fixed_points(line.network, line.drive).rates.numpy()
    centre[c] = rates[:, 50]  # the excitatory unit in the middle
    print(f"contrast {c:g}: suppression index {1 - centre[c][-1] / centre[c].max():.2f}")

# --- Figure -----------------------------------------------------------------------------------
figure, (left, middle, right) = new_figure(figsize=(11, 3.6), ncols=3)
left.plot(contrasts, r1, color=COLOURS[0], label="preferred grating")
left.plot(contrasts, r12, color=COLOURS[1], ls="--", label="and the orthogonal one")
left.plot(contrasts, r2, color=COLOURS[2], ls="-.", label="orthogonal grating")
left.set(xlabel="contrast (dimensionless)", ylabel="rate of E (Hz)", xlim=(0, 50), ylim=(-1, 55))
left.legend(frameon=False, loc="upper left")
middle.semilogx(contrasts, ratio, color=COLOURS[1])
middle.axhline(1, color=GREY, ls=":")
middle.text(14, 1.02, "supralinear", color=GREY, va="bottom")
middle.text(14, 0.98, "sublinear", color=GREY, va="top")
middle.set(xlabel="contrast (dimensionless)", ylabel=r"$r_{12} / (r_1 + r_2)$")
middle.set_xticks([1.25, 5, 20, 50], ["1.25", "5", "20", "50"])
middle.minorticks_off()
for (c, rate), colour, style in zip(centre.items(), COLOURS, ("-", "--", "-."), strict=False):
    right.plot(sizes, rate / rate.max(), style, color=colour, label=f"contrast {c:g}")
right.set(xlabel="stimulus length (deg)", ylabel="rate of E, over its peak", ylim=(0, 1.4))
right.legend(frameon=False, loc="upper right")
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "03_ssn_contrast_and_surround.png"))
