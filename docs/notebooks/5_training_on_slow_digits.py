# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training on slowly changing digits
#
# Digits fade into one another, slowly in comparison with the time constant; the rates follow, and the
# rule acts when they have settled. The run folder keeps everything.

# %%
import tempfile
from pathlib import Path

import ratenet as rn

folder = Path(tempfile.mkdtemp()) / "run"
config = rn.TrainingConfig(units=100, epochs=2, batch_size=200, threads=1)
rn.train(config, out=folder)
run = rn.load_run(folder)
run

# %%
run.plot()
# %% [markdown]
# ## The trained network
# Its fixed points for test digits, one row each:

# %%
digits = rn.stimuli.load_images("mnist-5k").test[:20]
fp = run.respond(digits)
fp

# %%
fp.plot()
# %%
answers = run.answer(digits).argmax(dim=1)
right = int((answers == digits.labels).sum())
print(f"{right} of {len(digits)} digits are classified correctly")
assert right > 10
