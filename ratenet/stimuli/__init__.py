"""Stimuli: images, and how they follow one another in time."""

from ratenet.stimuli.batches import batches_of_epoch as batches_of_epoch
from ratenet.stimuli.images import DATA_SETS as DATA_SETS
from ratenet.stimuli.images import Images as Images
from ratenet.stimuli.images import ImageSet as ImageSet
from ratenet.stimuli.images import load_images as load_images
from ratenet.stimuli.slow import HoldAndFade as HoldAndFade
