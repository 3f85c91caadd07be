"""How far a network trails the fixed point that a changing drive moves."""

from ratenet.quasi_static.lag import (
    correct_lag as correct_lag,
    measure_lag as measure_lag,
    predict_lag as predict_lag,
)
from ratenet.quasi_static.results import Lag as Lag, QuasiStatic as QuasiStatic
