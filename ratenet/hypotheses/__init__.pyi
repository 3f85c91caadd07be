# The public names of this room; each is imported when it is first used.

from .comparison.compare import Comparison as Comparison, compare as compare
from .comparison.schedulers import (
    Dask as Dask,
    InProcess as InProcess,
    Processes as Processes,
)
from .data_listing import describe as describe
from .evidence import Identification as Identification
from .identification.animals import GroupIdentification as GroupIdentification
from .identification.gain_power import GainPower as GainPower, gain_power as gain_power
from .identification.identify import identify as identify
from .identification.observation import Observation as Observation, Observations as Observations
from .identification.observe import (
    observe_rates as observe_rates,
    observe_weights as observe_weights,
)
from .identification.power_analysis import power as power
from .identification.power_results import Power as Power
from .inference.infer import infer as infer
from .inference.load_recordings import load_recordings as load_recordings
from .inference.power import (
    InferencePower as InferencePower,
    power_of_inference as power_of_inference,
)
from .inference.recording import Recording as Recording
from .inference.results import Inferred as Inferred
