"""The network that a command works on: a published circuit, or a model with random weights."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ratenet import circuits
from ratenet.equations import load_model
from ratenet.equations.files import MODELS
from ratenet.errors import InputError, UnknownNameError
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_weight


@dataclass(frozen=True, eq=False)
class Scene:
    """A network with a drive and an initial state."""

    network: Network
    drive: Tensor  # (B, N)
    initial: Any
    title: str
    origin: dict[str, Any]  # for the record
    duration: float = 0.1  # s, of a simulation
    dt: float = 1e-4  # s

    @property
    def is_random(self) -> bool:
        """Whether a simulation depends on a seed."""
        return "circuit" not in self.origin or bool(self.network.model.noises)


def load_scene(name: str, units: int | None, radius: float | None, seed: int) -> Scene:
    """Return a circuit by name, or a model with normal weights and a standard normal drive.

    Raises
    ------
    InputError
        If units or radius are given for a circuit, or do not fit into memory.
    """
    if name not in circuits.names():
        return _random_scene(name, units, radius, seed)
    for option, value in (("units", units), ("radius", radius)):
        if value is not None:
            raise InputError(
                f"{option}: {name!r} is a published circuit with its own weights; omit --{option}.",
                argument=option,
                got=value,
            )
    circuit = circuits.load(name)
    origin = {"circuit": circuit.name, "title": circuit.title, "source": circuit.source}
    start = (circuit.network, circuit.drive, circuit.initial)
    return Scene(*start, circuit.title, origin, circuit.duration, circuit.dt)


def _random_scene(name: str, units: int | None, radius: float | None, seed: int) -> Scene:
    if not name.endswith(".toml") and MODELS.is_unknown(name):
        known = [*MODELS.names, *circuits.names()]
        raise UnknownNameError.among(
            "model or circuit", name, known, "or give the path of a .toml file"
        )
    model = load_model(name)
    sizes = [size for _, size in model.populations if isinstance(size, int)]
    N = (sum(sizes) or 100) if units is None else units
    require_memory(3 * 8 * N * N, f"units: the weights of {N:,} units", "choose fewer units")
    spectral_radius = 0.5 if radius is None else radius
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(N, N, generator=generator, dtype=torch.float64)
    drive = torch.randn(1, N, generator=generator, dtype=torch.float64)
    network = Network(model, torch.zeros_like(W), seed=seed)
    drive *= typical_input(network)
    W *= spectral_radius * typical_weight(network)
    if not W.isfinite().all():
        raise InputError.at("radius", got=radius, expected="a radius that keeps the weights finite")
    return Scene(
        network.changed(W=W), drive, None, model.title, {"units": N, "radius": spectral_radius}
    )
