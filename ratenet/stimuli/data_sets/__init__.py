"""Where images come from: named data sets, files, folders, and the user's own."""

from ratenet.stimuli.data_sets.base import EMBEDDED as EMBEDDED, AbstractSource as AbstractSource
from ratenet.stimuli.data_sets.folders import ClassFolders as ClassFolders
from ratenet.stimuli.data_sets.named import (
    DATA as DATA,
    DATA_SETS as DATA_SETS,
    check_root as check_root,
    load_images as load_images,
    reads_root as reads_root,
    source_of as source_of,
)
from ratenet.stimuli.data_sets.npz import NpzFile as NpzFile
from ratenet.stimuli.data_sets.torchvision_sets import TorchvisionSet as TorchvisionSet
