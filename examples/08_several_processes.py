"""Do several processes learn what one learns?

torchrun starts two processes; each shows its half of the streams of slowly changing digits, and the
changes that the rule asks for are averaged over all of them, settled samples alone. The same
command in one process gives the same weights.

    python examples/08_several_processes.py [FIGURE.png]

Expect weights that agree to 1e-6, though they have changed by 0.1 and more, and one run folder,
which the first process has written.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
command = ["-m", "ratenet", "train", "--units", "60", "--batch-size", "200", "--epochs", "2",
           "--method", "euler", "--hold", "100", "--fade", "50", "--unsettled", "include",
           "--threads", "1"]  # fmt: skip
torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]

# --- One process, and two ---------------------------------------------------------------------
weights = {}
with tempfile.TemporaryDirectory() as folder:
    for name, start in (("one", []), ("two", torchrun)):
        out = Path(folder) / name
        subprocess.run(
            [sys.executable, *start, *command, "--out", str(out)], check=True, capture_output=True
        )
        weights[name] = load_file(out / "checkpoint.safetensors")["W"]
        print(f"{name:3s}  {sorted(file.name for file in out.iterdir())}")
difference = float((weights["one"] - weights["two"]).abs().max())
print(f"largest difference of a weight: {difference:.1e}")
print(f"largest weight: {float(weights['one'].abs().max()):.2f}")

# --- Figure -----------------------------------------------------------------------------------
figure, axis = new_figure(figsize=(4.5, 4))
axis.plot(weights["one"].flatten(), weights["two"].flatten(), ".", ms=3, color=COLOURS[0])
axis.axline((0, 0), slope=1, color=COLOURS[1], lw=1, label="equal")
axis.set(xlabel="weight, learned in one process", ylabel="weight, learned in two")
axis.legend(frameon=False)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "08_several_processes.png"))
