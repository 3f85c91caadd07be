"""A recurrent layer inside a PyTorch model: does it matter which rule teaches its weights?

The same model, a recurrent layer between a trained read-in and a trained read-out, learns 4,000
digits twice with Adam: the recurrent weights follow the Euclidean gradient (rule 1), or the
linearized reparameterized rule (rule 3) of Zhu and Rosenbaum 2024, arXiv 2307.06732. Read-in and
read-out have their exact gradients in both.

    python examples/09_fixed_point_layer.py [FIGURE.png]

Expect two learning curves that fall alike, a test accuracy of about 0.9 for both, and that all
samples settle.
"""

import sys
from pathlib import Path

import torch

import ratenet as rn
from ratenet.report.figures import COLOURS, new_figure, save

# --- Parameters -------------------------------------------------------------------------------
units, batch_size, epochs, learning_rate = 100, 200, 5, 1e-3
rules = {
    "rule 1, Euclidean": rn.plasticity.Euclidean(),
    "rule 3, linearized": rn.plasticity.LinearizedReparameterized(),
}
images = rn.stimuli.load_images("mnist-5k")
torch.set_num_threads(1)


# --- The model, as any other of torch ---------------------------------------------------------
def train(rule: rn.plasticity.AbstractRule) -> tuple[torch.nn.Sequential, list[float], int]:
    """Return the trained model, the loss at each step, and how many samples did not settle."""
    torch.manual_seed(0)  # both begin with the same weights and see the same batches
    layer = rn.FixedPointLayer(784, units, rule=rule)
    model = torch.nn.Sequential(layer, torch.nn.Linear(units, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses, unsettled = [], 0
    for _ in range(epochs):
        for batch in torch.randperm(len(images.train)).split(batch_size):
            scores = model(images.train.pixels[batch])
            loss = torch.nn.functional.cross_entropy(scores, images.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            unsettled += layer.last.unsettled
    return model, losses, unsettled


# --- Two rules --------------------------------------------------------------------------------
figure, axis = new_figure(figsize=(6, 4))
for number, (name, rule) in enumerate(rules.items()):
    model, losses, unsettled = train(rule)
    with torch.no_grad():
        right = model(images.test.pixels).argmax(dim=1) == images.test.labels
    print(
        f"{name:20s} test accuracy {float(right.float().mean()):.3f}, loss {losses[0]:.2f} to "
        f"{losses[-1]:.2f}, unsettled samples {unsettled}"
    )
    axis.plot(losses, ("-", "--")[number], color=COLOURS[number], label=name)

# --- Figure -----------------------------------------------------------------------------------
axis.set(xlabel=f"steps of {batch_size} digits", ylabel="cross-entropy (nats)", ylim=(0, None))
axis.legend(frameon=False)
save(figure, Path(sys.argv[1] if len(sys.argv) > 1 else "09_fixed_point_layer.png"))
