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
# # Which rule was it?
#
# An experimenter sees how weights changed, and asks which rule made the change. Here we know: it was
# gradient descent, and the measurement is noisy.

# %%
import numpy as np
import torch

import ratenet as rn

generator = np.random.default_rng(5)
N, B = 30, 10
W = 0.7 * generator.standard_normal((N, N)) / np.sqrt(N)
network = rn.Network("rate", W)
drive = generator.standard_normal((B, N))
fp = rn.find_fixed_points(network, drive)
error = fp.rates - torch.as_tensor(np.tanh(generator.standard_normal((B, N))))
change = rn.plasticity.Euclidean().update(fp, error, 0.01).numpy()
noise = 0.5 * change.std()
measured = W + change + noise * generator.standard_normal((N, N))

# %% [markdown]
# `identify` asks how well each rule explains the change, what chance would reach, and what a drift of
# the weights would explain.

# %%
observed = rn.hypotheses.observe_weights(network, measured, noise=float(noise))
rules = ["euclidean", "linearized-reparameterized", "hebb"]
found = rn.hypotheses.identify(network, drive, observed, rules, error=error)
found

# %%
found.plot()
# %%
print(found.summary())
assert found.rule == "euclidean"
