"""TrainingConfig: everything that decides a run, checked once."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ratenet.connectivity import choose_route
from ratenet.errors import InputError
from ratenet.network import Network
from ratenet.plasticity import rule_named
from ratenet.plasticity.base import check_learning_rate
from ratenet.simulation import seconds
from ratenet.stimuli.images import EMBEDDED
from ratenet.training.optimizers import check_optimizer

PRESENTATIONS = ("slow", "static")
UNSETTLED = ("leave-out", "include")
SCHEDULES = ("constant", "cosine")
LEARNED = ("read-in", "read-out")  # besides the recurrent weights
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
    optimizer : str
        "sgd" adds the rule's change; any other optimizer of torch, by its name in lower case, takes
        the rule's direction in place of the gradient.
    weight_decay, momentum : float, optional
        The optimizer's own; default as torch has them.
    clip_norm : float, optional
        Largest joint norm of the gradients, the rule's direction among them; default none.
    schedule : {"constant", "cosine"}
        "cosine": the learning rate falls to 0 over the epochs along half a cosine.
    learn : sequence of {"read-in", "read-out"}
        What learns besides the recurrent weights, by its exact gradient; default nothing.
    barrier : float, optional
        Above 0 and below 1: with each unit at the largest gain that it took in the batch, the
        slowest mode is to decay at no less than this share of the rate at which the slowest unit
        decays by itself. For a rate network with one time constant, no eigenvalue of G_max W has
        a real part above 1 - barrier. W is corrected after a step where that does not hold, or goes
        back to what it was. Default: modes are tracked, not held.
    evaluate_every : int, optional
        Epochs between tests on the test images; default only at the end.
    matrix_product : {"onednn", "torch"}, optional
        What computes large float32 products on a CPU; they round differently, so a run records
        it. Default: oneDNN where this torch has it.
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
    matrix_product: str | None = None
    optimizer: str = "sgd"
    weight_decay: float | None = None
    momentum: float | None = None
    clip_norm: float | None = None
    schedule: Literal["constant", "cosine"] = "constant"
    learn: Sequence[str] = ()
    barrier: float | None = None
    evaluate_every: int | None = None

    def __post_init__(self) -> None:
        self._check_types()
        rule_named(self.rule)
        check_learning_rate(self.learning_rate)
        for name in ("epochs", "units", "batch_size", "threads", "evaluate_every"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is not at least 1.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed: {self.seed} is not from 0 to 2**63 - 1.")
        self._check_choices()
        self._check_optimizer()
        for name in ("tau", "hold", "fade"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _time(getattr(self, name), name))
        check_device(self.device)

    def _check_choices(self) -> None:
        object.__setattr__(self, "learn", tuple(self.learn))
        choices = [
            ("presentation", self.presentation, PRESENTATIONS),
            ("unsettled", self.unsettled, UNSETTLED),
            ("schedule", self.schedule, SCHEDULES),
            *(("learn", name, LEARNED) for name in self.learn),
        ]
        for name, value, allowed in choices:
            if value not in allowed:
                raise InputError(f"{name}: {value!r} is not one of {', '.join(allowed)}.")

    def _check_optimizer(self) -> None:
        object.__setattr__(self, "optimizer", self.optimizer.lower())
        check_optimizer(self.optimizer)
        for name, largest in (("weight_decay", math.inf), ("momentum", 1), ("clip_norm", math.inf)):
            value = getattr(self, name)
            if value is not None and not 0 <= value < largest:
                raise InputError(f"{name}: {value} is not a number from 0 to {largest}.")
        if self.clip_norm == 0:
            raise InputError("clip_norm: 0 leaves nothing to learn; give a number above 0.")
        if self.barrier is not None and not 0 < self.barrier < 1:
            raise InputError(f"barrier: {self.barrier} is not above 0 and below 1.")

    def _check_types(self) -> None:
        """Refuse values of another type, which a hand-edited config.toml may hold."""
        kinds: dict[str, tuple[type, ...]] = {
            **dict.fromkeys(("epochs", "units", "batch_size", "seed"), (int,)),
            **dict.fromkeys(("data", "data_root", "model", "rule", "device"), (str,)),
            **dict.fromkeys(("presentation", "unsettled", "optimizer", "schedule"), (str,)),
            **dict.fromkeys(
                ("weight_decay", "momentum", "clip_norm", "barrier"), (float, int, type(None))
            ),
            "learning_rate": (float, int),
            **dict.fromkeys(("threads", "evaluate_every"), (int, type(None))),
            "learn": (list, tuple),
            "matrix_product": (str, type(None)),
        }
        for name, allowed in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, allowed) or isinstance(value, bool):
                kind = {int: "a whole number", str: "a text", list: "a list of names"}
                wanted = kind.get(allowed[0], "a number")
                raise InputError(f"{name}: {value!r} is not {wanted}.")

    def resolved(self, network: Network) -> "TrainingConfig":
        """Return the configuration with every default that depends on the network written out."""
        of_machine = dataclasses.replace(
            self,
            threads=self.threads or torch.get_num_threads(),
            matrix_product=choose_route(self.matrix_product),
        )
        if not network.time_constants():
            if self.presentation == "static":
                return of_machine
            raise InputError(
                f"presentation: model {network.model.name!r} has no parameter with the unit of "
                "time, which the time step of a slow presentation follows from; use 'static'."
            )
        tau = round(network.longest_time_constant(), 9)  # float32 holds 10 ms as 9.9999998 ms
        return dataclasses.replace(
            of_machine,
            hold=HOLD_IN_TAU * tau if self.hold is None else self.hold,
            fade=FADE_IN_TAU * tau if self.fade is None else self.fade,
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
