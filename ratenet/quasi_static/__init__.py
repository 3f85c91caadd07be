"""Drives that change slowly: how far rates, and weights by equations, trail their fixed points."""

from ratenet.quasi_static.certificate import (
    JointCertificate as JointCertificate,
    Standing as Standing,
    certify_state as certify_state,
)
from ratenet.quasi_static.lag import (
    correct_lag as correct_lag,
    measure_lag as measure_lag,
    predict_lag as predict_lag,
)
from ratenet.quasi_static.plasticity_lag import measure_plasticity_lag as measure_plasticity_lag
from ratenet.quasi_static.plasticity_results import PlasticityLag as PlasticityLag
from ratenet.quasi_static.results import Lag as Lag, QuasiStatic as QuasiStatic
