"""Training: a network learns images from the fixed points that it reaches."""

from ratenet.training.config import TrainingConfig as TrainingConfig
from ratenet.training.config_file import read_options as read_options
from ratenet.training.evaluation import Evaluation as Evaluation
from ratenet.training.loop import (
    TrainingResult as TrainingResult,
    evaluate as evaluate,
    resume as resume,
    train as train,
)
