"""The errors of ratenet: each is a RatenetError and also the builtin that a Python user expects.

Every message says where, what was found, what is allowed and what to do; a program reads the same
from the attributes.
"""

import copy
import difflib
from collections.abc import Iterable
from typing import Any, Self

LONGEST_SHOWN = 60  # characters of a value in a sentence


def escape(text: str) -> str:
    """Return a string on one line, in which control characters are written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


def shorten(text: str) -> str:
    """Return a string on one line, without control characters, cut off where it is long."""
    line = escape(text)
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 3] + "..."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 stimulus", "2 stimuli", "0 entries"."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("us"):
        return f"{number} {noun[:-2]}i"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def show_any(value: Any) -> str:
    """Return any value as a short string of one line, for a sentence about it."""
    try:
        has_unit = hasattr(value, "in_best_unit")  # of Brian2: "20. ms", not "20. * msecond"
        return shorten(str(value) if has_unit else repr(value))
    except ValueError:  # Python does not print integers of thousands of digits
        return "a huge number"
    except RecursionError:
        return "a deeply nested value"


class RatenetError(Exception):
    """Base of all errors that ratenet raises on purpose.

    Attributes
    ----------
    argument : str or None
        The argument, key or option that the error is about, such as ``"tau"``.
    got : object
        What was found there.
    expected : str or None
        What is allowed there, as in the sentence.

    Examples
    --------
    >>> error = InputError.at("epochs", got=0, expected="a whole number of at least 1")
    >>> print(error)
    epochs: expected a whole number of at least 1, got 0.
    >>> error.argument, error.got
    ('epochs', 0)
    """

    def __init__(
        self,
        message: str = "",
        *,
        argument: str | None = None,
        got: Any = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.argument, self.got, self.expected = argument, got, expected

    @classmethod
    def at(
        cls, argument: str, *, expected: str, got: Any = None, found: str = "", remedy: str = ""
    ) -> Self:
        """Return the error "argument: expected ..., got ...; remedy.".

        `found` says in words what was found, where the value itself would not tell.

        Parameters
        ----------
        argument : str
            Where: the argument, key or option.
        expected : str
            What is allowed there, in words.
        got : object
            What was found there.
        found : str
            The same in words, where the value itself would not tell.
        remedy : str
            What to do, in words.
        """
        end = f"; {remedy}." if remedy else "."
        sentence = f"{argument}: expected {expected}, got {found or show_any(got)}{end}"
        value = found if found and got is None else got
        return cls(sentence, argument=argument, got=value, expected=expected)

    def within(self, where: str) -> Self:
        """Return the same error with where it was found before the sentence, such as a file.

        Parameters
        ----------
        where : str
            Such as a file; empty for none.
        """
        found = copy.copy(self)
        found.args = (f"{where}: {self}" if where else str(self), *self.args[1:])
        return found


class ModelError(RatenetError, ValueError):
    """A model file, or a model specification, that cannot be used.

    Examples
    --------
    >>> import ratenet as rn
    >>> try:
    ...     rn.load_model({"name": "mine", "equations": "dr/dt = -r / tau : 1", "output": "r"})
    ... except ModelError as error:
    ...     print(error)
    recurrent: missing; expected a non-empty string.
    """


class InputError(RatenetError, ValueError):
    """An argument with a wrong value, shape or unit.

    Examples
    --------
    >>> import ratenet as rn
    >>> try:
    ...     rn.Network("rate", [[0.5, 0.1]])
    ... except InputError as error:
    ...     print(error)
    W: expected a square matrix, (N, N) with W[post, pre], got (1, 2).
    """


class UnknownNameError(RatenetError, KeyError):
    """A name (of a model, rule, data set, backend ...) that does not exist.

    Examples
    --------
    >>> import ratenet as rn
    >>> try:
    ...     rn.load_model("rat")
    ... except UnknownNameError as error:
    ...     print(error.argument, error.got)
    model rat
    """

    __str__ = Exception.__str__  # KeyError would show the sentence in quotes

    @classmethod
    def among(cls, kind: str, name: Any, available: Iterable[str], remedy: str = "") -> Self:
        """Return the error "Unknown kind 'name'; available: ..."; one that is close is named first.

        Parameters
        ----------
        kind : str
            What the name is of, such as ``"rule"``.
        name : object
            What was given.
        available : iterable of str
            The names that there are.
        remedy : str
            What else to do, in words.

        Examples
        --------
        >>> print(UnknownNameError.among("rule", "ojja", ["hebb", "oja"]))
        Unknown rule 'ojja'; did you mean 'oja'? Available: hebb, oja.
        """
        names = list(available)
        close = difflib.get_close_matches(str(name), names, n=1)
        found = f"; did you mean {close[0]!r}? Available" if close else "; available"
        listed = ", ".join(names) or "none"
        sentence = f"Unknown {kind} {show_any(name)}{found}: {listed}"
        sentence += f"; {remedy}." if remedy else "."
        return cls(sentence, argument=kind, got=name, expected=listed)


class UnsupportedError(RatenetError, NotImplementedError):
    """A combination that a method, backend or rule does not offer.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.5]])
    >>> try:
    ...     rn.simulate(network, [1.0], 0.01, 0.001, backend="brian2", method="rk4")
    ... except UnsupportedError as error:
    ...     print(error.argument)
    method
    """


class DivergenceError(RatenetError, ArithmeticError):
    """A state or weight that became NaN or infinite.

    Attributes
    ----------
    result : Trajectory or None
        What a simulation with plasticity recorded, up to the last good record.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[2.0]])  # rates grow by e in each time constant
    >>> try:
    ...     rn.simulate(network, [1.0], duration=20.0, dt=0.001)
    ... except DivergenceError as error:
    ...     print(type(error).__mro__[2].__name__)
    ArithmeticError
    """

    result: Any = None


class SingularError(RatenetError, ArithmeticError):
    """A matrix or gain that would have to be inverted and cannot be.

    Examples
    --------
    >>> import torch
    >>> import ratenet as rn
    >>> try:
    ...     rn.connectivity.with_radius(torch.zeros(2, 2), 0.5)
    ... except SingularError as error:
    ...     print("all eigenvalues of W are 0" in str(error))
    True
    """


class ConvergenceError(RatenetError, RuntimeError):
    """Fixed points that were not found.

    Attributes
    ----------
    result : FixedPoints
        What was reached: residual, status and rates of every sample.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[2.0]])  # rates grow without end
    >>> try:
    ...     rn.find_fixed_points(network, [1.0])
    ... except ConvergenceError as error:
    ...     print(rn.Status(int(error.result.status[0])).name)
    DIVERGED
    """

    def __init__(self, message: str = "", result: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.result = result


class UnsettledError(RatenetError, RuntimeError):
    """No, or too few, samples are at a fixed point, so nothing can be learned.

    Examples
    --------
    >>> import ratenet as rn
    >>> fp = rn.fixed_points_at(rn.Network("rate", [[0.5]]), [1.0], [0.0])  # not at rest
    >>> try:
    ...     rn.plasticity.Euclidean().update(fp, [[0.1]], learning_rate=0.1)
    ... except UnsettledError as error:
    ...     print(fp.unsettled)
    1
    """


class StaleError(RatenetError, RuntimeError):
    """Fixed points that belong to weights which have changed since.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.5]])
    >>> fp = rn.find_fixed_points(network, [1.0])
    >>> rule = rn.plasticity.Euclidean()
    >>> network.connectivity.add_(rule.update(fp, [[0.1]], learning_rate=0.1))
    >>> try:
    ...     rule.update(fp, [[0.1]], learning_rate=0.1)
    ... except StaleError:
    ...     print("Solve for the fixed points again.")
    Solve for the fixed points again.
    """


class DataError(RatenetError, OSError):
    """Images, or a saved network, that cannot be loaded.

    Examples
    --------
    >>> import ratenet as rn
    >>> try:
    ...     rn.load_network("none.safetensors")
    ... except DataError as error:
    ...     print("none.safetensors" in str(error))
    True
    """


class RunFolderError(RatenetError, OSError):
    """A run folder that exists already, is missing, or cannot be read.

    Examples
    --------
    >>> import ratenet as rn
    >>> try:
    ...     rn.load_run("runs/none")
    ... except RunFolderError as error:
    ...     print("runs/none" in str(error))
    True
    """


class OtherProcessError(RatenetError, RuntimeError):
    """Another of the processes that train together has been stopped; the message says why.

    Examples
    --------
    >>> raise OtherProcessError("Another worker failed (see its message).")
    Traceback (most recent call last):
    ratenet.errors.OtherProcessError: Another worker failed (see its message).
    """


# What stops a run although nobody made a mistake; the command line exits with 3.
STOPPED_BY_SCIENCE = (UnsettledError, DivergenceError, SingularError, OtherProcessError)


class RatenetWarning(UserWarning):
    """Something that a user should know and that stops nothing.

    Examples
    --------
    Warnings of ratenet as errors, and others as they are:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", RatenetWarning)
    """


class LeftOutWarning(RatenetWarning):
    """Settled samples that a plasticity rule could not learn from.

    Attributes
    ----------
    samples : int
        Number of samples left out.

    Examples
    --------
    >>> LeftOutWarning("2 samples left out.", 2).samples
    2
    """

    def __init__(self, message: str, samples: int) -> None:
        super().__init__(message)
        self.samples = samples
