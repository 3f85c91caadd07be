# The public names of this room; each is imported when it is first used.

from .config import TrainingConfig as TrainingConfig
from .config_file import read_options as read_options
from .evaluation import Evaluation as Evaluation
from .loop import (
    TrainingResult as TrainingResult,
    evaluate as evaluate,
    resume as resume,
    train as train,
)
