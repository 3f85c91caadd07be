"""Plasticity hypotheses: rules side by side; which rule made a change; how much data would tell."""

from ratenet.hypotheses.comparison.compare import Comparison as Comparison, compare as compare
from ratenet.hypotheses.comparison.schedulers import (
    Dask as Dask,
    InProcess as InProcess,
    Processes as Processes,
)
from ratenet.hypotheses.identification.identify import identify as identify
from ratenet.hypotheses.identification.model_comparison import Identification as Identification
from ratenet.hypotheses.identification.observation import (
    Observation as Observation,
    observe_rates as observe_rates,
    observe_weights as observe_weights,
)
from ratenet.hypotheses.identification.power_analysis import Power as Power, power as power
