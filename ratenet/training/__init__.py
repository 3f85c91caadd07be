"""Training: a network learns images from the fixed points that it reaches."""

from ratenet.training.config import TrainingConfig as TrainingConfig
from ratenet.training.config_file import read_options as read_options
from ratenet.training.evaluation import Evaluation as Evaluation
from ratenet.training.loop import TrainingResult as TrainingResult
from ratenet.training.loop import evaluate as evaluate
from ratenet.training.loop import resume as resume
from ratenet.training.loop import train as train
