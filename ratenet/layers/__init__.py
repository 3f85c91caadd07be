"""Fixed points as layers of torch: rates that a recurrent network settles at, with gradients."""

from ratenet.layers.convolutional import ConvFixedPointLayer as ConvFixedPointLayer
from ratenet.layers.core import FixedPointCore as FixedPointCore
from ratenet.layers.feedback import FeedbackLayers as FeedbackLayers
from ratenet.layers.full import FixedPointLayer as FixedPointLayer
from ratenet.layers.gradients import Settled as Settled
from ratenet.layers.loading import load as load
from ratenet.layers.saving import save as save
from ratenet.layers.stack import Stack as Stack
