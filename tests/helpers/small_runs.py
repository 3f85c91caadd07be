"""Small training runs, and what tests ask of them."""

import torch

import ratenet as rn

SMALL = {"units": 40, "batch_size": 100, "epochs": 1, "threads": 1}


def small(**options) -> rn.TrainingConfig:
    return rn.TrainingConfig(**{**SMALL, "presentation": "static", **options})


def weights(result) -> torch.Tensor:
    return result.classifier.network.connectivity.W
