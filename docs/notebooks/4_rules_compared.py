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
# # Rules compared
#
# Two rules descend the same loss, and change different synapses: gradient descent on the weights, and
# the reparameterized rule of Zhu and Rosenbaum, which is steepest descent in another metric.

# %%
import numpy as np
import torch

import ratenet as rn

generator = np.random.default_rng(3)
N, B = 40, 20
W = 0.9 * generator.standard_normal((N, N)) / np.sqrt(N)
network = rn.Network("rate", W)
drive = generator.standard_normal((B, N))
target = 0.5 * np.tanh(generator.standard_normal((B, N)))

fp = rn.find_fixed_points(network, drive)
error = fp.rates - torch.as_tensor(target)

# %%
rule = rn.plasticity.LinearizedReparameterized()
rule

# %%
rule.plot(fp, error)
# %% [markdown]
# ## Each is the steepest in its own metric
# For one stimulus, no change of the same length lowers the loss more. `squared_length` measures a
# change in a rule's metric:

# %%
one = fp.select(torch.tensor([0]))
rules = {"Euclidean": rn.plasticity.Euclidean(), "reparameterized": rule}
gradient = -rules["Euclidean"].update(one, error[:1], 1.0)
for measured_in in rules.values():
    for name, each in rules.items():
        change = each.update(one, error[:1], 1.0)
        decrease = -float((gradient * change).sum())
        length = measured_in.squared_length(one, change) ** 0.5
        print(
            f"{type(measured_in).__name__:26s} {name:16s} decrease per length {decrease / length:.3f}"
        )

# %% [markdown]
# ## Learning
# Both rules on the same task, with the same learning rate:

# %%
from matplotlib import pyplot as plt

figure, axes = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
rate = 0.03
for name, style in (("Euclidean", "--"), ("reparameterized", "-")):
    learner = network.changed(W=torch.as_tensor(W).clone())
    losses = []
    for _ in range(40):
        now = rn.find_fixed_points(learner, drive, on_failure="return", certificate="residual")
        wrong = now.rates - torch.as_tensor(target)
        losses.append(float((wrong**2).sum(dim=1).mean() / 2))
        learner.connectivity.add_(rules[name].update(now, wrong, rate))
    axes.plot(losses, style, label=name)
axes.set(xlabel="step", ylabel="mean loss", yscale="log")
axes.legend(frameon=False)
