"""When may a rule act, on digits that change slowly?

The same network learns the same digits in four ways: at their fixed points; at the end of a hold of
20 tau; one tau after a digit has come, long before the rates have settled; and while digits never
rest, with the lag that their speed predicts subtracted from the rates.

    python examples/07_train_slowly.py [FIGURE.png]

Expect four learning curves that lie close together, a test accuracy of about 0.8 for all of them,
and that none of the samples has settled in the last two: the rule does not need the fixed point, as
long as the rates are near it.
"""

import sys
import tempfile
from pathlib import Path

import ratenet as rn
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
tau = 0.01  # s
common = {"units": 150, "batch_size": 200, "epochs": 6, "tau": tau, "threads": 1}
moving = {"presentation": "slow", "unsettled": "include"}  # learn from what has not settled, too
ways = {
    "at fixed points": {"presentation": "static"},
    "at the end of a hold of 20 tau": {"presentation": "slow", "hold": 20 * tau, "fade": 5 * tau},
    "1 tau into the hold": {**moving, "hold": 20 * tau, "fade": 5 * tau, "update_at": (0.05,)},
    "never at rest, lag subtracted": {**moving, "hold": 0, "fade": 8 * tau, "correct_lag": True},
}

# --- Four runs --------------------------------------------------------------------------------
figure, axis = new_figure(figsize=(6, 4))
for number, (way, options) in enumerate(ways.items()):
    with tempfile.TemporaryDirectory() as folder:
        result = rn.train(rn.TrainingConfig(**common, **options), out=folder)
    print(
        f"{way:32s} test accuracy {result.summary['test_accuracy']:.3f}, "
        f"settled {100 * result.metrics['settled'].mean():5.1f} %"
    )
    loss = result.metrics["train_loss"].rolling(5, min_periods=1).mean()
    axis.plot(
        result.metrics["step"], loss, ("-", "--", "-.", ":")[number], color=COLOURS[number],
        label=way,
    )  # fmt: skip

# --- Figure -----------------------------------------------------------------------------------
axis.set(xlabel="presentations of 200 digits", ylabel="cross-entropy (nats)", ylim=(0, None))
axis.legend(frameon=False, title="the rule acts")
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "07_train_slowly.png"))
