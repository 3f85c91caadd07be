"""Which rule do ten mice share?

Each mouse has its own network of 20 units, stimuli and targets. 150 of its synapses are measured
before and after a session of learning, and in a control session without any. Nine mice learn by the
linearized reparameterized rule, one by Hebb's. In a second colony nobody learns, but in all
sessions synapses drift a little in the direction of Hebb's rule.

    python examples/13_several_animals.py [FIGURE.png]

Expect the linearized rule for the first colony, as by far the most frequent one. Of the second,
Hebb's rule if only the sessions of learning are looked at, and no rule beside the controls.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import ratenet as rn
from ratenet.hypotheses import identify, observe_weights
from ratenet.report.figures import save
from ratenet.report.identification import frequency_figure

# --- Parameters -------------------------------------------------------------------------------
mice, N, B = 10, 20, 10  # animals, units, stimuli
measured = 150  # of 400 synapses
noise = 1.0  # of the size of the changes
candidates = ["euclidean", "linearized-reparameterized", "hebb"]

# --- Networks, stimuli, what is taught ---------------------------------------------------------
torch.manual_seed(0)
rng = np.random.default_rng(0)
names = [f"mouse {number}" for number in range(1, mice + 1)]
networks = {
    name: rn.Network("rate", 0.5 * torch.randn(N, N, dtype=torch.float64) / N**0.5)
    for name in names
}
drives, targets = (
    {name: torch.randn(B, N, dtype=torch.float64) for name in names} for _ in range(2)
)


def change(name: str, rule: rn.plasticity.AbstractRule) -> np.ndarray:
    """Return the change of a mouse's weights by a rule, of size 0.01."""
    fp = rn.find_fixed_points(networks[name], drives[name])
    delta = rule.update(fp, fp.rates - targets[name], 1.0)
    return (0.01 * delta / delta.std()).numpy()


def session(name: str, changes: np.ndarray | float, **columns: object) -> pd.DataFrame:
    """Return what is measured of a mouse in a session, as rows of a long table."""
    post, pre = np.divmod(rng.permutation(N * N)[:measured], N)
    before = networks[name].connectivity.dense().numpy()[post, pre]
    made = np.broadcast_to(changes, (N, N))[post, pre]
    after = before + made + 0.01 * noise * rng.standard_normal(measured)
    entries = {"post": post, "pre": pre, "before": before, "after": after}
    return pd.DataFrame({"animal": name, **columns, **entries})


# --- A colony that learns, and one in which synapses drift -------------------------------------
hebb, linearized = rn.plasticity.Hebb(), rn.plasticity.LinearizedReparameterized()
learning, drifting = [], []
for name in names:
    learned = change(name, hebb if name == "mouse 4" else linearized)
    drift = 0.6 * change(name, hebb)
    learning.append(session(name, learned, session="learning", control=False))
    learning.append(session(name, 0.0, session="control", control=True))
    drifting.append(session(name, drift, session="learning", control=False))
    drifting.append(session(name, drift, session="control", control=True))

# --- Which rule do they share? -----------------------------------------------------------------
drifted = pd.concat(drifting)
cases = {
    "learning": pd.concat(learning),
    "drift, without controls": drifted[~drifted["control"]],
    "drift, with controls": drifted,
}
for case, table in cases.items():
    observed = observe_weights(networks, table, noise=0.01 * noise)
    found = identify(networks, drives, observed, candidates, target=targets)
    print(f"--- {case}: {found.summary()}")
    if case == "learning":
        print(found.frequencies[["frequency", "low", "high"]].round(2).to_string())
        figure = frequency_figure(
            found.frequencies, found.posteriors, title=f"Shared: {found.rule}"
        )
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "13_several_animals.png"))
