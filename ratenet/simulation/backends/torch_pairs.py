"""Pairs of Runge-Kutta formulas: a step, and an estimate of its error from the same slopes.

    s_j = s_0 + h sum_i a_ji F_i,   F_j = F(t + c_j h, s_j)
    error = d (s_0 - s_end) + h sum_i e_i F_i

The last s_j is the state at t + h, so that its slope is the first of the next step. Two families:

- Dormand and Prince's pair of order 5, for small errors.
- Runge-Kutta-Chebyshev formulas of order 2 (Sommeijer, Shampine & Verwer 1998, J Comput Appl Math
  88:315), for slow drives. Their stability interval on the negative real axis grows with the square
  of the number of stages, so that a network which follows its drive takes steps as long as accuracy
  allows. The damping is far above the 2/13 of the source: a step multiplies modes that decay fast
  by at most 0.2 in place of up to 0.95, for one stage in five more.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

DAMPING = 5.0
MOST_STAGES = 20


@dataclass(frozen=True)
class Pair:
    """The coefficients of a step.

    Attributes
    ----------
    rows : tuple of tuple of float
        a_ji, one row for each stage after the first.
    times : tuple of float
        c_j of these stages.
    error : tuple of float
        e_i.
    difference : float
        d.
    order : int
        Power of h that the error estimate falls with.
    middle : tuple of float, optional
        Coefficients of the state at t + h/2, where the method has some.
    """

    rows: tuple[tuple[float, ...], ...]
    times: tuple[float, ...]
    error: tuple[float, ...]
    order: int
    difference: float = 0.0
    middle: tuple[float, ...] | None = None


_DOPRI5 = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_EMBEDDED = (1951 / 21600, 0.0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60)

DOPRI5 = Pair(
    rows=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        _DOPRI5,
    ),
    times=(1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    error=tuple(a - b for a, b in zip((*_DOPRI5, 0.0), _EMBEDDED, strict=True)),
    order=5,
    middle=(  # Shampine 1986, Math Comput 46:135
        6025192743 / 30085553152 / 2,
        0.0,
        51252292925 / 65400821598 / 2,
        -2691868925 / 45128329728 / 2,
        187940372067 / 1594534317056 / 2,
        -1776094331 / 19743644256 / 2,
        11237099 / 235043384 / 2,
    ),
)


@cache
def chebyshev(stages: int) -> Pair:
    """Return the Runge-Kutta-Chebyshev pair of order 2 with s >= 2 stages.

    Its polynomial on a mode with z = h lambda is 1 - b T_s(w0) + b T_s(w0 + w1 z).
    """
    s, w0 = stages, _w0(stages)
    T, dT, ddT = _chebyshev_at(w0, s)
    w1 = dT[s] / ddT[s]
    b = [ddT[max(j, 2)] / dT[max(j, 2)] ** 2 for j in range(s + 1)]
    rows = [np.zeros(s), b[1] * w1 * np.eye(s)[0]]
    for j in range(2, s + 1):
        new = np.eye(s)[j - 1] - (1 - b[j - 1] * T[j - 1]) * np.eye(s)[0]
        newer = 2 * b[j] / b[j - 1] * (w0 * rows[j - 1] + w1 * new)
        rows.append(newer - b[j] / b[j - 2] * rows[j - 2])
    return Pair(
        rows=tuple(tuple(row[:j].tolist()) for j, row in enumerate(rows) if j),
        times=(*(float(row.sum()) for row in rows[1:s]), 1.0),
        error=(0.4, *(0.0 for _ in range(s - 1)), 0.4),
        order=3,
        difference=0.8,
    )


def stages_for(h: float, rate: float) -> tuple[int, float]:
    """Return the stages that go furthest for each product, and the length of a step with them.

    Parameters
    ----------
    h : float
        How long a step is to be, in seconds.
    rate : float
        |lambda| of the fastest mode in 1/s.
    """
    lengths = {s: min(h, reach_of(s) / rate) if rate else h for s in range(2, MOST_STAGES + 1)}
    stages = max(lengths, key=lambda s: lengths[s] / s)
    return stages, lengths[stages]


@cache
def reach_of(stages: int) -> float:
    """Return the length of the stability interval on the negative real axis."""
    _, dT, ddT = _chebyshev_at(_w0(stages), stages)
    return float((_w0(stages) + 1) * ddT[stages] / dT[stages])


def _w0(stages: int) -> float:
    return 1 + DAMPING / stages**2


def _chebyshev_at(x: float, degree: int) -> tuple[list[float], list[float], list[float]]:
    """Return the Chebyshev polynomials T_0 to T_degree at x, their first and second derivatives."""
    T, dT, ddT = [1.0, x], [0.0, 1.0], [0.0, 0.0]
    for j in range(1, degree):
        ddT.append(2 * x * ddT[j] - ddT[j - 1] + 4 * dT[j])
        dT.append(2 * x * dT[j] - dT[j - 1] + 2 * T[j])
        T.append(2 * x * T[j] - T[j - 1])
    return T, dT, ddT
