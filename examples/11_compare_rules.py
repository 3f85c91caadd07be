"""Which plasticity rule learns better, if each may have the learning rate that suits it?

The exact gradient and the linearized reparameterized rule learn two tasks: the rates of a teacher
network, and pairs of patterns. Three of ten seeds choose the learning rates, on validation samples;
scores are those of the other seven on test samples, at that rate.

    python examples/11_compare_rules.py [FIGURE.png]

Expect that the answer depends on the task: the reparameterized rule comes closer to the teacher,
the gradient recalls more patterns, and zero is outside both intervals. All chosen rates lie at an
edge of this short sweep, which is told.
"""

import sys
import tempfile
from pathlib import Path

from ratenet.hypotheses import compare
from ratenet.report.comparison_figures import score_figure
from ratenet.report.figures import save

# --- Parameters -------------------------------------------------------------------------------
rules = ["euclidean", "linearized-reparameterized"]
learning_rates = [0.01, 0.1, 1.0]
size = {"units": 20, "samples": 50, "held_out": 100, "batch_size": 50, "steps": 20, "seeds": 10}

# --- Every rule, at every learning rate, from every seed, on every task -------------------------
with tempfile.TemporaryDirectory() as folder:  # a folder that stays is gone on with
    found = compare(rules, learning_rates, tasks=["teacher", "association"], out=folder, **size)

# --- Each at its own learning rate ------------------------------------------------------------
for row in found.best.itertuples():
    print(
        f"{row.task}: {row.rule} at {row.learning_rate:g} {row.edge} {row.test_score:.3f} "
        f"[{row.low:.3f}, {row.high:.3f}]"
    )
for row in found.differences.itertuples():
    print(
        f"{row.task}: {row.rule} less {row.other} {row.difference:+.3f} "
        f"[{row.low:+.3f}, {row.high:+.3f}]"
    )
chosen = found.steps.merge(found.best[["task", "rule", "learning_rate"]])
angles = chosen.groupby(["task", "rule"])["angle_to_euclidean"].mean()
print(f"degrees from the exact gradient:\n{angles}")
figure = score_figure(found.judged, found.best, found.config.level)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "11_compare_rules.png"))
