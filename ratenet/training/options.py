"""TrainingOptions: everything that decides a run; each option is written once.

An option is a field with its type and bounds, and an entry of the numpydoc. From these follow the
checks, the options of ``ratenet train`` with their help, the keys of a training file and its JSON
schema. torch is not imported, so that ``ratenet train --help`` answers at once.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from ratenet.validation import Expected, Time

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10**6)]
Positive = Annotated[float, Field(gt=0)]
# What `ratenet.equations.registry` reads: a string, a table, or an object.
Named = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training run; `TrainingConfig` is these, checked.

    Parameters
    ----------
    data : str, mapping or ImageSet
        Images: mnist-5k (embedded), mnist, fashion-mnist, kmnist, emnist, usps, cifar-10, svhn; the
        path of an .npz file or of a folder of class folders; FILE.py:NAME of your own; in Python
        also an ImageSet or a table. docs/own-data.md says more.
    loss : str or callable, optional
        What the outputs are measured by: cross-entropy (classes), squared-error (targets, or
        one-hot classes), or FILE.py:NAME, a function from outputs (B, K) and targets to each
        sample's loss (B,). Default: cross-entropy for classes, squared-error for targets.
    data_root : str
        Folder where torchvision keeps its files.
    model : str, ModelSpec or mapping
        Name of a model, path of a model file (.toml), or FILE.py:NAME of your own; in Python also
        a ModelSpec or a table.
    rule : str, AbstractRule or mapping, optional
        Plasticity rule of the recurrent weights: a name, with settings in brackets as in
        `truncated-adjoint(terms=5)`; a sum such as `0.5*euclidean+0.5*hebb`; or FILE.py:NAME of
        your own. `ratenet rules` lists them. Default: linearized-reparameterized.
    plasticity : str, Path, PlasticitySpec or mapping, optional
        Plasticity as equations, in place of a rule: a name, with parameters in brackets as in
        `bcm(eta=2*Hz)`, or the path of a .toml file; `ratenet plasticity` lists them. The recurrent
        weights move all the time, also while images fade. A signal error or reward in the equations
        follows from the loss; without one nothing is told about the classes, and a read-out is
        fitted to the rates after each epoch. docs/plasticity-equations.md says more.
    learning_rate : float
        Learning rate, at the start if there is a schedule.
    recurrent_learning_rate : float, optional
        Learning rate of the recurrent weights, if it differs from that of the read-in and read-out
        weights. Default: learning_rate.
    epochs : int
        Passes over the training images.
    units : int
        Number of recurrent units, N.
    batch_size : int
        Images per step, B; in a slow presentation, streams of images side by side.
    presentation : {"slow", "static"}
        How images are presented. slow: each image fades in and is held, the state is carried over
        to the next one, and the rule acts on the rates reached. static: the rule acts on fixed
        points found by a solver.
    tau : Quantity, str or float, optional
        Time constant tau, in place of the model's.
    stimulus : str, mapping, type or AbstractStimulus
        What the images do while they are presented slowly: a name, with settings in brackets, such
        as `rotate(period=2*second)`; `ratenet stimuli` lists them. Or the user's own,
        `FILE.py:NAME`.
    hold : Quantity, str or float, optional
        Presentation time of an image. With 0, rates never settle, and the rule acts at the end of
        each fade. Default: 20 times the model's longest time constant, adaptation included.
    fade : Quantity, str or float, optional
        Duration of the cross-fade to the next image. Default: 5 times the model's longest time
        constant.
    update_at : sequence of float, or "continuous"
        When the rule acts, as fractions of the hold, each time at the full learning rate.
        continuous: after each time step of the hold, so that the hold as a whole makes one change.
        Default: at the end of the hold.
    eligibility : Quantity, str or float, optional
        Time constant of a low-pass filter on the weight change; only with continuous updates. It is
        not an eligibility trace in the sense of reinforcement learning.
    correct_lag : bool
        Whether the lag predicted from the speed of the drive is subtracted from the rates before
        the rule acts; only with hold 0, or with a stimulus that does not rest.
    adjoint_tau : Quantity, str or float, optional
        Time constant of the adjoint, the error that travels back through the recurrent weights and
        from layer to layer: it then follows the present rates as a dynamical state of its own, a
        hypothesis about feedback in the brain. Default: the adjoint is solved for at the present
        rates, which is the limit of a short time constant. docs/train-slowly.md says more.
    unsettled : {"leave-out", "include"}, optional
        What the rule does with samples that did not settle. Default: leave-out; include for a
        stimulus that does not rest, and with plasticity.
    validation : int
        Number of training images held out for validation, as many of each class; the accuracy on
        them is measured after each epoch, or every evaluate_every epochs.
    patience : int, optional
        Stop after this many measurements without a better validation accuracy, and restore the
        weights with the best one. Default: train for all epochs, and keep the last weights.
    seed : int
        Seed of the initial weights and of the order of the images.
    backend : {"torch", "brian2"}
        Simulator of the slow presentation.
    method : {"rkc", "euler", "exponential_euler", "rk4", "dopri5"}, optional
        Integration method of the slow presentation. rkc and dopri5 choose the length of their
        steps. Default: rkc; euler with backend brian2, noise, plasticity, continuous updates or a
        moving adjoint.
    dt : Quantity, str or float, optional
        Longest time step of the slow presentation; with rkc and dopri5 the grid of the times at
        which the rule acts. Default: a tenth of the model's shortest time constant.
    rtol : float, optional
        Tolerance of rkc and dopri5: the error in a step as a fraction of the rates. Default: 0.006
        with rkc; 1e-4 with dopri5, 1e-6 in float64.
    dtype : {"float32", "float64"}
        Precision of all numbers.
    device : str
        Device of torch: cpu or cuda.
    threads : int, optional
        CPU threads of torch. Default: as many as torch uses by itself.
    matrix_product : {"onednn", "torch"}, optional
        Library of large float32 products on a CPU; the two round differently. Default: oneDNN if
        this torch has it.
    optimizer : str
        Optimizer: sgd adds the rule's change; any other optimizer of torch, by its name in lower
        case, takes the rule's direction in place of the gradient.
    weight_decay : float, optional
        Weight decay of the optimizer. Default: as in torch.
    momentum : float, optional
        Momentum of the optimizer. Default: as in torch.
    step : {"rate", "normalized", "line-search"}
        How long a step is. rate: the learning rate times what the rule asks for. normalized: each
        step of the recurrent weights has the length (Frobenius norm; layer by layer) that
        recurrent_learning_rate, or else learning_rate, and the schedule give, in the direction that
        rule and optimizer give; read-in and read-out learn as with rate. line-search: the step of
        all that learns is halved, up to 20 times, until the batch's loss at solved fixed points has
        fallen (Armijo), and else not taken; learning rate and schedule give the longest step tried.
        A step costs a batch of fixed points for each trial, and an adjoint.
    clip_norm : float, optional
        Largest joint norm of all gradients, the rule's direction among them. Default: not clipped.
    schedule : str
        Schedule of the learning rate: constant, cosine (it falls to 0 along half a cosine), or a
        scheduler of torch by its name in lower case.
    schedule_options : mapping
        Arguments of the scheduler, which counts steps.
    learn : sequence of {"read-in", "read-out"}
        What learns besides the recurrent weights, by its exact gradient. Default: nothing.
    barrier : float, optional
        Stability margin, above 0 and below 1: after each step W is corrected so that all
        eigenvalues of G_max W keep a real part of at most 1 - barrier (for one time constant);
        G_max holds each unit's largest gain in the batch. Default: stability is measured only.
    evaluate_every : int, optional
        Epochs between tests on the test images. Default: only at the end; 1 where a read-out is
        fitted after each epoch.
    layers : sequence of mapping
        A stack of layers in place of one network: tables as in docs/layers.md, each with its own
        rule, model and connectivity, which rule and learning_rate are the defaults for. Under slow
        presentation all layers move at once.
    """

    data: Annotated[Named, Expected("a data set")] = "mnist-5k"
    loss: Annotated[Named, Expected("the name of a loss, or a function")] = None
    data_root: Name = "data"
    model: Annotated[Named, Expected("a model: its name, a path, a ModelSpec or a table")] = "rate"
    rule: Annotated[Named, Expected("a rule")] = None
    plasticity: Annotated[Named, Expected("a plasticity rule")] = None
    learning_rate: Positive = 0.25
    recurrent_learning_rate: Positive | None = None
    epochs: Count = 30
    units: Count = 300
    batch_size: Count = 256
    presentation: Literal["slow", "static"] = "slow"
    tau: Time = None
    stimulus: Named = "hold-and-fade"
    hold: Time = None
    fade: Time = None
    update_at: Literal["continuous"] | Annotated[Sequence[Share], Field(min_length=1)] = (1.0,)
    eligibility: Time = None
    correct_lag: bool = False
    adjoint_tau: Time = None
    unsettled: Literal["leave-out", "include"] | None = None
    validation: Annotated[int, Field(ge=0, le=10**9)] = 0
    patience: Count | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    backend: Literal["torch", "brian2"] = "torch"
    method: Literal["rkc", "euler", "exponential_euler", "rk4", "dopri5"] | None = None
    dt: Time = None
    rtol: Positive | None = None
    dtype: Literal["float32", "float64"] = "float32"
    device: Name = "cpu"
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    matrix_product: Literal["onednn", "torch"] | None = None
    optimizer: Name = "sgd"
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    step: Literal["rate", "normalized", "line-search"] = "rate"
    clip_norm: Positive | None = None
    schedule: Name = "constant"
    schedule_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    learn: Sequence[Literal["read-in", "read-out"]] = ()
    barrier: Annotated[float, Field(gt=0, lt=1)] | None = None
    evaluate_every: Count | None = None
    layers: Sequence[Mapping[str, Any]] = ()
