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
# # Several fixed points, and where they come from
#
# Two populations that inhibit one another decide: one wins. With weak inhibition there is one fixed
# point; beyond a critical strength there are three, two of them stable.

# %%
import ratenet as rn

network = rn.Network("rate", [[0.0, -2.0], [-2.0, 0.0]])
found = rn.find_all_fixed_points(network, [0.0, 0.0], starts=40)
found

# %%
found.plot()
# %% [markdown]
# ## Following a fixed point
# One unit that excites itself. A branch follows its fixed points while a number changes, around folds
# as well, and marks where stability changes.

# %%
one = rn.Network("rate", [[2.0]])
branch = rn.continue_fixed_points(one, [0.5], rn.DriveScale(), start=2.0, stop=-2.0)
branch

# %%
branch.plot()
# %% [markdown]
# Where both ways settle at different rates, the network remembers where it came from:

# %%
import numpy as np

sweep = rn.sweep_fixed_points(one, [0.5], rn.DriveScale(), np.linspace(-2, 2, 41))
sweep.plot()
# %%
folds = branch.of_kind(rn.SpecialKind.FOLD)
assert len(folds) == 2
print("folds at", ", ".join(f"{fold.value:.4f}" for fold in folds))
