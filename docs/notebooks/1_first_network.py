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
# # A first network
#
# A network is a model, which is its equations, and a matrix of weights `W[post, pre]`. Here 60 units
# with random weights are driven by two stimuli, and run until they rest.

# %%
import numpy as np

import ratenet as rn

model = rn.load_model("rate")
model

# %% [markdown]
# The input-output curve of one unit, without synapses:

# %%
model.plot()
# %%
generator = np.random.default_rng(0)
N = 60
W = 0.8 * generator.standard_normal((N, N)) / np.sqrt(N)
network = rn.Network(model, W)
drive = generator.standard_normal((2, N))
network

# %% [markdown]
# ## Simulation
# Times are in seconds, or Brian2 quantities such as `100*ms`.

# %%
run = rn.simulate(network, drive, duration=0.3, dt=0.001)
run.plot(stimuli=[0, 1], units=[0, 1, 2])
# %% [markdown]
# ## Fixed points
# `find_fixed_points` solves for the states at which the dynamics rest, and says of each stimulus
# whether it settled and is stable.

# %%
fp = rn.find_fixed_points(network, drive)
fp

# %%
distance = float((run.rates[-1] - fp.rates).abs().max())
print(f"largest distance of the simulation's last rates from the fixed points: {distance:.1e}")
assert distance < 1e-4

# %% [markdown]
# All eigenvalues of W lie to the left of 1, so that the network is stable whatever its gains:

# %%
network.plot()
