"""Conformance: whether a model runs alike in both simulators and agrees with other answers."""

from ratenet.conformance.check import check_model as check_model
from ratenet.conformance.plasticity import check_plasticity as check_plasticity
