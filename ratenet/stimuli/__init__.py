"""Stimuli: images, and how they change in time."""

from ratenet.stimuli.base import (
    AbstractModulation as AbstractModulation,
    AbstractStimulus as AbstractStimulus,
    Delayed as Delayed,
    ReadIn as ReadIn,
    Still as Still,
)
from ratenet.stimuli.batches import batches_of_epoch as batches_of_epoch
from ratenet.stimuli.data_sets import (
    DATA as DATA,
    DATA_SETS as DATA_SETS,
    check_root as check_root,
    load_images as load_images,
    reads_root as reads_root,
    source_of as source_of,
)
from ratenet.stimuli.held_images import GammaDwell as GammaDwell, HeldImages as HeldImages
from ratenet.stimuli.image_sets import ImageSet as ImageSet
from ratenet.stimuli.images import Images as Images, masked as masked
from ratenet.stimuli.movement import (
    Drift as Drift,
    Rotate as Rotate,
    Scale as Scale,
    Shear as Shear,
)
from ratenet.stimuli.moving_mnist import Bounce as Bounce, MovingMNIST as MovingMNIST
from ratenet.stimuli.named import (
    HELD as HELD,
    STIMULI as STIMULI,
    comes_to_rest as comes_to_rest,
    stimulus_named as stimulus_named,
    stimulus_names as stimulus_names,
)
from ratenet.stimuli.ornstein_uhlenbeck import Contrast as Contrast, Walk as Walk
