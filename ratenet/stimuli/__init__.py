"""Stimuli: images, and how they change in time."""

from ratenet.stimuli.base import AbstractStimulus as AbstractStimulus
from ratenet.stimuli.base import ReadIn as ReadIn
from ratenet.stimuli.base import Still as Still
from ratenet.stimuli.batches import batches_of_epoch as batches_of_epoch
from ratenet.stimuli.held_images import GammaDwell as GammaDwell
from ratenet.stimuli.held_images import HeldImages as HeldImages
from ratenet.stimuli.images import DATA_SETS as DATA_SETS
from ratenet.stimuli.images import Images as Images
from ratenet.stimuli.images import ImageSet as ImageSet
from ratenet.stimuli.images import load_images as load_images
from ratenet.stimuli.movement import Drift as Drift
from ratenet.stimuli.movement import Rotate as Rotate
from ratenet.stimuli.movement import Scale as Scale
from ratenet.stimuli.movement import Shear as Shear
from ratenet.stimuli.moving_mnist import MovingMNIST as MovingMNIST
from ratenet.stimuli.named import stimulus_named as stimulus_named
from ratenet.stimuli.named import stimulus_names as stimulus_names
from ratenet.stimuli.ornstein_uhlenbeck import Contrast as Contrast
from ratenet.stimuli.ornstein_uhlenbeck import Walk as Walk
from ratenet.stimuli.slow import HoldAndFade as HoldAndFade
