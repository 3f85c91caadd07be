"""ratenet: recurrent rate networks, their fixed points, and plasticity rules that learn them.

The names below are the table of contents; each is imported when it is first used, so that the
command line answers at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratenet import circuits as circuits
    from ratenet import connectivity as connectivity
    from ratenet import hypotheses as hypotheses
    from ratenet import plasticity as plasticity
    from ratenet import stimuli as stimuli
    from ratenet.conformance import check_model as check_model
    from ratenet.connectivity import Dense as Dense
    from ratenet.equations.files import load_model as load_model
    from ratenet.equations.files import model_names as model_names
    from ratenet.equations.spec import ModelSpec as ModelSpec
    from ratenet.fixed_points import Anderson as Anderson
    from ratenet.fixed_points import Automatic as Automatic
    from ratenet.fixed_points import Branch as Branch
    from ratenet.fixed_points import BranchEnd as BranchEnd
    from ratenet.fixed_points import DampedIteration as DampedIteration
    from ratenet.fixed_points import DriveScale as DriveScale
    from ratenet.fixed_points import DriveShift as DriveShift
    from ratenet.fixed_points import FixedPointSet as FixedPointSet
    from ratenet.fixed_points import MeanGain as MeanGain
    from ratenet.fixed_points import ModelParameter as ModelParameter
    from ratenet.fixed_points import NewtonKrylov as NewtonKrylov
    from ratenet.fixed_points import Relaxation as Relaxation
    from ratenet.fixed_points import SpecialKind as SpecialKind
    from ratenet.fixed_points import Sweep as Sweep
    from ratenet.fixed_points import WeightScale as WeightScale
    from ratenet.fixed_points import continue_fixed_points as continue_fixed_points
    from ratenet.fixed_points import estimate_distances as estimate_distances
    from ratenet.fixed_points import find_all_fixed_points as find_all_fixed_points
    from ratenet.fixed_points import find_fixed_points as find_fixed_points
    from ratenet.fixed_points import fixed_points_at as fixed_points_at
    from ratenet.fixed_points import predict_state as predict_state
    from ratenet.fixed_points import solve_adjoint as solve_adjoint
    from ratenet.fixed_points import sweep_fixed_points as sweep_fixed_points
    from ratenet.fixed_points.results import FixedPoints as FixedPoints
    from ratenet.fixed_points.results import Status as Status
    from ratenet.layers import ConvFixedPointLayer as ConvFixedPointLayer
    from ratenet.layers import FixedPointCore as FixedPointCore
    from ratenet.layers import FixedPointLayer as FixedPointLayer
    from ratenet.network.network import Network as Network
    from ratenet.quasi_static import Lag as Lag
    from ratenet.quasi_static import QuasiStatic as QuasiStatic
    from ratenet.quasi_static import correct_lag as correct_lag
    from ratenet.quasi_static import measure_lag as measure_lag
    from ratenet.quasi_static import predict_lag as predict_lag
    from ratenet.simulation.drives import Drive as Drive
    from ratenet.simulation.drives import SampledDrive as SampledDrive
    from ratenet.simulation.integrate import simulate as simulate
    from ratenet.simulation.statistics import Statistics as Statistics
    from ratenet.simulation.step_check import dt_check as dt_check
    from ratenet.simulation.trajectory import Trajectory as Trajectory
    from ratenet.training import TrainingConfig as TrainingConfig
    from ratenet.training import evaluate as evaluate
    from ratenet.training import resume as resume
    from ratenet.training import train as train

_WHERE = {
    # from one equation file
    "ModelSpec": "spec",
    "load_model": "model_files",
    "model_names": "model_files",
    # to a network
    "Dense": "connectivity",
    "connectivity": "",
    "Network": "network",
    "circuits": "",
    "check_model": "conformance",
    # to trajectories and fixed points
    "simulate": "simulation",
    "Drive": "drives",
    "SampledDrive": "drives",
    "Statistics": "statistics",
    "Trajectory": "trajectory",
    "dt_check": "step_check",
    "FixedPoints": "results",
    "Status": "results",
    "find_fixed_points": "fixed_points",
    "fixed_points_at": "fixed_points",
    "solve_adjoint": "fixed_points",
    "Anderson": "fixed_points",
    "DampedIteration": "fixed_points",
    "Relaxation": "fixed_points",
    "predict_state": "fixed_points",
    "estimate_distances": "fixed_points",
    "NewtonKrylov": "fixed_points",
    "MeanGain": "fixed_points",
    "Automatic": "fixed_points",
    # to several fixed points, and how they change with a parameter
    "find_all_fixed_points": "fixed_points",
    "FixedPointSet": "fixed_points",
    "continue_fixed_points": "fixed_points",
    "Branch": "fixed_points",
    "BranchEnd": "fixed_points",
    "SpecialKind": "fixed_points",
    "sweep_fixed_points": "fixed_points",
    "Sweep": "fixed_points",
    "ModelParameter": "fixed_points",
    "DriveScale": "fixed_points",
    "DriveShift": "fixed_points",
    "WeightScale": "fixed_points",
    # to slowly changing drives
    "measure_lag": "quasi_static",
    "predict_lag": "quasi_static",
    "correct_lag": "quasi_static",
    "QuasiStatic": "quasi_static",
    "Lag": "quasi_static",
    # to learning
    "plasticity": "",
    "FixedPointLayer": "layers",
    "ConvFixedPointLayer": "layers",
    "FixedPointCore": "layers",
    "stimuli": "",
    "TrainingConfig": "training",
    "train": "training",
    "resume": "training",
    "evaluate": "training",
    # to hypotheses about plasticity
    "hypotheses": "",
}
__all__ = list(_WHERE)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ratenet' has no attribute {name!r}")
    if not _WHERE[name]:
        return importlib.import_module(f"ratenet.{name}")
    return getattr(importlib.import_module(f"ratenet.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
