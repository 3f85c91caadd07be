"""TrainingConfig: everything that decides a run, checked once."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.plasticity import rule_named
from ratenet.plasticity.base import check_learning_rate
from ratenet.simulation import seconds
from ratenet.stimuli.images import EMBEDDED

PRESENTATIONS = ("slow", "static")
UNSETTLED = ("leave-out", "include")
HOLD_IN_TAU, FADE_IN_TAU = 20, 5


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run is to do; the same configuration gives the same numbers.

    Parameters
    ----------
    data : str
        A data set of `load_images`.
    data_root : str
        Where torchvision keeps its files.
    model : str
        A model's name, or the path of a model file.
    rule : str
        A plasticity rule's name.
    learning_rate : float
    epochs : int
    units : int
        N.
    batch_size : int
        B: streams that are shown side by side.
    presentation : {"slow", "static"}
        "slow": each digit fades in and is held, the state is carried over, and the rule acts on
        the rates reached at the end of the hold. "static": the fixed points themselves.
    tau : Quantity or float, optional
        Overrides the model's parameter tau; floats are seconds.
    hold, fade : Quantity or float, optional
        Default 20 and 5 times the model's longest time constant.
    unsettled : {"leave-out", "include"}
        What the rule does with samples whose state did not settle.
    seed : int
    device : str
    threads : int, optional
        CPU threads of torch; default: as torch finds them.
    """

    data: str = EMBEDDED
    data_root: str = "data"
    model: str = "rate"
    rule: str = "linearized-reparameterized"
    learning_rate: float = 0.25
    epochs: int = 30
    units: int = 300
    batch_size: int = 256
    presentation: Literal["slow", "static"] = "slow"
    tau: Any = None
    hold: Any = None
    fade: Any = None
    unsettled: Literal["leave-out", "include"] = "leave-out"
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        self._check_types()
        rule_named(self.rule)
        check_learning_rate(self.learning_rate)
        for name in ("epochs", "units", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is not at least 1.")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads: {self.threads} is not at least 1.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed: {self.seed} is not from 0 to 2**63 - 1.")
        for name, allowed in (("presentation", PRESENTATIONS), ("unsettled", UNSETTLED)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name}: {getattr(self, name)!r} is not one of {', '.join(allowed)}."
                )
        for name in ("tau", "hold", "fade"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _time(getattr(self, name), name))
        check_device(self.device)

    def _check_types(self) -> None:
        """Refuse values of another type, which a hand-edited config.toml may hold."""
        kinds: dict[str, tuple[type, ...]] = {
            **dict.fromkeys(("epochs", "units", "batch_size", "seed"), (int,)),
            **dict.fromkeys(("data", "data_root", "model", "rule", "device"), (str,)),
            **dict.fromkeys(("presentation", "unsettled"), (str,)),
            "learning_rate": (int, float),
            "threads": (int, type(None)),
        }
        for name, allowed in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, allowed) or isinstance(value, bool):
                wanted = {int: "a whole number", str: "a text"}.get(allowed[0], "a number")
                raise InputError(f"{name}: {value!r} is not {wanted}.")

    def resolved(self, network: Network) -> "TrainingConfig":
        """Return the configuration with every default that depends on the network written out."""
        threads = self.threads or torch.get_num_threads()
        if not network.time_constants():
            if self.presentation == "static":
                return dataclasses.replace(self, threads=threads)
            raise InputError(
                f"presentation: model {network.model.name!r} has no parameter with the unit of "
                "time, which the time step of a slow presentation follows from; use 'static'."
            )
        tau = round(network.longest_time_constant(), 9)  # float32 holds 10 ms as 9.9999998 ms
        return dataclasses.replace(
            self,
            hold=HOLD_IN_TAU * tau if self.hold is None else self.hold,
            fade=FADE_IN_TAU * tau if self.fade is None else self.fade,
            threads=threads,
        )


def _time(value: Any, name: str) -> float:
    is_step = name == "fade" and isinstance(value, int | float) and value == 0
    return 0.0 if is_step else seconds(value, name)


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or that is not there."""
    try:
        if torch.device(device).type not in ("cpu", "cuda"):
            raise RuntimeError
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise InputError(
            f"device: {device!r} is unknown or not available here; available: {there}."
        ) from None
