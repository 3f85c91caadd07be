"""The network that a command works on: a circuit, or a model with random weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ratenet import circuits
from ratenet.circuits.named import arguments as arguments_of
from ratenet.equations import load_model
from ratenet.equations.files import MODELS
from ratenet.equations.parameters import as_text
from ratenet.equations.shipped import REMEDY
from ratenet.equations.units import Quantity
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
    is_seeded: bool = False  # a circuit whose weights are drawn

    @property
    def is_random(self) -> bool:
        """Whether a simulation depends on a seed."""
        is_circuit = "circuit" in self.origin
        return not is_circuit or self.is_seeded or bool(self.network.model.noises)


def load_scene(
    name: str,
    units: int | None = None,
    radius: float | None = None,
    seed: int | None = None,
    *,
    drive: Any = None,
    arguments: Mapping[str, Any] | None = None,
) -> Scene:
    """Return a circuit by name, or a model with normal weights and a standard normal drive.

    Parameters
    ----------
    name : str
        A circuit, a model, or the path of a model file.
    units, seed, drive : optional
        Where a circuit has an argument of that name, they are that; a drive is else that of all
        units, in place of the random one or of the circuit's stimulus.
    radius : float, optional
        Only for a model.
    arguments : mapping, optional
        Further arguments of a circuit.

    Raises
    ------
    InputError
        If an option does not belong to a circuit, a value cannot be used, or it does not fit into
        memory.
    """
    if name not in circuits.names():
        if arguments:
            raise UnknownNameError.among(f"option of {name}", min(arguments), ())
        return _driven(_random_scene(name, units, radius, seed or 0), drive)
    known = arguments_of(name)
    options = {"units": units, "seed": seed, "drive": drive}
    asked = {option: value for option, value in options.items() if value is not None}
    own = {option: value for option, value in asked.items() if option in known}
    for option, value in (("units", units), ("radius", radius)):
        if value is not None and option not in own:
            raise InputError(
                f"{option}: {name!r} is a circuit with its own weights; omit --{option}.",
                argument=option,
                got=value,
            )
    given = {**own, **(arguments or {})}
    circuit = circuits.load(name, **given)
    origin: dict[str, Any] = {
        "circuit": circuit.name, "title": circuit.title, "source": circuit.source
    }  # fmt: skip
    if given:
        origin["arguments"] = {option: _plain(value) for option, value in given.items()}
    start = (circuit.network, circuit.drive, circuit.initial)
    is_seeded = "seed" in known
    scene = Scene(*start, circuit.title, origin, circuit.duration, circuit.dt, is_seeded=is_seeded)
    return scene if "drive" in known else _driven(scene, drive)


def _driven(scene: Scene, drive: Any) -> Scene:
    """Return the scene with a constant drive of all units, if one is given."""
    if drive is None:
        return scene
    values = drive if isinstance(drive, list) else [drive]
    rows = torch.cat([scene.network.as_drive(value) for value in values])
    initial = scene.initial if len(rows) == len(scene.drive) else None  # it may be by stimulus
    origin = {**scene.origin, "drive": _plain(drive)}
    return replace(scene, drive=rows, initial=initial, origin=origin)


def _plain(value: Any) -> Any:
    """Return an argument as a record holds it."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return as_text(value, "value") if isinstance(value, Quantity) else value


def _random_scene(name: str, units: int | None, radius: float | None, seed: int) -> Scene:
    if not name.endswith(".toml") and MODELS.is_unknown(name):
        known = [*MODELS.names, *circuits.names()]
        raise UnknownNameError.among("model or circuit", name, known, REMEDY)
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
