"""How does a trained RNN remember three bits?

The 3-bit flip-flop of Sussillo & Barak 2013 (Neural Comput. 25:626): three inputs receive brief
pulses of +1 or -1, and each output holds the sign of the last pulse that its input received. A
torch.nn.RNN of 64 tanh units learns it by backpropagation through time. Then its fixed points are
found at an input of zero, certified for the RNN as a map, and once more for the network in
continuous time that `from_rnn` makes of it.

    python examples/12_flip_flop.py [FIGURE.png]

Expect 8 stable fixed points, one per memory, at the corners of a cube; and saddles on its edges:
each has one unstable direction and leads from there to two memories that differ in one bit. It
takes half a minute on one core.
"""

import sys
from itertools import product
from pathlib import Path

import torch

import ratenet as rn
from ratenet.report.figures import COLOURS, GREY, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
units, bits = 64, 3
steps, batch, length = 1500, 64, 40  # of training; time steps in a trial
chance = 0.1  # of a pulse, per input and time step
noise = 0.1  # on the states that the search begins from
torch.manual_seed(0)


def trials(number: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pulses (number, length, bits), all bits set at the first step, and what to answer."""
    signs = 2.0 * torch.randint(2, (number, length, bits)) - 1
    shown = torch.rand(number, length, bits) < chance
    shown[:, 0] = True
    last = (shown * torch.arange(length)[:, None]).cummax(dim=1).values  # when it was last set
    return signs * shown, signs.gather(1, last)


# --- Training ---------------------------------------------------------------------------------
rnn, read_out = torch.nn.RNN(bits, units, batch_first=True), torch.nn.Linear(units, bits)
parameters = [*rnn.parameters(), *read_out.parameters()]
optimizer = torch.optim.Adam(parameters, lr=2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
for _ in range(steps):
    pulses, answer = trials(batch, length)
    loss = (read_out(rnn(pulses)[0]) - answer).square().mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()
rnn, read_out = rnn.double().requires_grad_(False), read_out.double().requires_grad_(False)
pulses, answer = (values.double() for values in trials(200, 100))
states = rnn(pulses)[0]
correct = (read_out(states).sign() == answer).double().mean()
print(f"error {float(loss.detach()):.4f}; correct answers {100 * float(correct):.2f} %")

# --- Fixed points at an input of zero -----------------------------------------------------------
zero = torch.zeros(bits, dtype=torch.float64)
visited = states.flatten(0, 1)
starts = visited[torch.randperm(len(visited))[:600]]
starts = starts + noise * torch.randn_like(starts)
found = rn.fixed_points_of(rnn, starts, zero)
print(found.summary())
points = found.unique()
stable, saddles = points.select(points.stable), points.select(points.converged & ~points.stable)
print(f"stable fixed points: {len(stable)}, largest spectral radius "
      f"{float(stable.spectral_radius().max()):.3f}")  # fmt: skip
memories = read_out(stable.state)
corners = {tuple(row) for row in memories.sign().int().tolist()}
print(f"memories held: {len(corners & set(product([-1, 1], repeat=bits)))} of {2**bits}")
network, read_in = rn.from_rnn(rnn)
fp = rn.fixed_points_at(network, read_in(zero.expand(len(points), -1)), points.state, tol=1e-9)
print(f"the same in the network: {int(fp.converged.sum())} settled, "
      f"{int((fp.abscissa() < 0).sum())} stable in continuous time")  # fmt: skip

# --- Where the saddles lead ---------------------------------------------------------------------
edges = []
for index in range(len(saddles)):
    values, vectors = torch.linalg.eig(saddles.jacobian(index))
    unstable = torch.nonzero(values.abs() > 1)[:, 0]
    if len(unstable) != 1:
        continue
    side = 1e-3 * vectors[:, unstable[0]].real
    begin = torch.stack([saddles.state[index] + side, saddles.state[index] - side])
    paths = rnn(torch.zeros(2, 400, bits, dtype=torch.float64), begin[None])[0]
    nearest = torch.cdist(paths[:, -1], stable.state).argmin(dim=1)
    edges.append((index, paths, nearest))
apart = [int((memories[a].sign() != memories[b].sign()).sum()) for _, _, (a, b) in edges]
print(f"saddles: {len(saddles)}, with one unstable direction: {len(edges)}, which leads to two "
      f"memories that differ in one bit: {apart.count(1)}")  # fmt: skip

# --- The picture, in the first three principal components ---------------------------------------
centre = visited.mean(dim=0)
axes_of = torch.linalg.svd(visited - centre, full_matrices=False)[2][:3]
share = torch.linalg.svdvals(visited - centre).square()
print(f"variance in three components: {100 * float(share[:3].sum() / share.sum()):.1f} %")


def shown(values: torch.Tensor) -> list[list[float]]:
    """Return the three coordinates of states (n, N)."""
    return ((values - centre) @ axes_of.T).T.tolist()


figure, axes = new_figure(figsize=(7, 6), subplot_kw={"projection": "3d"})
axes.plot(*shown(states[0]), color=GREY, lw=0.6, alpha=0.7, label="a trial with pulses")
for path in (path for _, paths, _ in edges for path in paths):
    (line,) = axes.plot(*shown(path), color=COLOURS[5], lw=1.2)
line.set_label("from a saddle, without input")
one = torch.tensor([index for index, _, _ in edges], dtype=torch.int64)
more = torch.ones(len(saddles), dtype=torch.bool).index_fill(0, one, value=False)
kinds = [
    (stable.state, "o", COLOURS[0], f"stable ({len(stable)})"),
    (saddles.state[one], "X", COLOURS[1], f"saddle, one unstable direction ({len(one)})"),
    (saddles.state[more], "^", COLOURS[3], f"saddle, several ({int(more.sum())})"),
]
for group, marker, colour, label in kinds:
    if len(group):
        axes.scatter(*shown(group), marker=marker, color=colour, s=45, label=label,
                     depthshade=False)  # fmt: skip
for name in "xyz":
    getattr(axes, f"set_{name}label")(f"component {'xyz'.index(name) + 1}")
axes.view_init(elev=18, azim=65)
axes.legend(loc="upper left", frameon=False, fontsize=8)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "12_flip_flop.png"))
