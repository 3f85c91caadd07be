"""Plasticity hypotheses: rules side by side; which rule made a change; how much data would tell."""

from ratenet.hypotheses.comparison import Comparison as Comparison
from ratenet.hypotheses.comparison import compare as compare
from ratenet.hypotheses.evidence import Identification as Identification
from ratenet.hypotheses.identification import identify as identify
from ratenet.hypotheses.observation import Observation as Observation
from ratenet.hypotheses.observation import observe_rates as observe_rates
from ratenet.hypotheses.observation import observe_weights as observe_weights
from ratenet.hypotheses.power_analysis import Power as Power
from ratenet.hypotheses.power_analysis import power as power
from ratenet.hypotheses.schedulers import Dask as Dask
from ratenet.hypotheses.schedulers import InProcess as InProcess
from ratenet.hypotheses.schedulers import Processes as Processes
