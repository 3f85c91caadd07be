"""Equations: the language of model files, from text to a checked ModelSpec and to torch."""

from ratenet.equations.files import load_model as load_model, model_names as model_names
from ratenet.equations.spec import ModelSpec as ModelSpec
