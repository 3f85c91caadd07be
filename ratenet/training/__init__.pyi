# The public names of this room; each is imported when it is first used.

from .config import TrainingConfig as TrainingConfig
from .config_file import read_options as read_options
from .evaluation import Evaluation as Evaluation
from .loaded_run import LoadedRun as LoadedRun, load_run as load_run
from .loop import resume as resume, train as train
from .losses import (
    AbstractLoss as AbstractLoss,
    CrossEntropy as CrossEntropy,
    SquaredError as SquaredError,
)
from .options import TrainingOptions as TrainingOptions
from .result import TrainingResult as TrainingResult
from .saved_run import evaluate as evaluate
