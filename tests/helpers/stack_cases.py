"""What the tests of stacks share: two layers and a read-out, and a short training of them."""

from ratenet.layers import Stack
from ratenet.layers.architecture import build_stack
from ratenet.layers.tables import LayerDefaults, read_tables
from ratenet.training import TrainingConfig

COMMON = LayerDefaults(10, "euclidean", 1e-3, 1e-4)
TWO = (
    {"kind": "fixed-point", "units": 20, "rule": "linearized-reparameterized"},
    {"kind": "fixed-point", "units": 15, "model": "adaptation", "parameters": {"tau": "20*ms"}},
    {"kind": "read-out"},
)
SMALL = {
    "presentation": "static",
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "batch_size": 200,
    "epochs": 2,
    "threads": 1,
    "rule": "euclidean",
}


def built(*tables: dict, image: tuple[int, int] = (28, 28), seed: int = 0) -> Stack:
    return build_stack(read_tables(tables), image, COMMON, seed=seed)


def config(*tables: dict, **options: object) -> TrainingConfig:
    return TrainingConfig(**{**SMALL, **options}, layers=tables)
