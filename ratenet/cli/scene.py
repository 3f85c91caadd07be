"""What a command works on: a published circuit, or a model with random weights and drive."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet import circuits
from ratenet.equations import load_model, model_names
from ratenet.errors import InputError, RunFolderError, UnknownNameError
from ratenet.network import Network
from ratenet.network.scales import typical_input, typical_weight


@dataclass(frozen=True, eq=False)
class Scene:
    """A network with a stimulus and a start."""

    network: Network
    drive: Tensor  # (B, N)
    initial: Any
    title: str
    origin: dict[str, Any]  # for the record
    duration: float = 0.1  # s, of a simulation
    dt: float = 1e-4  # s


def check_seed(seed: int) -> None:
    """Refuse a seed that torch or numpy does not take."""
    if not 0 <= seed < 2**63:
        raise InputError.at("seed", got=seed, expected="a whole number from 0 to 2**63 - 1")


def check_folder(out: Path, seed: int, overwrite: bool) -> None:
    """Refuse a seed that cannot be one, and a folder that holds something else."""
    check_seed(seed)
    if (out / "checkpoint.safetensors").exists():
        raise RunFolderError(f"out: {str(out)!r} holds a training run; choose another folder.")
    if (out / "config.toml").exists() and not overwrite:
        raise RunFolderError(
            f"out: {str(out)!r} already holds results; choose another folder, or replace them "
            "with --overwrite."
        )


def load_scene(name: str, units: int | None, radius: float | None, seed: int) -> Scene:
    """Return a circuit by name, or a model with normal weights and a standard normal drive.

    Raises
    ------
    InputError
        If units or radius are given for a circuit, or cannot be used.
    """
    if name not in circuits.names():
        return _random_scene(name, units, radius, seed)
    for option, value in (("units", units), ("radius", radius)):
        if value is not None:
            raise InputError(
                f"{option}: {name!r} is a published circuit with weights of its own; leave "
                f"--{option} out."
            )
    circuit = circuits.load(name)
    origin = {"circuit": circuit.name, "title": circuit.title, "source": circuit.source}
    start = (circuit.network, circuit.drive, circuit.initial)
    return Scene(*start, circuit.title, origin, circuit.duration, circuit.dt)


def _random_scene(name: str, units: int | None, radius: float | None, seed: int) -> Scene:
    if not name.endswith(".toml") and name not in model_names():
        raise UnknownNameError(
            f"There is no model or circuit {name!r}; there are the models "
            f"{', '.join(model_names())}, the circuits {', '.join(circuits.names())}, or give the "
            "path of a .toml file."
        )
    model = load_model(name)
    sizes = [size for _, size in model.populations if isinstance(size, int)]
    N = (sum(sizes) or 100) if units is None else units
    if N < 1:
        raise InputError(f"units: {N} is not at least 1.")
    spectral_radius = 0.5 if radius is None else radius
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(N, N, generator=generator, dtype=torch.float64)
    drive = torch.randn(1, N, generator=generator, dtype=torch.float64)
    network = Network(model, torch.zeros_like(W), seed=seed)
    drive *= typical_input(network)
    network = network.changed(W=spectral_radius * typical_weight(network) * W)
    return Scene(network, drive, None, model.title, {"units": N, "radius": spectral_radius})
