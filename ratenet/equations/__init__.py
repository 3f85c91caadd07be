"""Equations: the language of model files, from text to a checked ModelSpec and to torch."""

from ratenet.equations.files import (
    load_model as load_model,
    load_plasticity as load_plasticity,
    model_names as model_names,
    plasticity_names as plasticity_names,
)
from ratenet.equations.joint import JointSpec as JointSpec
from ratenet.equations.plasticity import PlasticitySpec as PlasticitySpec
from ratenet.equations.spec import ModelSpec as ModelSpec
