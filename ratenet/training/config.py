"""TrainingConfig: the options of a run, checked one by one and together."""

from dataclasses import dataclass

from ratenet.training.options import TrainingOptions
from ratenet.validation import check_fields


@dataclass(frozen=True)
class TrainingConfig(TrainingOptions):
    """What a training run is to do; the same configuration gives the same numbers.

    Its parameters are the fields of `TrainingOptions`, each with a default; `ratenet train --help`
    lists them, too.

    Raises
    ------
    InputError, UnknownNameError
        If a value cannot be used, or has no effect beside the others.

    Examples
    --------
    >>> TrainingConfig(epochs=2, hold="100*ms").hold
    0.1
    >>> TrainingConfig(epochs=0)
    Traceback (most recent call last):
    ratenet.errors.InputError: epochs: expected a whole number from 1 to 1000000, got 0.
    """

    def __post_init__(self) -> None:
        from ratenet.connectivity.computation import shielded  # they need torch
        from ratenet.training.config_checks import check_together, normalized

        check_fields(self)
        for name, value in normalized(self).items():
            object.__setattr__(self, name, value)
        with shielded():
            check_together(self)
