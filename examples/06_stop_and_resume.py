"""Does a run that was stopped lose anything?

A network learns digits that fade into one another. The same run is done twice: once in one go, and
once stopped, by Ctrl-C or a cancelled job, moved to another folder, and resumed. What a step needs
is in the checkpoint: weights, the optimizer's memory, the network's state, the drive that it
comes from; the order of the digits follows from the seed and the step.

    python examples/06_stop_and_resume.py [FIGURE.png]

Expect the two to agree to the last bit, and a figure in which one curve covers the other.
"""

import shutil
import signal
import sys
import tempfile
from pathlib import Path

import torch

import ratenet as rn
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
config = rn.TrainingConfig(
    units=50, batch_size=200, epochs=3, presentation="slow", optimizer="adam",
    learning_rate=0.003, threads=1,
)  # fmt: skip
stopped_after = 25  # steps, in the second epoch


def stop(_run, row: dict) -> None:
    """Do after a step what Ctrl-C does."""
    if row["step"] == stopped_after:
        signal.raise_signal(signal.SIGINT)


# --- One run in one go, the other with a stop and a move --------------------------------------
folder = Path(tempfile.mkdtemp())  # removed at the end
whole = rn.train(config, out=folder / "whole")
try:
    rn.train(config, out=folder / "stopped", callbacks=[stop])
except KeyboardInterrupt as interrupt:
    print(str(interrupt).split(";")[0])
shutil.move(folder / "stopped", folder / "moved")
resumed = rn.resume(folder / "moved")

# --- What differs -----------------------------------------------------------------------------
weights = [run.classifier.network.connectivity.dense() for run in (whole, resumed)]
print(f"largest difference of a weight: {float((weights[0] - weights[1]).abs().max()):g}")
tables = [(folder / name / "metrics.csv").read_text() for name in ("whole", "moved")]
print(f"metrics.csv the same: {tables[0] == tables[1]}")
print(f"test accuracy: {whole.summary['test_accuracy']} and {resumed.summary['test_accuracy']}")
assert torch.equal(*weights)
shutil.rmtree(folder)

# --- Figure -----------------------------------------------------------------------------------
figure, axis = new_figure(figsize=(6, 4))
for result, style, label in ((whole, "-", "in one go"), (resumed, "--", "stopped, moved, resumed")):
    colour, width = (COLOURS[0], 4) if style == "-" else (COLOURS[1], 1.5)
    metrics = result.metrics
    axis.plot(metrics["step"], metrics["train_loss"], style, color=colour, lw=width, label=label)
axis.axvline(stopped_after + 0.5, color="0.6", lw=1, label="the stop")
axis.set(xlabel="step", ylabel="loss of the batch")
axis.legend(frameon=False)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "06_stop_and_resume.png"))
