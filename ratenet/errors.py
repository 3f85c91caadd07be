"""The errors of ratenet: each is a RatenetError and also the builtin that a Python user expects.

Every message says where, what was found, what is allowed and what to do.
"""

from typing import Any


class RatenetError(Exception):
    """Base of all errors that ratenet raises on purpose."""


class ModelError(RatenetError, ValueError):
    """A model file, or a model specification, that cannot be used."""


class InputError(RatenetError, ValueError):
    """An argument with a wrong value, shape or unit."""


class UnknownNameError(RatenetError, KeyError):
    """A name (of a model, rule, data set, backend ...) that does not exist."""

    __str__ = Exception.__str__  # KeyError would show the sentence in quotes


class UnsupportedError(RatenetError, NotImplementedError):
    """A combination that a method, backend or rule does not offer."""


class DivergenceError(RatenetError, ArithmeticError):
    """A state or weight that became NaN or infinite."""


class SingularError(RatenetError, ArithmeticError):
    """A matrix or gain that would have to be inverted and cannot be."""


class ConvergenceError(RatenetError, RuntimeError):
    """Fixed points that were not found.

    Attributes
    ----------
    result : FixedPoints
        What was reached: residual, status and rates of every sample.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class UnsettledError(RatenetError, RuntimeError):
    """No, or too few, samples are at a fixed point, so nothing can be learned."""


class StaleError(RatenetError, RuntimeError):
    """Fixed points that belong to weights which have changed since."""


class DataError(RatenetError, OSError):
    """Images that cannot be loaded."""


class RunFolderError(RatenetError, OSError):
    """A run folder that exists already, is missing, or cannot be read."""


class OtherProcessError(RatenetError, RuntimeError):
    """Another of the processes that train together has been stopped; the message says why."""


# What stops a run although nobody made a mistake; the command line exits with 3.
STOPPED_BY_SCIENCE = (UnsettledError, DivergenceError, SingularError, OtherProcessError)


class RatenetWarning(UserWarning):
    """Something that a user should know and that stops nothing."""


class LeftOutWarning(RatenetWarning):
    """Settled samples that a plasticity rule could not learn from.

    Attributes
    ----------
    samples : int
        How many.
    """

    def __init__(self, message: str, samples: int) -> None:
        super().__init__(message)
        self.samples = samples
