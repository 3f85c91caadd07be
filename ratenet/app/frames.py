"""What is seen of a network that settles: a frame at each time, and a look at its stability."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """What is seen at one time.

    Attributes
    ----------
    time : float
        Time of the network, in seconds.
    image : Tensor, shape (M,)
        What the network sees.
    label : int
        Class of the image; -1: unknown.
    drive, rates : Tensor, shape (N,)
    target : Tensor or None, shape (N,)
        Rates at the fixed point of the image, noise left out; None where none was found.
    distance : float
        Length of rates minus target, over the length of the target; NaN without one.
    predicted : float
        The same as the quasi-static approximation predicts it for the moving image.
    residual : float
        Residual of the rates, as in `FixedPoints`.
    outputs : Tensor, shape (K,)
        Outputs of the read-out.
    answer : int
        The class of the largest output; -1: none, as when there are no rates yet.
    confidence : Tensor, shape (K,)
        Softmax of the outputs.
    reached : float
        Seconds from the beginning of the image to the last change of the answer.
    note : str
        What a user should know, such as that the rates grow without end.
    """

    time: float
    image: Tensor
    label: int
    drive: Tensor
    rates: Tensor
    target: Tensor | None
    distance: float
    predicted: float
    residual: float
    outputs: Tensor
    answer: int
    confidence: Tensor
    reached: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Examined:
    """Stability and certificate of the fixed point of an image.

    Where the network does not settle, the eigenvalues are those at an unstable fixed point that is
    found from the one before; if none is found, those at the present rates.

    Attributes
    ----------
    eigenvalues : Tensor, shape (k N,)
        Eigenvalues of the Jacobian, complex, in 1/s.
    abscissa : float
        Largest real part, in 1/s.
    converged : bool
        Whether a stable, or neutral, fixed point is reached.
    sentence : str
        The certificate's.
    at_fixed_point : bool
        Whether the eigenvalues are those at a fixed point.
    """

    eigenvalues: Tensor
    abscissa: float
    converged: bool
    sentence: str
    at_fixed_point: bool
