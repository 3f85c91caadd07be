# The public names of this room; each is imported when it is first used.

from .files import load_model as load_model, load_plasticity as load_plasticity
from .joint import JointSpec as JointSpec
from .plasticity import PlasticitySpec as PlasticitySpec
from .shipped import model_names as model_names, plasticity_names as plasticity_names
from .spec import ModelSpec as ModelSpec
