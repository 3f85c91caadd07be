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
# # Excitation and inhibition, and a paradox
#
# In a network whose excitation alone would run away, inhibition stabilizes it. Such a network answers
# in a way that surprises: drive the inhibitory population *more*, and its rate *falls*
# (Tsodyks et al. 1997).

# %%
import torch

import ratenet as rn

circuit = rn.circuits.inhibition_stabilized()
circuit

# %%
circuit.plot()
# %% [markdown]
# ## More drive to the inhibitory population

# %%
network = circuit.network
inhibitory = network.populations["I"]
extra = torch.linspace(0, 4, 9, dtype=torch.float64)
drive = circuit.drive.repeat(len(extra), 1)
drive[:, inhibitory] += extra[:, None]
fp = rn.find_fixed_points(network, drive)
fp

# %%
from matplotlib import pyplot as plt

figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
axes.plot(extra, fp.rates[:, inhibitory].mean(dim=1), "--", label="inhibitory population")
axes.plot(extra, fp.rates[:, network.populations["E"]].mean(dim=1), label="excitatory population")
axes.set(xlabel="extra drive to the inhibitory population (Hz)", ylabel="rate (Hz)")
axes.legend(frameon=False)
# %%
I = fp.rates[:, inhibitory].mean(dim=1)
assert I[1] < I[0], "the paradox: more drive, a lower rate"
print(
    f"{float(extra[1]):g} Hz more drive: the inhibitory rate goes from {I[0]:.2f} to {I[1]:.2f} Hz"
)

# %% [markdown]
# The excitatory population alone is unstable, as its eigenvalue shows:

# %%
alone = network.connectivity.dense()[network.populations["E"], network.populations["E"]]
print(
    "largest eigenvalue of the excitatory weights:", float(torch.linalg.eigvals(alone).real.max())
)
