"""TrainingConfig: everything that decides a run, checked once."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ratenet.connectivity import choose_route
from ratenet.errors import InputError
from ratenet.layers.tables import read_tables
from ratenet.network import Network
from ratenet.plasticity import rule_named
from ratenet.plasticity.base import check_learning_rate
from ratenet.simulation.time_grid import seconds
from ratenet.stimuli.images import EMBEDDED
from ratenet.training.optimizers import check_optimizer
from ratenet.training.presentation import CONTINUOUS, UpdateTimes
from ratenet.training.schedules import check_schedule

PRESENTATIONS = ("slow", "static")
UNSETTLED = ("leave-out", "include")
BACKENDS = ("torch", "brian2")
DTYPES = {"float32": torch.float32, "float64": torch.float64}
LEARNED = ("read-in", "read-out")  # besides the recurrent weights
HOLD_IN_TAU, FADE_IN_TAU = 20, 5
MOST = {"epochs": 10**6, "threads": 4096}  # more is a slip, and takes all memory
OF_ONE_NETWORK = ("model", "units", "tau", "hold", "fade", "learn", "barrier")


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
    recurrent_learning_rate : float, optional
        Of the recurrent weights, where read-in and read-out are to learn at another rate. Default
        learning_rate.
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
        Default 20 and 5 times the model's longest time constant. Either may be 0: without a hold
        images never rest, and the rule acts when one has just come.
    update_at : sequence of float, or "continuous"
        When the rule acts, as shares of the hold, above 0 and up to 1; each time at the full
        learning rate. "continuous": after each time step of the hold, so that the hold as a whole
        makes one change. Default: at the end of the hold.
    eligibility : Quantity or float, optional
        Time constant of a running average over the changes that a rule asks for continuously.
    correct_lag : bool
        Whether the lag that the drive's speed predicts is taken off the rates before the rule
        acts; for images that never rest, hold 0.
    unsettled : {"leave-out", "include"}
        What the rule does with samples whose state did not settle.
    validation : int
        How many training images are held out, as many of each class; after each epoch, or every
        `evaluate_every` epochs, it is measured how many of them are answered rightly.
    patience : int, optional
        Stop when the validation accuracy has not risen for so many measurements, and take the
        weights with the best one. Default: all epochs, and the last weights.
    seed : int
    backend : {"torch", "brian2"}
        What simulates a slow presentation.
    dtype : {"float32", "float64"}
    device : str
        "cpu" or "cuda".
    threads : int, optional
        CPU threads of torch; default: as torch finds them.
    optimizer : str
        "sgd" adds the rule's change; any other optimizer of torch, by its name in lower case, takes
        the rule's direction in place of the gradient.
    weight_decay, momentum : float, optional
        The optimizer's own; default as torch has them.
    clip_norm : float, optional
        Largest joint norm of the gradients, the rule's direction among them; default none.
    schedule : str
        "constant", "cosine" (the learning rate falls to 0 over the epochs along half a cosine),
        or a learning-rate scheduler of torch by its name in lower case.
    schedule_options : mapping
        What that scheduler takes; it counts steps.
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
    layers : sequence of mapping
        A stack of layers in place of one network: tables as `read_tables` takes them, each with its
        own rule, model and connectivity; see docs/layers.md. Their presentation is "static".
        `rule` and `learning_rate` are those of the layers that give none.
    """

    data: str = EMBEDDED
    data_root: str = "data"
    model: str = "rate"
    rule: str = "linearized-reparameterized"
    learning_rate: float = 0.25
    recurrent_learning_rate: float | None = None
    epochs: int = 30
    units: int = 300
    batch_size: int = 256
    presentation: Literal["slow", "static"] = "slow"
    tau: Any = None
    hold: Any = None
    fade: Any = None
    update_at: UpdateTimes = (1.0,)
    eligibility: Any = None
    correct_lag: bool = False
    unsettled: Literal["leave-out", "include"] = "leave-out"
    validation: int = 0
    patience: int | None = None
    seed: int = 0
    backend: Literal["torch", "brian2"] = "torch"
    dtype: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    threads: int | None = None
    matrix_product: str | None = None
    optimizer: str = "sgd"
    weight_decay: float | None = None
    momentum: float | None = None
    clip_norm: float | None = None
    schedule: str = "constant"
    schedule_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    learn: Sequence[str] = ()
    barrier: float | None = None
    evaluate_every: int | None = None
    layers: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        self._check_types()
        rule_named(self.rule)
        check_learning_rate(self.learning_rate)
        if self.recurrent_learning_rate is not None:
            check_learning_rate(self.recurrent_learning_rate)
        for name in ("epochs", "units", "batch_size", "threads", "evaluate_every", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is not at least 1.")
        for name, most in MOST.items():
            if getattr(self, name) is not None and getattr(self, name) > most:
                raise InputError(f"{name}: {getattr(self, name)} is more than {most}.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed: {self.seed} is not from 0 to 2**63 - 1.")
        self._check_choices()
        self._check_optimizer()
        for name in ("tau", "hold", "fade", "eligibility"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _time(getattr(self, name), name))
        self._check_presentation()
        self._check_layers()
        self._check_validation()
        check_device(self.device)

    def _check_choices(self) -> None:
        object.__setattr__(self, "learn", tuple(self.learn))
        object.__setattr__(self, "schedule_options", dict(self.schedule_options))
        choices = [
            ("presentation", self.presentation, PRESENTATIONS),
            ("unsettled", self.unsettled, UNSETTLED),
            ("backend", self.backend, BACKENDS),
            ("dtype", self.dtype, tuple(DTYPES)),
            *(("learn", name, LEARNED) for name in self.learn),
        ]
        for name, value, allowed in choices:
            if value not in allowed:
                raise InputError(f"{name}: {value!r} is not one of {', '.join(allowed)}.")

    def _check_presentation(self) -> None:
        if self.update_at != CONTINUOUS:
            object.__setattr__(self, "update_at", _shares(self.update_at))
        is_continuous = self.update_at == CONTINUOUS
        of_slow = {
            "update_at": is_continuous or self.update_at != (1.0,),
            "correct_lag": self.correct_lag,
            "backend": self.backend != "torch",
        }
        for name, is_asked in of_slow.items():
            if is_asked and self.presentation != "slow":
                raise InputError(f"{name}: it is for slow presentation; use presentation 'slow'.")
        if self.hold == 0 and self.fade == 0:
            raise InputError("hold, fade: both are 0, which leaves no time for an image.")
        if self.hold == 0 and of_slow["update_at"]:
            raise InputError("update_at: there is no hold; leave the option out, or hold above 0.")
        if self.correct_lag and self.hold != 0:
            raise InputError(
                "correct_lag: images that are held are at rest when the rule acts, so that there "
                "is no lag to take off; give hold 0."
            )
        if self.eligibility is not None and not is_continuous:
            raise InputError("eligibility: it averages over time; give update_at 'continuous'.")
        if is_continuous and (self.optimizer != "sgd" or self.weight_decay or self.momentum):
            raise InputError(
                "update_at: 'continuous' moves the weights by the rule alone; it takes optimizer "
                "'sgd' without weight_decay and momentum."
            )
        if is_continuous and self.clip_norm is not None:
            raise InputError("clip_norm: a norm is clipped for single changes, not continuously.")
        if self.backend == "brian2" and self.device != "cpu":
            raise InputError(f"backend: 'brian2' computes on the CPU, not on {self.device!r}.")

    def _check_layers(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            return
        read_tables(self.layers)
        if self.presentation != "static":
            raise InputError(
                f"presentation: {self.presentation!r}, and layers are trained at their fixed "
                "points; give 'static'."
            )
        for name in OF_ONE_NETWORK:
            if getattr(self, name) != getattr(type(self), name):
                raise InputError(
                    f"{name}: layers say it for themselves; leave the option out, or put it into "
                    "a layer's table."
                )

    def _check_validation(self) -> None:
        if self.validation < 0:
            raise InputError(f"validation: {self.validation} is not at least 0.")
        if self.patience is not None and not self.validation:
            raise InputError("patience: it needs validation images; give validation, say 500.")

    def _check_optimizer(self) -> None:
        object.__setattr__(self, "optimizer", self.optimizer.lower())
        check_optimizer(self.optimizer)
        object.__setattr__(self, "schedule", self.schedule.lower())
        check_schedule(self.schedule)
        for name, largest in (("weight_decay", math.inf), ("momentum", 1), ("clip_norm", math.inf)):
            value = getattr(self, name)
            if value is not None and not 0 <= value < largest:
                allowed = "finite and at least 0" if largest == math.inf else "from 0 to below 1"
                raise InputError(f"{name}: {value} is not {allowed}.")
        if self.clip_norm == 0:
            raise InputError("clip_norm: 0 leaves nothing to learn; give a number above 0.")
        if self.barrier is not None and not 0 < self.barrier < 1:
            raise InputError(f"barrier: {self.barrier} is not above 0 and below 1.")

    def _check_types(self) -> None:
        """Refuse values of another type, which a hand-edited config.toml may hold."""
        kinds: dict[str, tuple[type, ...]] = {
            **dict.fromkeys(("epochs", "units", "batch_size", "validation", "seed"), (int,)),
            **dict.fromkeys(("data", "data_root", "model", "rule", "device"), (str,)),
            **dict.fromkeys(("presentation", "unsettled", "optimizer", "schedule"), (str,)),
            **dict.fromkeys(("backend", "dtype"), (str,)),
            **dict.fromkeys(
                ("weight_decay", "momentum", "clip_norm", "barrier", "recurrent_learning_rate"),
                (float, int, type(None)),
            ),
            "learning_rate": (float, int),
            **dict.fromkeys(("threads", "evaluate_every", "patience"), (int, type(None))),
            "learn": (list, tuple),
            "update_at": (list, tuple, str),
            "correct_lag": (bool,),
            "schedule_options": (dict,),
            "layers": (list, tuple),
            "matrix_product": (str, type(None)),
        }
        for name, allowed in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
                kind = {int: "a whole number", str: "a text", list: "a list", dict: "a table",
                        bool: "true or false"}  # fmt: skip
                wanted = kind.get(allowed[0], "a number")
                raise InputError(f"{name}: {value!r} is not {wanted}.")

    def on_this_machine(self) -> "TrainingConfig":
        """Return the configuration with every default that depends on the machine written out."""
        return dataclasses.replace(
            self,
            threads=self.threads or torch.get_num_threads(),
            matrix_product=choose_route(self.matrix_product),
        )

    def resolved(self, network: Network) -> "TrainingConfig":
        """Return the configuration with every default that depends on the network written out."""
        of_machine = self.on_this_machine()
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
    return seconds(value, name, or_zero=name in ("hold", "fade"))


def _shares(update_at: Any) -> tuple[float, ...]:
    """Return the shares of the hold at which the rule acts, in order."""
    are_numbers = not isinstance(update_at, str) and all(
        isinstance(share, float | int) and 0 < share <= 1 for share in update_at
    )
    if not are_numbers or not len(update_at):
        raise InputError(
            f"update_at: {update_at!r} is neither 'continuous' nor shares of the hold, above 0 and "
            "up to 1."
        )
    return tuple(sorted({float(share) for share in update_at}))


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
